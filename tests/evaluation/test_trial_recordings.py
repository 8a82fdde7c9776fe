"""Trials out of recordings: the figures are scipy's and statsmodels', on real groups where they are at hand."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from functools import cache
from math import inf
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stepladder.errors import InputError
from stepladder.evaluation.grouped import by_group
from stepladder.evaluation.trial import Measured, Metric, Trial, contrast, judge, paired, split
from stepladder.evaluation.trial_recordings import shadow_of_recordings, trial_of_recordings
from stepladder.scenarios.recording import Afterwards, Decided, Identity, Outcome, Recording
from stepladder.scenarios.recording_files import read_recordings
from stepladder.scenarios.recording_line import new_step
from tests.evaluation.recordings import DATA, needs_data

STEPS = (new_step(0, "user", "user_message", "?"),)


def run_of(
    name: str, model: str, task: str | None, success: bool | None, *, trial: int = 0, key: str = "", **more: Any
) -> Recording:
    identity = Identity(model, agent_system=more.pop("agent_system", None), task_id=task, trial=trial)
    identity = Identity(**{**{f: getattr(identity, f) for f in identity.__struct_fields__}, **more.pop("who", {})})
    after = Afterwards(Outcome(success, more.pop("score", None)), agent_seconds=more.pop("seconds", None))
    steps = more.pop("steps", STEPS)
    return Recording(name, "made", "made/desk", more.pop("domain", "desk"), key or name, steps, identity, after)


def said(arm: tuple[Measured, ...]) -> list[tuple[Any, ...]]:
    return [(each.success, each.quality, each.time_s, each.usd) for each in arm]


TWO = [
    run_of("1", "old", "t1", True, score=0.5, seconds=3.0),
    run_of("2", "old", "t2", False, trial=1),
    run_of("3", "old", "t2", True, trial=0),
    run_of("4", "new", "t2", False),
    run_of("5", "new", "t1", None),
    run_of("6", "new", None, True),
    run_of("7", "new", "t1", True, domain="shop"),
]


def test_runs_of_the_same_task_are_pairs() -> None:
    trial = trial_of_recordings(TWO, "model", design="paired")
    assert (trial.design, trial.a, trial.b) == ("paired", "old", "new")
    assert said(trial.of_a) == [(True, 0.5, 3.0, None), (True, None, None, None)]
    assert said(trial.of_b) == [(None, None, None, None), (False, None, None, None)]
    assert trial.left_out == {
        "runs of old without a partner": 1,
        "runs of new without a partner": 1,
        "runs without a task": 1,
    }


def test_arms_are_compared_as_they_were_run_where_nobody_says_how() -> None:
    assert trial_of_recordings(TWO, "model").design == "paired"
    others = [run_of(f"o{n}", "new", f"other {n}", True) for n in range(9)]
    assert trial_of_recordings([*TWO, *others], "model").design == "split"


@pytest.mark.parametrize(
    ("by", "arms"),
    [
        ("agent_system", ("x", "y")),
        ("domain", ("desk", "shop")),
        ("trial", ("0", "1")),
        ("provenance.prompt", ("p1", "p2")),
    ],
)
def test_arms_may_differ_in_anything_that_was_declared(by: str, arms: tuple[str, str]) -> None:
    runs = [
        run_of(
            str(n),
            "m",
            f"t{n // 2}",
            True,
            agent_system="xy"[n % 2],
            domain=("desk", "shop")[n % 2],
            who={"trial": n % 2, "provenance": {"prompt": f"p{n % 2 + 1}"}},
        )
        for n in range(8)
    ]
    trial = trial_of_recordings(runs, by)
    assert (trial.a, trial.b, len(trial.of_a), len(trial.of_b)) == (*arms, 4, 4)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"by": "outcome"}, "one of: model"),
        ({"by": "provenance."}, "one of: model"),
        ({"by": "model", "a": "ol", "b": "gone"}, "no arm 'gone'"),
        ({"by": "source"}, "1 arms (made)"),
        ({"by": "model", "design": "paired", "pair_by": "mood"}, "task_id, split_key"),
        ({"by": "trial", "design": "paired", "pair_by": "user_model"}, "no input that both"),
    ],
)
def test_what_cannot_be_compared(more: dict[str, Any], found: str) -> None:
    with pytest.raises(InputError) as caught:
        trial_of_recordings(TWO, **more)
    assert found in str(caught.value)


def test_what_a_run_took_is_its_steps_own_where_nobody_says_otherwise() -> None:
    steps = tuple(
        new_step(n, "agent", "message", "so", ts=f"2026-01-01T00:00:{n:02}+00:00", cost=0.25) for n in range(5)
    )
    broken = (steps[0], new_step(9, "agent", "message", "so", ts="yesterday"))
    runs = [run_of("1", "a", "t", True, steps=steps), run_of("2", "b", "t", True, steps=broken)]
    trial = trial_of_recordings(runs, "model")
    assert said(trial.of_a) == [(True, None, 4.0, 1.25)]
    assert said(trial.of_b) == [(True, None, None, 0.25)]


# --- groups


def test_one_run_a_group_is_the_ordinary_test() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(0, 1, 40), random.normal(0.3, 1, 40)
    names = [f"g{n}" for n in range(40)]
    found, theirs = by_group(list(a), names, list(b), names), stats.ttest_rel(b, a)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found[2:] == pytest.approx(tuple(theirs.confidence_interval()))


@pytest.mark.parametrize("design", ["paired", "split"])
def test_trials_of_one_task_are_no_witnesses_of_their_own(design: str) -> None:
    """Eight copies of every run say what one says, and the judge goes by that."""
    arms = [
        [Measured(f"t{n}", (n * k + n // 5) % 7 < 2 + k // 2, group=f"t{n}") for n in range(30) for _ in range(8)]
        for k in (1, 3)
    ]
    if design == "split":
        arms = [
            [Measured("", each.success, group=f"{side}{each.group}") for each in arm] for side, arm in enumerate(arms)
        ]
    trial = Trial(design, "a", "b", *map(tuple, arms))  # type: ignore[arg-type]
    once = Trial(design, "a", "b", *(tuple(arm[::8]) for arm in arms))  # type: ignore[arg-type]
    found, alone = contrast(trial, "success"), contrast(once, "success")
    assert found is not None
    assert alone is not None
    assert found.more["groups"] == (30 if design == "paired" else 60)
    assert "groups" not in alone.more
    student = stats.ttest_rel if design == "paired" else stats.ttest_ind
    first, second = ([float(bool(each.success)) for each in arm[::8]] for arm in arms)
    assert found.more["p_by_group"] == pytest.approx(student(second, first).pvalue, rel=0.05)
    judged = judge(trial).judged[0]
    assert judged.p_adjusted == found.more["p_by_group"] > found.p


@pytest.mark.parametrize("metric", ["success", "quality", "time_s"])
@pytest.mark.parametrize("design", ["paired", "split"])
def test_equal_arms_of_many_trials_a_task_differ_no_more_often_than_was_said(design: str, metric: Metric) -> None:
    """Tasks are hard or easy, and each has four trials; counted one by one they would differ far more often."""

    def drawn(seed: int) -> Trial:
        random = np.random.default_rng(seed)
        hard = random.random(60) ** 2
        apart = random.normal(0, 0.2, 60)  # this task suits one of the arms
        sure = [np.clip(hard - apart, 0, 1), np.clip(hard + apart, 0, 1)]
        arms = [
            [
                Measured(
                    f"t{n}",
                    bool(random.random() < rate[n]),
                    float(rate[n] + random.normal(0, 0.1)),
                    float(random.lognormal(rate[n], 0.3)),
                    group=f"t{n}",
                )
                for n in range(60)
                for _ in range(4)
            ]
            for rate in sure
        ]
        if design == "paired":
            return paired("a", "b", *arms)
        return split("a", "b", arms[0][:120], arms[1][120:])

    found = [contrast(drawn(seed), metric) for seed in range(200)]
    careful = sum(each.more["p_by_group"] < 0.05 for each in found if each)
    plain = sum(each.p < 0.05 for each in found if each)
    assert careful <= stats.binom.ppf(0.99, 200, 0.05)
    assert plain > careful


def test_fewer_than_two_groups_say_nothing() -> None:
    assert by_group([1.0, 0.0], ["x", "x"], [1.0, 1.0], ["x", "x"])[:2] == (1, 1.0)
    assert by_group([1.0, 1.0], ["x", "y"], [1.0, 1.0], ["x", "y"]).p == 1.0
    alone = by_group([0.1, 0.2, 0.0, 0.1], ["a", "b", "c", "d"], [0.9, 0.8, 0.7], ["z", "z", "z"])
    assert alone[1:] == (1.0, -inf, inf)  # all of arm b is one witness, and nobody knows what another would say


def test_groups_of_one_arm_each_are_welchs_test() -> None:
    random = np.random.default_rng(2)
    a, b = random.normal(0, 1, 40), random.normal(0.3, 3, 7)
    found = by_group(list(a), [f"a{n}" for n in range(40)], list(b), [f"b{n}" for n in range(7)])
    theirs = stats.ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found[2:] == pytest.approx(tuple(theirs.confidence_interval()))


@pytest.mark.parametrize("groups_b", [4, 20])
def test_few_groups_in_one_arm_are_not_made_good_by_many_in_the_other(groups_b: int) -> None:
    """Equal arms of 20 groups and of a few, each with four runs that are alike."""

    def drawn(seed: int) -> float:
        random = np.random.default_rng(seed)
        arms = [[centre + random.normal(0, 1, 4) for centre in random.normal(0, 1, count)] for count in (20, groups_b)]
        names = [[f"{side}{n}" for n in range(len(arm)) for _ in range(4)] for side, arm in enumerate(arms)]
        a, b = (list(np.concatenate(arm)) for arm in arms)
        return by_group(a, names[0], b, names[1]).p

    assert sum(drawn(seed) < 0.05 for seed in range(400)) <= stats.binom.ppf(0.999, 400, 0.05)


# --- shadows


def test_a_shadow_in_recordings_of_ours() -> None:
    def decided(rule: str, model: str) -> Recording:
        steps = tuple(
            new_step(n, "orchestrator", "decision", tool=rule, decided=each)
            for n, each in enumerate(
                (
                    Decided(rule_action=rule, model="x:y", model_action=model),
                    Decided(point="approve", rule_action=rule, model="x:y", model_action="other"),
                    Decided(rule_action=rule),
                )
            )
        )
        return run_of(f"{rule} {model} {len(names)}", "m", None, rule == model, steps=steps)

    names: list[str] = []
    runs = [decided(rule, model) for rule, model in (("A", "A"), ("A", "B"), ("A", "B"), ("A", ""))]
    found = shadow_of_recordings(runs)
    assert found is not None
    assert (found.runs, found.decisions, found.agreement, found.failing) == (4, 4, pytest.approx(1 / 3), 0.25)
    assert found.differing == {"A -> B": 2}
    assert shadow_of_recordings(runs, model="z:z") is None


# --- real runs

PAIRS = [
    ("tau", "model", "gpt-4.1", "gpt-4.1-ft-tau2", {"agent_system": "llm_agent"}),
    ("tau", "model", "gpt-4.1", "gpt-4.1-ft-tau2", {}),
    ("tau", "model", "gpt-4o-2024-11-20", "gpt-4.1", {"domain": "telecom"}),
    ("tau", "agent_system", "llm_agent", "llm_agent_solo", {}),
    ("tau", "model", "claude-sonnet-4-5", "gpt-5.4", {}),
    ("intercode", "model", "vicuna", "gpt-4", {}),
    ("intercode", "model", "gpt-3.5", "text-davinci-003", {"domain": "sql"}),
    ("intercode", "agent_system", "InterCode try_again", "InterCode react", {"model": "gpt-3.5"}),
]


@cache
def recorded(name: str) -> tuple[Recording, ...]:
    return tuple(read_recordings([DATA / f"{name}.dev.jsonl.gz"]))


def by_hand(name: str, by: str, a: str, b: str, only: dict[str, str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The pairs, put together from the raw lines and from nothing of ours."""
    runs = [json.loads(line) for line in gzip.decompress((DATA / f"{name}.dev.jsonl.gz").read_bytes()).splitlines()]
    runs = [each for each in runs if all(each[key] == value for key, value in only.items())]
    tasks: Any = defaultdict(lambda: ([], []))
    for each in sorted(runs, key=lambda each: each["trial"] or 0):
        if each[by] in (a, b):
            tasks[each["split_key"], each["task_id"], by == "agent_system" or each["family"]][each[by] == b].append(
                each
            )
    return [pair for first, second in tasks.values() for pair in zip(first, second, strict=False)]


