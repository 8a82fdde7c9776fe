"""What is asked of the disk: how long a sync takes, how many there are, how much is written, how large it stays.

Syncs are counted where they are asked for: a few lines of C (`COUNTER`), compiled when the benchmark starts and put
before the C library of the measured process (LD_PRELOAD), count `fsync` and `fdatasync`. Where there is no compiler, or
another system than Linux, they are not counted. Bytes written are what the process has handed to `write` and its kin
(`wchar` of /proc/self/io). Of Postgres, which syncs in processes of its own, both are what pg_stat_wal says.
"""

import ctypes
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
long syncs_counted;
#define COUNTED(name) int name(int file) { \\
    static int (*real)(int); \\
    if (!real) real = (int (*)(int)) dlsym(RTLD_NEXT, #name); \\
    __atomic_fetch_add(&syncs_counted, 1, __ATOMIC_RELAXED); \\
    return real(file); }
COUNTED(fsync)
COUNTED(fdatasync)
"""
PAGE = os.urandom(4096)


@dataclass(frozen=True)
class Asked:
    """What was asked of the disk up to now; None where it cannot be known."""

    syncs: int | None
    written: int | None

    @classmethod
    def so_far(cls, postgres: str = "") -> "Asked":
        """By this process, or by the Postgres server at this URL."""
        return cls(*(_by_server(postgres) if postgres else (_syncs(), _written())))

    def since(self, before: "Asked", steps: int) -> dict[str, float | None]:
        """A step, after `before`."""
        both = {"syncs": (before.syncs, self.syncs), "written": (before.written, self.written)}
        return {name: None if was is None or now is None else (now - was) / steps for name, (was, now) in both.items()}


def counting(folder: Path) -> dict[str, str]:
    """The environment in which a process counts its syncs; {} where they cannot be counted."""
    compiler = shutil.which("cc")
    if compiler is None or not Path("/proc/self/io").exists():
        return {}
    source, library = folder / "counter.c", folder / "counter.so"
    source.write_text(COUNTER, encoding="utf-8")
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=False, capture_output=True
    )
    return {"LD_PRELOAD": str(library)} if made.returncode == 0 else {}


def sync_us(folder: Path, times: int = 300) -> float:
    """Microseconds that appending a page and syncing it takes here: the median."""
    taken = []
    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(times):
            file.write(PAGE)
            began_ns = time.perf_counter_ns()
            getattr(os, "fdatasync", os.fsync)(file.fileno())
            taken.append((time.perf_counter_ns() - began_ns) / 1000)
    return statistics.median(taken)


def size(path: Path) -> int:
    """Bytes of an SQLite file and what lies beside it."""
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def _syncs() -> int | None:
    try:
        return ctypes.c_long.in_dll(ctypes.CDLL(None), "syncs_counted").value
    except ValueError:
        return None


def _written() -> int | None:
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _by_server(url: str) -> tuple[int | None, int | None]:
    import psycopg

    time.sleep(1.5)  # its processes tell what they did once a second
    with psycopg.connect(url, autocommit=True) as db:
        columns = {
            name for (name,) in db.execute("SELECT attname FROM pg_attribute WHERE attrelid = 'pg_stat_wal'::regclass")
        }
        wanted = ", ".join(name if name in columns else "NULL" for name in ("wal_sync", "wal_bytes"))
        row = db.execute(f"SELECT {wanted} FROM pg_stat_wal").fetchone()  # type: ignore[arg-type]
    assert row is not None, "a view of one row"
    syncs, written = row
    return None if syncs is None else int(syncs), None if written is None else int(written)
