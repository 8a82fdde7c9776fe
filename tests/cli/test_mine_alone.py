"""`mine --point`: decisions that stand alone, from what models said to rules that settle the route."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepladder import DecisionPoint, Rule, ScriptedProvider, rule
from tests.cli.desk import Desk

KINDS = ("damaged", "late", "lost", "other")
OWN = [rule("ASK_HUMAN", because="nobody knows")]


def answer(request: Any) -> Mapping[str, Any]:
    """The model refunds what was damaged or lost, and waits for the rest."""
    said = "REFUND" if re.search("damaged|lost", request.prompt) else "WAIT"
    return {"action": said, "reason": "so it seems", "confidence": 0.9}


def decided(journal: Path, rules: list[Rule], count: int, prefix: str, point: str = "complaint") -> list[Any]:
    """So many decisions about complaints; every one is odd enough to be asked about."""

    async def body() -> list[Any]:
        one = DecisionPoint(
            point,
            signals={"kind": KINDS, "weight": int, "odd": bool},
            rules=rules,
            model="scripted:first",
            classifier={"hybrid": {"odd": ["odd == true"]}},
            providers={"scripted": ScriptedProvider([answer] * count)},
            journal=str(journal),
        )
        async with one:
            return [
                await one.decide(
                    {"kind": KINDS[n % 4], "weight": n, "odd": True},
                    legal=["REFUND", "WAIT", "ASK_HUMAN"],
                    decision_id=f"{prefix}{n}",
                )
                for n in range(count)
            ]

    return asyncio.run(body())


def test_the_whole_life_of_a_rule_of_a_lone_point(desk: Desk) -> None:
    journal = desk.folder / "stepladder.db"
    assert {each.source for each in decided(journal, OWN, 160, "a")} == {"model"}
    said = desk.json("mine", "--point", "complaint")
    assert (said["choices"], {each["step"] for each in said["proposals"]}) == (160, {""})
    assert sum(each["support"] for each in said["proposals"]) == 160
    told = desk("mine", "--point", "complaint", columns=250)
    lines = re.findall(r"^    (rule\(.*\)),$", told.out, re.M)
    mined = [eval(line, {"rule": rule}) for line in lines]
    assert mined
    assert all(each.shadow for each in mined)

    shadowed = decided(desk.folder / "shadow.db", [*mined, *OWN], 8, "b")
    assert {each.source for each in shadowed} == {"model"}, "in shadow they decide nothing"
    assert {each.record.opened.rule for each in shadowed} == {"ask_human"}

    promoted = [eval(line.replace("shadow=True", "shadow=False"), {"rule": rule}) for line in lines]
    later = decided(desk.folder / "later.db", [*promoted, *OWN], 200, "c")
    asked = [each for each in later if each.record.asked]
    assert 0 < len(asked) < 25, "about 5% are asked all the same"
    assert all((each.action == "REFUND") == (n % 4 in (0, 2)) for n, each in enumerate(later)), "as the model did"


def test_points_are_kept_apart_and_told_of(desk: Desk) -> None:
    journal = desk.folder / "stepladder.db"
    decided(journal, OWN, 120, "a")
    decided(journal, OWN, 8, "b", point="triage")
    assert desk.json("mine", "--point", "triage")["choices"] == 8
    told = desk("mine")
    assert (told.code, told.out) == (2, "")
    assert "no decision that a model answered at 'next_action'; expected one of: " in told.err
    assert "complaint (120)" in told.err
    assert "triage (8)" in told.err
    accepted = desk("mine", "--point", "complaint", "--accept", "1", "--into", "x.yaml")
    assert (accepted.code, "are Python" in accepted.err) == (2, True)
