"""What mined rules promise they promise together: when they are proposed, and when they are promoted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stepladder.evaluation.accepted import Watched, mined_in, reviewed
from stepladder.evaluation.choices import Chosen
from stepladder.evaluation.journal_choices import ended_runs
from stepladder.evaluation.mined_rules import Terms
from stepladder.evaluation.mining import Mine, Proposal, proposals
from stepladder.journal.sqlite import SqliteJournal
from tests.cli.trials import WORKFLOW, filled

SURE = "    mined_sure: {when: [last.kind == metal], do: KEEP, settles: [hybrid], shadow: true}\n"
WIDE = "    mined_wide: {when: [last.kind != metal], do: KEEP, settles: [hybrid], shadow: true}\n"
HEAD = "  looking:\n    broken"


def chosen(sure: int, wide: int, seed: int = 0) -> list[Chosen]:
    """So many choices that are always `go`, where it is green, and so many of which eleven in twelve are `slow`, where
    it is amber; else anything."""
    random, found = np.random.default_rng(seed), list[Chosen]()
    for number, light in enumerate(["green"] * sure + ["amber"] * wide + ["red"] * 400):
        anything = light == "red" or (light == "amber" and number % 12 == 0)
        action = str(random.choice(["stop", "ask", "turn"])) if anything else "go" if light == "green" else "slow"
        found.append(Chosen(f"r{number}", f"g{number}", {"light": light}, action))
    return found


def proposed(choices: list[Chosen], agreement: float = 0.95) -> dict[str, Proposal]:
    mine = Mine(choices, Terms(agreement))
    return {each.action: each for each in proposals(mine, mine.rules())}


@pytest.mark.parametrize("seed", range(4))
def test_a_rule_that_errs_more_is_proposed_beside_surer_ones_and_not_alone(seed: int) -> None:
    """Amber agrees in .917. With three times as much that is always right, all together agree in .979."""
    both = proposed(chosen(900, 300, seed))
    assert set(both) == {"go", "slow"}
    assert 0.88 <= both["slow"].agreement < 0.95 <= both["go"].agreement
    right = sum(each.agreement * each.support for each in both.values())
    assert right / sum(each.support for each in both.values()) >= 0.95
    assert proposed(chosen(0, 300, seed)) == {}, "alone it is less than what was asked for"
    assert set(proposed(chosen(0, 300, seed), agreement=0.85)) == {"slow"}


def fates(folder: Path, sure: int, right: int, wrong: int, rules: str = SURE + WIDE) -> dict[str, Watched]:
    """What becomes of the rules after runs in which the sure one agreed, and the wide one did or did not."""
    text = WORKFLOW.replace(HEAD, f"  looking:\n{rules}    broken")
    kinds = ["metal"] * sure + ["wood"] * right
    for number in range(wrong):  # spread out, so that nothing seems to have changed lately
        kinds.insert(sure + number * (right + wrong) // wrong, "glass")
    filled(folder / "later.db", kinds, text)
    journal = SqliteJournal(folder / "later.db")
    try:
        return {each.name: each for each in reviewed(mined_in(text), ended_runs(journal))}
    finally:
        journal.close()


def test_promoted_is_what_agrees_often_enough_together(tmp_path: Path) -> None:
    """55 of 60 is .917: less than .95, and with 100 of 100 beside it .969."""
    found = fates(tmp_path, 100, 55, 5)
    assert (found["mined_wide"].agreed, found["mined_wide"].fired) == (55, 60)
    assert {each.fate for each in found.values()} == {"promote"}


@pytest.mark.parametrize("sure", [0, 20])
def test_what_is_too_little_together_waits(tmp_path: Path, sure: int) -> None:
    """55 of 60 alone, and with 20 of 20 beside it: .9375."""
    found = fates(tmp_path, sure, 55, 5)
    assert found["mined_wide"].fate == "wait"
    assert "95% are needed, with all rules that agree more often" in found["mined_wide"].because


def test_a_weak_rule_holds_no_surer_one_back(tmp_path: Path) -> None:
    """All together agree in .948, but the sure one is asked together with those that agree more often: with none."""
    found = fates(tmp_path, 60, 50, 6)
    assert {name: each.fate for name, each in found.items()} == {"mined_sure": "promote", "mined_wide": "wait"}


def test_together_does_not_carry_a_rule_that_is_surely_worse_than_a_rule_may_be(tmp_path: Path) -> None:
    """30 of 44 is surely less than .88, whatever stands beside it; all together agree in .95."""
    found = fates(tmp_path, 240, 30, 14)
    assert {name: each.fate for name, each in found.items()} == {"mined_sure": "promote", "mined_wide": "retire"}
