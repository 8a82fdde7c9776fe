"""Classifiers and rules over columns agree with `classify` and `choose`, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.classifier import Classifier, classify
from stepladder.clauses import AnyOf, Clause, Condition, parse_clause
from stepladder.evaluation import ROUTES, Columns, Mask, Masks, choose_columns, classify_columns, names_read
from stepladder.rules import Rule, choose, rule
from tests.classifier.test_classify import CLASSIFIER, STATES
from tests.classifier.test_classify import facts as facts_of_state
from tests.evaluation.values import ACTIONS, NAMES, classifiers, conditions, facts, rules


def test_the_truth_table() -> None:
    rows = [facts_of_state(state) for state in STATES]
    routes = classify_columns(CLASSIFIER, Masks(Columns.of(rows, names_read([CLASSIFIER]))))
    assert [ROUTES[code] for code in routes.codes()] == [classify(CLASSIFIER, row)[0] for row in rows]
    assert routes.complex.count() + routes.hybrid.count() < len(rows)


@given(st.lists(facts, max_size=8), st.lists(conditions, max_size=4))
def test_any_conditions(rows: list[dict[str, Any]], asked: list[Condition]) -> None:
    """Asked of the same masks one after the other, so that no clause is taken for another one."""
    masks = Masks(Columns.of(rows, NAMES))
    for condition in asked:
        assert masks.condition(condition).flags().tolist() == list(map(condition.holds, rows))


def test_one_and_true_are_two_questions() -> None:
    masks = Masks(Columns.of([{"x": 1}, {"x": True}], ["x"]))
    assert masks.clause(parse_clause("x == 1")).flags().tolist() == [True, False]
    assert masks.clause(parse_clause("x == true")).flags().tolist() == [False, True]


@given(st.lists(facts, max_size=8), classifiers)
def test_any_classifier(rows: list[dict[str, Any]], classifier: Classifier) -> None:
    routes = classify_columns(classifier, Masks(Columns.of(rows, NAMES)))
    flags = {route: {name: mask.flags() for name, mask in named.items()} for route, named in routes.fired.items()}
    for index, (row, code) in enumerate(zip(rows, routes.codes(), strict=True)):
        route, fired = classify(classifier, row)
        assert route == ROUTES[code]
        told = {(kind, name) for kind, named in flags.items() for name, at in named.items() if at[index]}
        assert told == {(route, each.name) for each in fired}


@given(st.lists(st.tuples(facts, st.sets(st.sampled_from(ACTIONS))), max_size=8), rules)
def test_any_rules(rows: list[tuple[dict[str, Any], set[str]]], asked: list[Rule]) -> None:
    known, legal = [row for row, _ in rows], [actions for _, actions in rows]
    masks = {action: Mask.of(np.array([action in each for each in legal], np.bool_)) for action in ACTIONS}
    choices = choose_columns(asked, Masks(Columns.of(known, NAMES)), masks)
    passed_over = [mask.flags() for mask in choices.passed_over]
    for index, code in enumerate(choices.codes()):
        choice = choose(asked, known[index], legal[index])
        assert (asked[code] if code >= 0 else None) is choice.rule
        told = tuple(each.name for each, at in zip(asked, passed_over, strict=True) if at[index])
        assert told == choice.passed_over


def test_an_action_that_is_not_named_is_legal_nowhere() -> None:
    masks = Masks(Columns.of([{"n": 1}, {"n": 2}], ["n"]))
    choices = choose_columns([rule("GO", when=["n == 2"]), rule("WAIT")], masks, {"WAIT": Mask.every(2)})
    assert choices.codes().tolist() == [1, 1]
    assert choices.passed_over[0].flags().tolist() == [False, True]


def test_many_settings_ask_each_clause_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Clause] = []
    holds = Columns.holds
    monkeypatch.setattr(Columns, "holds", lambda self, clause: (asked.append(clause), holds(self, clause))[1])
    masks = Masks(Columns.of([{"n": 1, "m": 2}], ["n", "m"]))
    for threshold in range(7):
        tried = Classifier(AnyOf({"many": [f"n > {threshold}"]}), AnyOf({"some": ["m > 0"]}))
        assert ROUTES[classify_columns(tried, masks).codes()[0]] == ("complex" if threshold < 1 else "hybrid")
    assert len(asked) == 8
