"""Trials: what is GO and what is not, from files and from runs; how far a rollout may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stepladder.errors import InputError
from stepladder.evaluation.intervals import Interval
from stepladder.evaluation.rollout import Guard, advise, guard_looks
from stepladder.evaluation.shadow import ShadowReport, share_interval
from stepladder.evaluation.trial import Criteria, Criterion, Measured, Trial, judge, paired, split
from stepladder.evaluation.trial_file import read_trial

BOTH = 80


def arm(rate: float, quality: float = 0.6, time_s: float = 5.0, n: int = BOTH, seed: int = 0) -> list[Measured]:
    """Runs whose successes are exactly that share, spread evenly, so that nothing hangs on chance."""
    random = np.random.default_rng(seed)
    hits = [int((i + 1) * rate + 1e-9) > int(i * rate + 1e-9) for i in range(n)]
    return [
        Measured(
            f"t{i}", hits[i], float(random.normal(quality, 0.1)), float(random.normal(time_s, 0.5)), 0.01, at=float(i)
        )
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("design", "b", "verdict", "because"),
    [
        ("split", arm(0.9, 0.72, seed=1), "GO", ""),
        ("paired", arm(0.9, 0.72, seed=1), "GO", ""),
        ("split", arm(0.62, 0.72, seed=1), "NO-GO", "success: +2."),
        ("split", arm(0.9, 0.61, seed=1), "NO-GO", "quality: "),
        ("split", arm(0.9, 0.72, time_s=7.0, seed=1), "NO-GO", "time_s: +3"),
        ("split", arm(0.9, 0.72, n=49, seed=1), "NO-GO", "49 of 50 runs an arm"),
        ("split", arm(0.3, 0.3, seed=1), "NO-GO", "success: -5"),
    ],
)
def test_go_is_every_criterion_met(design: str, b: list[Measured], verdict: str, because: str) -> None:
    trial = (paired if design == "paired" else split)("rules", "model", arm(0.6), b)
    report = judge(trial)
    assert report.verdict == verdict
    assert because in "; ".join(report.because)
    assert bool(report.because) == (verdict == "NO-GO")


def test_a_gain_that_may_be_chance_is_not_met() -> None:
    criteria = Criteria((Criterion("success", gain=0.05),))
    (each,) = judge(split("a", "b", arm(0.6), arm(0.66)), criteria).judged
    assert (each.standing, "may be chance" in each.because) == ("not met", True)
    assert each.needed is not None
    assert each.needed > 1_000
    assert each.power is not None
    assert each.power < 0.1


def test_what_nobody_measured_is_not_met() -> None:
    def bare(rate: float) -> list[Measured]:
        return [Measured(each.key, each.success) for each in arm(rate)]

    report = judge(split("a", "b", bare(0.5), bare(0.9)))
    assert [each.standing for each in report.judged] == ["met", "not measured", "not measured"]
    assert report.verdict == "NO-GO"
    assert judge(split("a", "b", bare(0.5), bare(0.9)), Criteria((Criterion("success", gain=0.15),))).go


def test_p_values_are_corrected_for_how_many_there_are() -> None:
    report = judge(split("a", "b", arm(0.6), arm(0.8, 0.63, seed=1)))
    ps = sorted(each.contrast.p for each in report.judged if each.contrast)
    adjusted = sorted(each.p_adjusted for each in report.judged if each.p_adjusted is not None)
    assert adjusted == pytest.approx([3 * ps[0], max(3 * ps[0], 2 * ps[1]), max(3 * ps[0], 2 * ps[1], ps[2])])
    assert [each.metric for each in report.beside] == ["usd"]


def test_pairs_are_made_by_key_in_the_order_of_time() -> None:
    a = [Measured("x", True, at=2), Measured("x", False, at=1), Measured("y", True), Measured("z", True)]
    b = [Measured("y", False), Measured("x", True, at=5), Measured("w", True)]
    trial = paired("a", "b", a, b)
    assert [(one.key, one.success, two.success) for one, two in zip(trial.of_a, trial.of_b, strict=True)] == [
        ("y", True, False),
        ("x", False, True),
    ]
    assert trial.left_out == {"runs of a without a partner": 2, "runs of b without a partner": 1}
    with pytest.raises(InputError, match="no input that both"):
        paired("a", "b", [Measured("x")], [Measured("y")])


# --- files

LONG = [
    {"arm": "rules", "pair": "1", "success": True, "quality": 0.5},
    {"arm": "rules", "pair": "2", "success": False, "elapsed_s": 3},
    {"arm": "model", "pair": "1", "success": True, "cost_usd": 0.1},
    {"arm": "model", "pair": "2", "success": True},
]
WIDE = [{"pair": "1", "a": {"success": True}, "b": {"success": False}}]
CSV = "pair,success_a,success_b,quality_a,quality_b\n1,true,false,0.5,0.75\n2,0,1,,\n"


@pytest.mark.parametrize(
    ("name", "text", "design", "arms", "n"),
    [
        ("t.jsonl", "\n".join(map(json.dumps, LONG)) + "\n\n", "paired", ("rules", "model"), 2),
        ("t.json", json.dumps(LONG), "paired", ("rules", "model"), 2),
        ("t.json", json.dumps([{k: v for k, v in each.items() if k != "pair"} for each in LONG]), "split", None, 2),
        ("t.jsonl", json.dumps(WIDE[0]), "paired", ("a", "b"), 1),
        ("t.csv", CSV, "paired", ("a", "b"), 2),
    ],
)
def test_files_of_every_form(tmp_path: Path, name: str, text: str, design: str, arms: Any, n: int) -> None:
    (tmp_path / name).write_text(text)
    trial = read_trial(tmp_path / name)
    assert (trial.design, len(trial.of_a), len(trial.of_b)) == (design, n, n)
    assert arms is None or (trial.a, trial.b) == arms
    if name == "t.csv":
        assert [(each.success, each.quality) for each in trial.of_b] == [(False, 0.75), (True, None)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "pair,success_a,success_b\n1,true,\n2,true,false\n3,,false\n4,false,true\n"),
        (
            "t.jsonl",
            '{"pair": "1", "a": {"success": true}, "b": {"success": null}}\n'
            '{"pair": "2", "a": {"success": true}, "b": {"success": false}}\n'
            '{"pair": "3", "a": {"success": null}, "b": {"success": false}}\n'
            '{"pair": "4", "a": {"success": false}, "b": {"success": true}}\n',
        ),
    ],
)
def test_a_run_of_which_nothing_is_known_is_left_out(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    trial = read_trial(tmp_path / name)
    assert [(a.key, a.success, b.success) for a, b in zip(trial.of_a, trial.of_b, strict=True)] == [
        ("2", True, False),
        ("4", False, True),
    ]
    assert trial.left_out["runs of a that say nothing"] == trial.left_out["runs of b that say nothing"] == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.jsonl", '{"arm": "x", "success": true}\n{', "row 2"),
        ("t.jsonl", "[1]", "row 1: found a int; expected a mapping"),
        ("t.jsonl", '{"arm": "x", "success": "maybe"}', "row 1, success: found 'maybe'; expected true or false"),
        ("t.jsonl", '{"arm": "x", "quality": NaN}', "row 1, quality: found nan; expected a number"),
        ("t.jsonl", '{"arm": "x", "quality": true}', "row 1, quality: found True; expected a number"),
        ("t.jsonl", '{"arm": "x"}', "row 1: found no metric"),
        ("t.jsonl", '{"success": true}', "an `arm`, or both `a` and `b`"),
        ("t.jsonl", "\n".join(f'{{"arm": "{x}", "success": true}}' for x in "xyz"), "3 arms (x, y, z)"),
        ("t.jsonl", "", "0 arms (none)"),
        ("t.json", "[{]", "expected a JSON list of rows"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_trial(tmp_path / name)
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_trial(tmp_path / "none.jsonl")


# --- rollouts


def drawn(seed: int, rate_a: float, rate_b: float, n_a: int, n_b: int) -> Trial:
    """Two arms that grow side by side."""
    random = np.random.default_rng(seed)
    a = [Measured(success=bool(random.random() < rate_a), at=i / n_a) for i in range(n_a)]
    b = [Measured(success=bool(random.random() < rate_b), at=i / n_b) for i in range(n_b)]
    return split("a", "b", a, b)


def test_the_guard_looks_ever_more_rarely_and_spends_its_alpha() -> None:
    looks = guard_looks(drawn(0, 0.8, 0.8, 400, 100))
    assert [each.runs for each in looks] == [10, 20, 40, 80]
    assert sum(each.threshold for each in guard_looks(drawn(0, 0.8, 0.8, 400, 20_000))) < 0.05


@pytest.mark.parametrize("metric", ["success", "time_s"])
def test_the_guard_seldom_trips_where_nothing_is_wrong(metric: str) -> None:
    """Over all its looks together, on 200 seeds, no more often than alpha allows."""

    def trips(seed: int) -> bool:
        trial = drawn(seed, 0.7, 0.7, 320, 320)
        random = np.random.default_rng(seed)
        if metric == "time_s":
            arms = [
                [Measured(time_s=float(random.gamma(4, 1)), at=each.at) for each in one]
                for one in (trial.of_a, trial.of_b)
            ]
            trial = split("a", "b", *arms)
        looks = guard_looks(trial, Guard(metric))  # type: ignore[arg-type]
        return bool(looks) and looks[-1].trips

    assert sum(map(trips, range(200))) <= stats.binom.ppf(0.99, 200, 0.05)


@pytest.mark.parametrize(("metric", "spread"), [("quality", 1.0), ("quality", 2.0), ("time_s", 1.0)])
@pytest.mark.parametrize("most_are_nought", [False, True])
def test_the_guard_seldom_trips_where_few_runs_make_the_mean(metric: str, spread: float, most_are_nought: bool) -> None:
    """A tenth of the runs has b, and few of ten have the large values that a's mean is made of."""

    def trips(seed: int) -> bool:
        random = np.random.default_rng(seed)
        values = random.lognormal(0, spread, 400) * ((random.random(400) < 0.1) if most_are_nought else 1)
        arms: tuple[list[Measured], list[Measured]] = ([], [])
        for place, value in enumerate(values):
            said = {metric: float(value)}
            arms[random.random() < 0.1].append(Measured(at=float(place), **said))
        looks = guard_looks(split("a", "b", *arms), Guard(metric))  # type: ignore[arg-type]
        return bool(looks) and looks[-1].trips

    assert sum(map(trips, range(200))) <= stats.binom.ppf(0.99, 200, 0.05)