@needs_data
@pytest.mark.parametrize(("name", "by", "a", "b", "only"), PAIRS)
def test_recorded_pairs_give_scipys_and_statsmodels_figures(
    name: str, by: str, a: str, b: str, only: dict[str, str]
) -> None:
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

    pairs = by_hand(name, by, a, b, only)
    runs = [run for run in recorded(name) if all(run.said(key) == value for key, value in only.items())]
    trial = trial_of_recordings(runs, by, a=a, b=b, design="paired")
    assert len(trial.of_a) == len(pairs) >= 25
    won = np.array([[each["outcome"]["success"] for each in pair] for pair in pairs])
    score = np.array([[each["outcome"]["score"] for each in pair] for pair in pairs], np.float64)

    success, quality = contrast(trial, "success"), contrast(trial, "quality")
    assert success is not None
    assert quality is not None
    table = [[int((won[:, 0] == x)[won[:, 1] == y].sum()) for y in (True, False)] for x in (True, False)]
    assert success.p == pytest.approx(their_mcnemar(table, exact=True).pvalue, rel=1e-9)
    assert success.more["p_chi_square"] == pytest.approx(their_mcnemar(table, exact=False).pvalue, rel=1e-9)
    student = stats.ttest_rel(score[:, 1], score[:, 0])
    assert (quality.statistic, quality.p) == pytest.approx((student.statistic, student.pvalue))
    assert (quality.low, quality.high) == pytest.approx(tuple(student.confidence_interval(0.95)))

    keys = np.unique([pair[0]["split_key"] for pair in pairs], return_inverse=True)[1]
    if len(set(keys)) < len(pairs):  # statsmodels counts as if G were larger; theirs is brought to the same factor
        n, groups = len(pairs), len(set(keys))
        fit = OLS(score[:, 1] - score[:, 0], np.ones(n)).fit(
            cov_type="cluster", cov_kwds={"groups": keys, "df_correction": True}, use_t=True
        )
        assert quality.more["p_by_group"] == pytest.approx(float(fit.pvalues[0]), rel=1e-6)
        assert (quality.more["low_by_group"], quality.more["high_by_group"]) == pytest.approx(tuple(fit.conf_int()[0]))
        assert quality.more["groups"] == groups


@needs_data
@pytest.mark.parametrize(("name", "by", "a", "b", "only"), PAIRS)
def test_recorded_arms_give_scipys_figures(name: str, by: str, a: str, b: str, only: dict[str, str]) -> None:
    runs = [run for run in recorded(name) if all(run.said(key) == value for key, value in only.items())]
    trial = trial_of_recordings(runs, by, a=a, b=b, design="split")
    arms = [[run for run in runs if run.said(by) == arm] for arm in (a, b)]
    won = [[bool(run.after.outcome.success) for run in arm] for arm in arms]
    table = [[sum(arm), len(arm) - sum(arm)] for arm in won]
    found = contrast(trial, "success")
    assert found is not None
    assert (found.statistic, found.p) == pytest.approx(tuple(stats.chi2_contingency(table)[:2]))
    scores = [[run.after.outcome.score for run in arm] for arm in arms]
    quality, theirs = contrast(trial, "quality"), stats.ttest_ind(scores[1], scores[0], equal_var=False)
    assert quality is not None
    assert (quality.statistic, quality.p) == pytest.approx((theirs.statistic, theirs.pvalue))
