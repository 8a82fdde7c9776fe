"""A pruning that is killed in the middle leaves a good journal, and the next one goes on there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from stepladder.app.heads import head_of
from stepladder.app.pruning import Degree, prune
from stepladder.app.reading import read_run, replay_run
from stepladder.app.verifying import verify
from stepladder.journal.sqlite import SqliteJournal
from tests.app.letters import orchestrator, write_letter

RUNS = 60


@pytest.fixture
def file(tmp_path: Path) -> Path:
    async def body() -> None:
        async with orchestrator(tmp_path / "runs.db") as letter:
            await asyncio.gather(*(write_letter(letter, f"r-{number}") for number in range(RUNS)))

    asyncio.run(body())
    return tmp_path / "runs.db"


def one_life(file: Path, degree: Degree, life_s: float) -> bool:
    """Prune in a process that is killed after so many seconds; whether it came to its end before."""
    child = os.fork()
    if child == 0:
        try:
            prune(SqliteJournal(file), degree, older_than_s=0, now=4e9)
            os._exit(0)
        finally:
            os._exit(1)
    end = time.monotonic() + life_s
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and time.monotonic() < end:
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code == 0


@pytest.mark.parametrize("degree", ["payloads", "runs"])
def test_killed_again_and_again(file: Path, degree: Degree) -> None:
    journal, chance, counts = SqliteJournal(file), random.Random(7), [0]
    head = head_of(journal)
    while not one_life(file, degree, chance.uniform(0.0, 0.05) if len(counts) < 20 else 30.0):
        found = verify(journal, head=head)
        assert found.findings == ()
        assert found.runs + found.gone == RUNS
        counts.append(found.pruned + found.gone)
        whole = [row.run_id for row in journal.rows(RUNS) if not row.pruned][:1]
        assert all(replay_run(journal, name).divergence is None for name in whole)
    assert counts == sorted(counts)
    assert any(0 < count < RUNS for count in counts), "it was killed in the middle"
    found = verify(journal, head=head)
    assert (found.findings, found.pruned + found.gone) == ((), RUNS)
    assert degree == "runs" or read_run(journal, "r-3").pruned
    journal.close()
