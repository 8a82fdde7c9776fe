"""What clauses and references read: fields that cannot exist, words and kinds that cannot occur."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from stepladder.clauses import AnyOf, Clause, Condition, parse_clause
from stepladder.fallback.handling import CODES, TABLE
from stepladder.workflow.definition import CallEffect, Definition, PersonEffect
from stepladder.workflow.logic import clash
from stepladder.workflow.problems import Problems, one_of
from stepladder.workflow.scopes import Scopes
from stepladder.workflow.shapes import COMPARED, FLAG, NUMBER, TEXT, Absent, Shape, look_up, mapping, of_fields, words
from stepladder.workflow.yaml_text import Path

KIND_NAMES: Final = {
    "word": "text",
    "number": "a number",
    "flag": "true or false",
    "list": "a list",
    "mapping": "a mapping",
}
ROOT_HINTS: Final = {
    "returned": "an effect before this place: nothing returns here",
    "rule_margin": "rule_margin only in the classifier: a rule that read it would read itself",
    "budget_used": "policy.limits.usd, of which it is the share",
    "time_used": "policy.limits.working_s, of which it is the share",
}
EMPTY_HINTS: Final = {
    "input": "a field declared under `input`, which declares none",
    "last": "an effect that returns something before this place",
    "decision": "an action that leads here, with such a parameter",
    "score": "a score declared under an agent's `scores`",
    "trend": "a score declared under an agent's `scores`",
}

CLASSES: Final = tuple(dict.fromkeys(each.name for each in TABLE.values()))
FAILED: Final = mapping({"failure": words(CODES), "class": words(CLASSES), "sign": TEXT})
"""What the conditions of a link read of what went wrong before."""


class Spot(msgspec.Struct, frozen=True):
    """Clauses that must hold together, where they stand, and the facts that they read."""

    path: Path
    condition: Condition
    scope: Shape
    decides: bool = True
    """Whether nothing else looks at how its clauses fit together."""


class ClauseLints:
    """The lints about single clauses and references. `reported` holds the paths of clauses that have a problem."""

    def __init__(self, definition: Definition, scopes: Scopes, problems: Problems) -> None:
        self.definition, self.scopes, self.problems = definition, scopes, problems
        self.reported: set[Path] = set()

    def run(self) -> None:
        """Note what is wrong."""
        for spot in self._spots():
            for index, clause in enumerate(spot.condition.clauses):
                self._clause(clause, (*spot.path, index), spot.scope)
            if spot.decides:
                self._fits_together(spot)
        for path, reference, scope in self._references():
            if not reference.startswith("secret."):
                found = look_up(scope, reference)
                if isinstance(found, Absent):
                    self._absent(path, reference, found)

    # --- where clauses and references stand

    def _spots(self) -> Iterator[Spot]:
        definition = self.definition
        for name, agent in definition.agents.items():
            fields = agent.output["properties"]
            yield Spot(("agents", name, "fails"), agent.fails, of_fields(fields) if fields else mapping(None))
        for name, phase in definition.phases.items():
            scope = self.scopes.anywhere(phase.steps)
            yield Spot(("phases", name, "converged"), phase.converged, scope, decides=False)
        for action, entries in definition.source["actions"].items():
            for index, entry in enumerate(entries):
                guard = Condition(parse_clause(text) for text in entry.get("guard", ()))
                scope = self.scopes.anywhere(sources(definition, entry))
                yield Spot(("actions", action, index, "guard"), guard, scope, decides=False)
        for step, rules in definition.policy.rules.items():
            for rule in rules:
                yield Spot(("rules", step, rule.name, "when"), rule.when, self.scopes.at_decision(step), decides=False)
        for step, rules in definition.policy.select_agent.items():
            for rule in rules:
                scope = self.scopes.on_choosing(step)
                yield Spot(("select_agent", step, rule.name, "when"), rule.when, scope, decides=False)
        yield from self._policy_spots()

    def _policy_spots(self) -> Iterator[Spot]:
        policy = self.definition.policy
        if "classifier" in self.definition.source.get("policy", {}):
            classifier, scope = policy.ladder.classifier, self.scopes.classifier()
            yield from _named(("policy", "classifier", "complex"), classifier.complex, scope)
            yield from _named(("policy", "classifier", "hybrid"), classifier.hybrid, scope)
        confidence = msgspec.structs.replace(NUMBER, low=0, high=1)
        answer = mapping({"agrees": FLAG, "confidence": confidence, "action": words(self.definition.actions)})
        for name, rung in policy.ladder.rungs.items():
            yield from _named(("policy", "rungs", name, "accept"), rung.accept, answer)
            for index, link in enumerate(rung.links):
                yield from _named(("policy", "rungs", name, "chain", index, "when"), link.when, FAILED)
                yield from _named(("policy", "rungs", name, "chain", index, "quality"), link.quality, answer)
        for approval in policy.approvals:
            before = tuple(step for step in self.definition.steps if self._enters(step, approval.entering))
            scope = self.scopes.anywhere(before)
            yield Spot(("policy", "approvals", approval.name, "when"), approval.when, scope)

    def _enters(self, step: str, place: str) -> bool:
        steps = self.definition.steps
        to = [move.option.to for move in self.definition.moves[step]]
        return place in to or any(name in steps and steps[name].phase == place for name in to)

    def _references(self) -> Iterator[tuple[Path, str, Shape]]:
        definition = self.definition
        for step in definition.steps.values():
            if isinstance(step.effect, (CallEffect, PersonEffect)):
                for place, reference in step.effect.arguments.placed:
                    path = ("phases", step.phase, "steps", step.name, "with", *place)
                    yield path, reference, self.scopes.on_entry(step.name)
        for name, end in definition.ends.items():
            for place, reference in end.output.placed:
                yield ("ends", name, "output", *place), reference, self.scopes.at_end(name)
        for (at, rule), arguments in definition.policy.arguments.items():
            for place, reference in arguments.placed:
                yield ("rules", at, rule, "with", *place), reference, self.scopes.at_decision(at)

    # --- what is wrong with them

    def _clause(self, clause: Clause, path: Path, scope: Shape) -> None:
        found = look_up(scope, clause.signal)
        if isinstance(found, Absent):
            self._absent(path, clause.signal, found)
        elif _kind(clause.literal) not in found.kinds:
            self._mismatch(clause, path, found)
        elif isinstance(clause.literal, str) and (known := self._words(clause, found)) is not None:
            if clause.literal in known:
                return
            self.problems.unknown(path, f"{clause.signal} {clause.op}", clause.literal, known, code="unknown-word")
        elif self._names_signal(clause.literal):
            expected = "a literal: two signals are never compared; make a signal of both"
            self.problems.add(path, str(clause), expected, level="warning", code="two-signals")
        else:
            return
        self.reported.add(path)

    def _names_signal(self, literal: object) -> bool:
        if not isinstance(literal, str) or "." not in literal:
            return False
        return literal.split(".")[0] in (self.scopes.anywhere().fields or {})

    def _words(self, clause: Clause, shape: Shape) -> frozenset[str] | None:
        return self.scopes.universe.get(clause.signal, shape.words)

    def _absent(self, path: Path, read: str, absent: Absent) -> None:
        if absent.name in ROOT_HINTS and not absent.parent:
            expected = ROOT_HINTS[absent.name]
        elif absent.names:
            expected = f"a field of {absent.parent}: {one_of(absent.name, absent.names)}"
        else:
            expected = EMPTY_HINTS.get(absent.parent, f"{absent.parent} alone: it has no fields here")
        self.problems.add(path, repr(read), expected, code="unknown-field")

    def _mismatch(self, clause: Clause, path: Path, shape: Shape) -> None:
        compared = [KIND_NAMES[kind] for kind in sorted(shape.kinds & COMPARED)]
        found = f"{clause}, a comparison with {KIND_NAMES[_kind(clause.literal)]}"
        is_ = " or ".join(KIND_NAMES[kind] for kind in sorted(shape.kinds)) or "never there"
        expected = (
            f"a comparison with {' or '.join(compared)}" if compared else "a field of it, which a clause can compare"
        )
        self.problems.add(path, found, f"{expected} ({clause.signal} is {is_})", code="kind-mismatch")

    def _fits_together(self, spot: Spot) -> None:
        clauses = spot.condition.clauses
        if any((*spot.path, index) in self.reported for index in range(len(clauses))):
            return
        if clashing := clash(clauses, known_in(spot.scope)):
            path = (*spot.path, clauses.index(clashing[-1]))
            found = " and ".join(map(str, clashing))
            self.problems.add(path, found, "clauses that can hold together", level="warning", code="dead-condition")


def sources(definition: Definition, entry: dict[str, Any]) -> tuple[str, ...]:
    """The steps that this entry of an action leads out of."""
    return tuple(definition.steps) if "*" in entry["from"] else tuple(entry["from"])


def known_in(scope: Shape) -> Any:
    """The shape of each path in a scope, None for a path that leads nowhere."""

    def known(signal: str) -> Shape | None:
        found = look_up(scope, signal)
        return None if isinstance(found, Absent) else found

    return known


def _named(path: Path, any_of: AnyOf, scope: Shape) -> Iterator[Spot]:
    for name, condition in any_of.named.items():
        yield Spot((*path, name), condition, scope)


def _kind(literal: object) -> str:
    if isinstance(literal, bool):
        return "flag"
    return "word" if isinstance(literal, str) else "number"
