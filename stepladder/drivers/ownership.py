"""This process's hold on the runs it works on.

A run belongs to one owner while it is worked on. The owner gives a sign of life from time to time, and looks whether
another process has put something into the inbox of one of its runs. An owner whose process has died, or that gave no
sign for the length of a lease, can be relieved of its runs; what it still tries to write is refused.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Final

from stepladder.journal import LEASE_S, Journal, gone, new_owner

LOOK_EVERY_S: Final = 1.0
"""Seconds between two looks into the inboxes of the runs at work."""
SIGN_EVERY_S: Final = LEASE_S / 3


class Ownership:
    """An owner of runs in this journal.

    Args:
        journal: where the runs are.
        busy: whether any run is worked on.
    """

    def __init__(self, journal: Journal, busy: Callable[[], bool]) -> None:
        self.id = uuid.uuid4().hex
        self.look: Callable[[list[str]], None] = lambda _: None
        """Told the runs of this journal that have something in their inbox."""
        self._journal, self._busy = journal, busy
        self._signed = 0.0
        self._tick: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def claim(self, run_id: str) -> None:
        """Make a run ours. Raises RunOwned, RunNotFound."""
        self.alive()
        self._journal.claim(run_id, self.id)

    def alive(self) -> None:
        """Give a sign of life where one is due, and go on giving them while a run is at work."""
        loop = asyncio.get_running_loop()
        if self._tick is None or self._loop is not loop:  # first, so that a disk that fails once does not end the signs
            self._loop, self._tick = loop, loop.call_later(LOOK_EVERY_S, self._ticked)
        now = time.monotonic()
        if not self._signed or now - self._signed >= SIGN_EVERY_S:
            self._journal.enroll(new_owner(self.id))
            self._signed = now

    def leave(self) -> None:
        """Let go of every run."""
        if self._tick is not None:
            self._tick.cancel()
        self._tick = None
        gone(self.id)
        if self._signed:
            self._journal.leave(self.id)
            self._signed = 0.0

    def _ticked(self) -> None:
        self._tick = None
        if self._busy():
            self.alive()
            posted = self._journal.posted()
            if posted:
                self.look(list(posted))
