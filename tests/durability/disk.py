"""A disk that fails: the N-th write or sync, for every N; a file that cannot grow; power that goes before it.

    LD_PRELOAD=faults.so python -m tests.durability.disk FOLDER STORY [--crowd] [--share I OF] [--every N]

Each case is a run that meets one fault. What is raised must be a JournalError, or the fault went unnoticed because it
did no harm. After it the same process goes on, where the disk is well again, or dies; a fresh process finishes the run.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepladder.errors import JournalError
from stepladder.journal.sqlite_file import PAGE
from tests.durability.crashes import IN_FLIGHT, RUN, Outcome, Undisturbed, error_of, finished, undisturbed
from tests.durability.life import KILLED, Death, Fate, forked, worked
from tests.durability.outside import Outside
from tests.durability.story import ROOT, read_story

SHIM: Final = Path(__file__).with_name("faults.c")
WRITES: Final = 1
SYNCS: Final = 2
FAILS, TEARS, KILLS, POWER_FAILS = range(4)
EVER: Final = 1 << 40
NO_DEATH: Final = Death("none", 0)
TRIES: Final = 6
"""How often a process that goes on takes its runs up again."""


class Fault(NamedTuple):
    """What happens to which calls, from the n-th on to how many; whether the process goes on afterwards."""

    name: str
    calls: int
    does: int
    lasts: int
    error: int = 0
    goes_on: bool = False


FAULTS: Final = (
    Fault("a write fails", WRITES, FAILS, 1, errno.EIO),
    Fault("a write fails, and the process goes on", WRITES, FAILS, 1, errno.EIO, True),
    Fault("a write is torn", WRITES, TEARS, EVER, errno.EIO),
    Fault("a write is torn, and the process goes on", WRITES, TEARS, 2, errno.EIO, True),
    Fault("the disk is full from here on", WRITES, FAILS, EVER, errno.ENOSPC),
    Fault("the disk is full for a while", WRITES, FAILS, 3, errno.ENOSPC, True),
    Fault("a sync fails", SYNCS, FAILS, 1, errno.EIO),
    Fault("a sync fails, and the process goes on", SYNCS, FAILS, 1, errno.EIO, True),
    Fault("no sync works from here on", SYNCS, FAILS, EVER, errno.EIO),
    Fault("the process is killed before a write or a sync", WRITES | SYNCS, KILLS, 1),
    Fault("the power fails before a write or a sync", WRITES | SYNCS, POWER_FAILS, 1),
)
BIG: Final = Fault("the file cannot grow", 0, FAILS, EVER)
BIG_FOR_A_WHILE: Final = Fault("the file cannot grow for a while", 0, FAILS, EVER, goes_on=True)


def built(folder: Path) -> Path:
    """The shim, compiled. Raises OSError where there is no compiler."""
    made = folder / "faults.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, SHIM, "-ldl"], check=True, capture_output=True, text=True)
    return made


def faulted(shim: Path, folder: Path, kept: Path, *options: object) -> list[Outcome]:
    """The cases of one process that has the shim, as the command line names them."""
    command = [sys.executable, "-m", __name__, folder, kept, *options]
    environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": os.pathsep.join(sys.path)}
    words = list(map(str, command))
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{command} failed\n{done.stderr}")
    return [Outcome(case, kills, tuple(problems)) for case, kills, problems in json.loads(done.stdout)]


# --- in the process that has the shim


class Disk:
    """The files of one journal."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._shim: Any = ctypes.CDLL(None)

    def breaks(self, fault: Fault, at: int) -> None:
        """From the `at`-th call on; a file that cannot grow, at this size."""
        if fault in (BIG, BIG_FOR_A_WHILE):
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (at, most))
            return
        first, last = ctypes.c_long(at), ctypes.c_long(at + fault.lasts - 1)
        self._shim.fault_arm(str(self.file).encode(), fault.calls, fault.does, first, last, fault.error)

    def is_well(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    @property
    def calls(self) -> int:
        """Calls since it was last told to break."""
        self._shim.fault_counted.restype = ctypes.c_long
        return int(self._shim.fault_counted())


def calls_of(story: Undisturbed, folder: Path, runs: Sequence[str]) -> dict[int, int]:
    """How many writes, syncs and both there are while these runs go undisturbed."""
    found = {}
    for calls in (WRITES, SYNCS, WRITES | SYNCS):
        place = folder / f"count-{calls}"
        place.mkdir(parents=True)

        def counted(calls: int = calls, place: Path = place) -> None:
            disk = Disk(place / "runs.db")
            disk.breaks(Fault("none", calls, FAILS, 1), EVER)
            _meets(story, place, runs, tries=0)
            (place / "calls").write_text(str(disk.calls))

        assert forked(counted, errors=place / "error") == 0, error_of(place)
        found[calls] = int((place / "calls").read_text())
    return found


def met(story: Undisturbed, fault: Fault, at: int, folder: Path, runs: Sequence[str]) -> Outcome:
    """Runs that meet this fault, then finished by a fresh process."""
    case = f"{len(runs)} of {story.kept.stem}: {fault.name}, at {at}"
    folder.mkdir(parents=True)
    outside = Outside(folder)

    def meets() -> None:
        disk = Disk(outside.journal)
        disk.breaks(fault, at)
        for _ in range(TRIES if fault.goes_on else 1):
            try:
                _meets(story, folder, runs, tries=TRIES if fault.goes_on else 0)
                return
            except JournalError as error:
                outside.write("noticed", error)
            disk.is_well()
        if fault.goes_on:
            outside.wrong("the process could not go on, although the disk was well again")

    code = forked(meets, errors=folder / "error")
    if fault.does == POWER_FAILS:
        _only_what_was_synced(outside.journal)
    if code not in ((0, KILLED) if fault.does in (KILLS, POWER_FAILS) else (0,)):  # it may never come so far
        outside.wrong(f"{case}: it ended with {code} {error_of(folder)}")
    noticed = code == KILLED or bool(outside.lines("noticed"))
    done = finished(case, story, folder, runs, TRIES * TRIES, one_run=len(runs) == 1)
    return done._replace(kills=int(noticed))


def _only_what_was_synced(file: Path) -> None:
    """The files as they are when the power comes back. Files that were deleted stay so."""
    for name in (file, *(file.with_name(f"{file.name}-{end}") for end in ("wal", "journal"))):
        synced = name.with_name(f"{name.name}.synced")
        if name.exists():
            synced.replace(name) if synced.exists() else name.unlink()
    file.with_name(f"{file.name}-shm").unlink(missing_ok=True)


def _meets(story: Undisturbed, folder: Path, runs: Sequence[str], tries: int) -> None:
    fate = Fate(Outside(folder), NO_DEATH, one_run=len(runs) == 1)
    asyncio.run(worked(read_story(story.kept), runs, fate, tries))


def cases(story: Undisturbed, folder: Path, runs: Sequence[str]) -> Iterator[tuple[Fault, int]]:
    """Every fault at every call, and every size of file in steps of half a page."""
    calls = calls_of(story, folder, runs)
    for fault in FAULTS:
        yield from ((fault, at) for at in range(1, calls[fault.calls] + 1))
    for fault in (BIG, BIG_FOR_A_WHILE):  # a page and its head are two writes
        yield from ((fault, at) for at in range(PAGE // 4, calls[WRITES] * (PAGE // 2 + 50), PAGE // 2))


def main() -> None:
    """Do this share of the cases; print what came of them as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("story", type=Path)
    parser.add_argument("--crowd", action="store_true")
    parser.add_argument("--share", nargs=2, type=int, default=(0, 1))
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    runs = [f"run-{number}" for number in range(IN_FLIGHT)] if given.crowd else [RUN]
    share, shares = given.share
    story = undisturbed(given.story, given.folder / "undisturbed")
    mine = list(cases(story, given.folder, runs))[:: given.every][share::shares]
    told = [met(story, fault, at, given.folder / f"case-{n}", runs) for n, (fault, at) in enumerate(mine)]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
