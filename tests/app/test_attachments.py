"""Images and documents from a run's facts to a model, and what the record says of them."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stepladder import Artifact, DecisionPoint, InputError, MemoryJournal, ScriptedProvider, SqliteJournal, rule
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.errors import DefinitionError
from stepladder.events import ModelAnswered, ModelFailed, PersonAnswered, RunResumed, RunStarted
from stepladder.journal import encode_turn
from stepladder.llm import Attachment, ModelRequest
from tests.app.test_live import ANSWER, MODELS
from tests.drivers.desk import LADDER, go, of, workflow
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import KEY

PHOTO = Artifact(b"\x89PNG a receipt", "image/png")
SCAN = Artifact(b"%PDF-1.7 a scan", "application/pdf")
ZIP = Artifact(b"PK", "application/zip")
SAYS = {"action": "CLOSE", "confidence": 0.9, "reason": "the receipt is not readable"}
TAKES = {"types": ["image/*", "application/pdf"], "bytes": 1000}


def digest(artifact: Artifact) -> str:
    return sha256(artifact.data).hexdigest()


def takes(attachments: Any = TAKES, **rung: Any) -> dict[str, Any]:
    return {"policy": {"rungs": {"first": {"attachments": attachments, **rung}}}}


async def asked(
    given: Any, returned: Any = None, changes: dict[str, Any] | None = None, **more: Any
) -> tuple[Run, list[ModelRequest]]:
    provider = ScriptedProvider([SAYS])
    agents = {"worker": lambda x: {"page": returned}}
    changes = takes() if changes is None else changes
    async with Orchestrator(
        workflow(LADDER, changes), agents=agents, providers={"scripted": provider}, **more
    ) as orchestrator:
        run = await orchestrator.run({"x": given}, run_id="r")
        _ = run.entries
        assert orchestrator.replay("r").divergence is None
    return run, provider.requests


def test_artifacts_of_input_and_result_go_with_the_question() -> None:
    run, (request,) = go(asked({"photo": PHOTO, "zip": ZIP}, SCAN))
    assert request.attachments == (
        Attachment("application/pdf", SCAN.data, "attachment-1"),
        Attachment("image/png", PHOTO.data, "attachment-2"),
    )
    for line in (
        '"attached": "attachment-1"',
        '"attached": "attachment-2"',
        '"left_out": "application/zip is not taken"',
    ):
        assert line in request.prompt
    (event,) = of(run, ModelAnswered)
    assert event.attached == (digest(SCAN), digest(PHOTO))
    assert event.left_out == {digest(ZIP): "application/zip is not taken"}


def test_the_record_says_what_went_along() -> None:
    run, _ = go(asked({"photo": PHOTO, "zip": ZIP}))
    record = run.decisions[0]
    (call,) = record.calls
    assert (call.attached, call.left_out) == ((digest(PHOTO),), {digest(ZIP): "application/zip is not taken"})
    assert f"  attached  artifact {digest(PHOTO)[:12]} for first" in record.explain()
    assert f"  left out  artifact {digest(ZIP)[:12]} for first: application/zip is not taken" in record.explain()
    assert record.as_dict()["calls"][0]["attached"] == (digest(PHOTO),)


def test_a_rung_that_declares_nothing_is_sent_nothing() -> None:
    run, (request,) = go(asked({"photo": PHOTO}, changes={}))
    assert request.attachments == ()
    assert digest(PHOTO) in request.prompt
    assert "attached" not in request.prompt
    assert b"attached" not in encode_turn(run.entries)
    assert b"left_out" not in encode_turn(run.entries)


def test_every_model_of_a_panel_is_sent_them_and_the_record_tells_once() -> None:
    panel = {"policy": {"rungs": {"panel": {"attachments": TAKES}}, "routes": {"complex": {"ask": ["panel"]}}}}

    async def body() -> tuple[Run, list[ModelRequest]]:
        provider = ScriptedProvider([SAYS, SAYS, SAYS])
        async with Orchestrator(
            workflow(LADDER, panel), agents={"worker": lambda x: {}}, providers={"scripted": provider}
        ) as orchestrator:
            run = await orchestrator.run({"x": PHOTO})
            _ = run.entries
            return run, provider.requests

    run, requests = go(body())
    assert [len(each.attachments) for each in requests] == [1, 1, 1]
    assert run.decisions[0].explain().count("attached  ") == 1


def test_the_input_is_what_the_journal_holds() -> None:
    journal = MemoryJournal()
    run, _ = go(asked(PHOTO, journal=journal))
    reference = {"$artifact": digest(PHOTO), "bytes": len(PHOTO.data), "media_type": "image/png"}
    assert of(run, RunStarted)[0].input == {"x": reference}
    assert journal.artifact(digest(PHOTO)) == PHOTO.data
    again, requests = go(asked(PHOTO, journal=journal))
    assert (again.id, requests) == (run.id, []), "the same input is the same run"


def test_an_input_that_is_refused_leaves_nothing_behind() -> None:
    journal = MemoryJournal()
    with pytest.raises(InputError):
        go(asked({"photo": PHOTO, "bad": object()}, journal=journal))
    assert journal.artifact(digest(PHOTO)) is None


def test_a_person_and_a_message_may_bring_artifacts() -> None:
    asking = {
        "phases": {"work": {"steps": {"trying": {"agent": None, "ask": "person", "with": {}}}}},
        "policy": {"rungs": {"first": {"attachments": TAKES}}},
    }

    async def body() -> tuple[Run, list[ModelRequest]]:
        provider = ScriptedProvider([SAYS])
        async with Orchestrator(workflow(LADDER, asking), providers={"scripted": provider}) as orchestrator:
            await orchestrator.run({"x": 1}, run_id="r")
            run = await orchestrator.answer("r", {"photo": PHOTO})
            _ = run.entries
            return run, provider.requests

    run, (request,) = go(body())
    assert of(run, PersonAnswered)[0].value["photo"]["$artifact"] == digest(PHOTO)
    assert [each.data for each in request.attachments] == [PHOTO.data]


def test_bytes_that_are_gone_are_said_to_be_and_replay_needs_none(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    class Forgetful(SqliteJournal):
        def artifact(self, digest: str) -> bytes | None:
            return None

    run, (request,) = go(asked(PHOTO, journal=Forgetful(file)))  # it is replayed in there
    assert request.attachments == ()
    assert '"left_out": "its bytes are not there any more"' in request.prompt
    assert of(run, ModelAnswered)[0].left_out == {digest(PHOTO): "its bytes are not there any more"}


def test_a_run_that_is_taken_up_in_mid_question_is_asked_again_with_its_attachments(tmp_path: Path) -> None:
    file, seen, reached = tmp_path / "runs.db", list[ModelRequest](), asyncio.Event()

    async def hangs(request: ModelRequest) -> dict[str, Any]:
        seen.append(request)
        reached.set()
        await asyncio.sleep(60)
        return SAYS

    def at_work(provider: ScriptedProvider) -> Orchestrator:
        agents = {"worker": lambda x: {"page": SCAN}}
        return Orchestrator(workflow(LADDER, takes()), agents=agents, journal=file, providers={"scripted": provider})

    async def body() -> tuple[Run, list[ModelRequest]]:
        async with at_work(ScriptedProvider([hangs])) as first:
            running = asyncio.create_task(first.run({"x": PHOTO}, run_id="r"))
            await reached.wait()
            await first.close()  # as if the process had died
            await asyncio.gather(running, return_exceptions=True)
        second = ScriptedProvider([SAYS])
        async with at_work(second) as orchestrator:
            run = await orchestrator.resume("r")
            _ = run.entries
            assert orchestrator.replay("r").divergence is None
        return run, second.requests

    run, (again,) = go(body())
    assert len(of(run, RunResumed)) == 1
    assert [each.data for each in again.attachments] == [SCAN.data, PHOTO.data]
    assert again.attachments == seen[0].attachments
    assert again.prompt == seen[0].prompt


# --- on the wire


async def live(provider: str, url: str, given: Any) -> Run:
    base_url = f"{url}/v1" if provider == "openai" else url
    changes = takes({"types": ["image/*", "application/*", "text/*"]}, model=MODELS[provider])
    async with Orchestrator(
        workflow(LADDER, changes),
        agents={"worker": lambda x: {}},
        options={provider: {"base_url": base_url, "api_key": KEY}},
    ) as orchestrator:
        run = await orchestrator.run({"x": given})
        _ = run.entries
        assert orchestrator.replay(run.id).divergence is None
        return run


@pytest.mark.parametrize("provider", MODELS)
def test_a_run_sends_its_artifacts_through_the_sdk(provider: str) -> None:
    note = Artifact(b"paid in cash", "text/plain; charset=utf-8")
    with Loopback(answer(200, ANSWER[provider]('{"action": "CLOSE", "reason": "", "confidence": 0.9}'))) as server:
        run = go(live(provider, server.url, [PHOTO, SCAN, note]))
        (request,) = server.requests
    sent = request.json
    parts = sent["messages"][-1]["content"] if provider == "openai" else sent["contents"][-1]["parts"]
    kinds = [next(iter(set(part) - {"type"})) for part in parts]
    assert (
        kinds
        == {
            "openai": ["text", "text", "image_url", "text", "file", "text"],
            "google": ["text", "text", "inlineData", "text", "inlineData", "text"],
        }[provider]
    )
    assert parts[0]["text"].count('"attached": "attachment-') == 3
    assert parts[5]["text"] == '<data name="attachment-3">\n"paid in cash"\n</data>'
    assert run.decisions[0].source == "model"
    assert run.decisions[0].calls[0].attached == (digest(PHOTO), digest(SCAN), digest(note))


@pytest.mark.parametrize("provider", MODELS)
def test_what_the_provider_cannot_take_fails_the_rung_and_nothing_is_sent(provider: str) -> None:
    with Loopback(answer(500)) as server:
        run = go(live(provider, server.url, [PHOTO, ZIP]))
        assert server.requests == []
    (failed,) = of(run, ModelFailed)
    assert failed.code == "rejected"
    assert "attachment-2 is application/zip" in failed.error
    assert run.decisions[0].source == "rule"
    assert "first: rejected" in run.decisions[0].settled.fallback
    assert KEY not in repr(run.entries)


# --- a decision alone


def point(*answers: Any, **more: Any) -> DecisionPoint:
    return DecisionPoint(
        "receipt",
        signals={"amount": float},
        rules=[rule("REFUSE", because="nobody looked at it")],
        classifier={"complex": {"large": ["amount > 100"]}},
        model="scripted:eyes",
        providers={"scripted": ScriptedProvider(answers)},
        **more,
    )


def test_the_context_of_a_lone_decision_may_hold_artifacts(tmp_path: Path) -> None:
    requests: list[ModelRequest] = []

    def look(request: ModelRequest) -> dict[str, Any]:
        requests.append(request)
        return {"action": "APPROVE", "reason": "it is a receipt", "confidence": 0.9}

    async def body() -> None:
        async with point(look, attachments=["image/*"], journal=tmp_path / "d.db") as receipts:
            given = {"receipt": PHOTO, "terms": SCAN}
            decision = await receipts.decide({"amount": 200}, legal=["APPROVE", "REFUSE"], context=given)
            assert (decision.action, decision.source) == ("APPROVE", "model")
            assert f"attached  artifact {digest(PHOTO)[:12]} for model" in decision.explain()
            assert (
                f"left out  artifact {digest(SCAN)[:12]} for model: application/pdf is not taken" in decision.explain()
            )
            assert receipts.replay(decision.id)

    go(body())
    (request,) = requests
    assert request.attachments == (Attachment("image/png", PHOTO.data, "attachment-1"),)
    assert '"attached": "attachment-1"' in request.prompt


def test_a_lone_decision_sends_nothing_unless_told_to() -> None:
    async def body() -> None:
        async with point(lambda request: {"action": "APPROVE", "n": 1 / (not request.attachments)}) as receipts:
            await receipts.decide({"amount": 200}, legal=["APPROVE", "REFUSE"], context=PHOTO)

    go(body())


def test_what_a_point_sends_is_checked_and_part_of_what_it_is() -> None:
    assert point().point.hash != point(attachments=["image/png"]).point.hash
    with pytest.raises(DefinitionError, match=r"media type 'png'; expected one such as image/png"):
        point(attachments=["png"])
