"""What a model chose before it changed its mind is no evidence any more; what it goes on choosing is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats

from stepladder.evaluation.choices import Chosen, chosen_in
from stepladder.evaluation.drift import drift_of, one_mind_since, witnesses
from stepladder.evaluation.minds import Current, current
from stepladder.evaluation.mined_rules import Terms
from stepladder.evaluation.mining import Mine, Proposal, proposals
from tests.evaluation.recordings import runs_of

KINDS = ("metal", "paper", "glass", "wood", "stone")
ELSE = ("ask", "wait", "stop")


def history(says: Callable[[str, int], str], runs: int, seed: int = 0, noise: float = 0.0) -> list[Chosen]:
    """A run after the other, of two choices each; `says` gives the choice in this situation and run ("": any)."""
    random, found = np.random.default_rng(seed), list[Chosen]()
    for run in range(runs):
        for more in range(2):
            kind = str(random.choice(KINDS))
            facts = {"kind": kind, "count": int(random.integers(9)), "flag": bool(random.random() < 0.5)}
            said = says(kind, run)
            action = str(random.choice(ELSE)) if not said or random.random() < noise else said
            found.append(Chosen(f"r{run}", f"g{run}", facts, action, at=float(run * 60 + more)))
    return found


def told(now: Current) -> dict[str, Proposal]:
    return {each.action: each for each in proposals(now.mine, now.rules)}


def of_kind(each: Proposal, kind: str) -> bool:
    return f"kind == {kind}" in each.when


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("changed", "runs"), [(380, 400), (280, 400), (120, 400)])
def test_only_the_new_mind_is_proposed(changed: int, runs: int, seed: int) -> None:
    """Metal was kept, then thrown. Where there is enough of it the new mind is proposed, and the old one never is."""

    def says(kind: str, run: int) -> str:
        if kind == "metal":
            return "keep" if run < changed else "throw"
        return "burn" if kind == "paper" else ""

    chosen = history(says, runs, seed)
    now = current(chosen, seed=seed)
    found = told(now)
    assert "keep" not in found
    if changed < 380:
        assert of_kind(found["throw"], "metal")
        assert found["throw"].agreement == 1.0
        assert found["throw"].support == sum(
            each.facts["kind"] == "metal" for each in chosen if (each.at or 0) >= changed * 60
        )
    assert found["burn"].support == sum(each.facts["kind"] == "paper" for each in chosen), "elsewhere all counts"
    (change,) = now.changes
    assert "kind == metal" in change.when
    assert {change.action, round(change.before), round(change.after)} in ({"keep", 1, 0}, {"throw", 0, 1})
    metal = [each.at or 0 for each in chosen if each.facts["kind"] == "metal"]
    assert change.at == min(at for at in metal if at >= changed * 60)
    assert change.choices == sum(at < changed * 60 for at in metal)


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_model_that_comes_back_is_taken_at_its_newest_word(noise: float) -> None:
    def says(kind: str, run: int) -> str:
        return ("keep" if not 150 <= run < 250 else "throw") if kind == "metal" else ""

    found = told(current(history(says, 400, noise=noise)))
    assert set(found) == {"keep"}
    assert found["keep"].agreement >= 0.93
    assert found["keep"].support < 100, "what was before it went away and came back does not count"


def test_a_change_too_new_to_be_sure_of_is_told() -> None:
    """Two runs are no change of mind; the figures of the newest say that something is on."""
    chosen = history(lambda kind, _: "keep" if kind == "metal" else "", 200)
    metal = [place for place, each in enumerate(chosen) if each.facts["kind"] == "metal"]
    for place in metal[-2:]:
        chosen[place] = replace(chosen[place], action="throw")
    now = current(chosen)
    (rule,) = told(now).values()
    assert not now.changes
    assert rule.drift is not None
    assert rule.drift.newest < rule.drift.before == 1.0
    assert rule.drift.p < 0.1


@pytest.mark.parametrize("seed", range(12))
def test_a_model_of_one_mind_is_mined_as_before(seed: int) -> None:
    def says(kind: str, _: int) -> str:
        return {"metal": "keep", "paper": "burn"}.get(kind, "")

    chosen = history(says, 150, seed, noise=0.03)
    now, before = current(chosen, seed=seed), Mine(chosen)
    assert not now.changes
    assert proposals(now.mine, now.rules) == proposals(before, before.rules(seed=seed))


def test_where_nobody_knows_when_every_choice_counts() -> None:
    chosen = history(lambda kind, run: ("keep" if run < 190 else "throw") if kind == "metal" else "", 200)
    place = next(place for place, each in enumerate(chosen) if each.facts["kind"] == "metal")
    undated = [replace(each, at=None if number == place else each.at) for number, each in enumerate(chosen)]
    now = current(undated)
    assert not now.changes
    assert told(now)["keep"].drift is None
    assert current([]).rules == []


@pytest.mark.parametrize(
    ("ts", "at"),
    [("1970-01-02T00:00:00", 86_400.0), ("1970-01-02T02:00:00+02:00", 86_400.0), ("yesterday", None), (None, None)],
)
def test_recordings_say_when_where_their_steps_do(ts: str | None, at: float | None) -> None:
    (run,) = runs_of(1)
    dated = replace(run, steps=tuple(replace(step, ts=ts) for step in run.steps))
    found = list(chosen_in([dated]))
    assert found
    assert {each.at for each in found} == {at}


def test_one_run_that_goes_round_in_circles_changes_no_mind() -> None:
    chosen = history(lambda kind, _: "keep" if kind == "metal" else "", 200)
    loop = [Chosen("loop", "loop", {"kind": "metal", "count": 1}, "throw", at=1e6 + number) for number in range(8)]
    now = current([*chosen, *loop])
    assert not now.changes
    assert set(told(now)) == {"keep"}


def test_shuffled_choices_give_no_rule_and_no_change() -> None:
    random, found, changed = np.random.default_rng(5), 0, 0
    chosen = history(lambda kind, _: {"metal": "keep", "paper": "burn"}.get(kind, ""), 60)
    for seed in range(40):
        actions = random.permutation([each.action for each in chosen])
        now = current([replace(each, action=str(a)) for each, a in zip(chosen, actions, strict=True)], Terms(), seed)
        found, changed = found + bool(now.rules), changed + bool(now.changes)
    assert found <= stats.binom.ppf(0.99, 40, 0.05)
    assert changed <= stats.binom.ppf(0.99, 40, 0.05)


@pytest.mark.parametrize(
    ("before", "after", "newest"),
    [(1.0, 0.0, 5), (1.0, 0.0, 150), (0.97, 0.3, 30), (0.97, 0.3, 150), (0.2, 0.9, 30), (0.2, 0.9, 150)],
)
def test_where_a_share_changes(before: float, after: float, newest: int) -> None:
    near = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        hits = random.random(200) < np.where(np.arange(200) < 200 - newest, before, after)
        near += abs(one_mind_since(hits) - (200 - newest)) <= 5
    assert near >= 36


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_a_share_that_stays_is_left_alone(share: float) -> None:
    flagged = sum(bool(one_mind_since(np.random.default_rng(seed).random(150) < share)) for seed in range(400))
    assert flagged <= stats.binom.ppf(0.99, 400, 0.001)


@given(st.lists(st.booleans(), min_size=2, max_size=60))
def test_drift_is_fishers_test(hits: list[bool]) -> None:
    found = drift_of(np.array(hits))
    assert found is not None
    newest = max(1, round(len(hits) / 4))
    late, early = hits[-newest:], hits[:-newest]
    table = [[sum(late), newest - sum(late)], [sum(early), len(early) - sum(early)]]
    assert found.p == pytest.approx(stats.fisher_exact(table, alternative="less").pvalue)
    assert (found.newest, found.before) == (round(sum(late) / newest, 4), round(sum(early) / len(early), 4))
    assert 0 <= one_mind_since(np.array(hits)) < len(hits)


def test_each_run_is_one_witness() -> None:
    assert witnesses(["a", "a", "b", "a", "c", "c"]).tolist() == [2, 3, 5]
