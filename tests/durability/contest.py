"""Two processes that want the same runs at the same moments: each run goes on in exactly one of them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import AgentCall
from stepladder.errors import RunConflict
from stepladder.events import RunResumed, RunStarted
from stepladder.journal.sqlite import SqliteJournal
from tests.drivers.desk import ONE
from tests.durability.crashes import Outcome
from tests.durability.life import KILLED, forked
from tests.durability.outside import Outside

Verb = Literal["run", "resume"]
AGREED_S: Final = 30.0
"""Seconds that one process waits for the other at the start of a round."""


def contest(verb: Verb, rounds: int, folder: Path, contestants: int = 2) -> Outcome:
    """So many rounds in which they begin, or resume, one run at once."""
    folder.mkdir(parents=True)
    if verb == "resume":
        assert forked(lambda: asyncio.run(_left(folder, rounds)), errors=folder / "error") == KILLED
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(contestants)
    processes = [context.Process(target=_contend, args=(verb, rounds, folder, barrier)) for _ in range(contestants)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    problems = [f"a process ended with {process.exitcode}" for process in processes if process.exitcode]
    problems += _judged(verb, rounds, contestants, folder)
    return Outcome(f"{contestants} processes {verb} the same run", rounds, tuple(problems))


async def _left(folder: Path, rounds: int) -> None:
    """Runs in the middle of their work, left by a process that is killed."""
    at_work = asyncio.Semaphore(0)

    async def worker(x: int) -> None:
        at_work.release()
        await asyncio.Event().wait()

    orchestrator = Orchestrator(Workflow.parse(ONE), agents={"worker": worker}, journal=folder / "runs.db")
    for number in range(rounds):
        await orchestrator.start({"x": number}, run_id=f"run-{number}")
    for _ in range(rounds):
        await at_work.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def _contend(verb: Verb, rounds: int, folder: Path, barrier: Any) -> None:
    asyncio.run(_contended(verb, rounds, Outside(folder), lambda: barrier.wait(AGREED_S)))


async def _contended(verb: Verb, rounds: int, outside: Outside, together: Callable[[], object]) -> None:
    async def worker(call: AgentCall, x: int) -> dict[str, int]:
        outside.did(call.run_id, str(os.getpid()), call.key)
        await asyncio.sleep(0.0005 * (x % 3))
        return {"x": x}

    async with Orchestrator(Workflow.parse(ONE), agents={"worker": worker}, journal=outside.journal) as orchestrator:
        for number in range(rounds):
            run_id = f"run-{number}"
            together()
            try:
                if verb == "resume":
                    run = await orchestrator.resume(run_id)
                else:
                    run = await orchestrator.run({"x": number}, run_id=run_id)
                outside.write("said", run_id, run.end or run.status)
            except RunConflict as error:
                outside.write("said", run_id, "refused", error)


def _judged(verb: Verb, rounds: int, contestants: int, folder: Path) -> list[str]:
    outside, problems = Outside(folder), list[str]()
    effects = Counter(run_id for run_id, _, _ in outside.lines("effects"))
    said = Counter((run_id, word) for run_id, word, *_ in outside.lines("said"))
    journal = SqliteJournal(outside.journal)
    for run_id in (f"run-{number}" for number in range(rounds)):
        turns = journal.turns(run_id)
        kinds = Counter(type(entry) for turn in turns for entry in turn.entries)
        laws = {
            "one effect": effects[run_id] == 1,
            "begun once": kinds[RunStarted] == 1,
            "resumed once": kinds[RunResumed] == (verb == "resume"),
            "done in one of them": said[run_id, "done"] >= 1,
            "refused or seen done in the others": said[run_id, "done"] + said[run_id, "refused"] == contestants,
            "an intact chain": all(turn.intact for turn in turns),
        }
        problems += [f"run {run_id}: not {law}" for law, holds in laws.items() if not holds]
    journal.close()
    return problems
