import asyncio
import os
import time
from pathlib import Path

import pytest

from examples.ml_pipeline.child import run_script


def run(code, timeout_s=20.0):
    return asyncio.run(run_script(code, timeout_s))


def alive(pid):
    """Tell whether a process runs; one that ended but was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_script_runs_in_its_own_empty_directory_without_our_environment(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    ran = run("import os; print(sorted(os.listdir()), 'SECRET_KEY' in os.environ)")
    assert (ran.exit_code, ran.stdout) == (0, "['train.py'] False\n")


def test_the_end_of_long_output_is_kept():
    ran = run("print('x' * 10**6); print('end')")
    assert ran.stdout.endswith("end\n")
    assert len(ran.stdout) == 20_000


def test_an_error_is_in_stderr():
    ran = run("1 / 0")
    assert ran.exit_code == 1
    assert ran.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_nothing_can_be_written_or_hoarded():
    assert "File too large" in run("with open('a', 'w') as file: file.write('x')").stderr
    assert "MemoryError" in run("x = bytearray(10 * 2**30)").stderr


FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("{note}", "a").close()
print(child.pid, flush=True)
import os
os.rename("train.py", f"{note}{{child.pid}}")
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("end", ["timeout", "cancel"])
def test_whatever_ends_a_run_ends_all_that_it_started(tmp_path, end):
    code = FAMILY.format(note=tmp_path / "pid-")

    async def started():
        while not (names := list(tmp_path.glob("pid-?*"))):
            await asyncio.sleep(0.02)
        return int(names[0].name.removeprefix("pid-"))

    async def cancelled():
        task = asyncio.create_task(run_script(code, 20))
        pid = await started()
        assert alive(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    async def timed_out():
        ran, pid = await asyncio.gather(run_script(code, 1.5), started())
        assert ran.exit_code is None
        return pid

    pid = asyncio.run(cancelled() if end == "cancel" else timed_out())
    until = time.monotonic() + 2
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(pid)
    assert os.getpid() != pid
