"""What columns say of recorded decisions is what is on record."""

from __future__ import annotations

from hypothesis import given

from stepladder.clauses import Facts
from stepladder.evaluation import (
    ROUTES,
    Columns,
    Masks,
    choose_columns,
    classify_columns,
    decided_on,
    legal_masks,
    names_read,
)
from stepladder.orchestrator import Machine, decision_records
from stepladder.record import Opened
from stepladder.signals import BUILTIN
from tests.example_workflows import REVIEW, machine
from tests.orchestrator.play import Play
from tests.orchestrator.test_laws import STORIES, Story


def masks_of(machine: Machine, facts: list[Facts]) -> Masks:
    """These facts, ready for the machine's classifier and for every rule."""
    rules = [rule for rules in machine.rules.values() for rule in rules]
    return Masks(Columns.of(facts, names_read([machine.policy.ladder.classifier], rules)))


@given(STORIES)
def test_routes_rules_and_reasons_are_those_on_record(story: Story) -> None:
    machine = story.machine
    seen = [(opened, facts) for opened, facts in decided_on(machine, story.journal) if not opened.limit]
    routes = classify_columns(machine.policy.ladder.classifier, masks_of(machine, [facts for _, facts in seen]))
    assert [ROUTES[code] for code in routes.codes()] == [opened.route for opened, _ in seen]
    flags = {(route, name): mask.flags() for route, named in routes.fired.items() for name, mask in named.items()}
    for index, (opened, _) in enumerate(seen):
        told = {(route, name) for (route, name), at in flags.items() if at[index]}
        assert told == {(opened.route, each.name) for each in opened.fired}
    for step in {opened.step for opened, _ in seen}:
        _rules_agree(machine, step, [(opened, facts) for opened, facts in seen if opened.step == step])


def _rules_agree(machine: Machine, step: str, seen: list[tuple[Opened, Facts]]) -> None:
    rules = machine.rules[step]
    decisions = [opened for opened, _ in seen]
    choices = choose_columns(rules, masks_of(machine, [facts for _, facts in seen]), legal_masks(decisions))
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


def test_a_close_call_is_hybrid() -> None:
    changes = {"policy": {"classifier": {"hybrid": {"close": ["rule_margin < 0.02"]}}}}
    for score, route in ((9.1, "hybrid"), (9.9, "standard")):
        play = Play(machine(REVIEW, changes)).returns({})
        play.returns({"alignment_score": score, "standardization_score": 10.0})
        facts = [facts for _, facts in decided_on(play.machine, play.journal)]
        routes = classify_columns(play.machine.policy.ladder.classifier, masks_of(play.machine, facts))
        assert ROUTES[routes.codes()[-1]] == route
