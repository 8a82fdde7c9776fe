"""One life of a process: it takes up the runs of a folder and works on them, until it is done or meets its death.

The engine is the real one, on the real file. What kills it sits outside: in a journal around the journal, in the
actors, in the listener. Times run ten times as fast, so that nobody waits for pauses and waits.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import AgentCall, SystemClock
from stepladder.drivers.clock import Cancel
from stepladder.errors import JournalError, StepladderError
from stepladder.events import Event, PersonAnswered, RunStarted
from stepladder.journal import InboxItem, Redactor, StoredTurn, Turn
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm import ModelReply, ModelRequest
from stepladder.record import STOP, Entry, Opened, Settled
from tests.durability.outside import Outside, Past
from tests.durability.story import Raised, Story, asked_of_agent, asked_of_model, raised_by_model

LONGEST_S: Final = 60.0
"""Seconds after which a life that goes on is wrong."""
KILLED: Final = -signal.SIGKILL
HURRY: Final = 10.0
TIDY: Final = 32
SLOW_S: Final = 0.003
MOMENTS: Final = (
    "before the append",
    "after half the append",
    "after the append before the commit",
    "after the commit before anybody is told",
    "after somebody was told",
    "after the effect before its result",
    "after the result before it is looked at",
)


class Death(NamedTuple):
    """The moment of a death. `at`: the first entry of the turn written last (one run), or the number of that write."""

    moment: str
    at: int


class Fate:
    """Kills this process at its death; without one, notes in a file every moment that could have been.

    `slow`: the disk is one for which a thread writes. `pages` is how long the log gets before it is written into the
    file: much more often here than usual (1,000).
    """

    def __init__(
        self,
        outside: Outside,
        death: Death | None = None,
        *,
        one_run: bool = True,
        slow: bool = False,
        pages: int = TIDY,
    ) -> None:
        self.outside, self.death, self.one_run, self.slow, self.pages = outside, death, one_run, slow, pages
        self.at = 0
        self._met: set[tuple[str, int]] = set()

    def stands(self, turns: Sequence[Turn]) -> None:
        """A turn is going to be written."""
        self.at = turns[0].seq if self.one_run else self.at + 1

    def meets(self, moment: str) -> None:
        if self.death == (moment, self.at):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.death is None and (moment, self.at) not in self._met:
            self._met.add((moment, self.at))
            self.outside.write("moments", self.at, moment)


class MortalJournal(SqliteJournal):
    """A real journal, in which a process can die around and inside of an append."""

    def __init__(self, path: Path, fate: Fate) -> None:
        super().__init__(path)
        self.fate = fate
        with self._file.mapped():
            self._file.db.execute(f"PRAGMA wal_autocheckpoint = {fate.pages}")

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        self.fate.stands(turns)
        self.fate.meets("before the append")
        if self.fate.slow:
            time.sleep(SLOW_S)
        refused = super().write(turns)
        self.fate.meets("after the commit before anybody is told")
        return refused

    def _write(self, db: Any, turns: Sequence[Turn]) -> None:
        if self.fate.death is not None and self.fate.death.moment == "after half the append":
            super()._write(db, turns[: len(turns) // 2])
            self.fate.meets("after half the append")
            turns = turns[len(turns) // 2 :]
        super()._write(db, turns)
        self.fate.meets("after the append before the commit")

    def put(self, *what: Any) -> InboxItem:
        item = super().put(*what)
        self.fate.meets("after the effect before its result")
        return item


class MortalRedactor(Redactor):
    """The first that sees a result."""

    def __init__(self, fate: Fate) -> None:
        super().__init__({})
        self.fate = fate

    def clean(self, event: Any) -> Any:
        self.fate.meets("after the result before it is looked at")
        return super().clean(event)


class HurriedClock(SystemClock):
    """The machine's clock, ten times as fast."""

    def now(self) -> float:
        return time.time() * HURRY

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        return super().call_at(at / HURRY, callback)


