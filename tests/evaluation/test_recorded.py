"""What columns say of recorded decisions is what is on record."""

from __future__ import annotations

from hypothesis import given

from stepladder.clauses import Clause
from stepladder.evaluation import (
    ROUTES,
    Columns,
    Masks,
    choose_columns,
    classify_columns,
    decided_on,
    legal_masks,
)
from stepladder.orchestrator import Machine, decision_records
from stepladder.record import Opened
from stepladder.signals import BUILTIN
from tests.orchestrator.test_laws import STORIES, Story


def names_read(machine: Machine) -> set[str]:
    """Every signal that the rules and the classifier read."""
    classifier = machine.policy.ladder.classifier
    clauses: list[Clause] = [*classifier.complex.clauses(), *classifier.hybrid.clauses()]
    clauses += [clause for rules in machine.rules.values() for rule in rules for clause in rule.when.clauses]
    return {clause.signal for clause in clauses}


@given(STORIES)
def test_routes_rules_and_reasons_are_those_on_record(story: Story) -> None:
    machine = story.machine
    seen = [(opened, facts) for opened, facts in decided_on(machine, story.journal) if not opened.limit]
    masks = Masks(Columns.of([facts for _, facts in seen], names_read(machine)))
    routes = classify_columns(machine.policy.ladder.classifier, masks)
    assert [ROUTES[code] for code in routes.codes()] == [opened.route for opened, _ in seen]
    flags = {(route, name): mask.flags() for route, named in routes.fired.items() for name, mask in named.items()}
    for index, (opened, _) in enumerate(seen):
        told = {(route, name) for (route, name), at in flags.items() if at[index]}
        assert told == {(opened.route, each.name) for each in opened.fired}
    for step in {opened.step for opened, _ in seen}:
        _rules_agree(machine, step, [(opened, facts) for opened, facts in seen if opened.step == step])


def _rules_agree(machine: Machine, step: str, seen: list[tuple[Opened, dict[str, object]]]) -> None:
    rules = machine.rules[step]
    decisions = [opened for opened, _ in seen]
    masks = Masks(Columns.of([facts for _, facts in seen], names_read(machine)))
    choices = choose_columns(rules, masks, legal_masks(decisions))
    passed_over = [mask.flags() for mask in choices.passed_over]
    for index, (opened, code) in enumerate(zip(decisions, choices.codes(), strict=True)):
        assert (rules[code].name if code >= 0 else "") == opened.rule
        told = tuple(rule.name for rule, at in zip(rules, passed_over, strict=True) if at[index])
        assert told == opened.passed_over


@given(STORIES)
def test_the_facts_hold_the_signals_on_record(story: Story) -> None:
    records = {each.number: each.signals for each in decision_records(story.journal, story.machine.starting_signals)}
    for opened, facts in decided_on(story.machine, story.journal):
        assert {name: facts.get(name) for name in records[opened.n]} == records[opened.n]
        assert facts.keys() & BUILTIN.keys() <= records[opened.n].keys()
