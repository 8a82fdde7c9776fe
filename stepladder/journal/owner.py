"""Who works on a run: one Orchestrator in one process, for as long as its lease or its process lives."""

from __future__ import annotations

import os
import platform
import time
import uuid
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

LEASE_S: Final = 30.0
"""Seconds that an owner counts as alive after its last sign of life."""

SINCE_1970: Final = 1e9
"""Starts from here on are times of day; no machine is up for thirty years."""

_HERE: Final[set[str]] = set()
"""The owners of this process that have not left."""


class Owner(msgspec.Struct, frozen=True):
    """An owner of runs: the process (its start tells it from a later one of the same id), and until when it is alive.

    `started` is seconds since the machine's start (or since 1970, where only that is known); `until` is seconds since
    1970, by the clock of the owner's machine. A journal that machines share counts the lease by its own clock: how long
    `until` is from now when it is told.
    """

    id: str
    host: str
    pid: int
    started: float
    until: float

    def alive(self, now: float) -> bool:
        """Whether its lease runs, and its process, where that can be seen from here."""
        if self.until <= now:
            return False
        if self.host != this_host():
            return True
        if self.pid == os.getpid() and _same(self.started, _started(self.pid)):
            return self.id in _HERE
        return _same(self.started, _started(self.pid))

    def told(self) -> str:
        """The owner, for people."""
        return f"process {self.pid} on {self.host.partition('/')[0]}"


def new_owner(owner_id: str = "", now: float | None = None, lease_s: float = LEASE_S) -> Owner:
    """An owner in this process."""
    pid = os.getpid()
    name = owner_id or uuid.uuid4().hex
    _HERE.add(name)
    return Owner(name, this_host(), pid, _started(pid), (time.time() if now is None else now) + lease_s)


def gone(owner_id: str) -> None:
    """This owner of this process does not work any more."""
    _HERE.discard(owner_id)


@cache
def this_host() -> str:
    """The machine since it was started, and its container: process numbers mean something only there.

    Machines may have the same name; where one cannot be told from another one, only the lease counts.
    """
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not (boot.exists() and space.exists()):
        return f"{platform.node()}/{uuid.getnode():x}"
    return f"{platform.node()}/{boot.read_text().strip()}/{space.readlink()}"


def _started(pid: int) -> float:
    """When the process was started; 0 where there is none of this number.

    Seconds since the machine was, where that can be seen: psutil's time of day moves with the clock, and an owner whose
    clock was set would be taken for a dead one.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return 0.0
        return _since_boot(pid) or float(process.create_time())
    except psutil.Error:
        return 0.0


def _since_boot(pid: int) -> float:
    """Field 22 of Linux' /proc/PID/stat in seconds; 0 elsewhere. The name in field 2 may hold anything."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _same(one: float, other: float) -> bool:
    """Whether these are starts of the same process; where a clock tells them, it may have been set by a little."""
    return other > 0 and abs(one - other) < (2.0 if other > SINCE_1970 else 0.02)