@pytest.mark.parametrize("metric", ["quality", "time_s", "usd"])
def test_the_guard_sees_numbers_that_are_worse(metric: str) -> None:
    """Also where neither arm varies at all."""

    def looks(apart: float, noise: float) -> bool:
        random, worse = np.random.default_rng(1), -apart if metric == "quality" else apart
        arms = [
            [Measured(at=float(n), **{metric: 5 + at + noise * float(random.normal())}) for n in range(60)]
            for at in (0.0, worse)
        ]
        found = guard_looks(split("a", "b", *arms), Guard(metric))  # type: ignore[arg-type]
        return found[-1].trips

    assert looks(1.5, 1.0)
    assert looks(1.5, 0.0)
    assert not looks(-1.5, 0.0)
    assert not looks(0.0, 0.0)


def test_the_guard_trips_where_something_is_wrong() -> None:
    tripped = [looks[-1] for seed in range(50) if (looks := guard_looks(drawn(seed, 0.8, 0.4, 900, 100)))[-1].trips]
    assert len(tripped) >= 48
    assert np.median([each.runs for each in tripped]) <= 40


@pytest.mark.parametrize(
    ("share", "trial", "move", "to", "because"),
    [
        (0.1, drawn(1, 0.8, 0.2, 500, 60), "roll back", 0.0, "success is worse"),
        (1.0, drawn(1, 0.8, 0.2, 500, 60), "roll back", 0.0, "success is worse"),
        (0.1, split("a", "b", arm(0.6), arm(0.7, n=30)), "hold", 0.1, "30 of 50 runs an arm"),
        (0.1, split("a", "b", arm(0.6), arm(0.65)), "advance", 0.5, "65% against 60%"),
        (0.1, split("a", "b", arm(0.6), arm(0.55)), "hold", 0.1, "lower"),
        (0.25, split("a", "b", arm(0.6), arm(0.65)), "advance", 0.5, "no lower"),
        (0.5, split("a", "b", arm(0.6), arm(0.65)), "hold", 0.5, "NO-GO: success"),
        (0.5, split("a", "b", arm(0.6), arm(0.9, 0.75)), "advance", 1.0, "GO"),
        (1.0, None, "done", 1.0, "every run"),
    ],
)
def test_how_far_it_may_go(share: float, trial: Trial | None, move: str, to: float, because: str) -> None:
    advice = advise(share, trial)
    assert (advice.move, advice.to) == (move, to)
    assert because in advice.because


def shadowed(decisions: int, failing: float) -> ShadowReport:
    nothing = Interval(0, 1)
    return ShadowReport(9, decisions, 0.8, nothing, failing, nothing, 0.7, nothing, 0.01, 1.0, {})


@pytest.mark.parametrize(
    ("shadow", "to"), [(None, 0), (shadowed(49, 0), 0), (shadowed(90, 0.2), 0), (shadowed(50, 0.05), 0.1)]
)
def test_out_of_the_shadow(shadow: ShadowReport | None, to: float) -> None:
    assert advise(0.0, None, shadow).to == to


def test_shares_of_groups_are_resampled_by_group() -> None:
    hits, of = [9, 1, 8, 2, 5] * 8, [10] * 40
    low, high = share_interval(hits, of)
    assert low < 0.5 < high
    assert high - low > 0.12, "ten decisions of one run are not ten witnesses"
    assert share_interval([3] * 40, [3] * 40).low == pytest.approx(0.9366, abs=0.001)
    assert share_interval([], []) == (0, 1)
