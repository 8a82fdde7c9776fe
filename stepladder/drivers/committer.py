"""Appending the turns of many runs: one transaction carries what they wrote in the same moment.

A run goes on only after its own turn is durable. With one run at work its turn is written at once, where it stands.
With several, what has gathered in a turn of the loop is written at its end: on the loop while the disk is quick
(measured: a fifth faster than handing it to a thread and back, with which the loop competes for the interpreter), and
by a thread where commits take so long that the loop had better do something else. Meanwhile the next group gathers, so
a slow disk makes the groups larger and not the loop slower, up to a size.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from stepladder.journal import Journal, Turn

Done = Callable[[Exception | None], None]

SLOW_S: Final = 0.002
"""Seconds from which on a commit is slow."""
SLOW_IN_A_ROW: Final = 4
"""Slow commits after which a thread does it, until one is quick again: a single one is SQLite tidying up."""

MOST: Final = 128
"""Turns that are written without waiting for the end of the loop's turn: what waits is in memory twice, before and
after its step, and a commit is shared by enough."""
MOST_WHILE_SLOW: Final = 512
"""The same while a thread writes: from there on the loop waits for the disk too, for runs that go on faster than it
writes would fill the memory (measured with 10,000 runs: 260 MB, so bounded 230)."""


class _Group:
    """What gathers: turns, whom to tell about each, and the loop to tell it on."""

    __slots__ = ("dones", "loops", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.dones: list[Done] = []
        self.loops: list[asyncio.AbstractEventLoop] = []

    def __len__(self) -> int:
        return len(self.turns)


class Committer:
    """Appends turns to a journal. `at_work` says how many runs are worked on, and is kept by them."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.at_work = 0
        self._slow = 0
        self._waiting = _Group()
        self._lock = threading.Lock()
        self._writing = False
        self._thread: threading.Thread | None = None

    def append(self, turn: Turn, done: Done) -> bool:
        """Append a turn: True where it is durable now, else `done(error or None)` is called on the running loop.

        Raises:
            RunConflict, RunNotFound, JournalError: it was not written (only where it was tried at once).
        """
        if not self.journal.grouped or (self.at_work <= 1 and not self._waiting and not self._writing):
            (refused,) = self.journal.write([turn])
            if refused is not None:
                raise refused
            return True
        loop = asyncio.get_running_loop()
        with self._lock:
            group = self._waiting
            if not group:
                loop.call_soon(self._flush)
            group.turns.append(turn)
            group.dones.append(done)
            group.loops.append(loop)
            if len(group.turns) < (MOST if self._slow < SLOW_IN_A_ROW else MOST_WHILE_SLOW):
                return False
            self._waiting = _Group()
        *answers, mine = self._write(group)
        group.dones.pop()
        group.loops.pop()
        self._tell(group, answers, loop)
        if mine is not None:
            raise mine
        return True

    def close(self) -> None:
        """Write what waits, and let the thread end."""
        if self._thread is not None:
            self._thread.join()
        while group := self._taken():
            self._tell(group, self._write(group))

    def _flush(self) -> None:
        """Write what has gathered, or see to it that a thread does."""
        if not self._is_slow():
            group = self._taken()
            self._tell(group, self._write(group), asyncio.get_running_loop())
        elif self._begins_to_write():
            self._start()

    def _is_slow(self) -> bool:
        return self._slow >= SLOW_IN_A_ROW

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="stepladder-journal", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        """Write until nothing waits; a later group starts another thread."""
        while group := self._taken(by_thread=True):
            self._tell(group, self._write(group))

    def _begins_to_write(self) -> bool:
        with self._lock:
            before, self._writing = self._writing, True
        return not before

    def _taken(self, *, by_thread: bool = False) -> _Group:
        with self._lock:
            group, self._waiting = self._waiting, _Group()
            if by_thread and not group:
                self._writing = False
        return group

    def _write(self, group: _Group) -> Sequence[Exception | None]:
        if not group:
            return ()
        started = time.perf_counter()
        try:
            return self.journal.write(group.turns)
        except Exception as error:
            return [error] * len(group)
        finally:
            self._slow = self._slow + 1 if time.perf_counter() - started > SLOW_S else 0

    @staticmethod
    def _tell(
        group: _Group, answers: Sequence[Exception | None], here: asyncio.AbstractEventLoop | None = None
    ) -> None:
        if here is not None and group.loops.count(here) == len(group.loops):
            _call(zip(group.dones, answers, strict=True))
            return
        told: dict[asyncio.AbstractEventLoop, list[tuple[Done, Exception | None]]] = {}
        for loop, done, answer in zip(group.loops, group.dones, answers, strict=True):
            told.setdefault(loop, []).append((done, answer))
        for loop, answered in told.items():
            if loop is here:
                _call(answered)
                continue
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_call, answered)


def _call(answers: Iterable[tuple[Done, Exception | None]]) -> None:
    for done, answer in answers:
        done(answer)
