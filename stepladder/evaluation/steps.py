"""Recorded runs as columns: a row for each step, with every signal right after it; and, apart, what came of the runs.

`Steps` is what a policy is judged on. `Truth` is what it is judged by; nothing that decides is ever handed it. A run
is folded as it is read, so memory holds the numbers and one run.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.errors import InputError
from stepladder.evaluation.columns import Columns
from stepladder.scenarios.observing import observations
from stepladder.scenarios.recording import AFTERWARDS, IDENTITY, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem, read_recordings
from stepladder.scenarios.recording_line import to_line
from stepladder.signals import AGENTS, BUILTIN, Fold, Signal

Array = NDArray[Any]
KNOWN: Final[dict[str, Signal]] = {**BUILTIN, **AGENTS}
"""The signals that a policy over recordings can name, besides `risk`."""
_NO_NUMBER: Final = frozenset(
    {
        "score",
        "trend",
        "situation",
        "called",
        "validation_anomalies",
        "convergence_issues",
        "human_intervention_required",
    }
)
NUMERIC: Final = tuple(name for name in KNOWN if name not in _NO_NUMBER)
"""The signals that are one number in every recording."""


class Truth(msgspec.Struct, frozen=True, eq=False):
    """What is known of the runs besides their steps, run by run. `failed`: NaN where nobody knows; `label`: the step
    of the decisive error, -1 where there is none."""

    run: tuple[str, ...]
    source: tuple[str, ...]
    family: tuple[str, ...]
    model: tuple[str, ...]
    split_key: tuple[str, ...]
    failed: Array
    label: Array

    def take(self, runs: Array) -> Truth:
        """These runs, in this order."""
        words = {
            name: tuple(getattr(self, name)[each] for each in runs.tolist())
            for name in ("run", "source", "family", "model", "split_key")
        }
        return Truth(**words, failed=self.failed[runs], label=self.label[runs])


class Steps(msgspec.Struct, frozen=True, eq=False):
    """The steps of many runs as columns.

    `first`: the row of each run's first step; `length`: its rows; `tool`: each row's tool as its place in `tools`, -1
    where none is called; `same_call`: how often the call that its run has made most often was made so far (the same
    agent, tool and arguments).
    """

    values: Mapping[str, Array]
    first: Array
    length: Array
    domain: tuple[str, ...]
    tool: Array
    tools: tuple[str, ...]
    same_call: Array

    @property
    def rows(self) -> int:
        """How many steps there are."""
        return int(self.length.sum())

    @property
    def run(self) -> Array:
        """The run of each row."""
        found: Array = np.repeat(np.arange(len(self.length)), self.length)
        return found

    @property
    def place(self) -> Array:
        """Each row's place in its run, from 0."""
        found: Array = np.arange(self.rows) - np.repeat(self.first, self.length)
        return found

    @property
    def counts(self) -> Array:
        """Where an escalation counts: everywhere but at the last step of a run."""
        flags = np.ones(self.rows, np.bool_)
        flags[self.first + self.length - 1] = False
        return flags

    def column(self, name: str) -> Array:
        """The column of a signal, or of `called.TOOL`.

        Raises:
            InputError: there is none, or the name is of what a policy must not read.
        """
        if name in self.values:
            return self.values[name]
        root, _, rest = name.partition(".")
        if root == "called" and rest:
            return self._called(rest)
        raise unreadable(name, self.values)

    def _called(self, tool: str) -> Array:
        if tool not in self.tools:
            return np.full(self.rows, np.nan)
        total = np.cumsum(self.tool == self.tools.index(tool))
        before = total[self.first] - (self.tool[self.first] == self.tools.index(tool))
        count = (total - np.repeat(before, self.length)).astype(np.float64)
        return np.where(count > 0, count, np.nan)  # `called` has no entry yet, so no clause holds

    def columns(self, names: Iterable[str]) -> Columns:
        """Columns that clauses are asked of."""
        return Columns.of_arrays({name: self.column(name) for name in names})

    def take(self, runs: Array) -> Steps:
        """These runs, in this order."""
        rows = _rows_of(self.first, self.length, runs)
        length = self.length[runs]
        return Steps(
            {name: values[rows] for name, values in self.values.items()},
            np.cumsum(length) - length,
            length,
            tuple(self.domain[each] for each in runs.tolist()),
            self.tool[rows],
            self.tools,
            self.same_call[rows],
        )

    def most(self, values: Array, until: float = 1.0) -> Array:
        """The largest value of each run over the steps that count, within this share of its steps."""
        kept = np.where(self.counts & self.within(until), values, -np.inf)
        found: Array = np.maximum.reduceat(kept, self.first)
        return found

    def begins(self, flags: Array) -> Array:
        """The place of the first row of each run, among those that count, that has the flag; -1 where none has."""
        place = np.where(flags & self.counts, self.place, self.rows)
        first = np.minimum.reduceat(place, self.first)
        return np.where(first < self.rows, first, -1)

    def within(self, share: float) -> Array:
        """The rows within this share of their run."""
        found: Array = self.place + 1 <= share * np.repeat(self.length, self.length)
        return found


def _rows_of(first: Array, length: Array, runs: Array) -> Array:
    sizes = length[runs]
    begin = np.repeat(first[runs] - (np.cumsum(sizes) - sizes), sizes)
    return begin + np.arange(int(sizes.sum()))


