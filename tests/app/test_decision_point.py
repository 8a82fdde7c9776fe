"""A decision point for people who own their loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepladder import DecisionPoint, DefinitionError, InputError, ManualClock, ScriptedProvider, SqliteJournal, rule
from stepladder.decision import Route, Rung
from stepladder.errors import NoRule, RunConflict, RunNotFound, RunNotWaiting, WrongDefinition
from stepladder.journal import MemoryJournal
from stepladder.llm.errors import Unavailable

LEGAL = ["RETRY", "ASK_HUMAN", "GIVE_UP"]
COMPLEX = {"complex": {"many_errors": ["error_count > 2"]}}


def point(*answers: Any, **settings: Any) -> DecisionPoint:
    given: dict[str, Any] = {
        "signals": {"error_count": int},
        "model": "openai:gpt-5-mini",
        "rules": [
            rule("RETRY", when=["error_count <= 2"], because="errors often pass"),
            rule("GIVE_UP", because="too many errors"),
        ],
        "classifier": COMPLEX,
        "providers": {"openai": ScriptedProvider(answers)},
        **settings,
    }
    return DecisionPoint("next_action", **given)


@pytest.mark.parametrize(
    ("case", "errors", "answers", "settings", "expected"),
    [
        ("standard: nobody is asked", 1, [], {}, ("RETRY", "rule", "none")),
        ("a model agrees", 3, [{"action": "GIVE_UP"}], {}, ("GIVE_UP", "rule", "agreement")),
        ("a model overrules", 3, [{"action": "ASK_HUMAN"}], {}, ("ASK_HUMAN", "model", "override")),
        ("the rule wins", 3, [{"action": "ASK_HUMAN"}], {"reconcile": "rule_wins"}, ("GIVE_UP", "rule", "kept")),
        ("an illegal answer", 3, [{"action": "DROP_TABLE"}], {}, ("GIVE_UP", "rule", "none")),
        ("no answer", 3, [Unavailable], {}, ("GIVE_UP", "rule", "none")),
        ("a broken provider", 3, [lambda _: 1 / 0], {}, ("GIVE_UP", "rule", "none")),
        ("programmatic", 3, [], {"mode": "programmatic"}, ("GIVE_UP", "rule", "none")),
        ("llm", 0, [{"action": "ASK_HUMAN"}], {"mode": "llm"}, ("ASK_HUMAN", "model", "override")),
        ("not sure", 3, [{"action": "RETRY"}], {"accept": {"sure": ["confidence > 0.5"]}}, ("GIVE_UP", "rule", "none")),
    ],
)
def test_who_decides(
    case: str, errors: int, answers: list[Any], settings: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    async def decided() -> None:
        async with point(*answers, **settings) as lone:
            decision = await lone.decide({"error_count": errors}, legal=LEGAL, context={"why": case})
            assert decision.record.settled is not None
            assert (decision.action, decision.source, decision.record.settled.relation) == expected
            assert decision.action in decision.explain()
            assert lone.replay(decision.id)

    asyncio.run(decided())


@pytest.mark.parametrize(
    ("facts", "legal", "error"),
    [
        ({"error_cuont": 1}, LEGAL, InputError),
        ({"error_count": "many"}, LEGAL, InputError),
        ({"error_count": True}, LEGAL, InputError),
        ({"error_count": 1.5}, LEGAL, InputError),
        ({"error_count": 9}, [], InputError),
        ({"error_count": 9}, ["RETRY", "RETRY"], InputError),
        ({"error_count": 9}, ["ASK_HUMAN"], NoRule),
        ({"error_count": 9}, ["RETRY"], NoRule),
    ],
)
def test_what_cannot_be_decided_raises_before_anything_is_asked(facts: Any, legal: Any, error: type[Exception]) -> None:
    async def decided() -> None:
        lone = point({"action": "GIVE_UP"}, mode="llm")
        with pytest.raises(error):
            await lone.decide(facts, legal=legal)
        assert lone.journal.rows() == []

    asyncio.run(decided())


@pytest.mark.parametrize(
    "settings",
    [
        {"rules": []},
        {"rules": [rule("RETRY", when=["eror_count > 1"])]},
        {"classifier": {"complex": {"odd": ["eror_count > 1"]}}},
        {"classifier": {"complex": {"odd": []}}},
        {"classifier": {"complicated": {"odd": ["error_count > 1"]}}},
        {"routes": {"complex": Route(("nobody",))}},
        {"reconcile": "person_on_conflict"},
    ],
)
def test_a_point_that_cannot_decide_is_not_made(settings: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        point(**settings)


def test_the_same_id_is_the_same_decision() -> None:
    async def decided() -> None:
        lone = point({"action": "ASK_HUMAN"})
        first = await lone.decide({"error_count": 3}, legal=LEGAL, decision_id="d1")
        again = await lone.decide({"error_count": 3}, legal=LEGAL, decision_id="d1")
        assert (first.action, again.action) == ("ASK_HUMAN", "ASK_HUMAN")
        with pytest.raises(RunConflict):
            await lone.decide({"error_count": 4}, legal=LEGAL, decision_id="d1")
        with pytest.raises(RunNotFound):
            lone.get("d2")

    asyncio.run(decided())


def test_the_same_id_at_the_same_time_is_asked_once() -> None:
    async def decided() -> None:
        provider = ScriptedProvider([{"action": "ASK_HUMAN"}], delay_s=0.01)
        lone = point(providers={"openai": provider})
        both = await asyncio.gather(*(lone.decide({"error_count": 3}, legal=LEGAL, decision_id="d1") for _ in range(2)))
        assert [each.action for each in both] == ["ASK_HUMAN", "ASK_HUMAN"]
        assert len(provider.requests) == 1

    asyncio.run(decided())


def with_person(**settings: Any) -> dict[str, Any]:
    return {
        "model": None,
        "rungs": {"person": Rung("person", deadline_s=60.0)},
        "routes": {"complex": Route(("person",))},
        **settings,
    }


def test_a_person_is_asked_and_answers_in_another_process(tmp_path: Path) -> None:
    async def decided() -> None:
        journal = tmp_path / "decisions.db"
        async with point(**with_person(journal=journal)) as lone:
            asked = await lone.decide({"error_count": 3}, legal=LEGAL, decision_id="d1")
            assert asked.waiting is not None
            assert (asked.action, asked.waiting.options) == ("", tuple(LEGAL))
        async with point(**with_person(journal=journal)) as other:
            with pytest.raises(InputError):
                await other.answer("d1", {"action": "DROP_TABLE"})
            told = await other.answer("d1", {"action": "RETRY", "reason": "the server is up again"}, by="grace")
            assert (told.action, told.source, told.record.by) == ("RETRY", "person", "grace")
            with pytest.raises(RunNotWaiting):
                await other.answer("d1", {"action": "RETRY"})
            assert (await other.outcome("d1", success=True, quality=0.9)).record.outcomes[0].quality == 0.9

    asyncio.run(decided())


def test_a_persons_deadline_is_kept() -> None:
    async def decided() -> None:
        clock = ManualClock()
        lone = point(**with_person(clock=clock))
        assert (await lone.decide({"error_count": 3}, legal=LEGAL, decision_id="d1")).waiting is not None
        clock.move(61)
        late = lone.get("d1")
        assert (late.action, late.source, late.waiting) == ("GIVE_UP", "rule", None)
        with pytest.raises(RunNotWaiting):
            await lone.answer("d1", {"action": "RETRY"})

    asyncio.run(decided())


def test_what_a_dead_process_left_open_is_taken_up() -> None:
    async def decided() -> None:
        journal = MemoryJournal()
        dead = point(providers={"openai": ScriptedProvider([{"action": "ASK_HUMAN"}], delay_s=60)}, journal=journal)
        asking = asyncio.ensure_future(dead.decide({"error_count": 3}, legal=LEGAL, decision_id="d1"))
        await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

        changed = point(journal=journal, classifier={})
        with pytest.raises(WrongDefinition):
            await changed.decide({"error_count": 3}, legal=LEGAL, decision_id="d1")
        other = point({"action": "ASK_HUMAN"}, journal=journal)
        taken_up = await other.decide({"error_count": 3}, legal=LEGAL, decision_id="d1")
        assert (taken_up.action, taken_up.source) == ("ASK_HUMAN", "model")
        assert other.replay("d1")

    asyncio.run(decided())


def test_a_shadow_joins_the_record(tmp_path: Path) -> None:
    async def decided() -> None:
        journal = SqliteJournal(tmp_path / "decisions.db")
        async with point({"action": "ASK_HUMAN"}, reconcile="shadow", journal=journal) as lone:
            decision = await lone.decide({"error_count": 3}, legal=LEGAL, decision_id="d1")
            assert (decision.action, decision.source) == ("GIVE_UP", "rule")
        async with point(reconcile="shadow", journal=journal) as later:
            (shadow,) = later.get("d1").record.shadows
            assert (shadow.outcome, shadow.verdict and shadow.verdict.action) == ("differs", "ASK_HUMAN")
        journal.close()

    asyncio.run(decided())
