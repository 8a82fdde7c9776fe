"""A list of rules made better: pieces become one, thresholds go where they belong, and no step makes the list worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.clauses import Condition, parse_clause
from stepladder.evaluation.climbing import Climb
from stepladder.evaluation.literals import Literals, count, literals, packed, places_of
from stepladder.evaluation.mined_rules import Rule
from stepladder.evaluation.search import Sure

ROWS = 600
Facts = dict[str, Any]
Said = tuple[str, Sequence[str]]


def facts_of(seed: int) -> list[Facts]:
    random = np.random.default_rng(seed)
    return [
        {
            "kind": str(random.choice(["a", "b", "c"])),
            "flag": bool(random.random() < 0.5),
            "count": int(random.integers(0, 40)),
            "share": float(random.random()),
        }
        for _ in range(ROWS)
    ]


def climb(facts: Sequence[Facts], chose: Callable[[Facts], str], rules: Sequence[Said]) -> tuple[Climb, Literals]:
    table, actions = literals(facts), np.array([chose(each) for each in facts])
    hits = {str(action): packed(actions == action) for action in np.unique(actions)}
    inside = packed(np.ones(len(facts), np.bool_))
    kept = [
        Rule(action, tuple(map(parse_clause, when)), inside, Sure(0, 0, 0, 0.0), inside, 1.0) for action, when in rules
    ]
    return Climb(kept, table, hits, inside, price=7.0, length=15.0), table


def told(rules: Sequence[Rule]) -> list[tuple[str, list[str]]]:
    return [(each.action, sorted(map(str, each.clauses))) for each in rules]


def elsewhere(facts: Facts) -> str:
    """Where no rule is: as many of each."""
    return ("go", "stop", "wait")[round(facts["share"] * 1e6) % 3]


@pytest.mark.parametrize(
    ("chose", "found", "better"),
    [
        pytest.param(
            lambda each: "go" if each["count"] >= 23 else elsewhere(each),
            [("go", ["count >= 26"])],
            [("go", ["count >= 23"])],
            id="a threshold that was too high",
        ),
        pytest.param(
            lambda each: "go" if each["count"] <= 9 else elsewhere(each),
            [("go", ["count <= 12"])],
            [("go", ["count <= 9"])],
            id="one that was too far",
        ),
        pytest.param(
            lambda each: "go" if each["count"] >= 20 else elsewhere(each),
            [("go", [f"kind == {kind}", "count >= 21"]) for kind in "abc"],
            [("go", ["count >= 20"])],
            id="three pieces of one rule",
        ),
        pytest.param(
            lambda each: "go" if 10 <= each["count"] <= 30 else elsewhere(each),
            [("go", ["count >= 11", "count <= 20"]), ("go", ["count >= 19", "count <= 29"])],
            [("go", ["count <= 30", "count >= 10"])],
            id="a range in two",
        ),
        pytest.param(
            lambda each: "go" if each["flag"] else "stop" if each["count"] >= 20 else elsewhere(each),
            [("stop", ["count >= 20", "flag == false"]), ("go", ["flag == true"])],
            [("go", ["flag == true"]), ("stop", ["count >= 20"])],
            id="a clause that another rule makes needless",
        ),
        pytest.param(
            lambda each: "go" if 20 <= each["count"] <= 36 else elsewhere(each),
            [("go", ["count >= 20"])],
            [("go", ["count <= 36", "count >= 20"])],
            id="a clause that is missing",
        ),
        pytest.param(elsewhere, [("go", ["flag == true"])], [], id="a rule that is none"),
    ],
)
def test_a_list_becomes_the_one_that_was_meant(
    chose: Callable[[Facts], str], found: list[Said], better: list[tuple[str, list[str]]]
) -> None:
    for seed in range(3):
        improved, _ = climb(facts_of(seed), chose, found)
        assert told(improved.best()) == better


def test_a_threshold_is_the_roundest_number_in_the_gap() -> None:
    facts = facts_of(1)
    improved, _ = climb(
        facts, lambda each: "go" if each["share"] >= 0.7 else elsewhere(each), [("go", ["share >= 0.74"])]
    )
    (rule,) = improved.best()
    (clause,) = rule.clauses
    inside = min(each["share"] for each in facts if each["share"] >= 0.7)
    assert clause.literal == 0.7
    assert clause.literal <= inside


some = st.sampled_from(
    [*(f"count {op} {n}" for op in (">=", "<=") for n in (5, 12, 20, 33)), "flag == true", "flag == false", "kind == a"]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["go", "stop"]), st.lists(some, min_size=1, max_size=3, unique=True)), max_size=6
    ),
    st.integers(0, 3),
)
def test_no_step_makes_a_list_worse_and_what_it_is_worth_is_what_a_count_gives(rules: list[Said], seed: int) -> None:
    facts = facts_of(seed)

    def chose(each: Facts) -> str:
        return "go" if each["count"] >= 17 and each["flag"] else "stop" if each["share"] < 0.3 else elsewhere(each)

    improved, table = climb(facts, chose, rules)
    before = improved.before[-1][1]
    kept = improved.best()
    worth, left = 0.0, facts
    for rule in kept:
        condition = Condition(rule.clauses)
        own = [each for each in left if condition.holds(each)]
        left = [each for each in left if not condition.holds(each)]
        right = sum(chose(each) == rule.action for each in own)
        worth += right - 7.0 * (len(own) - right) - 15.0 * len(rule.clauses)
    assert worth == pytest.approx(improved.before[-1][1])
    assert worth >= before - 1e-6
    assert int(count(improved.before[-1][0])) == len(left) == len(places_of(improved.before[-1][0], table.rows))