def unreadable(name: str, known: Iterable[str]) -> InputError:
    """Why a name cannot be read by a policy."""
    root = name.partition(".")[0]
    if root in AFTERWARDS:
        expected = "a signal: this is known only after the run, and a policy that reads it would decide on the outcome"
        return InputError("policy", name, f"{root!r}", expected)
    if root in IDENTITY or root in ("source", "family", "provenance"):
        return InputError("policy", name, f"{root!r}", "a signal: who ran what is not for a policy to read")
    return InputError("policy", name, f"no signal {root!r}", f"one of: {', '.join(sorted(known))}")


class Read(msgspec.Struct, frozen=True, eq=False):
    """Recordings, read: steps, truth, and a digest of all that was read, whatever the order of the runs."""

    steps: Steps
    truth: Truth
    digest: str


Wanted = Callable[[Recording], bool]


def read_steps(
    paths: Iterable[str | Path],
    names: Sequence[str] = NUMERIC,
    *,
    wanted: Wanted | None = None,
    on_problem: OnProblem | None = None,
    on_bytes: OnBytes | None = None,
) -> Read:
    """The recordings in these files and folders, folded as they are read. `wanted` says which runs are.

    Raises:
        InputError: a path cannot be read, there is no run, or a name is of no signal.
    """
    paths = list(paths)
    runs = read_recordings(paths, on_problem, on_bytes)
    where = ", ".join(map(str, paths))
    return steps_of((run for run in runs if wanted is None or wanted(run)), names, where)


def steps_of(recordings: Iterable[Recording], names: Sequence[str] = NUMERIC, where: str = "") -> Read:
    """The recordings (of the files `where`) as columns. Raises InputError: there is none, or a name is of no signal."""
    folded = tuple(dict.fromkeys(name for name in names if name.partition(".")[0] not in ("called", "risk")))
    for name in folded:
        if name.partition(".")[0] not in KNOWN:
            raise unreadable(name, KNOWN)
    writer = _Writer(folded)
    for recording in recordings:
        writer.add(recording)
    if not writer.length:
        raise InputError("recordings", where, "no run", "at least one run that can be read")
    return writer.read()


class _Writer:
    """Columns that grow run by run."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.fold = Fold(KNOWN[root] for root in dict.fromkeys(name.partition(".")[0] for name in names))
        self.columns: dict[str, Any] = {name: array("d") if name in NUMERIC else [] for name in names}
        self.length, self.tool, self.domain = array("q"), array("q"), list[str]()
        self.same_call = array("q")
        self.tools: dict[str, int] = {}
        self.about: list[tuple[str, str, str, str, str]] = []
        self.failed, self.label = array("d"), array("q")
        self.digests: list[bytes] = []

    def add(self, recording: Recording) -> None:
        for values in self._values(recording):
            for name, column in self.columns.items():
                column.append(values.get(name) if name in values else _at(values, name))
        for step in recording.steps:
            called = step.tool if step.kind in ("tool_call", "handoff", "decision") and step.tool else None
            self.tool.append(self.tools.setdefault(called, len(self.tools)) if called else -1)
        self.same_call.extend(_same_call(recording))
        identity, after = recording.identity, recording.after
        self.length.append(len(recording.steps))
        self.domain.append(recording.domain)
        self.about.append(
            (recording.run_id, recording.source, recording.family, identity.model or "", recording.split_key)
        )
        self.failed.append(np.nan if after.failed is None else float(after.failed))
        label = after.failure.step if after.failure is not None else None
        places = [place for place, step in enumerate(recording.steps) if step.i == label]
        self.label.append(places[0] if places else -1)
        self.digests.append(sha256(to_line(recording)).digest())

    def _values(self, recording: Recording) -> Iterator[dict[str, Any]]:
        memory, broken = self.fold.start(), dict[str, str]()
        for seen in observations(recording.steps):
            memory, broken = self.fold.update(memory, broken, seen)
            yield self.fold.values(memory, broken)[0]

    def read(self) -> Read:
        length = np.array(self.length, np.int64)
        steps = Steps(
            {name: _array(column) for name, column in self.columns.items()},
            np.cumsum(length) - length,
            length,
            tuple(self.domain),
            np.array(self.tool, np.int32),
            tuple(self.tools),
            np.array(self.same_call, np.int64),
        )
        run, source, family, model, key = (tuple(column) for column in zip(*self.about, strict=True))
        failed, label = np.array(self.failed), np.array(self.label, np.int64)
        truth = Truth(run, source, family, model, key, failed, label)
        return Read(steps, truth, sha256(b"".join(sorted(self.digests))).hexdigest())


def _same_call(recording: Recording) -> Iterator[int]:
    made, most = Counter[tuple[str, str | None, str | None]](), 0
    for step in recording.steps:
        if step.kind in ("tool_call", "handoff"):
            call = step.agent, step.tool, step.args_sha
            made[call] += 1
            most = max(most, made[call])
        yield most


def _array(column: Any) -> Array:
    return np.array(column) if isinstance(column, array) else np.array(column, object)


def _at(values: dict[str, Any], name: str) -> Any:
    root, _, rest = name.partition(".")
    inner = values.get(root)
    return inner.get(rest) if isinstance(inner, dict) else None
