"""What can be read at each place of a workflow: by the rules of a step, on entering it, at an end, by the classifier.

`last` is what a step's effect returns: for its rules its own, on entering it that of any step before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Final, get_args

from msgspec.structs import replace

from stepladder.record import STOP, Source
from stepladder.signals import BUILTIN
from stepladder.state import Returned
from stepladder.workflow.definition import CallEffect, Definition, Effect, PersonEffect, WaitEffect
from stepladder.workflow.shapes import (
    ANYTHING,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Shape,
    join,
    listed,
    mapping,
    of_fields,
    words,
)

COUNTS: Final = frozenset(
    {
        "error_count",
        "consecutive_errors",
        "repeated_calls",
        "repeated_results",
        "unusual_patterns",
        "validation_anomalies",
        "clarifications",
    }
)
FLAGS: Final = frozenset({"convergence_issues", "human_intervention_required"})
ERROR: Final = {"error": TEXT, "error_type": TEXT}
"""What a failed call returns."""


class Scopes:
    """The shapes of the facts at each place of one definition."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.at_decision = lru_cache(None)(self._at_decision)
        self.on_entry = lru_cache(None)(self._on_entry)

    @cached_property
    def universe(self) -> dict[str, frozenset[str]]:
        """All words there are for what names something, wherever it is read."""
        return {
            "step": frozenset(self.definition.steps),
            "phase": frozenset(self.definition.phases),
            "returned": frozenset(get_args(Returned)),
            "decision.action": frozenset({*self.definition.actions, STOP}),
            "decision.source": frozenset(get_args(Source)),
        }

    def anywhere(self, steps: Iterable[str] = ()) -> Shape:
        """At the decisions of any of these steps; of all where none is named."""
        return join(self.at_decision(step) for step in (tuple(steps) or self.definition.steps))

    def classifier(self) -> Shape:
        """At any decision, with the margin that only the classifier reads."""
        found = self.anywhere()
        return mapping({**(found.fields or {}), "rule_margin": replace(NUMBER, low=0)})

    def _at_decision(self, step: str) -> Shape:
        """What rules and guards of a step read."""
        effect = self.definition.steps[step].effect
        decision = self._leading_to(step)
        if self.definition.policy.approvals:  # a refused action is the newest decision
            decision = join([decision, *(self._deciding(move.option.action) for move in self.definition.moves[step])])
        return self._facts(step, last_of(self.definition, effect), returned_by(effect), decision)

    def _on_entry(self, step: str) -> Shape:
        """What the arguments of a step read."""
        before = self._before(step)
        last = ANYTHING if not before else join(last_of(self.definition, self._effect(each)) for each in before)
        if step == self.definition.start:
            last = join([last, mapping({})]) if before else mapping({})
        found = [shape for each in before if (shape := returned_by(self._effect(each))) is not None]
        return self._facts(step, last, replace(join(found), always=False) if found else None, self._leading_to(step))

    def on_choosing(self, step: str) -> Shape:
        """What the rules that choose a step's agent read; nothing has returned yet."""
        fields = dict(self.on_entry(step).fields or {})
        fields.pop("returned", None)
        return mapping({**fields, "visits": self._visits(step)})

    def at_end(self, end: str) -> Shape:
        """What the output of an end reads."""
        before = [step for step, moves in self.definition.moves.items() if any(m.option.to == end for m in moves)]
        if end == self.definition.policy.limits.then:
            before = list(self.definition.steps)
        last = join(last_of(self.definition, self._effect(step)) for step in before) if before else ANYTHING
        found = [shape for step in before if (shape := returned_by(self._effect(step))) is not None]
        return self._facts("", last, join(found) if found else None, self._leading_to(end))

    def _facts(self, step: str, last: Shape, returned: Shape | None, decision: Shape) -> Shape:
        names = [step] if step else list(self.definition.steps)
        phases = [self.definition.steps[name].phase for name in names]
        facts = {
            "input": self._input,
            "last": last,
            "result": mapping(self._results),
            "all": mapping({name: listed(shape) for name, shape in self._results.items()}),
            "decision": decision,
            "taken": mapping({**dict.fromkeys(self.definition.actions, COUNT), STOP: COUNT}),
            "visits": self._visits(step),
            "step": words(names, always=True),
            "phase": words(phases, always=True),
            **self._signals,
        }
        return mapping(facts if returned is None else {**facts, "returned": returned})

    def _visits(self, step: str) -> Shape:
        counts = dict.fromkeys(self.definition.steps, COUNT)
        return mapping({**counts, step: replace(COUNT, low=1)} if step else counts)

    def _effect(self, step: str) -> Effect | None:
        return self.definition.steps[step].effect

    def _before(self, step: str) -> list[str]:
        moves = self.definition.moves
        return [source for source, found in moves.items() if any(move.option.to == step for move in found)]

    def _leading_to(self, place: str) -> Shape:
        """`decision` on arrival: the parameters of the actions that lead here."""
        leading = [m.option.action for moves in self.definition.moves.values() for m in moves if m.option.to == place]
        if place == self.definition.policy.limits.then:
            leading.append(STOP)
        return join(self._deciding(action) for action in dict.fromkeys(leading))

    def _deciding(self, action: str) -> Shape:
        """`decision` after this action was chosen."""
        parameters = self.definition.actions[action].parameters["properties"] if action != STOP else {}
        own = {"action": words([action]), "because": TEXT, "source": words(get_args(Source))}
        return mapping({**(of_fields(parameters).fields or {}), **own})

    @cached_property
    def _input(self) -> Shape:
        return of_fields(self.definition.input["properties"])

    @cached_property
    def _results(self) -> dict[str, Shape]:
        found: dict[str, list[Shape]] = {}
        for step in self.definition.steps.values():
            if step.effect is not None:
                found.setdefault(step.effect.name, []).append(gives(self.definition, step.effect))
        return {name: replace(join(shapes), always=False) for name, shapes in found.items()}

    @cached_property
    def _signals(self) -> dict[str, Shape]:
        limits = self.definition.policy.limits
        share = replace(NUMBER, low=0, always=True)
        own = {each.name: ANYTHING for each in self.definition.fold.signals if BUILTIN.get(each.name) is not each}
        return {
            **dict.fromkeys(COUNTS, COUNT),
            **dict.fromkeys(FLAGS, FLAG),
            "situation": replace(TEXT, always=True),
            "score": mapping(self._scores(1.0)),
            "trend": mapping(self._scores(0.0)),
            "decisions": COUNT,
            "no_progress": COUNT,
            **({} if limits.usd is None else {"budget_used": share}),
            **({} if limits.working_s is None else {"time_used": share}),
            **own,
        }

    def _scores(self, within: float) -> dict[str, Shape]:
        """Scores keep to their range; how much one rises (`within` 0) is any number."""
        found: dict[str, list[Shape]] = {}
        for agent in self.definition.agents.values():
            for name, (low, high) in agent.scores.items():
                found.setdefault(name, []).append(replace(NUMBER, low=low, high=high) if within else NUMBER)
        return {name: join(shapes) for name, shapes in found.items()}


