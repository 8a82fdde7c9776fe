"""Running a script in a process of its own: isolated, with an empty environment, in a directory that goes away.

Limits keep a mistake small: time, processor seconds, memory, no writing of files. They are no sandbox against an
author who means harm; the lint before it is none either. Run such code in a container.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

MEMORY_BYTES = 4 * 2**30
KEPT_BYTES = 20_000
"""How much of the end of each output stream is kept."""

_LAUNCH = """\
import runpy, sys
try:
    import resource
except ImportError:
    pass
else:
    def limit(what, value):
        most = resource.getrlimit(what)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(what, (value, value))
    limit(resource.RLIMIT_CPU, int(sys.argv[2]))
    limit(resource.RLIMIT_AS, int(sys.argv[3]))
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_CORE, 0)
runpy.run_path(sys.argv[1], run_name="__main__")
"""
_ENVIRONMENT = {
    "JOBLIB_MULTIPROCESSING": "0",  # its semaphores are files, which may not grow
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True)
class Ran:
    """How a run went; `exit_code` is None if it was stopped for taking too long."""

    exit_code: int | None
    stdout: str
    stderr: str


async def run_script(code: str, timeout_s: float) -> Ran:
    """Run a script to its end or for `timeout_s`; cancelling the call ends the script and all it started."""
    with TemporaryDirectory(prefix="script-", ignore_cleanup_errors=True) as folder:
        Path(folder, "train.py").write_text(code, encoding="utf-8")
        return await _run(folder, timeout_s)


async def _run(folder: str, timeout_s: float) -> Ran:
    process = await asyncio.create_subprocess_exec(
        *_command(timeout_s),
        cwd=folder,
        env={**_ENVIRONMENT, "HOME": folder, "TMPDIR": folder},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None  # both are pipes
    ends = asyncio.gather(_tail(process.stdout), _tail(process.stderr), process.wait())
    try:
        stdout, stderr, exit_code = await asyncio.wait_for(ends, timeout_s)
    except TimeoutError:
        return Ran(None, "", f"stopped after {timeout_s:g} s")
    finally:
        await _end(process)
    return Ran(exit_code, stdout, stderr)


def _command(timeout_s: float) -> list[str]:
    seconds = max(1, int(timeout_s) + 1)
    return [sys.executable, "-I", "-B", "-c", _LAUNCH, "train.py", str(seconds), str(MEMORY_BYTES)]


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stream.read(2**16):
        kept = (kept + chunk)[-KEPT_BYTES:]
    return kept.decode("utf-8", "replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the whole process group; also what outlived its leader."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    await process.wait()
