"""Whether a journal is as stepladder wrote it.

The chain of digests says of every turn whether it was changed, removed, put in or moved. What the chain does not cover
is compared with what the turns say: the line of a run, its checkpoint, what was taken from its inbox, the bytes of
artifacts and definitions. What was cut off at the end of a run, a history written anew with fitting digests, and a run
that is gone altogether can only be seen against a head that was kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

import msgspec

from stepladder.app.heads import Head
from stepladder.app.lines import Lines
from stepladder.drivers.artifacts import TAKEN_IN
from stepladder.events import (
    Event,
    MessageReceived,
    PayloadsPruned,
    PersonAnswered,
    QuestionPut,
    RunCancelled,
    RunRetried,
    RunStarted,
)
from stepladder.journal import NO_DIGEST, Journal, Kept, RawRun, RawTurn, chain, decode_turn, not_there, seal
from stepladder.journal.store import LEFT_OF
from stepladder.record import Entry
from stepladder.signals import Signal

CHANGED = "was changed after it was written: its digest does not fit"
TAKEN: dict[str, type[Event]] = {
    "answer": PersonAnswered,
    "message": MessageReceived,
    "cancel": RunCancelled,
    "retry": RunRetried,
}
"""The event that each kind of inbox item becomes."""


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written: in which run ("": in none), at which entry (0: at none), and what."""

    run: str
    entry: int
    what: str

    def __str__(self) -> str:
        where = f"entry {self.entry}" if self.entry else ""
        return "  ".join(part for part in (self.run, where, self.what) if part)


class Verified(msgspec.Struct, frozen=True):
    """What a look at a journal found.

    `pruned` counts the runs whose payloads are gone, `gone` the runs of the head that were pruned whole since;
    `unchecked` are definitions that could not be looked at, with why.
    """

    runs: int = 0
    entries: int = 0
    pruned: int = 0
    gone: int = 0
    findings: tuple[Finding, ...] = ()
    unchecked: dict[str, str] = {}


def verify(
    journal: Journal, run_id: str | None = None, head: Head | None = None, signals: Iterable[Signal] = ()
) -> Verified:
    """Look at every run (or one): one turn after the other, as they are at this moment.

    `signals` are those that workflows of this journal bring along.

    Raises:
        RunNotFound, RunPruned: there is no such run (any more).
        JournalError: it cannot be read.
    """
    look = Look(journal, head, signals)
    for each in journal.raw(run_id):
        if isinstance(each, RawRun):
            look.run(each)
        else:
            look.kept(each)
    if run_id is not None and not look.seen and run_id not in look.places:
        raise not_there(journal, run_id)
    look.rest(run_id)
    return Verified(len(look.seen), look.entries, look.pruned, look.gone, tuple(look.findings), look.lines.unchecked)


class Chained(NamedTuple):
    """A run's turns as far as they can be read: each with the entries it holds."""

    turns: list[tuple[RawTurn, tuple[Event | Entry, ...]]]
    findings: list[Finding]
    entries: int

    @property
    def all(self) -> list[Event | Entry]:
        """Its entries."""
        return [entry for _, entries in self.turns for entry in entries]


def chained(name: str, turns: Iterable[RawTurn]) -> Chained:
    """The turns of a run, and what their chain says."""
    found = Chained([], [], 0)
    before, following = NO_DIGEST, 1
    for turn in turns:
        if not isinstance(turn.seq, int) or (following and turn.seq < following):
            found.findings.append(Finding(name, following, f"an entry {turn.seq!r} was put in here"))
            continue
        said = ""
        if following and turn.seq > following:
            last = f" to {turn.seq - 1}" if turn.seq - 1 > following else ""
            found.findings.append(Finding(name, following, f"missing{last}"))
        elif chain(before, turn.body) != turn.digest:
            said = CHANGED
        try:
            entries = decode_turn(turn.body)
        except ValueError as error:
            entries, said = (), f"is no turn as stepladder writes it: {error}"
        if said:
            found.findings.append(Finding(name, turn.seq, said))
        found.turns.append((turn, entries))
        before, following = turn.digest, turn.seq + len(entries) if entries and not said else 0
    if not found.turns:
        return found
    end, held = found.turns[-1]
    return found._replace(entries=end.seq - 1 + len(held))


