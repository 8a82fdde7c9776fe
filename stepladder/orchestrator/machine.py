"""The step machine: `transitions` holds it, one machine for all runs of a workflow.

No model is ever added to it and it has no callbacks: a position is made for one transition and thrown away, so listing
what is legal never runs anything, and runs cannot disturb each other.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from transitions import EventData, Transition
from transitions import Machine as StateMachine
from transitions.core import Event

from stepladder.clauses import Reading
from stepladder.decision import Budget, Option
from stepladder.errors import IllegalAction
from stepladder.record import STOP
from stepladder.rules import Rule
from stepladder.workflow.definition import CallEffect, Definition, Move

UNSAID: Final = Budget(allow_unpriced=True)
"""The budget of a policy that does not speak of money: limits.usd alone counts what has a price."""
REFUSED: Final = "approval == given"


class _Position:
    """Where a run is, for the length of one transition."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


class _Arrow(Transition):
    """A transition without conditions and callbacks: guards are clauses, and were asked before."""

    def execute(self, event_data: EventData) -> bool:
        """Change the state; there is nothing to call on leaving and entering."""
        event_data.machine.set_state(str(self.dest), event_data.model)
        return True


class _Trigger(Event):
    """A trigger of a machine without callbacks and queue: what is left is to look the transition up, and to take it."""

    def trigger(self, model: Any, *_: Any, **__: Any) -> bool:
        """Take the transition that leads out of the model's state; False where there is none."""
        found = self.transitions.get(model.state)
        if not found:
            return False
        state = self.machine.states[model.state]
        return bool(found[0].execute(EventData(state, self, self.machine, model, (), {})))


class _Steps(StateMachine):
    """The flat machine of a workflow."""

    transition_cls = _Arrow
    event_cls = _Trigger


class Machine:
    """A definition, ready to run: its step machine and the tables that are asked at every step."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.policy = definition.policy
        self.limits = definition.policy.limits
        self.budget = msgspec.structs.replace(
            definition.policy.ladder.budget or UNSAID, run_usd=definition.policy.limits.usd
        )
        self.fold = definition.fold
        self._events = _step_machine(definition).events
        self.moves: dict[str, tuple[Move, ...]] = definition.moves
        self._open = {step: _unguarded(moves) for step, moves in definition.moves.items()}
        self.rules = {step: _live(self.policy.rules.get(step, ())) for step in definition.steps}
        self.agent_rules = {step: self._candidates(step) for step in definition.steps}
        self.rules_only = msgspec.structs.replace(self.policy.ladder, how="programmatic")
        self.starting_signals = self.fold.values(self.fold.start(), {})[0]
        self.no_visits = dict.fromkeys(definition.steps, 0)
        self.none_taken = {**dict.fromkeys(definition.actions, 0), STOP: 0}
        self.judged_by = _judged_by(definition)
        self.measured = _measured(definition)
        self.score_ranges = {
            name: high - low for agent in definition.agents.values() for name, (low, high) in agent.scores.items()
        }

    def take(self, step: str, action: str) -> str:
        """Where `action` leads from `step`, by really taking the transition.

        Raises:
            IllegalAction: it does not lead out of this step.
        """
        position = _Position(step)
        event: Event | None = self._events.get(action)
        if event is None or not event.trigger(position):
            raise IllegalAction(step, action)
        return position.state

    def legal(
        self, step: str, facts: dict[str, object], refused: dict[str, str]
    ) -> tuple[dict[str, Option], dict[str, Reading]]:
        """The actions that may be taken here, and for each other one what its failing guard clause saw."""
        if not refused and (ready := self._open[step]) is not None:
            return ready, {}
        options: dict[str, Option] = {}
        blocked: dict[str, Reading] = {}
        for move in self.moves[step]:
            action = move.option.action
            if action in refused:
                blocked[action] = Reading(REFUSED, refused[action], held=False)
            elif (failing := move.guard.failing(facts)) is not None:
                blocked[action] = failing
            else:
                options[action] = move.option
        return options, blocked

    def _candidates(self, step: str) -> tuple[Rule, ...]:
        effect = self.definition.steps[step].effect
        if not isinstance(effect, CallEffect) or len(effect.agents) < 2:
            return ()
        last = Rule("first_listed", effect.agents[0], because="the first agent listed")
        return *self.policy.select_agent.get(step, ()), last


def _step_machine(definition: Definition) -> StateMachine:
    arrows: list[dict[str, Any]] = [
        {"trigger": move.option.action, "source": step, "dest": move.option.to}
        for step, moves in definition.moves.items()
        for move in moves
    ]
    arrows.append({"trigger": STOP, "source": list(definition.steps), "dest": definition.policy.limits.then})
    return _Steps(
        model=None,
        states=[*definition.steps, *definition.ends],
        transitions=arrows,
        initial=definition.start,
        auto_transitions=False,
    )


def _live(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(each for each in rules if not each.shadow)


def _unguarded(moves: tuple[Move, ...]) -> dict[str, Option] | None:
    if any(move.guard for move in moves):
        return None
    return {move.option.action: move.option for move in moves}


def _judged_by(definition: Definition) -> dict[str, tuple[str, ...]]:
    """For each step that is judged: the steps that judge it."""
    found: dict[str, tuple[str, ...]] = {}
    for step in definition.steps.values():
        for judged in step.judges:
            found[judged] = (*found.get(judged, ()), step.name)
    return found


def _measured(definition: Definition) -> frozenset[str]:
    ladder = definition.policy.ladder
    clauses = (*ladder.classifier.complex.clauses(), *ladder.classifier.hybrid.clauses())
    return frozenset(clause.signal for clause in clauses)
