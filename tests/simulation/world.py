"""Deterministic simulation: the real product in a world that a seed makes.

    seed -> processes, runs, faults, people -> one journal -> laws

The world has one journal and, for each workflow, two places where a process with an Orchestrator works. In the *storm*
processes die and stall anywhere, the disk fails before and after its commit, agents and models do their worst, and
people answer, send, cancel and retry through any process at any moment. Then it becomes *calm*: nothing fails any more,
whoever died is back, and every run has to come to an end or to a named wait. Each write, call, claim and returned run
is held against the laws (`truth.py`, `laws.py`) in the moment it happens; in the end the journal is read back and
decided again.

The same seed gives the same journal, byte for byte. A seed that fails is run alone, with its story, by

    python -m tests.simulation SEED
"""

from __future__ import annotations

import asyncio
import tempfile
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from stepladder.app.inbox import event_of
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.commands import AskPerson, Wait
from stepladder.errors import Draining, InputError, JournalError, RunConflict, RunEnded, RunNotFound, RunNotWaiting
from stepladder.events import Event
from stepladder.journal import Journal, MemoryJournal, gone
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm import Providers
from stepladder.llm.health import Health
from stepladder.record import Entry
from tests.simulation import cast
from tests.simulation.disk import Disk, Faults, dumped
from tests.simulation.edges import LoopClock, simulated
from tests.simulation.laws import Story
from tests.simulation.loop import DiedError, Process, SimulatedLoop
from tests.simulation.truth import SECRET, Truth
from tests.simulation.workflows import INPUTS, SOURCES, WORKFLOWS

PLACES: Final = 2
"""Processes for each workflow."""
CALM_TICKS: Final = 60
CALM_EVERY_S: Final = 11.0
PATIENCE_S: Final = 20_000.0
"""Seconds after which a run that still works never will rest."""
MOST_CALLBACKS: Final = 200_000
HAPPENINGS: Final = {
    "begin": 14, "answer": 24, "garbage": 4, "twice": 5, "send": 10, "resume": 12, "wait": 3,
    "outcome": 2, "cancel": 2, "retry": 3, "kill": 6, "stall": 7, "close": 2,
}  # fmt: skip
EXPECTED: Final = (Draining, RunConflict, RunEnded, RunNotWaiting, RunNotFound, JournalError)
"""What a verb may raise in such a world."""


class Simulated(NamedTuple):
    """What came of a seed: the laws that were broken, the journal's bytes, and the story."""

    seed: int
    broken: list[str]
    journal: bytes
    trace: list[str]
    ends: Counter[str]

    @property
    def digest(self) -> str:
        """What stands for the journal."""
        return blake2b(self.journal, digest_size=8).hexdigest()


