"""A journal that cannot write: whoever waits is told, once, and everything else goes on when the disk is well again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import ownership
from stepladder.drivers.ownership import Ownership
from stepladder.errors import JournalError, StepladderError
from stepladder.journal import Owner, Turn
from stepladder.journal.sqlite import SqliteJournal
from tests.drivers.desk import ONE


class FailingJournal(SqliteJournal):
    """One whose disk can be broken."""

    broken = False

    def _look_at_the_disk(self) -> None:
        if self.broken:
            raise JournalError(self.name, "a broken disk", "one that is well")

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        self._look_at_the_disk()
        return super().write(turns)

    def enroll(self, owner: Owner) -> None:
        self._look_at_the_disk()
        super().enroll(owner)

    def release(self, run_id: str, owner_id: str) -> None:
        self._look_at_the_disk()
        super().release(run_id, owner_id)

    def leave(self, owner_id: str) -> None:
        self._look_at_the_disk()
        super().leave(owner_id)


def test_whoever_waits_for_the_run_is_told_and_nobody_else(tmp_path: Path) -> None:
    async def lived() -> None:
        journal, heard = FailingJournal(tmp_path / "runs.db"), list[dict[str, Any]]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))

        async def worker(x: int) -> dict[str, int]:
            journal.broken = calls.pop()
            return {"x": x}

        calls = [False, True]
        async with Orchestrator(Workflow.parse(ONE), agents={"worker": worker}, journal=journal) as orchestrator:
            with pytest.raises(JournalError, match="a broken disk"):
                await orchestrator.run({"x": 1}, run_id="r")
            journal.broken = False
            assert (await orchestrator.resume("r")).end == "done"
        assert heard == []

    asyncio.run(lived())


def test_a_journal_is_closed_although_its_owner_could_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lived() -> None:
        async def worker(x: int) -> dict[str, int]:
            return {"x": x}

        orchestrator = Orchestrator(Workflow.parse(ONE), agents={"worker": worker}, journal=tmp_path / "runs.db")
        await orchestrator.run({"x": 1})
        journal = orchestrator.journal
        assert isinstance(journal, SqliteJournal)

        def cannot_leave(_: str) -> None:
            raise JournalError("runs.db", "a broken disk", "one that is well")

        monkeypatch.setattr(journal, "leave", cannot_leave)
        with pytest.raises(JournalError, match="a broken disk"):
            await orchestrator.close()
        with pytest.raises(JournalError, match="closed"):
            journal.rows()

    asyncio.run(lived())


def test_a_sign_of_life_that_could_not_be_given_is_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lived() -> None:
        monkeypatch.setattr(ownership, "LOOK_EVERY_S", 0.001)
        monkeypatch.setattr(ownership, "SIGN_EVERY_S", 0.0)
        heard = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: heard.set())
        journal, signed = FailingJournal(tmp_path / "runs.db"), asyncio.Event()
        owner = Ownership(journal, lambda: True)
        owner.alive()
        journal.broken = True
        await asyncio.wait_for(heard.wait(), 5)
        journal.broken = False
        monkeypatch.setattr(journal, "enroll", lambda _: signed.set())
        await asyncio.wait_for(signed.wait(), 5)
        owner.leave()
        journal.close()

    asyncio.run(lived())
