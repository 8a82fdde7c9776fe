"""What the journal really holds, followed write by write, and held against the laws.

Nobody in the simulation can read this but the simulation. What is wrong is kept in `broken`, since whatever is raised
inside the product may be caught there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from stepladder.app.at_work import AtWork
from stepladder.app.run import Run
from stepladder.commands import AskPerson
from stepladder.drivers import AgentCall
from stepladder.drivers.replay import replay
from stepladder.drivers.rows import row_of
from stepladder.events import Event, MessageReceived, PersonAnswered, RunCancelled, RunRetried
from stepladder.journal import LEASE_S, InboxItem, Journal, Owner, Turn, decode_turn, entries_in
from stepladder.orchestrator import fold
from stepladder.record import Entry
from tests.simulation.laws import Story
from tests.simulation.loop import START, Process, SimulatedLoop

BECOMES: Final = {"answer": PersonAnswered, "message": MessageReceived, "cancel": RunCancelled, "retry": RunRetried}
MOST_LINES: Final = 20_000
SECRET: Final = "correct horse battery"


class Truth:
    """The stories of all runs, who owns them, and their inboxes."""

    def __init__(self, loop: SimulatedLoop, stories: dict[str, Story]) -> None:
        self.loop, self.stories = loop, stories
        self.trace: list[str] = []
        self.broken: list[str] = []
        self.begun: Counter[tuple[str, str, int]] = Counter()
        self.holder: dict[str, str] = {}
        self.owners: dict[str, tuple[Process, Owner]] = {}
        self.at_work: dict[str, AtWork] = {}
        self.relieved: set[tuple[str, str]] = set()
        self.items: dict[int, tuple[str, InboxItem]] = {}
        self.open: dict[int, str] = {}

    def say(self, line: str) -> None:
        """One line of the trace."""
        if len(self.trace) == MOST_LINES:
            self.broken.append("it spins")
        self.trace.append(f"{self.loop.now - START:10.3f}  {line}")

    def wrong(self, line: str) -> None:
        """A law is broken."""
        self.say(f"BROKEN: {line}")
        self.broken.append(line)

    # --- turns

    def wrote(self, process: Process, turn: Turn) -> None:
        """A turn is durable."""
        story = self.stories[turn.run_id]
        self.say(f"{process.name} wrote {turn.run_id} {turn.seq}: {_told(decode_turn(turn.body))}")
        self._owner_may_write(process, turn)
        if turn.seq != len(story.entries) + 1:
            self.wrong(f"turn {turn.seq} of {turn.run_id} follows entry {len(story.entries)}")
        body = blake2b(turn.body, digest_size=16).digest()
        story.digest = blake2b(body, digest_size=16, key=story.digest).digest()
        if story.digest != turn.digest:
            self.wrong(f"turn {turn.seq} of {turn.run_id} is not chained to the one before")
        if SECRET.encode() in turn.body:
            self.wrong(f"turn {turn.seq} of {turn.run_id} holds a secret")
        entries = decode_turn(turn.body)
        for entry in entries:
            for wrong in story.see(entry):
                self.wrong(f"{turn.run_id}: {wrong}")
        story.states[len(story.entries)] = story.state
        if turn.taken:
            self._took(turn, entries[0])
        elif isinstance(entries[0], tuple(BECOMES.values())):
            self.wrong(f"{_told(entries[:1])} of {turn.run_id} was taken from no inbox")

    def _owner_may_write(self, process: Process, turn: Turn) -> None:
        run_id, holder = turn.run_id, self.holder.get(turn.run_id)
        if holder not in (None, turn.owner):
            self.wrong(f"{process.name} wrote turn {turn.seq} of {run_id}, which {self._name(holder)} owns")
        if (run_id, turn.owner) in self.relieved:
            self.wrong(f"{process.name} wrote turn {turn.seq} of {run_id}, of which it was relieved")
        if turn.row is not None and turn.row.status != "working":
            self.holder.pop(run_id, None)
        elif turn.row is not None and turn.owner:
            self.holder[run_id] = turn.owner

    def heard(self, process: Process, run: Run, entries: Sequence[Event | Entry]) -> None:
        """A listener is told."""
        story, seq = self.stories[run.id], run._seq or 0
        if story.entries[seq - len(entries) : seq] != list(entries):
            self.wrong(f"{process.name} tells {_told(entries)} of {run.id}, which is not in the journal")
        else:
            self.returned(process, run)

    def returned(self, process: Process, run: Run) -> None:
        """A verb returns this."""
        found = self.stories[run.id].states.get(run._seq or 0)
        if found != run.state:
            self.wrong(f"{process.name} shows {run.id} after entry {run._seq} in another state than its journal")

    # --- effects

    def begins(self, process: Process, call: AgentCall) -> None:
        """An agent is called."""
        story, made = self.stories[call.run_id], (call.run_id, call.key, call.attempt)
        self.say(f"{process.name} calls {call.agent} for {call.run_id}, key {call.key[-6:]}, attempt {call.attempt}")
        if (call.key, call.attempt) not in story.asked:
            self.wrong(f"{call.agent} is called for {call.run_id} before the turn that asks for it is durable")
            return
        self.begun[made] += 1
        again = story.resumes if story.machine.definition.agents[call.agent].idempotent else 0
        if self.begun[made] > story.asked[call.key, call.attempt] + again:
            self.wrong(f"attempt {call.attempt} of {call.agent} for {call.run_id} begins {self.begun[made]} times")

    # --- owners

    def enrolled(self, process: Process, owner: Owner) -> None:
        """A sign of life."""
        self.owners[owner.id] = process, owner

    def left(self, owner_id: str) -> None:
        """It works no more."""
        self.owners.pop(owner_id, None)
        self.holder = {run_id: owner for run_id, owner in self.holder.items() if owner != owner_id}

    def claimed(self, run_id: str, owner_id: str) -> None:
        """It belongs to this owner now, and nobody was robbed."""
        before = self.holder.get(run_id)
        if before is not None and before != owner_id:
            self.say(f"{self._name(owner_id)} relieves {self._name(before)} of {run_id}")
            self.relieved.add((run_id, before))
            process = self.owners[before][0] if before in self.owners else None
            if process is not None and self._works_on(process, run_id) and process.longest_stall_s < LEASE_S / 2:
                self.wrong(f"{self._name(owner_id)} took {run_id} from {process.name}, which lives and works on it")
        self.holder[run_id] = owner_id
        self.relieved.discard((run_id, owner_id))

    def _works_on(self, process: Process, run_id: str) -> bool:
        runner = self.at_work[process.name].live(run_id)
        return process.alive and runner is not None and runner.at_work

    def released(self, run_id: str, owner_id: str) -> None:
        """It belongs to nobody."""
        if self.holder.get(run_id) == owner_id:
            del self.holder[run_id]

    def _name(self, owner_id: str) -> str:
        return self.owners[owner_id][0].name if owner_id in self.owners else f"owner {owner_id[-4:] or 'nobody'}"

    # --- inboxes

    def put(self, run_id: str, item: InboxItem) -> None:
        """Something is in the inbox."""
        self.say(f"{item.kind} {item.number} for {run_id}: {item.body}")
        self.items[item.number] = run_id, item
        self.open[item.number] = run_id

    def posted(self) -> list[str]:
        """The runs with something in their inbox."""
        return list(dict.fromkeys(self.open.values()))

    def _took(self, turn: Turn, event: object) -> None:
        run_id, item = self.items[turn.taken]
        if self.open.pop(turn.taken, None) is None:
            self.wrong(f"{item.kind} {item.number} for {run_id} is taken twice")
        if run_id != turn.run_id or not isinstance(event, BECOMES[item.kind]):
            self.wrong(f"{item.kind} {item.number} for {run_id} became a {type(event).__name__} of {turn.run_id}")

    def dropped(self, process: Process, run_id: str, number: int) -> None:
        """It is thrown away: only an answer to a question that is not open any more may be."""
        _, item = self.items[number]
        self.say(f"{process.name} drops {item.kind} {number} for {run_id}")
        if self.open.pop(number, None) is None or item.kind != "answer":
            self.wrong(f"{item.kind} {number} for {run_id} was dropped")
        elif isinstance(self.stories[run_id].state.outstanding.get(item.body["command"]), AskPerson):
            self.wrong(f"answer {number} for {run_id} was dropped, and its question is open")

    # --- in the end

    def hold_against(self, journal: Journal, next_item: Callable[[Story], Any]) -> None:
        """What was followed is what is there, and every run has come to an end or to a named wait."""
        for story in self.stories.values():
            self._is_told(story, journal)
            row = journal.row(story.run_id)
            if story.state.status != "ended" and not (story.state.resting and story.state.waiting):
                self.wrong(f"{story.run_id} neither ended nor rests: {story.state.status} in {story.state.step}")
            if row is None or _line(row) != _line(row_of(story.machine, story.state)):
                self.wrong(f"{story.run_id} is listed as {row}")
            left = [item.number for item in journal.inbox(story.run_id)]
            if left != [number for number, run_id in self.open.items() if run_id == story.run_id]:
                self.wrong(f"the inbox of {story.run_id} holds {left}")
            if (waits := next_item(story)) is not None:
                self.wrong(f"{story.run_id} rests, and could take {waits[0]}")
        self._tokens()

    def _is_told(self, story: Story, journal: Journal) -> None:
        turns = journal.turns(story.run_id)
        entries = entries_in(turns)
        if not all(turn.intact for turn in turns) or entries != story.entries:
            self.wrong(f"{story.run_id} reads otherwise than it was written")
        if fold(story.machine, entries) != story.state:
            self.wrong(f"{story.run_id} folds to another state")
        if (found := replay(story.machine, story.run_id, turns).divergence) is not None:
            self.wrong(f"{story.run_id} is decided otherwise again: {found.cause}")
        for digest in story.state.artifacts:
            if journal.artifact(digest) is None:
                self.wrong(f"{story.run_id} names artifact {digest}, which is not kept")

    def _tokens(self) -> None:
        """Nothing that was said once has happened twice."""
        said: Counter[str] = Counter()
        for story in self.stories.values():
            for entry in story.entries:
                if isinstance(entry, (PersonAnswered, RunCancelled, RunRetried)):
                    said[entry.by] += 1
                elif isinstance(entry, MessageReceived):
                    said[str(entry.payload["said_by"])] += 1
        for token, times in said.items():
            if times > 1:
                self.wrong(f"what {token} said was taken {times} times")


def _line(row: Any) -> tuple[object, ...]:
    return row.status, row.waiting, row.end, row.success


def _told(entries: Sequence[Any]) -> str:
    return " | ".join(_short(entry) for entry in entries)


def _short(entry: Any) -> str:
    told = msgspec.structs.asdict(entry)
    shown = {
        name: told[name]
        for name in ("command", "attempt", "reason", "error_type", "rung", "action", "to", "fallback")
        if name in told
    }
    return f"{type(entry).__name__}({', '.join(f'{name}={value}' for name, value in shown.items())})"
