"""Model rungs from end to end, with a scripted provider: the real driver, the real prompts, the real judge."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import ManualClock
from stepladder.errors import InputError
from stepladder.events import ModelAnswered, ModelFailed, TimePassed
from stepladder.journal import MemoryJournal
from stepladder.llm import ScriptedProvider
from stepladder.llm.errors import RateLimited, ScriptRanDry, Unavailable
from stepladder.record import Answered, Asked, Settled, Shadowed
from tests.drivers.desk import LADDER, go, of, turns, until, workflow

AGREES = {"action": "SOLVE", "confidence": 0.9, "reason": "it is solved"}
DIFFERS = {"action": "CLOSE", "confidence": 0.9, "reason": "it is hopeless"}
UNSURE = {"action": "CLOSE", "confidence": 0.2}
ILLEGAL = {"action": "GIVE_UP", "confidence": 0.9}


def routes(*rungs: str, **more: Any) -> dict[str, Any]:
    return {"policy": {"routes": {"complex": {"ask": list(rungs), **more}}}}


async def asked(script: list[Any], changes: dict[str, Any] | None = None, **more: Any) -> tuple[Run, ScriptedProvider]:
    provider = ScriptedProvider(script)
    providers = {"scripted": provider}
    agents = {"worker": lambda x: {"done": False}}
    async with Orchestrator(workflow(LADDER, changes), agents=agents, providers=providers, **more) as orchestrator:
        run = await orchestrator.run({"x": 1}, run_id="r")
        _ = run.entries
        assert orchestrator.replay("r").divergence is None
    return run, provider


def settled(run: Run) -> Settled:
    return of(run, Settled)[0]


# --- one model


def test_agreement() -> None:
    run, provider = go(asked([AGREES]))
    assert (run.end, settled(run).source, settled(run).relation, settled(run).fallback) == (
        "solved",
        "rule",
        "agreement",
        "",
    )
    assert len(provider.requests) == 1
    assert run.decisions[0].decision_source == "agreement"


def test_the_model_is_asked_for_exactly_what_is_legal() -> None:
    _, provider = go(asked([AGREES]))
    (request,) = provider.requests
    assert request.model == "first"
    assert 0 < request.deadline_s <= 5
    told = str(request.schema)
    assert all(action in told for action in ("SOLVE", "CLOSE", "AGAIN"))
    assert "STOP" not in told
    assert "one try is enough" not in request.prompt + request.system, "it is asked blind"


def test_override() -> None:
    run, _ = go(asked([DIFFERS]))
    assert (run.end, settled(run).source, settled(run).relation) == ("closed", "model", "override")
    assert run.decisions[0].programmatic_alternative == {
        "action": "SOLVE",
        "parameters": {},
        "reason": "one try is enough",
        "rule": "solve",
    }


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (ILLEGAL, "not legal"),
        ("no JSON", "not strict JSON"),
        ('{"action": "SOLVE", "action": "CLOSE"}', "twice"),
        ({"action": "CLOSE", "confidence": 95}, "confidence"),
        ({"confidence": 1}, "no action"),
        ('{"action": "CLOSE", "parameters": {"x": 1e999}}', "inf"),
        ('{"action": "CLOSE", "parameters": {"x": "\\ud800"}}', "surrogate"),
        ("[]", "not an object"),
        ("{" * 5000, "not strict JSON"),
    ],
    ids=str,
)
def test_an_invalid_answer_leaves_the_rule_standing_with_the_cause(said: Any, cause: str) -> None:
    run, _ = go(asked([said]))
    assert (run.end, settled(run).source, settled(run).relation) == ("solved", "rule", "none")
    assert settled(run).fallback.startswith("first: ")
    assert cause in settled(run).fallback
    assert of(run, Answered)[0].outcome == "invalid"
    assert len(of(run, ModelAnswered)) == 1, "the answer is kept as it was received"


@pytest.mark.parametrize("error", [Unavailable, RateLimited, Unavailable("scripted", "first", "down", cost_usd=0.5)])
def test_a_failure_leaves_the_rule_standing_with_the_cause(error: Any) -> None:
    run, _ = go(asked([error]))
    assert (run.end, settled(run).source) == ("solved", "rule")
    (failed,) = of(run, ModelFailed)
    assert failed.code in ("unavailable", "rate_limited")
    assert settled(run).fallback == f"first: {failed.code}"
    assert run.decisions[0].decision_source == "fallback"
    assert run.usd == (0.0 if isinstance(error, type) else 0.5)


def test_an_unsure_answer_climbs_to_the_next_rung() -> None:
    policy = {
        **routes("first", "second"),
        "policy": {**routes("first", "second")["policy"], "rungs": {"second": {"model": "scripted:second"}}},
    }
    run, provider = go(asked([UNSURE, DIFFERS], policy))
    assert [request.model for request in provider.requests] == ["first", "second"]
    assert (run.end, settled(run).source) == ("closed", "model")
    assert [answered.outcome for answered in of(run, Answered)] == ["unsure", "accepted"]


def test_a_model_that_comes_too_late() -> None:
    clock = ManualClock()

    async def body() -> None:
        provider = ScriptedProvider([DIFFERS], delay_s=3600)
        async with Orchestrator(
            workflow(LADDER), agents={"worker": lambda x: {}}, providers={"scripted": provider}, clock=clock
        ) as orchestrator:
            running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="r"))
            await until(lambda: provider.requests)
            clock.move(5.0)
            run = await running
            assert (run.end, settled(run).fallback) == ("solved", "first: late")
            assert len(of(run, TimePassed)) == 1
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_a_model_that_says_itself_that_it_is_late() -> None:
    run, _ = go(asked([lambda _: asyncio.sleep(60)], {"policy": {"rungs": {"first": {"deadline_s": 0.05}}}}))
    assert (run.end, settled(run).fallback) == ("solved", "first: late")


def test_a_script_that_is_too_short_fails_loudly_and_the_run_can_be_resumed() -> None:
    journal = MemoryJournal()
    with pytest.raises(ScriptRanDry):
        go(asked([], journal=journal))
    kinds = [type(entry).__name__ for turn in journal.turns("r") for entry in turn.entries]
    assert kinds[-1] == "Asked", "nothing was concluded from it"
    run, _ = go(asked([DIFFERS], journal=journal))
    assert run.end == "closed"


def test_whatever_a_provider_raises_is_a_failed_rung() -> None:
    def broken(_: Any) -> Any:
        raise ZeroDivisionError("a mistake in somebody's provider")

    run, _ = go(asked([broken]))
    assert (run.end, settled(run).fallback) == ("solved", "first: broken_provider")


def test_a_check_inside_a_script_is_raised() -> None:
    def wrong(_: Any) -> Any:
        raise AssertionError("not what was expected to be asked")

    with pytest.raises(AssertionError, match="not what was expected"):
        go(asked([wrong]))


def test_a_provider_that_cancels_itself_is_a_failed_rung() -> None:
    async def cancels(_: Any) -> Any:
        raise asyncio.CancelledError

    run, _ = go(asked([cancels]))
    assert (run.end, settled(run).fallback) == ("solved", "first: cancelled")


# --- no key, no SDK, no provider


def real(model: str) -> dict[str, Any]:
    return {"policy": {"rungs": {"first": {"model": model}}}}


@pytest.mark.parametrize("model", ["openai:gpt-5-mini", "google:gemini-2.5-flash"])
def test_without_a_key_the_rule_stands(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    run, provider = go(asked([], real(model)))
    assert (run.end, settled(run).source, settled(run).fallback) == ("solved", "rule", "first: unavailable")
    assert "API key" in of(run, ModelFailed)[0].error
    assert provider.requests == []


def test_without_the_sdk_the_rule_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "stepladder.llm.openai", raising=False)
    monkeypatch.setitem(sys.modules, "openai", None)
    run, _ = go(asked([], real("openai:gpt-5-mini")))
    assert (run.end, settled(run).fallback) == ("solved", "first: unavailable")
    assert "pip install 'stepladder[openai]'" in of(run, ModelFailed)[0].error


def test_a_provider_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="scripted: found no provider for the model scripted:first; expected one of: "):
        Orchestrator(workflow(LADDER), agents={"worker": lambda x: {}})
    nobody_asked = workflow(LADDER, {"policy": {"mode": "programmatic"}})
    Orchestrator(nobody_asked, agents={"worker": lambda x: {}})


def test_a_prompt_that_cannot_be_rendered_is_a_failed_rung() -> None:
    changes = {"policy": {"rungs": {"first": {"prompt": "mine@1"}}}}

    async def body() -> None:
        made = workflow(LADDER, changes, prompts={"mine@1": "Go.\n\n---\n{{ 1 // 0 }} {{ nothing_of_this_name }}"})
        async with Orchestrator(
            made, agents={"worker": lambda x: {}}, providers={"scripted": ScriptedProvider([AGREES])}
        ) as orchestrator:
            run = await orchestrator.run({"x": 1})
            assert (run.end, settled(run).fallback) == ("solved", "first: bad_prompt")

    go(body())


# --- panel and person

PANEL = {"policy": {"routes": {"complex": {"ask": ["panel"]}}}}


@pytest.mark.parametrize(
    ("script", "end", "source", "asked_for"),
    [
        ([DIFFERS, DIFFERS, AGREES], "closed", "panel", 3),
        ([AGREES, AGREES, DIFFERS], "solved", "rule", 3),
        ([DIFFERS, Unavailable, DIFFERS], "closed", "panel", 3),
        ([Unavailable, Unavailable, DIFFERS], "solved", "rule", 3),
        ([DIFFERS, {"action": "AGAIN"}, AGREES], "solved", "rule", 3),
        ([ILLEGAL, ILLEGAL, DIFFERS], "solved", "rule", 3),
    ],
)
def test_a_panel(script: list[Any], end: str, source: str, asked_for: int) -> None:
    run, provider = go(asked(script, PANEL))
    assert (run.end, settled(run).source, len(provider.requests)) == (end, source, asked_for)


def test_voices_after_the_quorum_are_cut_off_or_late() -> None:
    let_go = asyncio.Event()

    async def slow(_: Any) -> Any:
        await let_go.wait()
        return AGREES

    run, _ = go(asked([DIFFERS, DIFFERS, slow], PANEL))
    assert run.end == "closed"
    assert len(of(run, ModelAnswered)) == 2


def test_a_panel_whose_script_runs_dry_fails_loudly_and_leaves_nothing_behind() -> None:
    async def body() -> None:
        provider = ScriptedProvider([lambda _: asyncio.sleep(60), AGREES])
        async with Orchestrator(
            workflow(LADDER, PANEL), agents={"worker": lambda x: {}}, providers={"scripted": provider}
        ) as orchestrator:
            with pytest.raises(ScriptRanDry):
                await orchestrator.run({"x": 1}, run_id="r")
            await turns()
            assert orchestrator._runs._runners == {}
            assert orchestrator.get("r").status == "working"

    go(body())


def test_a_person_on_the_ladder_answers_with_an_action() -> None:
    changes = {
        **routes("first", "person"),
        "policy": {**routes("first", "person")["policy"], "on_low_confidence": "person"},
    }

    async def body() -> None:
        provider = ScriptedProvider([UNSURE])
        async with Orchestrator(
            workflow(LADDER, changes), agents={"worker": lambda x: {}}, providers={"scripted": provider}
        ) as orchestrator:
            run = await orchestrator.run({"x": 1}, run_id="r")
            assert run.waiting is not None
            assert (run.waiting.about, run.waiting.options) == ("decision", ("SOLVE", "CLOSE", "AGAIN"))
            assert orchestrator.runs()[0].waiting == "decision"
            for wrong in ({"action": "STOP"}, {}, {"action": "CLOSE", "confidence": 7}):
                with pytest.raises(InputError, match="an action of SOLVE, CLOSE, AGAIN"):
                    await orchestrator.answer("r", wrong)
            run = await orchestrator.answer("r", {"action": "CLOSE", "reason": "I know it"}, by="ada")
            assert (run.end, settled(run).source, settled(run).relation) == ("closed", "person", "override")
            assert run.decisions[0].by == "ada"
            assert orchestrator.replay("r").divergence is None

    go(body())


# --- shadow

SHADOW = routes("first", reconcile="shadow")


def test_a_shadow_is_not_waited_for_and_joins_the_record_after_the_end() -> None:
    async def body() -> None:
        let_go = asyncio.Event()

        async def slow(_: Any) -> Any:
            await let_go.wait()
            return DIFFERS

        provider = ScriptedProvider([slow])
        async with Orchestrator(
            workflow(LADDER, SHADOW), agents={"worker": lambda x: {}}, providers={"scripted": provider}
        ) as orchestrator:
            run = await orchestrator.run({"x": 1}, run_id="r")
            assert (run.end, of(run, Shadowed)) == ("solved", [])
            await until(lambda: provider.requests)
            let_go.set()
            await until(lambda: of(orchestrator.get("r"), Shadowed))
            run = orchestrator.get("r")
            assert [shadow.outcome for shadow in of(run, Shadowed)] == ["differs"]
            assert (run.end, settled(run).source) == ("solved", "rule")
            assert run.decisions[0].shadows
            assert orchestrator.replay("r").divergence is None
            await turns()
            assert orchestrator._runs._runners == {}

    go(body())


def test_close_waits_a_grace_for_shadows() -> None:
    journal = MemoryJournal()

    async def quick() -> Any:
        await asyncio.sleep(0.02)
        return AGREES

    async def body() -> None:
        provider = ScriptedProvider([lambda _: quick()])
        async with Orchestrator(
            workflow(LADDER, SHADOW), agents={"worker": lambda x: {}}, providers={"scripted": provider}, journal=journal
        ) as orchestrator:
            await orchestrator.run({"x": 1}, run_id="r")
        kinds = [type(entry).__name__ for turn in journal.turns("r") for entry in turn.entries]
        assert kinds[-2:] == ["ModelAnswered", "Shadowed"]

    go(body())


def test_a_shadow_that_a_process_took_with_it_is_cut_off() -> None:
    journal = MemoryJournal()

    async def body() -> None:
        made = workflow(LADDER, SHADOW)
        agents = {"worker": lambda x: {}}
        slow = ScriptedProvider([lambda _: asyncio.sleep(60)])
        first = Orchestrator(made, agents=agents, providers={"scripted": slow}, journal=journal)
        await first.run({"x": 1}, run_id="r")
        await first.close(grace_s=0.0)
        silent = ScriptedProvider([])
        async with Orchestrator(made, agents=agents, providers={"scripted": silent}, journal=journal) as second:
            run = await second.wait("r")
            await until(lambda: of(second.get("r"), Shadowed))
            run = second.get("r")
            assert of(run, ModelFailed)[0].code == "cut_off"
            assert [shadow.outcome for shadow in of(run, Shadowed)] == ["failed"]
            assert silent.requests == []
            assert second.replay("r").divergence is None

    go(body())


def test_a_shadow_whose_script_is_too_short_fails_at_close() -> None:
    async def body() -> None:
        provider = ScriptedProvider([])
        with pytest.raises(ScriptRanDry):
            async with Orchestrator(
                workflow(LADDER, SHADOW), agents={"worker": lambda x: {}}, providers={"scripted": provider}
            ) as orchestrator:
                assert (await orchestrator.run({"x": 1}, run_id="r")).end == "solved"

    go(body())


def test_a_shadow_is_asked_about_the_open_decision_not_about_its_end() -> None:
    _, provider = go(asked([AGREES], SHADOW))
    (shadow,) = provider.requests
    _, provider = go(asked([AGREES]))
    (asked_in_earnest,) = provider.requests
    assert shadow.prompt == asked_in_earnest.prompt


def test_each_question_is_put_once() -> None:
    run, provider = go(asked([{"action": "AGAIN", "confidence": 0.9}, AGREES]))
    assert len(of(run, Asked)) == len(provider.requests) == 2