def gives(definition: Definition, effect: Effect) -> Shape:
    """What the effect gives when it succeeds."""
    match effect:
        case CallEffect():
            declared = [definition.agents[agent].output["properties"] for agent in effect.agents]
            return join(of_fields(fields) if fields else mapping(None) for fields in declared)
        case PersonEffect():
            declared = [effect.output["properties"]]
            return of_fields(declared[0]) if declared[0] else mapping(None)
        case WaitEffect():
            return mapping(None) if effect.message else mapping({})


def last_of(definition: Definition, effect: Effect | None) -> Shape:
    """What is in `last` after the effect, whether it succeeded or not."""
    if effect is None:
        return mapping({})
    given = gives(definition, effect)
    if isinstance(effect, WaitEffect) and not effect.message:
        return given
    failed: Mapping[str, Shape] = ERROR if isinstance(effect, CallEffect) else {"error": TEXT}
    return join([given, mapping(failed)])


def returned_by(effect: Effect | None) -> Shape | None:
    """What `returned` may be after the effect; None where nothing returns."""
    match effect:
        case CallEffect():
            return words(get_args(Returned), always=True)
        case PersonEffect():
            return words(("ok", "late"), always=True)
        case WaitEffect():
            return words(("ok", "late") if effect.message else ("ok",), always=True)
        case None:
            return None
