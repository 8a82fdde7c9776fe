"""The committer: at once, in groups, by a thread where the disk is slow; nobody is told before it is durable."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stepladder.drivers.committer import SLOW_IN_A_ROW, SLOW_S, Committer
from stepladder.errors import JournalError, RunConflict, StepladderError
from stepladder.journal import MemoryJournal, Turn
from stepladder.journal.sqlite import SqliteJournal
from tests.drivers.desk import go, turns, until
from tests.journal.desk import turn_of
from tests.journal.test_conformance import STARTED, body, row


class Watched(MemoryJournal):
    """A journal that is grouped, tells its groups and threads, and takes as long as it is told to."""

    grouped = True

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[list[str]] = []
        self.threads: set[str] = set()
        self.takes_s = 0.0
        self.fails: StepladderError | None = None

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        time.sleep(self.takes_s)
        self.groups.append([turn.run_id for turn in turns])
        self.threads.add(threading.current_thread().name)
        if self.fails is not None:
            raise self.fails
        return super().write(turns)


def first(run_id: str) -> Turn:
    return Turn(run_id, 1, body(STARTED), b"", row(run_id))


class Told:
    """What was said of each turn, and whether it was durable then."""

    def __init__(self, committer: Committer) -> None:
        self.committer = committer
        self.answers: dict[str, Any] = {}

    def append(self, turn: Turn) -> bool:
        return self.committer.append(turn, lambda error: self.hear(turn, error))

    def hear(self, turn: Turn, error: Exception | None) -> None:
        assert turn.run_id not in self.answers, "once"
        assert error is not None or self.committer.journal.row(turn.run_id) is not None, "only what is durable"
        self.answers[turn.run_id] = error


def test_one_run_at_work_is_written_where_it_stands() -> None:
    async def work() -> None:
        committer = Committer(journal := Watched())
        committer.at_work = 1
        assert committer.append(first("a"), lambda _: pytest.fail("it was told by the result"))
        assert journal.groups == [["a"]]
        with pytest.raises(RunConflict):
            committer.append(first("a"), lambda _: None)

    go(work())


def test_what_gathers_in_a_turn_of_the_loop_is_one_commit() -> None:
    async def work() -> None:
        committer = Committer(journal := Watched())
        told, committer.at_work = Told(committer), 3
        assert not any(told.append(first(name)) for name in "abc")
        assert (journal.groups, told.answers) == ([], {})
        await turns(2)
        assert journal.groups == [["a", "b", "c"]]
        assert told.answers == dict.fromkeys("abc")
        assert journal.threads == {"MainThread"}

    go(work())


def test_in_memory_nothing_waits() -> None:
    async def work() -> None:
        committer = Committer(MemoryJournal())
        committer.at_work = 9
        assert committer.append(first("a"), lambda _: None)

    go(work())


def test_one_refusal_is_not_the_others(tmp_path: Path) -> None:
    async def work() -> None:
        committer = Committer(journal := SqliteJournal(tmp_path / "runs.db"))
        assert committer.append(first("b"), lambda _: None)
        told, committer.at_work = Told(committer), 3
        for turn in (first("a"), turn_of(journal, "b", 1, body(STARTED), row("b")), first("c")):
            told.append(turn)
        await turns(2)
        assert (told.answers["a"], told.answers["c"]) == (None, None)
        assert isinstance(told.answers["b"], RunConflict)
        journal.close()

    go(work())


def test_a_broken_journal_is_told_to_everybody_who_waits() -> None:
    async def work() -> None:
        committer = Committer(journal := Watched())
        told, committer.at_work = Told(committer), 2
        journal.fails = JournalError("memory", "a full disk", "room")
        told.append(first("a"))
        told.append(first("b"))
        await turns(2)
        assert list(told.answers.values()) == [journal.fails] * 2
        journal.fails = None
        told.append(first("c"))
        await turns(2)
        assert told.answers["c"] is None

    go(work())


def test_a_slow_disk_is_left_to_a_thread_until_it_is_quick_again() -> None:
    async def work() -> None:
        committer = Committer(journal := Watched())
        told, committer.at_work = Told(committer), 2
        journal.takes_s = SLOW_S * 1.5
        names = [str(number) for number in range(SLOW_IN_A_ROW + 6)]
        for name in names[:SLOW_IN_A_ROW]:
            told.append(first(name))
            await turns(2)
        assert journal.threads == {"MainThread"}
        for name in names[SLOW_IN_A_ROW:]:
            told.append(first(name))
            await turns(2)
        await until(lambda: len(told.answers) == len(names))
        assert "stepladder-journal" in journal.threads
        assert len(journal.groups) < len(names), "what comes meanwhile is one group"
        journal.takes_s = 0.0
        told.append(first("quick"))
        await until(lambda: "quick" in told.answers)
        journal.threads.clear()
        told.append(first("after"))
        await turns(2)
        assert (told.answers["after"], journal.threads) == (None, {"MainThread"})
        committer.close()

    go(work())


def test_closing_writes_what_waits() -> None:
    async def work() -> None:
        committer = Committer(journal := Watched())
        told, committer.at_work = Told(committer), 2
        told.append(first("a"))
        committer.close()
        assert journal.groups == [["a"]]
        await turns(2)
        assert told.answers == {"a": None}

    go(work())


def test_loops_of_several_threads_share_it() -> None:
    committer = Committer(journal := Watched())
    committer.at_work = 4
    done: list[str] = []

    async def work(name: str) -> None:
        for number in range(50):
            written: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
            if not committer.append(first(f"{name}{number}"), written.set_result):
                assert await written is None
            done.append(f"{name}{number}")

    threads = [threading.Thread(target=asyncio.run, args=(work(name),)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    committer.close()
    assert len(done) == len(journal.rows(1000)) == 200
