"""Booking from an event loop: one transaction carries what many calls book and settle in the same moment.

A ledger in memory is written where it stands. Any other is written by one thread, so that neither a disk nor another
process at the file holds up the loop; while it writes, the next group gathers.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from stepladder.errors import StepladderError
from stepladder.journal import Journal
from stepladder.llm.purse import Refusal
from stepladder.money.ledger import Booking, Ledger, Settlement
from stepladder.money.opening import open_ledger


class _Waiting(NamedTuple):
    what: Booking | Settlement
    future: asyncio.Future[Refusal | None]
    loop: asyncio.AbstractEventLoop


class Till:
    """A ledger that is opened when something is first booked.

    Args:
        journal: whose ledger it is.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ledger: Ledger | None = None
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._writing = self._closed = False
        self._thread: ThreadPoolExecutor | None = None

    @property
    def ledger(self) -> Ledger:
        """The ledger. Raises JournalError."""
        with self._lock:
            if self._ledger is None:
                self._ledger = open_ledger(self._journal)
            return self._ledger

    async def reserve(self, booking: Booking) -> Refusal | None:
        """Book before a call: why it must not be made, or None. Raises JournalError.

        Whoever is cancelled meanwhile has nothing booked.
        """
        future = self._write(booking)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(partial(self._give_back, booking.id))
            raise

    async def settle(self, settlement: Settlement) -> None:
        """Settle after a call. It is done also where whoever waits for it is cancelled. Raises JournalError."""
        await asyncio.shield(self._write(settlement))

    def settle_soon(self, settlement: Settlement) -> None:
        """Settle, and wait for nothing. Never raises: what cannot be written stays as it was reserved."""
        with suppress(StepladderError):
            if self._closed:  # an answer that came after the end
                self._write_after_all(settlement)
            else:
                self._write(settlement).add_done_callback(_heard)

    def close(self) -> None:
        """Write what waits, and let go of the ledger; one in memory belongs to its journal, and stays."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
        left, self._waiting = self._waiting, []
        if left and self._ledger is not None:
            self._ledger.write([each.what for each in left])
        if self._ledger is not None and not self._ledger.inline:
            self._ledger.close()
        self._ledger = self._thread = None
        self._closed = True

    def _write_after_all(self, settlement: Settlement) -> None:
        ledger = open_ledger(self._journal)
        ledger.write([settlement])
        if not ledger.inline:
            ledger.close()

    def _give_back(self, booking_id: str, future: asyncio.Future[Refusal | None]) -> None:
        if not future.cancelled() and future.exception() is None and future.result() is None:
            self.settle_soon(Settlement(booking_id, "free", note="never sent"))

    def _write(self, what: Booking | Settlement) -> asyncio.Future[Refusal | None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Refusal | None] = loop.create_future()
        if self.ledger.inline:
            _tell([_Waiting(what, future, loop)], *_written(self.ledger, [what]))
            return future
        with self._lock:
            self._waiting.append(_Waiting(what, future, loop))
            if not self._writing:
                self._writing = True
                self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="stepladder-ledger")
                self._thread.submit(self._write_all)
        return future

    def _write_all(self) -> None:
        ledger = self.ledger
        while True:
            with self._lock:
                group, self._waiting = self._waiting, []
                if not group:
                    self._writing = False
                    return
            answers, error = _written(ledger, [each.what for each in group])
            for loop in dict.fromkeys(each.loop for each in group):
                mine = [index for index, each in enumerate(group) if each.loop is loop]
                told = partial(_tell, [group[index] for index in mine], [answers[index] for index in mine], error)
                if not loop.is_closed():
                    loop.call_soon_threadsafe(told)


def _written(ledger: Ledger, what: list[Booking | Settlement]) -> tuple[list[Refusal | None], Exception | None]:
    try:
        return ledger.write(what), None
    except Exception as error:  # told to whoever booked
        return [None] * len(what), error


def _tell(group: list[_Waiting], answers: list[Refusal | None], error: Exception | None) -> None:
    for each, answer in zip(group, answers, strict=True):
        if each.future.done():
            continue
        if error is None:
            each.future.set_result(answer)
        else:
            each.future.set_exception(error)


def _heard(future: asyncio.Future[Refusal | None]) -> None:
    """What went wrong is no exception that nobody fetched."""
    if not future.cancelled():
        future.exception()
