"""Planted rules are found, all of them and no other; where labels say nothing, nothing is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from stepladder.clauses import Condition
from stepladder.evaluation.choices import Chosen
from stepladder.evaluation.literals import literals
from stepladder.evaluation.mined_rules import Rule
from stepladder.evaluation.mining import Mine, Terms, coverage, proposals
from tests.evaluation.worlds import world

SEEDS = 200
WORLDS = 10
RUNS, STEPS = 120, 12
ACTIONS = ("search", "answer", "ask", "stop")


def facts_of(random: np.random.Generator) -> dict[str, Any]:
    """What was known: some of it matters, most of it does not."""
    return {
        "returned": str(random.choice(["ok", "failed"], p=[0.8, 0.2])),
        "error_count": int(random.integers(0, 7)),
        "last.status": str(random.choice(["found", "empty", "partial"])),
        "score.quality": round(float(random.random()), 2),
        "repeated_calls": int(random.integers(1, 5)),
        "human_intervention_required": bool(random.random() < 0.2),
        "noise.one": int(random.integers(0, 20)),
        "noise.two": str(random.choice(list("abcdef"))),
        "noise.three": bool(random.random() < 0.5),
    }


def planted(seed: int, noise: float = 0.02) -> list[Chosen]:
    """A log with three true rules; elsewhere, and in a part `noise` of the choices, any action is as likely."""
    random, found = np.random.default_rng(seed), list[Chosen]()
    for run in range(RUNS):
        for _ in range(STEPS):
            facts = facts_of(random)
            action = str(random.choice(ACTIONS))
            if facts["error_count"] >= 5:
                rule = "stop"
            elif facts["human_intervention_required"]:
                rule = "ask"
            elif facts["last.status"] == "found" and facts["score.quality"] >= 0.7:
                rule = "answer"
            else:
                rule = action
            chose = action if random.random() < noise else rule
            found.append(Chosen(f"r{run}", f"g{run // 2}", facts, chose, bool(run % 3), 0.01, 1.5))
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.04])
def test_three_planted_rules_are_found_and_no_other(seed: int, noise: float) -> None:
    mine = Mine(planted(seed, noise))
    found = mine.rules(seed=seed)
    assert sorted(rule.action for rule in found) == ["answer", "ask", "stop"]
    read = {rule.action: {clause.signal for clause in rule.clauses} for rule in found}
    assert read["stop"] == {"error_count"}
    assert "human_intervention_required" in read["ask"]
    assert read["answer"] >= {"last.status", "score.quality"}
    said = {str(clause) for rule in found for clause in rule.clauses}
    assert {"error_count >= 5", "human_intervention_required == true", "last.status == found"} <= said
    assert "score.quality >= 0.7" in said or noise
    assert not any(name.startswith("noise") for names in read.values() for name in names)
    for rule in found:
        condition = Condition(rule.clauses)
        assert rule.held.share >= 0.93
        assert condition.holds  # it is one that the workflow's own language can say


@pytest.mark.parametrize("ranges", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_in_worlds_of_any_kind_exactly_the_planted_rules_come_back(noise: float, ranges: bool) -> None:
    """Rules over words, flags and numbers, in ranges or not: three are found, and say what the planted ones say."""
    three, wrong = 0, list[float]()
    for seed in range(WORLDS):
        chosen, planted_rules, said = world(seed, noise, ranges=ranges)
        found = Mine(chosen).rules()
        three += sorted(each.action for each in found) == sorted(action for action, _ in planted_rules)
        wrong.append(np.mean([_said(found, each) != truth for each, truth in zip(chosen, said, strict=True)]))
    assert three >= 0.8 * WORLDS
    assert np.median(wrong) <= (0.005 if noise else 0.002)


def _said(rules: list[Rule], choice: Chosen) -> str:
    return next((each.action for each in rules if Condition(each.clauses).holds(choice.facts)), "")


def test_the_evidence_of_a_rule_is_what_a_count_gives() -> None:
    chosen = planted(0)
    mine, left = Mine(chosen), chosen
    for each in proposals(mine, mine.rules()):
        clauses = [text.split(" ") for text in each.when]
        rows = [row for row in left if all(_holds(row.facts, *clause) for clause in clauses)]
        left = [row for row in left if row not in rows]
        assert each.support == len(rows)
        assert each.runs == len({row.run_id for row in rows})
        assert each.groups == len({row.group for row in rows})
        assert each.held <= each.support
        assert each.lower <= each.agreement
        assert each.new == each.support, "there are no rules yet"
        assert each.saves_usd == pytest.approx(0.01 * each.support)
        assert each.saves_s == pytest.approx(1.5 * each.support)
        ended = {row.run_id: row.success for row in rows}
        assert each.success == pytest.approx(np.mean(list(ended.values())), abs=1e-4)
        assert all(number < each.number for number in each.behind)


def _holds(facts: dict[str, Any], name: str, op: str, literal: str) -> bool:
    value = facts[name]
    if op == "==":
        return str(value).lower() == literal
    return bool(value >= float(literal)) if op == ">=" else bool(value <= float(literal))


def _small(seed: int) -> list[Chosen]:
    return planted(seed)[: 50 * STEPS]


def test_shuffled_labels_give_nothing() -> None:
    """Over 200 seeds no more often than alpha allows."""
    mine, random = Mine(_small(0)), np.random.default_rng(1)
    actions = [each.action for each in mine.chosen]
    found = sum(bool(mine.labelled(list(random.permutation(actions))).rules(seed=seed)) for seed in range(SEEDS))
    assert found <= stats.binom.ppf(0.99, SEEDS, 0.05)


def test_shuffled_labels_give_nothing_where_one_action_is_nearly_always_right() -> None:
    """A rule that says what is said anyway is no finding."""
    random = np.random.default_rng(2)
    chosen = _small(1)
    actions = np.where(random.random(len(chosen)) < 0.955, "search", "stop")
    mine = Mine(chosen)
    found = sum(bool(mine.labelled(list(random.permutation(actions))).rules(seed=seed)) for seed in range(60))
    assert found <= stats.binom.ppf(0.99, 60, 0.05)


def test_thin_evidence_proposes_nothing() -> None:
    assert Mine(planted(0)[:STEPS]).rules() == [], "one run"
    assert Mine(planted(0)[: 4 * STEPS]).rules() == [], "two groups"
    one_run = [Chosen("r", "g", facts_of(np.random.default_rng(i)), "search") for i in range(300)]
    assert Mine(one_run).rules() == []


def test_rows_of_one_run_are_one_witness() -> None:
    """A loop of 400 steps in one run says less than 60 steps in 30 runs."""
    random = np.random.default_rng(3)
    looping = [Chosen("loop", "g0", {"x": 1, "y": int(random.integers(4))}, "again") for _ in range(400)]
    others = [
        Chosen(f"r{i}", f"g{1 + i % 15}", {"x": i % 2, "y": int(random.integers(4))}, str(random.choice(ACTIONS)))
        for i in range(60)
    ]
    assert Mine(looping + others).rules() == []


def test_held_out_agreement_is_what_new_groups_give() -> None:
    found = coverage(Mine(planted(4)), partitions=2, folds=3)
    assert min(found.agreement) >= 0.93
    truth = np.mean([each.action in ("stop", "ask", "answer") for each in planted(4)])
    assert 0.4 <= np.mean(found.taken_over) <= truth + 0.05


def test_the_same_choices_and_seed_give_the_same_rules() -> None:
    one, two = (Mine(planted(5)) for _ in range(2))
    assert proposals(one, one.rules(seed=3)) == proposals(two, two.rules(seed=3))


def test_thresholds_cut_numbers_where_they_are_and_words_are_names() -> None:
    rows = [{"n": i % 3, "x": i / 100, "w": "a" if i % 2 else "b c", "f": i % 5 == 0} for i in range(200)]
    table = literals(rows, 20)
    told = {str(clause) for clause in table.clauses}
    assert {"n >= 1", "n <= 1", "n >= 2", "n <= 0", "w == a", "w == 'b c'", "f == true", "f == false"} <= told
    assert "n >= 0" not in told, "it holds everywhere"
    assert sum(each.startswith("x ") for each in told) <= 32
    held = {
        str(clause): int(np.bitwise_count(bits).sum()) for clause, bits in zip(table.clauses, table.bits, strict=True)
    }
    assert held["f == true"] == 40
    assert Terms().alone(0) == pytest.approx(0.975)
    assert Terms(0.9).alone() == pytest.approx(0.76)
