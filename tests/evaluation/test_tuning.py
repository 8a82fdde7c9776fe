"""Tuning: what is planted is found, the same seed gives the same file, a search that was broken off goes on."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from stepladder.errors import InputError
from stepladder.evaluation import study as study_module
from stepladder.evaluation.agent_policy import parse_policy
from stepladder.evaluation.checkpoints import learn_checkpoints
from stepladder.evaluation.evaluate import evaluate
from stepladder.evaluation.held_out import calibration, calibration_error, partition_scores
from stepladder.evaluation.learn import LATE_VALUE, Recipe, band_cuts, learn, log_odds, probabilities
from stepladder.evaluation.plots import pareto, write_plots
from stepladder.evaluation.policy_text import policy_text
from stepladder.evaluation.steps import KNOWN, NUMERIC, Read, steps_of
from stepladder.evaluation.tuning import Asked, Point, Tuned, tune
from stepladder.scenarios.observing import observations
from stepladder.scenarios.recording import Afterwards, Outcome, Recording
from stepladder.scenarios.recording_line import new_step
from stepladder.signals import Fold, risk_signal
from tests.evaluation.recordings import labelled, runs_of

READ = steps_of(runs_of(160))
QUICK = Recipe(entries=6, strength=0.3)
LEARN = Asked(learn=True, partitions=2)
CLAUSES = Asked(partitions=1, trials=30)


def held(tuned: Tuned, figure: str, share: str = "0.2") -> float:
    return tuned.held.groups["all"][share][figure].mean


def test_what_goes_with_failing_is_learned() -> None:
    tuned = tune(READ, LEARN)
    assert held(tuned, "lift") > 1.3
    assert tuned.held.partitions == 2


def test_shuffled_outcomes_teach_nothing() -> None:
    lifts = []
    for seed in range(6):
        failed = np.random.default_rng(seed).permutation(READ.truth.failed)
        shuffled = Read(READ.steps, msgspec.structs.replace(READ.truth, failed=failed), READ.digest)
        lifts.append(held(tune(shuffled, LEARN), "lift"))
    assert np.mean(lifts) == pytest.approx(1.0, abs=0.2)


def told_twice(number: int, random: Random) -> Recording:
    """A run that goes round in circles early on, a weak sign, and has errors near its end, a strong one."""
    failed = random.random() < 0.5
    circles, wrong = (random.random() < (likely if failed else 1 - likely) for likely in (0.75, 0.97))
    steps = [new_step(0, "user", "user_message", "Please help")]
    for turn in range(10):
        page = 1 if circles and 1 <= turn <= 5 else turn
        at = len(steps)
        steps.append(new_step(at, "assistant", "tool_call", tool="look", args={"page": page}))
        steps.append(new_step(at + 1, "env", "tool_result", f"page {page}", ref=at, is_error=wrong and turn >= 8))
    steps.append(new_step(len(steps), "assistant", "message", "Done."))
    after = Afterwards(Outcome(success=not failed))
    return Recording(f"r{number}", "made", "made/desk", "desk", f"r{number}", tuple(steps), after=after)


def test_what_is_told_late_counts_for_what_a_late_catch_is_worth() -> None:
    random = Random(4)
    read = steps_of([told_twice(number, random) for number in range(300)])
    early, late = (tune(read, Asked(learn=True, partitions=2, late_value=worth)) for worth in (0.01, 1.0))
    assert held(early, "recall_by_75") > held(late, "recall_by_75") + 0.1
    assert held(late, "precision") > held(early, "precision")
    assert early.policy["policy"]["provenance"]["asked"]["late_value"] == 0.01
    assert tune(READ, LEARN).policy["policy"]["provenance"]["asked"]["late_value"] == LATE_VALUE


def test_of_a_step_that_is_sought_late_ones_are_worth_as_much() -> None:
    read = steps_of(labelled(60))
    cards = [learn(read.steps, read.truth, Recipe(late_value=worth)) for worth in (0.01, 1.0)]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("asked", [LEARN, CLAUSES], ids=["learn", "clauses"])
def test_the_same_seed_gives_the_same_file_in_any_order(asked: Asked) -> None:
    backwards = steps_of(runs_of(160)[::-1])
    assert policy_text(tune(READ, asked).policy) == policy_text(tune(backwards, asked).policy)


@pytest.mark.parametrize("asked", [LEARN, CLAUSES], ids=["learn", "clauses"])
def test_what_is_written_is_a_policy_within_the_budget(asked: Asked) -> None:
    policy = parse_policy(policy_text(tune(READ, asked).policy))
    figures = evaluate(READ.steps, READ.truth, policy).evaluations[0].groups[0].figures
    assert 0.05 <= (figures["escalated"].value or 0) <= 0.3
    assert (figures["lift"].value or 0) > 1.2
    assert policy.provenance["recordings"] == READ.digest
    assert policy.provenance["held_out"]["partitions"] == asked.partitions


def test_domains_have_thresholds_of_their_own() -> None:
    both = steps_of([*runs_of(80), *runs_of(80, 5, domain="shop")])
    section = tune(both, Asked(learn=True, partitions=1)).policy["policy"]
    assert set(section["by_domain"]) == {"desk", "shop"}
    assert "by_domain" not in tune(both, Asked(learn=True, partitions=1, per_domain=False)).policy["policy"]


class _Cut(Exception):
    pass


def test_a_search_that_was_broken_off_comes_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = policy_text(tune(READ, CLAUSES, tmp_path / "whole.log").policy)
    file, seen = tmp_path / "cut.log", 0
    value_of = study_module.Studies.best

    def cut_off(*args: object, **kwargs: object) -> object:
        def objective(trial: object) -> float:
            nonlocal seen
            seen += 1
            if seen > 12:
                raise _Cut
            return float(args[2](trial))  # type: ignore[operator]

        return value_of(args[0], args[1], objective, *args[3:], **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(study_module.Studies, "best", cut_off)
    with pytest.raises(_Cut):
        tune(READ, CLAUSES, file)
    monkeypatch.undo()
    assert file.stat().st_size > 0
    assert policy_text(tune(READ, CLAUSES, file).policy) == whole


def test_fewer_escalations_where_they_do_not_pay() -> None:
    shares = []
    for cost in (0.0, 0.85):
        policy = parse_policy(policy_text(tune(READ, Asked(0.5, True, escalation_cost=cost, partitions=1)).policy))
        shares.append(evaluate(READ.steps, READ.truth, policy).evaluations[0].groups[0].figures["escalated"].value or 0)
    assert shares[1] < shares[0]


def test_a_card_says_the_same_live_and_over_columns() -> None:
    card = learn(READ.steps, READ.truth, QUICK)
    risks = probabilities(log_odds(card, READ.steps))
    fold = Fold([risk_signal(card, KNOWN, "desk")])
    row = 0
    for run in runs_of(160)[:20]:
        memory = fold.start()
        for seen in observations(run.steps):
            memory, broken = fold.update(memory, {}, seen)
            assert not broken
            value = fold.values(memory, {})[0]["risk"]
            assert value["value"] == pytest.approx(risks[row], abs=2e-6)
            row += 1
        assert value["because"]


def test_an_explanation_names_the_largest_terms() -> None:
    card = learn(READ.steps, READ.truth, QUICK)
    facts = {name: READ.steps.column(name)[-2].item() for name in NUMERIC}
    told = card.explain(facts)
    sizes = [abs(points) for _, _, points in told]
    assert 1 <= len(told) <= 3
    assert sizes == sorted(sizes, reverse=True)
    every = {name: points for name, _, points in card.explain(facts, longest=99)}
    assert sum(every.values()) + card.every.base == pytest.approx(card.score(facts), abs=1e-4)


def test_held_out_scores_do_not_see_their_own_runs() -> None:
    """Turning round the outcome of one run must not change what is said of it."""
    scores = partition_scores(READ.steps, READ.truth, QUICK, 0)
    failed = READ.truth.failed.copy()
    key = READ.truth.split_key[0]
    same = [place for place, each in enumerate(READ.truth.split_key) if each == key]
    failed[same] = 1 - failed[same]
    turned = partition_scores(READ.steps, msgspec.structs.replace(READ.truth, failed=failed), QUICK, 0)
    rows = np.isin(READ.steps.run, same)
    assert np.array_equal(scores[rows], turned[rows])
    assert not np.array_equal(scores, turned)


def test_calibration_makes_chances_come_true() -> None:
    random = np.random.default_rng(0)
    true = random.normal(size=4000)
    wanted = (random.random(4000) < 1 / (1 + np.exp(-true))).astype(float)
    factor, shift = calibration(3 * true - 1, wanted, np.ones(4000))
    assert (factor, shift) == (pytest.approx(1 / 3, abs=0.03), pytest.approx(1 / 3, abs=0.1))
    chance = 1 / (1 + np.exp(-(factor * (3 * true - 1) + shift)))
    assert calibration_error(chance, wanted, np.ones(4000)) < 0.03


@pytest.mark.parametrize(
    ("values", "cuts"),
    [([0, 0, 0], []), ([0, 1, 1], [1.0]), ([float("nan")], []), ([0, 1, 2, 3], [1.0, 2.0, 3.0])],
)
def test_bands(values: list[float], cuts: list[float]) -> None:
    assert band_cuts(np.array(values, float), 6) == cuts


def test_checkpoints_where_only_the_step_of_the_error_is_known() -> None:
    read = steps_of(labelled(60))
    tuned = tune(read, Asked(partitions=2))
    assert tuned.near_label is not None
    assert tuned.near_label.mean > 0.8
    assert learn_checkpoints(read.steps, read.truth)
    parse_policy(policy_text(tuned.policy))


def test_both_at_once() -> None:
    read = steps_of([*runs_of(100), *labelled(40)])
    tuned = tune(read, LEARN)
    assert tuned.near_label is not None
    assert "lab" in tuned.policy["policy"]["by_domain"]


@pytest.mark.parametrize("success", [True, False])
def test_nothing_to_learn_from(success: bool) -> None:
    failed = np.full(len(READ.truth.failed), float(not success))
    with pytest.raises(InputError):
        tune(Read(READ.steps, msgspec.structs.replace(READ.truth, failed=failed), ""), LEARN)


def test_too_few_split_keys() -> None:
    with pytest.raises(InputError, match="split key"):
        tune(steps_of(runs_of(6)), LEARN)


def test_plots(tmp_path: Path) -> None:
    points = [Point(0.1, 0.2, 0.9), Point(0.2, 0.15, 0.5), Point(0.3, 0.5, 0.7), Point(0.3, 0.4, 0.6)]
    assert [(p.share, p.recall) for p in pareto(points)] == [(0.1, 0.2), (0.3, 0.5)]
    png, html = write_plots(points, 0.2, 0.4, tmp_path / "plot")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = html.read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    again = write_plots(points, 0.2, 0.4, tmp_path / "again")
    assert again[1].read_text() == page
    assert again[0].read_bytes() == png.read_bytes()
    json.dumps(msgspec.to_builtins(points[0]))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("asked", [LEARN, CLAUSES], ids=["learn", "clauses"])
def test_runs_of_one_step_are_no_trouble(asked: Asked) -> None:
    short = [
        msgspec.structs.replace(
            run, run_id=f"short {run.run_id}", split_key=f"short {run.split_key}", steps=run.steps[:1]
        )
        for run in runs_of(20, 9)
    ]
    read = steps_of([*runs_of(80), *runs_of(60, 3, domain="shop"), *short])
    policy = parse_policy(policy_text(tune(read, asked).policy))
    figures = evaluate(read.steps, read.truth, policy).evaluations[0].groups[0].figures
    assert 0.03 <= (figures["escalated"].value or 0) <= 0.35


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("failures", [None, 0, 4])
def test_too_few_failures_or_none_known_are_one_clear_error(learned: bool, failures: int | None) -> None:
    runs = [
        msgspec.structs.replace(
            run, after=Afterwards(Outcome() if failures is None else Outcome(success=number >= 2 * failures))
        )
        for number, run in enumerate(runs_of(60))
    ]
    with pytest.raises(InputError, match=f"found {failures or 0} split keys with runs that failed"):
        tune(steps_of(runs), Asked(learn=learned, partitions=1, trials=5))


def test_runs_of_one_step_teach_nothing_and_it_is_said_why() -> None:
    """At the last step of a run nothing is left to save, and theirs is the last."""
    runs = [msgspec.structs.replace(each, steps=each.steps[:1]) for each in runs_of(60)]
    with pytest.raises(InputError, match="no run whose outcome is known that has a step before its last"):
        tune(steps_of(runs), Asked(learn=True, partitions=2))
