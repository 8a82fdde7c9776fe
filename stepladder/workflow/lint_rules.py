"""How guards and rules fit together: what can never hold, what can never be chosen, where only STOP is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from stepladder.clauses import Clause
from stepladder.rules import Rule
from stepladder.workflow.definition import Definition, Move
from stepladder.workflow.lint_clauses import known_in, sources
from stepladder.workflow.logic import Clauses, Known, UndecidedError, Witness, clash, told, witness
from stepladder.workflow.problems import Problems
from stepladder.workflow.scopes import Scopes
from stepladder.workflow.yaml_text import Path


class RuleLints:
    """The lints about guards and rules. `reported` holds the paths of clauses that have a problem already."""

    def __init__(self, definition: Definition, scopes: Scopes, problems: Problems, reported: set[Path]) -> None:
        self.definition, self.scopes, self.problems, self.reported = definition, scopes, problems, reported
        self.troubled: set[tuple[str, str]] = set()
        """Steps and actions whose guard has a problem; what follows from it is not said again."""

    def run(self) -> None:
        """Note what is wrong."""
        self._guards()
        for step, moves in self.definition.moves.items():
            rules = [each for each in self.definition.policy.rules.get(step, ()) if not each.shadow]
            if not moves:
                continue
            if not rules:
                leading = ", ".join(move.option.action for move in moves)
                self.problems.add(
                    self._step(step), "no rule", f"a rule under rules.{step} for one of: {leading}", code="no-rule"
                )
            known = known_in(self.scopes.at_decision(step))
            guards = {move.option.action: move.guard.clauses for move in moves}
            self._stranded(step, guards, known)
            self._dead_rules(step, rules, guards, known)
            self._no_default(step, rules, guards, known)
        self._dead_choices()

    # --- guards

    def _guards(self) -> None:
        for action, entries in self.definition.source["actions"].items():
            for index, entry in enumerate(entries):
                self._guard(action, ("actions", action, index), entry)

    def _guard(self, action: str, path: Path, entry: dict[str, Any]) -> None:
        """An entry's guard together with the convergence that each of its steps adds."""
        torn: dict[tuple[Clause, ...], list[str]] = {}
        steps = sources(self.definition, entry)
        for step in steps:
            move = next(move for move in self.definition.moves[step] if move.option.action == action)
            places = self._guard_places(move, step, path, entry)
            if any(place in self.reported for place in places):
                self.troubled.add((step, action))
            elif clashing := clash(move.guard.clauses, known_in(self.scopes.at_decision(step))):
                self.troubled.add((step, action))
                torn.setdefault(clashing, []).append(step)
        for clauses, where in torn.items():
            everywhere = len(where) == len(steps)
            if everywhere or "*" not in entry["from"]:
                self._impossible(clauses, self._place_of(clauses, action, where[0], path, entry), where, everywhere)

    def _impossible(self, clauses: tuple[Clause, ...], path: Path, steps: Sequence[str], everywhere: bool) -> None:
        found = " and ".join(map(str, clauses))
        expected = f"a guard that can hold in {', '.join(steps)}"
        self.problems.add(path, found, expected, level="error" if everywhere else "warning", code="impossible-guard")

    def _place_of(self, clauses: tuple[Clause, ...], action: str, step: str, path: Path, entry: dict[str, Any]) -> Path:
        move = next(move for move in self.definition.moves[step] if move.option.action == action)
        return self._guard_places(move, step, path, entry)[move.guard.clauses.index(clauses[-1])]

    def _guard_places(self, move: Move, step: str, path: Path, entry: dict[str, Any]) -> list[Path]:
        """Where each clause of a move's guard stands: with the action, or with the phase."""
        own, phase = len(entry.get("guard", ())), self.definition.steps[step].phase
        return [
            (*path, "guard", index) if index < own else ("phases", phase, "converged", index - own)
            for index in range(len(move.guard.clauses))
        ]

    def _stranded(self, step: str, guards: Mapping[str, Clauses], known: Known) -> None:
        if any((step, action) in self.troubled for action in guards):
            return
        facts = _tried(partial(witness, (), guards.values(), known))
        if facts is not None:
            expected = "an action that is legal then, such as one to a failing end (else only STOP is left)"
            self._warn(self._step(step), f"no legal action where {told(facts)}", expected, "stranded-step")

    # --- rules

    def _dead_rules(self, step: str, rules: Sequence[Rule], guards: Mapping[str, Clauses], known: Known) -> None:
        for index, rule in enumerate(rules):
            path: Path = ("rules", step, rule.name)
            guard = guards[rule.do]
            if self._spoilt(path, rule) or (step, rule.do) in self.troubled:
                continue
            if clashing := clash(rule.when.clauses, known):
                self._dead(path, " and ".join(map(str, clashing)), "conditions that can hold together in this step")
            elif clashing := clash((*rule.when.clauses, *guard), known):
                found = " and ".join(map(str, clashing))
                self._dead(path, found, f"conditions under which {rule.do} is legal (its guard is part of this)")
            else:
                before = [each for each in rules[:index] if each.do == rule.do or not self._approved(step, each.do)]
                self._after(path, rule, before, guards, known)

    def _after(
        self, path: Path, rule: Rule, before: Sequence[Rule], guards: Mapping[str, Clauses], known: Known
    ) -> None:
        """A rule that is never reached, since one or all of those before it are chosen first."""
        own = _whole(rule, guards)
        if _tried(partial(witness, own, [_whole(each, guards) for each in before], known), {}) is not None:
            return
        first = [each.name for each in before if witness(own, [_whole(each, guards)], known) is None]
        said = f"rule {first[0]!r}" if first else f"one of the rules {', '.join(each.name for each in before)}"
        self._dead(
            path, f"a rule after {said}, chosen whenever this one could be", "this rule before it, or no such rule"
        )

    def _no_default(self, step: str, rules: Sequence[Rule], guards: Mapping[str, Clauses], known: Known) -> None:
        if not rules or any((step, action) in self.troubled for action in guards):
            return
        if any(self._spoilt(("rules", step, rule.name), rule) for rule in rules):
            return
        for guard in guards.values():
            facts = _tried(partial(witness, guard, [_whole(rule, guards) for rule in rules], known))
            if facts is not None:
                expected = "a last rule without `when` whose action is legal then (else STOP decides)"
                path: Path = ("rules", step, rules[-1].name)
                self._warn(path, f"no rule to choose where {told(facts)}", expected, "no-default-rule")
                return

    def _dead_choices(self) -> None:
        """The same for the rules that choose an agent, where every candidate is always legal."""
        for step, rules in self.definition.policy.select_agent.items():
            known = known_in(self.scopes.on_choosing(step))
            for index, rule in enumerate(rules):
                path: Path = ("select_agent", step, rule.name)
                if self._spoilt(path, rule):
                    continue
                if clashing := clash(rule.when.clauses, known):
                    self._dead(path, " and ".join(map(str, clashing)), "conditions that can hold together here")
                else:
                    self._after(path, rule, rules[:index], {each.do: () for each in rules}, known)

    # --- shared

    def _spoilt(self, path: Path, rule: Rule) -> bool:
        return any((*path, "when", index) in self.reported for index in range(len(rule.when.clauses)))

    def _approved(self, step: str, action: str) -> bool:
        """Whether a person may refuse this action here, so that a later rule is chosen."""
        steps = self.definition.steps
        to = next(move.option.to for move in self.definition.moves[step] if move.option.action == action)
        phase = steps[to].phase if to in steps else ""
        entered = {to, phase if phase != steps[step].phase else to}
        return any(approval.entering in entered for approval in self.definition.policy.approvals)

    def _step(self, step: str) -> Path:
        return ("phases", self.definition.steps[step].phase, "steps", step)

    def _dead(self, path: Path, found: str, expected: str) -> None:
        self._warn(path, found, expected, "dead-rule")

    def _warn(self, path: Path, found: str, expected: str, code: str) -> None:
        self.problems.add(path, found, expected, level="warning", code=code)


def _whole(rule: Rule, guards: Mapping[str, Clauses]) -> Clauses:
    """What must hold for the rule to be chosen: its conditions and its action's guard."""
    return (*rule.when.clauses, *guards[rule.do])


def _tried(attempt: Any, otherwise: Witness | None = None) -> Witness | None:
    """What the attempt finds; `otherwise` where there are too many ways to try."""
    try:
        found: Witness | None = attempt()
    except UndecidedError:
        return otherwise
    return found