class Actors:
    """Agents, models and the person of a story, for one life. Every other agent is synchronous."""

    final = True
    """Models say what they said in the story, and are not asked again."""

    def __init__(self, story: Story, fate: Fate, past: Mapping[str, Past]) -> None:
        self.story, self.fate, self.outside, self.past = story, fate, fate.outside, past
        self.name = "scripted"
        agents = story.workflow().definition.agents
        self.once = {name for name, agent in agents.items() if not agent.idempotent}
        self.agents = {name: self._thread if index % 2 else self._task for index, name in enumerate(agents)}

    async def _task(self, call: AgentCall, **arguments: Any) -> Any:
        await asyncio.sleep(0)
        return self._thread(call, **arguments)

    def _thread(self, call: AgentCall, **arguments: Any) -> Any:
        self.outside.promised(call.run_id, "call", call.key)
        if call.run_id in self.past and call.key in self.past[call.run_id].known:
            self.outside.wrong(f"{call.agent} {call.key} was called again, though its outcome is on record")
        given = self._given(call, arguments)
        if isinstance(given, Raised):
            self.fate.meets("after the effect before its result")
            raise given.again()
        if call.agent in self.once and self.outside.effects()[call.key]:
            self.outside.wrong(f"{call.agent} {call.key} had its effect twice")
        self.outside.did(call.run_id, call.agent, call.key)
        self.fate.meets("after the effect before its result")
        return given

    def _given(self, call: AgentCall, arguments: Mapping[str, Any]) -> Any:
        for attempt in range(call.attempt, 0, -1):
            asked = asked_of_agent(call, arguments, attempt)
            if asked in self.story.given:
                return self.story.given[asked]
        self.outside.wrong(f"{asked} is not in the story")
        return {}

    async def ask(self, request: ModelRequest) -> ModelReply:
        """What the model said in the story; one that was cut off there never answers."""
        for _ in range(3):
            await asyncio.sleep(0)
        self.fate.meets("after the effect before its result")
        said = self.story.said.get(asked_of_model(request))
        if said is None:
            await asyncio.Event().wait()
        if isinstance(said, Raised):
            raise raised_by_model(said, self.name, request.model)
        assert said is not None
        return said

    async def close(self) -> None:
        """Nothing to give back."""

    def answer(self, run: Run) -> dict[str, Any]:
        """What the person says. Asked about an effect, the person goes and looks."""
        assert run.waiting is not None
        if run.waiting.about != "effect":
            said = [each for each in run.entries if isinstance(each, PersonAnswered) and "effect" not in each.value]
            return self.story.person[len(said)]
        (call,) = (each.call for each in run.state.outstanding.values() if getattr(each, "call", None) is not None)
        if self.outside.effects()[call.key] == 0:
            return {"effect": "redo"}
        asked = f"{call.step} {call.agent} {call.call} {call.attempt}"
        return {"effect": "done", "output": self._done(call, asked)}

    def _done(self, call: Any, asked: str) -> Any:
        seen = AgentCall("", call.step, call.agent, call.key, call.attempt)
        given = self._given(seen, call.arguments)
        return {} if isinstance(given, Raised) else given


async def worked(story: Story, runs: Sequence[str], fate: Fate, faults: int = 0) -> dict[str, Any]:
    """What the runs came to. With a fate of one run they are worked on one after the other, else all at once.

    After a JournalError a run is taken up again, up to `faults` times.
    """
    outside, workflow = fate.outside, story.workflow()

    def loud(_: object, context: dict[str, Any]) -> None:
        if "it can be resumed" not in context["message"]:  # what is said of a run that nobody waits for
            outside.wrong(f"nobody was told: {context['message']}: {context.get('exception')!r}")

    asyncio.get_running_loop().set_exception_handler(loud)
    journal = MortalJournal(outside.journal, fate)
    past = outside.check_promises(workflow.machine, journal)
    actors = Actors(story, fate, past)

    def listen(run: Run, _: Sequence[Event | Entry]) -> None:
        outside.promised(run.id, "entries", run._seq)
        fate.meets("after somebody was told")

    names = {model.partition(":")[0] for rung in workflow.machine.policy.ladder.rungs.values() for model in rung.models}
    orchestrator = Orchestrator(
        workflow,
        agents=actors.agents,
        journal=journal,
        providers=dict.fromkeys({"scripted", *names}, actors),
        clock=HurriedClock(),
        listen=listen,
    )
    orchestrator._resources.redactor = MortalRedactor(fate)
    async with orchestrator:
        through = [_again_and_again(orchestrator, actors, run_id, faults) for run_id in runs]
        found = [await each for each in through] if fate.one_run else await asyncio.gather(*through)
        told = {run.id: _told(orchestrator, run) for run in found}
    journal.close()
    return told


