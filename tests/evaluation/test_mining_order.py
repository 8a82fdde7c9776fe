"""Mined rules that hold only where others do not fire: told so, written behind these, promoted after these."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stepladder.errors import InputError
from stepladder.evaluation import accepted
from stepladder.evaluation.accepted import Watched, mined_in, name_of, reviewed, with_rules
from stepladder.evaluation.choices import Chosen
from stepladder.evaluation.mining import Mine, Proposal, proposals

FILE = "rules:\n  sorting:\n    by_hand: {do: ASK, because: nobody knows}  # mine\n"


def exception() -> list[Proposal]:
    """What is heavy is refunded, light letters and bags wait, all else that is light is asked about."""
    random, chosen = np.random.default_rng(5), list[Chosen]()
    for run in range(400):
        facts = {"kind": str(random.choice(["letter", "box", "bag", "tube", "can"])), "weight": random.uniform(0, 120)}
        action = "WAIT" if facts["kind"] in ("letter", "bag") else "ASK"
        chosen.append(Chosen(f"r{run}", f"g{run}", facts, "REFUND" if facts["weight"] >= 60.5 else action))
    mine = Mine(chosen)
    found = proposals(mine, mine.rules(), step="sorting")
    for each in found:
        alone = [row for row in chosen if holds(each, row.facts)]
        ahead = [one for one in found if one.number in each.behind]
        rows = [row for row in alone if not any(holds(one, row.facts) for one in ahead)]
        agreed = sum(row.action == each.action for row in rows)
        assert agreed >= 0.93 * len(rows), "with those that it stands behind it does what was chosen"
    return found


def holds(rule: Proposal, facts: dict[str, Any]) -> bool:
    from stepladder.clauses import Condition

    return Condition(rule.when).holds(facts)


def test_a_rule_stands_behind_what_would_choose_otherwise_in_its_place() -> None:
    found = exception()
    wide = next(each for each in found if each.action == "ASK" and len(each.when) == 1)
    assert wide.behind, "found where letters are taken already"
    with pytest.raises(InputError, match="stands behind 1"):
        with_rules(FILE, [wide], {}, others=found)


@pytest.mark.parametrize("style", ["block", "flow"])
def test_what_is_in_the_file_counts_and_keeps_its_place(style: str) -> None:
    found = exception()
    text = FILE if style == "block" else "rules: {sorting: {by_hand: {do: ASK, because: nobody knows}}}\n"
    for each in found:  # one by one
        text = with_rules(text, [each], {}, others=found)
    assert [each.name for each in mined_in(text)] == [name_of(each) for each in found]
    assert text == with_rules(
        FILE if style == "block" else "rules: {sorting: {by_hand: {do: ASK, because: nobody knows}}}\n",
        found,
        {},
        others=found,
    )
    assert text.index("by_hand") > text.index(name_of(found[-1])), "and before what was written by hand"


def test_none_is_promoted_before_one_that_it_stands_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters are rare: until enough are seen, the wide rule would decide them, and wrongly."""
    rare = Watched("sorting", "mined_rare", "WAIT", ("kind == letter",), shadow=True)
    wide = Watched("sorting", "mined_wide", "REFUND", ("weight <= 60",), shadow=True)
    facts = [{"kind": "box", "weight": 1}] * 100 + [{"kind": "letter", "weight": 1}] * 20
    said = ["REFUND"] * 100 + ["WAIT"] * 20
    run = SimpleNamespace(
        id="r",
        machine=SimpleNamespace(policy=SimpleNamespace(rules={"sorting": [rare, wide]})),
        state=SimpleNamespace(policy_hash="p"),
        decisions=[
            SimpleNamespace(
                policy_hash="p", action=action, opened=SimpleNamespace(n=n, step="sorting", legal=("WAIT", "REFUND"))
            )
            for n, action in enumerate(said)
        ],
    )
    monkeypatch.setattr(accepted, "facts_by_decision", lambda run: dict(enumerate(facts)))
    monkeypatch.setattr(accepted, "said_by_model", lambda record: record)
    found = reviewed([rare, wide], [run])
    assert [each.fate for each in found] == ["wait", "wait"]
    assert "stands behind mined_rare, which does not decide yet" in found[1].because
    assert [each.fate for each in reviewed([rare, wide], [run], fewest=20)] == ["promote", "promote"]
    assert [each.fate for each in reviewed([wide], [run])] == ["retire"], "alone it decides letters too"
