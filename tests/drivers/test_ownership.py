"""A process gives signs of life for as long as a run is at work, whatever happens to one of them."""

from __future__ import annotations

import asyncio

import pytest

from stepladder.drivers import ownership
from stepladder.drivers.ownership import Ownership
from stepladder.errors import JournalError
from stepladder.journal import MemoryJournal, Owner
from tests.drivers.desk import go, until


class Failing(MemoryJournal):
    """Counts signs of life and looks; the n-th of each fails where it is to."""

    def __init__(self, signs: int = 0, looks: int = 0) -> None:
        super().__init__()
        self.fail = {"sign": signs, "look": looks}
        self.seen = {"sign": 0, "look": 0}

    def _next(self, what: str) -> None:
        self.seen[what] += 1
        if self.seen[what] == self.fail[what]:
            raise JournalError(self.name, "no space", "space")

    def enroll(self, owner: Owner) -> None:
        self._next("sign")

    def posted(self) -> tuple[()]:
        self._next("look")
        return ()


@pytest.mark.parametrize("journal", [Failing(signs=2), Failing(looks=2)], ids=["a sign", "a look"])
def test_a_disk_that_fails_once_does_not_end_the_signs_of_life(
    journal: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(ownership, "SIGN_EVERY_S", 0.0)
    heard: list[object] = []

    async def body() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["exception"]))
        owner = Ownership(journal, lambda: True)
        owner.alive()
        await until(lambda: min(journal.seen.values()) > 5)
        owner.leave()

    go(body())
    assert [type(each) for each in heard] == [JournalError]