async def _again_and_again(orchestrator: Orchestrator, actors: Actors, run_id: str, faults: int) -> Run:
    for _ in range(faults):
        try:
            return await _through(orchestrator, actors, run_id)
        except JournalError as error:
            actors.outside.write("noticed", error)
    return await _through(orchestrator, actors, run_id)


async def _through(orchestrator: Orchestrator, actors: Actors, run_id: str) -> Run:
    """Begin the run or take it up, and answer until it has ended."""
    outside = actors.outside
    run = await orchestrator.run(actors.story.input, run_id=run_id)
    while run.waiting:
        outside.promised(run.id, "entries", run._seq)
        run = await orchestrator.answer(run_id, actors.answer(run))
        outside.promised(run_id, "answers", sum(isinstance(each, PersonAnswered) for each in run.entries))
    outside.promised(run.id, "entries", run._seq)
    return run


def _told(orchestrator: Orchestrator, run: Run) -> dict[str, Any]:
    """What is compared, and what is wrong with this run by itself."""
    turns = orchestrator.journal.turns(run.id)
    divergence = orchestrator.replay(run.id).divergence
    settled = [each for each in run.entries if isinstance(each, Settled)]
    row = orchestrator.journal.row(run.id)
    laws = {
        "its replay diverges": divergence is not None,
        "its chain is broken": not all(turn.intact for turn in turns),
        "a decision was not legal": not all(_legal(run.entries, each) for each in settled),
        "it was started twice": sum(isinstance(each, RunStarted) for each in run.entries) != 1,
        "its turns have a gap": [turn.seq for turn in turns] != _firsts(turns),
        "its line is old": row is None or (row.status, row.end) != (run.status, run.end),
        "its inbox is not empty": bool(orchestrator.journal.inbox(run.id)),
    }
    return {
        "end": run.end,
        "output": run.output,
        "settled": [[each.n, each.action, each.to, each.source, each.relation] for each in settled],
        "wrong": [f"run {run.id}: {law}" for law, broken in laws.items() if broken],
    }


def _legal(entries: Sequence[Event | Entry], settled: Settled) -> bool:
    """Whether the action was in the legal set with which its decision was opened last."""
    legal = [each.legal for each in entries if isinstance(each, Opened) and each.n == settled.n]
    return settled.action == STOP or settled.action in legal[-1]


def _firsts(turns: Sequence[StoredTurn]) -> list[int]:
    firsts = [1]
    for turn in turns[:-1]:
        firsts.append(firsts[-1] + len(turn.entries))
    return firsts


def live(folder: Path, story: Story, runs: Sequence[str], fate: Fate) -> None:
    """Live through the runs; what they came to is written down in `said`."""
    said = asyncio.run(worked(story, runs, fate))
    (folder / "said").write_text(json.dumps(said))


def forked(work: Callable[[], None], kill_after_s: float = LONGEST_S, errors: Path | None = None) -> int:
    """Do it in a process of its own, which is killed after a while: its exit code, -9 where it was killed."""
    pid = os.fork()
    if pid == 0:
        _child(work, errors)
    until = time.monotonic() + kill_after_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0003)


def _child(work: Callable[[], None], errors: Path | None) -> None:
    code = 1
    try:
        if errors is not None:
            sys.stderr = errors.open("a")
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)
