"""Clauses, references and schemas of one file, compiled; what is wrong is noted where it stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from stepladder.clauses import AnyOf, Clause, ClauseError, Condition, parse_clause
from stepladder.signals import AGENTS, BUILTIN, Signal
from stepladder.workflow.arguments import ArgumentError, Arguments
from stepladder.workflow.problems import Problems
from stepladder.workflow.schemas import SchemaError, object_schema

ROOTS: Final = frozenset({"input", "last", "returned", "result", "all", "decision", "taken", "visits", "step", "phase"})
"""What clauses and references can read besides signals."""
MEASURES: Final = frozenset({"decisions", "no_progress", "budget_used", "time_used", "rule_margin"})
"""Signals that are read off the run itself rather than folded."""
LIMITED = MEASURES - {"decisions"}
"""Those of them that are only known at a decision: most depend on the policy."""

Key = tuple[str | int, ...]


class Compiler:
    """Compiles the texts of one file and remembers which paths they read."""

    def __init__(self, problems: Problems, signals: Iterable[Signal] = ()) -> None:
        self.problems = problems
        self.signals: dict[str, Signal] = {**BUILTIN, **AGENTS}
        self.read: set[str] = set()
        signals = tuple(signals)
        for each in signals:
            self._own(each)
        self.roots = ROOTS | MEASURES | frozenset(self.signals)
        self.listed = self.roots - (AGENTS.keys() - {each.name for each in signals})

    def _own(self, own: Signal) -> None:
        if own.name in ROOTS | MEASURES or own.name == "secret" or not own.name.isidentifier():
            self.problems.add((), f"a signal named {own.name!r}", "another name: letters, digits and _, and not a root")
        self.signals[own.name] = own

    def clause(self, text: str, path: Key, fields: Collection[str] | None = None, kind: str = "field") -> Clause | None:
        """The clause; None, and a problem, where it is none or reads what does not exist.

        `fields` are the names of this `kind` that it may begin with (an empty set: any); None: signals and roots.
        """
        try:
            found = parse_clause(text)
        except ClauseError as error:
            self.problems.add(path, error.found, error.expected, code="clause")
            return None
        root = found.signal.split(".")[0]
        if fields is None and root not in self.roots:
            self.problems.unknown(path, "signal", root, self.listed, code="unknown-signal")
        elif fields and root not in fields:
            self.problems.unknown(path, kind, root, fields, code="unknown-field")
        elif fields is None:
            self.read.add(found.signal)
        return found

    def condition(
        self, clauses: list[str], path: Key, fields: Collection[str] | None = None, kind: str = "field"
    ) -> Condition:
        """All of the clauses that are some."""
        found = [self.clause(text, (*path, index), fields, kind) for index, text in _untorn(clauses)]
        return Condition(clause for clause in found if clause is not None)

    def any_of(
        self, named: Mapping[str, list[str]], path: Key, fields: Collection[str] | None = None, kind: str = "field"
    ) -> AnyOf:
        """Any of the named conditions."""
        for name, clauses in named.items():
            if not clauses:
                self.problems.add((*path, name), "no clause", "at least one clause (an empty list would always fire)")
        return AnyOf({name: self.condition(clauses, (*path, name), fields, kind) for name, clauses in named.items()})

    def arguments(
        self, source: Mapping[str, Any], path: Key, *, secrets: bool = False, by_rule: bool = False
    ) -> Arguments:
        """The arguments that are right.

        Only what is handed to an agent may hold `secrets`. What is known at a decision only, or depends on the policy's
        limits, can be read `by_rule` only: the rest is resolved in a fold, which must come out the same under every
        policy.
        """
        right: dict[str, Any] = {}
        roots = self.roots - ({"rule_margin"} if by_rule else LIMITED)
        for name, item in source.items():
            try:
                one = Arguments({name: item}, roots)
            except ArgumentError as error:
                self.problems.add((*path, *error.path), error.found, error.expected, code="reference")
                continue
            right[name] = item
            if not secrets:
                self._no_secrets(one, path)
        arguments = Arguments(right, self.roots)
        self.read.update(arguments.references)
        return arguments

    def _no_secrets(self, arguments: Arguments, path: Key) -> None:
        for place, reference in arguments.placed:
            if reference.startswith("secret."):
                self.problems.add((*path, *place), repr(reference), "a secret only in the `with` of a step with agent")

    def fields(self, fields: Mapping[str, Any], path: Key, *, required: bool, closed: bool) -> dict[str, Any]:
        """The schema of an object with these fields, those left out that have no schema."""
        right: dict[str, Any] = {}
        for name, short in fields.items():
            try:
                object_schema({name: short}, required=required, closed=closed)
            except SchemaError as error:
                self.problems.add((*path, name, *error.path), error.found, error.expected, code="schema")
                continue
            right[name] = short
        return object_schema(right, required=required, closed=closed and len(right) == len(fields))

    def used(self) -> list[Signal]:
        """The signals that are read."""
        roots = {path.split(".")[0] for path in self.read}
        if "rule_margin" in roots:
            roots.add("score")
        return [each for name, each in self.signals.items() if name in roots]


def _untorn(clauses: list[str]) -> list[tuple[int, str]]:
    """The clauses with their places; of one that a comma tore apart within its quotes only the first piece."""
    kept: list[tuple[int, str]] = []
    torn = False
    for index, text in enumerate(clauses):
        odd = text.count("'") % 2 == 1
        if not torn:
            kept.append((index, text))
        torn = torn != odd
    return kept
