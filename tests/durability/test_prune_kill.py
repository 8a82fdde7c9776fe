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


def one_life(file: Path, degree: Degree, runs: int, more_s: float) -> bool:
    """Prune in a process that is killed a moment after it took up so many runs; whether it came to its end before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prune(SqliteJournal(file), degree, older_than_s=0, now=4e9, before=lambda _: os.write(writing, b"."))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while runs and pipe.read(1):
            runs -= 1
    time.sleep(more_s)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code == 0


@pytest.mark.parametrize("degree", ["payloads", "runs"])
def test_killed_again_and_again(file: Path, degree: Degree) -> None:
    journal, chance, counts = SqliteJournal(file), random.Random(7), [0]
    head = head_of(journal)
    while not one_life(file, degree, chance.randint(1, 12), chance.uniform(0.0, 0.003)):
        found = verify(journal, head=head)
        assert found.findings == ()
        assert found.runs + found.gone == RUNS
        counts.append(found.pruned + found.gone)
        whole = [row.run_id for row in journal.rows(RUNS) if not row.pruned][:1]
        assert all(replay_run(journal, name).divergence is None for name in whole)
    assert counts == sorted(counts)
    assert len({count for count in counts if 0 < count < RUNS}) >= 3, "it was killed in the middle"
    prune(journal, degree, older_than_s=0, now=4e9)
    found = verify(journal, head=head)
    assert (found.findings, found.pruned + found.gone) == ((), RUNS)
    assert degree == "runs" or read_run(journal, "r-3").pruned
    journal.close()