def simulate(seed: int) -> Simulated:
    """Run the world of this seed."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(seed, Path(folder))
        with simulated(world.loop, world.plan.choice((4, 12, 512))):
            return world.run()


def outcome(seed: int) -> Simulated:
    """The same without the story and the journal, for whoever runs many."""
    return simulate(seed)._replace(trace=[], journal=b"")


class Worker(Process):
    """A process with an Orchestrator."""

    def __init__(self, name: str, workflow: str, host: str) -> None:
        super().__init__(name)
        self.workflow, self.host = workflow, host
        self.orchestrator: Orchestrator
        self.disk: Disk


class World:
    """Everything that a seed makes."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.plan = Random(f"{seed} plan")
        self.loop = SimulatedLoop(Random(f"{seed} loop"), self.heard)
        self.loop.died = self._died
        self.context = self.loop.world.context()
        names = self.plan.sample(list(WORKFLOWS), self.plan.choice((1, 1, 2)))
        runs = {f"{name}-{number}": name for name in names for number in range(1, self.plan.choice((2, 3, 4)))}
        stories = {run_id: Story(run_id, WORKFLOWS[name], SOURCES[name]) for run_id, name in runs.items()}
        self.truth = Truth(self.loop, stories)
        self.sqlite = seed % 5 == 0
        self.grouped = self.sqlite or self.plan.random() < 0.7
        self.memory = MemoryJournal()
        self.journals: list[SqliteJournal] = []
        self.faulty = Faults(self.plan, self.plan.choice((0.0, 0.02, 0.06)), self.plan.choice((0.0, 0.0, 0.01)))
        self.storm = True
        self.places: dict[tuple[str, int], Worker] = {}
        self.incarnations: Counter[tuple[str, int]] = Counter()
        self.talking: Counter[Worker] = Counter()
        self.tokens = self.ticks = 0
        self.settling = self.over = False

    # --- chance

    def chance(self, *about: object) -> Random:
        """Chance that depends on the seed and on what it is about, and not on what was drawn before."""
        return Random(f"{self.seed} {about}")

    def fate(self, random: Random, fates: dict[str, int]) -> str:
        """What becomes of a call; in the calm nothing bad."""
        return random.choices(list(fates), list(fates.values()))[0] if self.storm else next(iter(fates))

    def pause(self, random: Random, seconds: Sequence[float]) -> float:
        """How long it takes."""
        return random.choice(seconds if self.storm else seconds[:4])

    # --- from the beginning to the end

    def run(self) -> Simulated:
        """Storm, calm, judgement."""
        for workflow in dict.fromkeys(story.workflow.name for story in self.truth.stories.values()):
            for place in range(PLACES):
                self._start(workflow, place)
        self._later(0.0, self._tick, self.plan.choice((20, 50, 90)), self.plan.choice((0.3, 3.0, 30.0)))
        self.loop.run(self._is_over)
        if not self.truth.broken:
            journal = self._journal()
            self.truth.hold_against(journal, lambda story: self._could_take(journal, story))
        self.loop.bury()
        found = dumped(self.journals[0] if self.sqlite else self.memory)
        for each in self.journals:
            each.close()
        ends = Counter(story.state.end or story.state.status for story in self.truth.stories.values())
        return Simulated(self.seed, self.truth.broken, found, self.truth.trace, ends)

    def _is_over(self) -> bool:
        self.ticks += 1
        if self.ticks > MOST_CALLBACKS:
            self.truth.wrong("it spins")
        return self.over or bool(self.truth.broken)

    def _later(self, seconds: float, callback: Callable[..., None], *args: Any) -> None:
        self.loop.call_later(seconds, callback, *args, context=self.context)

    # --- processes

    def _start(self, workflow: str, place: int) -> None:
        self.incarnations[workflow, place] += 1
        host = self.plan.choice(("", "", f"host-{place}"))
        worker = Worker(f"{workflow}/{place}.{self.incarnations[workflow, place]}", workflow, host)
        if self.storm and self.plan.random() < 0.4:
            worker.dies_at = self.plan.randrange(1, 400)
        if self.storm and self.plan.random() < 0.3:
            worker.stalls_at, worker.stall_s = self.plan.randrange(1, 300), self.plan.choice((5.0, 29.0, 31.0, 90.0))
        self.loop.processes.append(worker)
        self.places[workflow, place] = worker
        worker.disk = Disk(self._journal(), self.grouped, worker, self.loop, self.truth, self.faulty)
        worker.context().run(self._orchestrate, worker)
        self.truth.at_work[worker.name] = worker.orchestrator._runs
        self.truth.say(f"{worker.name} starts")

    def _orchestrate(self, worker: Worker) -> None:
        workflow = WORKFLOWS[worker.workflow]
        worker.orchestrator = Orchestrator(
            workflow,
            agents={name: cast.agent(self, worker, name) for name in workflow.definition.agents},
            journal=worker.disk,
            providers=Providers(
                {name: cast.Models(self, worker, name) for name in ("openai", "google", "scripted")},
                health=Health(clock=self.loop.time, chance=self.chance(worker.name, "models").random),
            ),
            secrets={"TOKEN": SECRET},
            clock=LoopClock(self.loop),
            listen=lambda run, entries: self._listen(worker, run, entries),
        )

    def _listen(self, worker: Worker, run: Run, entries: Sequence[Event | Entry]) -> None:
        self.truth.heard(worker, run, entries)

    def _journal(self) -> Journal:
        if not self.sqlite:
            return self.memory
        journal = SqliteJournal(self.folder / "runs.db", synchronous="normal", now=lambda: self.loop.now)
        journal.name = "the disk"  # wherever it is
        self.journals.append(journal)
        return journal

    def _died(self, process: Process) -> None:
        self.truth.say(f"{process.name} is dead")
        assert isinstance(process, Worker), "only processes die"
        gone(process.orchestrator._resources.ownership.id)
        del self.talking[process]
        place = next(place for place, worker in self.places.items() if worker is process)
        del self.places[place]
        self._later(self.plan.choice((0.0, 1.0, 10.0, 60.0)) if self.storm else 0.0, self._start, *place)

    def heard(self, context: dict[str, Any]) -> None:
        """What nobody else hears. Only what the world did wrong is expected."""
        error = context.get("exception")
        if isinstance(error, (DiedError, *EXPECTED)):
            self.truth.say(f"unheard: {error}")
            return
        if error is not None:
            self.truth.trace += traceback.format_exception(error)
        self.truth.wrong(f"{context.get('message')}: {error!r}")

    # --- what happens

    def _tick(self, left: int, pause_s: float) -> None:
        if not left:
            self._calm()
            return
        happening = self.plan.choices(list(HAPPENINGS), list(HAPPENINGS.values()))[0]
        story = self.plan.choice(list(self.truth.stories.values()))
        worker = self._worker(story)
        if worker is not None:
            getattr(self, f"_{happening}")(story, worker)
        self._later(self.plan.expovariate(1 / pause_s), self._tick, left - 1, pause_s)

    def _worker(self, story: Story) -> Worker | None:
        here = [worker for place, worker in self.places.items() if place[0] == story.workflow.name]
        return self.plan.choice(here) if here else None

    def _begin(self, story: Story, worker: Worker) -> None:
        run = self.plan.choice(("run", "start"))
        given = INPUTS[story.workflow.name]
        self._talk(worker, f"{run} {story.run_id}", lambda o: getattr(o, run)(given, run_id=story.run_id))

    def _answer(self, story: Story, worker: Worker) -> None:
        asked = story.state.waiting
        if isinstance(asked, AskPerson):
            self._reply(story, worker, cast.answer(story, asked, self.plan))

    def _garbage(self, story: Story, worker: Worker) -> None:
        self._reply(story, worker, self.plan.choice(({}, {"text": 5}, {"action": "NONE"}, {"effect": "both"})))

    def _twice(self, story: Story, worker: Worker) -> None:
        self._answer(story, worker)
        self._answer(story, self._worker(story) or worker)

    def _reply(self, story: Story, worker: Worker, value: dict[str, Any]) -> None:
        by = self._token("person")
        self._talk(
            worker, f"answer {story.run_id} {value}", lambda o: o.answer(story.run_id, value, by=by), by, InputError
        )

    def _send(self, story: Story, worker: Worker) -> None:
        token = self._token("sender")
        said = {"said_by": token}
        self._talk(worker, f"send {story.run_id}", lambda o: o.send(story.run_id, "released", said), token, InputError)

    def _cancel(self, story: Story, worker: Worker) -> None:
        by = self._token("canceller")
        self._talk(worker, f"cancel {story.run_id}", lambda o: o.cancel(story.run_id, by=by), by)

    def _retry(self, story: Story, worker: Worker) -> None:
        by = self._token("retrier")
        self._talk(worker, f"retry {story.run_id}", lambda o: o.retry(story.run_id, by=by), by)

    def _resume(self, story: Story, worker: Worker) -> None:
        self._talk(worker, f"resume {story.run_id}", lambda o: o.resume(story.run_id))

    def _wait(self, story: Story, worker: Worker) -> None:
        self._talk(worker, f"wait {story.run_id}", lambda o: o.wait(story.run_id))

    def _outcome(self, story: Story, worker: Worker) -> None:
        self._talk(worker, f"outcome {story.run_id}", lambda o: o.outcome(story.run_id, success=True))

    def _kill(self, _: Story, worker: Worker) -> None:
        self.loop.kill(worker)

    def _stall(self, _: Story, worker: Worker) -> None:
        seconds = self.plan.choice((1.0, 12.0, 31.0, 90.0))
        self.truth.say(f"{worker.name} stalls for {seconds} s")
        self.loop.stall(worker, seconds)

    def _close(self, _: Story, worker: Worker) -> None:
        async def closing() -> None:
            self.truth.say(f"{worker.name} closes")
            try:
                await worker.orchestrator.close(self.plan.choice((0.0, 10.0)))
            except EXPECTED as error:
                self.truth.say(f"{worker.name} closes: {error}")
            finally:
                self.loop.kill(worker)

        self.loop.begin(worker, closing())

    def _token(self, who: str) -> str:
        self.tokens += 1
        return f"{who}-{self.tokens}"

    def _talk(
        self,
        worker: Worker,
        what: str,
        work: Callable[[Orchestrator], Awaitable[Run]],
        token: str = "",
        expected: type[Exception] = RunConflict,
    ) -> None:
        """Let somebody use a verb at this process. What it returns has to be in the journal."""

        async def talking() -> None:
            try:
                run = await work(worker.orchestrator)
            except (*EXPECTED, expected) as error:
                self.truth.say(f"{worker.name}: {what}: {type(error).__name__}: {error}")
            except asyncio.CancelledError:
                self.truth.say(f"{worker.name}: {what}: cut off")
            except Exception as error:
                self.heard({"message": f"{worker.name}: {what}", "exception": error})
            else:
                self.truth.say(f"{worker.name}: {what}: {run!r}")
                self.truth.returned(worker, run)
                if token and not any(token in str(item.body) for _, item in self.truth.items.values()):
                    self.truth.wrong(f"{what} returned, and is not in the journal")
            finally:
                self.talking[worker] -= 1

        self.truth.say(f"{worker.name}: {what} ...")
        self.talking[worker] += 1
        self.loop.begin(worker, talking())

    # --- the calm

    def _calm(self) -> None:
        self.truth.say("it becomes calm")
        self.storm, self.faulty.writes, self.faulty.reads = False, 0.0, 0.0
        for worker in self.places.values():
            worker.dies_at = worker.stalls_at = -1
        self.calm_at = self.loop.now
        self._later(60.0, self._settle, CALM_TICKS)

    def _settle(self, left: int) -> None:
        """Help every run on: people answer, senders send, and whoever finds a run left alone resumes it."""
        for story in self.truth.stories.values():
            worker = self._worker(story)
            if worker is not None:
                self._help(story, worker, left)
        quiet = not +self.talking and all(self._rests(story) for story in self.truth.stories.values())
        late = self.loop.now > self.calm_at + PATIENCE_S
        if left <= 0 and (quiet or late):
            self.over = True
            return
        self._later(CALM_EVERY_S, self._settle, left - 1)

    def _help(self, story: Story, worker: Worker, left: int) -> None:
        state = story.state
        if state.status == "new":
            self._begin(story, worker)
        elif state.status == "working" and (not state.resting or left % 10 == 0):
            self._resume(story, worker)
        elif isinstance(state.waiting, AskPerson) and left > 10 and self.plan.random() < 0.5:
            self._answer(story, worker)
        elif isinstance(state.waiting, Wait) and state.waiting.message and left > 10:
            self._send(story, worker)

    @staticmethod
    def _rests(story: Story) -> bool:
        state = story.state
        return state.status == "ended" or (state.resting and state.waiting is not None)

    def _could_take(self, journal: Journal, story: Story) -> Any:
        """What lies in the inbox of a resting run that it could take."""
        if story.state.status == "ended":
            return None
        items = journal.inbox(story.run_id)
        return next(
            (item for item in items if event_of(story.machine, story.state, item, self.loop.now) is not None), None
        )