class Look:
    """A look at the runs of a journal, one after the other, and at what is kept beside them."""

    def __init__(self, journal: Journal, head: Head | None = None, signals: Iterable[Signal] = ()) -> None:
        self.journal, self.places = journal, head.runs if head else {}
        self.lines = Lines(journal, signals)
        self.findings: list[Finding] = []
        self.seen: set[str] = set()
        self.entries = self.pruned = self.gone = 0
        self._referred: dict[str, tuple[str, int]] = {}

    def run(self, run: RawRun) -> Chained:
        """One run: its turns, and what is wrong with it."""
        found = chained(run.name, run.turns)
        self.seen.add(run.name)
        self.entries += found.entries
        if not found.findings:
            found.findings.extend([*_sealed(run.name, found), *self._beside(run, found)])
        found.findings.extend(self._headed(run, found))
        self.findings += found.findings
        self._refer(run)
        return found

    def kept(self, kept: Kept) -> None:
        """An artifact or a definition."""
        if kept.kind == "definition":
            if wrong := self.lines.wrong_definition(kept):
                self.findings.append(Finding("", 0, f"definition {kept.name}: {wrong}"))
            return
        self._referred.pop(kept.name, None)
        if sha256(kept.body).hexdigest() != kept.name:
            self.findings.append(Finding("", 0, f"artifact {kept.name}: its bytes do not fit its digest"))

    def rest(self, run_id: str | None) -> None:
        """What was expected and has not come."""
        if run_id is None:
            for digest, (run, entry) in self._referred.items():
                self.findings.append(Finding(run, entry, f"refers to artifact {digest}, which is not there"))
        gone = {each.run_id: each for each in self.journal.pruned()}
        for name, place in self.places.items():
            if name in self.seen or run_id not in (None, name):
                continue
            left = gone.get(name)
            at_the_place = left is not None and (left.entries, left.digest.hex()) == (place.entries, place.digest)
            if left is not None and (left.entries > place.entries or at_the_place):
                self.gone += 1
            else:
                self.findings.append(Finding(name, 0, f"was removed: it had {place.entries} entries in the head"))

    # --- one run

    def _beside(self, run: RawRun, found: Chained) -> Iterator[Finding]:
        """What the chain does not cover, of a run whose chain is whole."""
        if not found.turns:
            yield Finding(run.name, 0, "has a line in the list of runs, and no turns")
            return
        begun = found.turns[0][1][0]
        if not isinstance(begun, (RunStarted, QuestionPut)):
            yield Finding(run.name, 1, "is not the beginning of a run")
            return
        own = begun.run_id if isinstance(begun, RunStarted) else begun.decision_id
        if own not in (run.name, ""):
            yield Finding(run.name, 1, f"is the beginning of run {own!r}")
        if run.row is None:
            yield Finding(run.name, 0, "its line in the list of runs is not there")
            return
        pruned = any(isinstance(entry, PayloadsPruned) for entry in found.all)
        self.pruned += pruned
        turns = [entries for _, entries in found.turns]
        for wrong in self.lines.wrong(run.row, turns, pruned=pruned):
            yield Finding(run.name, found.entries, wrong)
        yield from _taken(run, found)
        if run.checkpoint is not None and (wrong := self._checkpoint(run, found)):
            yield Finding(run.name, run.checkpoint.entries, f"its checkpoint {wrong}")

    def _checkpoint(self, run: RawRun, found: Chained) -> str:
        kept = run.checkpoint
        assert kept is not None, "asked where there is one"
        ends = {turn.seq - 1 + len(entries): turn.digest for turn, entries in found.turns}
        if ends.get(kept.entries) != kept.digest:
            return "is of no place in its history"
        return self.lines.wrong_checkpoint(kept, found.all)

    def _headed(self, run: RawRun, found: Chained) -> Iterator[Finding]:
        """What the head says otherwise."""
        place = self.places.get(run.name)
        if place is None:
            return
        ends = {turn.seq - 1 + len(entries): turn.digest.hex() for turn, entries in found.turns}
        if found.entries < place.entries:
            yield Finding(run.name, found.entries + 1, f"cut off: it had {place.entries} entries in the head")
        elif ends.get(place.entries) != place.digest:
            yield Finding(run.name, place.entries, "its history up to here was written anew since the head was taken")

    def _refer(self, run: RawRun) -> None:
        for turn in run.turns:
            if not turn.body.startswith(LEFT_OF):
                for digest in TAKEN_IN.findall(turn.body):
                    self._referred.setdefault(digest.decode(), (run.name, turn.seq))


def _sealed(name: str, found: Chained) -> Iterator[Finding]:
    """Whether what is left of pruned turns is what was left of them."""
    last, bodies, open_ = NO_DIGEST, list[bytes](), 0
    for turn, entries in found.turns:
        for event in entries:
            if isinstance(event, PayloadsPruned):
                last = seal(bodies)
                if last.hex() != event.left:
                    yield Finding(name, turn.seq, "what is left of the pruned entries before was changed")
                open_ = 0
        bodies.append(turn.body)
        if turn.body.startswith(LEFT_OF):
            open_ = open_ or turn.seq
    if open_:
        yield Finding(name, open_, "its payload is gone, and nothing says that it was pruned")


def _taken(run: RawRun, found: Chained) -> Iterator[Finding]:
    """Whether each item of the inbox was taken by a turn that is there."""
    events = {turn.seq: entries[0] for turn, entries in found.turns if entries}
    for item in run.taken:
        if not isinstance(events.get(item.seq), TAKEN.get(item.kind, ())):
            yield Finding(run.name, item.seq, f"inbox item {item.number} ({item.kind}) was taken here by no such event")
