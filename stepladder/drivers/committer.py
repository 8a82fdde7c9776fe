"""Appending the turns of many runs: one transaction carries what they wrote in the same moment.

A run goes on only after its own turn is durable. With one run at work its turn is written at once, where it stands;
with several, a thread writes whatever has gathered while it wrote the last ones, so that a slow disk makes the groups
larger and not the loop slower.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import NamedTuple

from stepladder.errors import StepladderError
from stepladder.journal import Journal, Turn

Done = Callable[[Exception | None], None]


class _Waiting(NamedTuple):
    turn: Turn
    done: Done
    loop: asyncio.AbstractEventLoop


class Committer:
    """Appends turns to a journal. `at_work` says how many runs are worked on, and is kept by them."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.at_work = 0
        self._waiting: list[_Waiting] = []
        self._writing = False
        self._some = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

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
        with self._some:
            self._waiting.append(_Waiting(turn, done, asyncio.get_running_loop()))
            self._some.notify()
        self._start()
        return False

    def close(self) -> None:
        """Write what waits, and end the thread."""
        with self._some:
            self._closed = True
            self._some.notify()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        """See to it that what waits is written; a simulation does it without a thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="stepladder-journal", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while group := self._gathered():
            self._commit(group)

    def _gathered(self) -> list[_Waiting]:
        """The next group, as soon as there is one; [] once closed."""
        with self._some:
            while not self._waiting and not self._closed:
                self._some.wait()
            group, self._waiting = self._waiting, []
            self._writing = bool(group)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        told = self._write(group)
        self._writing = False
        for loop, answers in told.items():
            try:
                loop.call_soon_threadsafe(_tell, answers)
            except RuntimeError:  # the loop is closed: nobody waits there any more
                continue

    def _write(
        self, group: list[_Waiting]
    ) -> dict[asyncio.AbstractEventLoop, list[tuple[Done, StepladderError | Exception | None]]]:
        answers: list[StepladderError | None] | list[Exception]
        try:
            answers = self.journal.write([each.turn for each in group])
        except Exception as error:
            answers = [error] * len(group)
        told: dict[asyncio.AbstractEventLoop, list[tuple[Done, StepladderError | Exception | None]]] = {}
        for each, answer in zip(group, answers, strict=True):
            told.setdefault(each.loop, []).append((each.done, answer))
        return told


def _tell(answers: list[tuple[Done, StepladderError | Exception | None]]) -> None:
    for done, answer in answers:
        done(answer)
