"""A file as a field of the input, and what of it went to a model."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from stepladder.journal.sqlite import SqliteJournal
from tests.cli.desk import Desk
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import KEY, OPENAI_OK, changed

RECEIPT = b"\x89PNG a receipt"
DIGEST = sha256(RECEIPT).hexdigest()
EXPENSE = """
workflow: expense
input: {photo: object, more: {type: [object, "null"], default: null}, note: {type: string, default: ""}}
start: received
phases: {all: {steps: {received: {}}}}
ends: {paid: {success: true, output: {note: input.note}}, refused: {success: false}}
actions: {PAY: {from: received, to: paid}, REFUSE: {from: received, to: refused}}
rules: {received: {look: {do: REFUSE, because: nobody looked at it}}}
policy:
  classifier: {complex: {every: [decisions >= 0]}}
  rungs: {eyes: {model: "openai:gpt-5-mini", attachments: {types: [image/*]}}}
  routes: {complex: {ask: [eyes]}}
"""
PAYS = changed(OPENAI_OK, "choices.0.message.content", '{"reason": "12.00 EUR", "action": "PAY", "confidence": 0.9}')


@pytest.fixture
def expense(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    desk.write(expense__yaml=EXPENSE)
    (desk.folder / "receipt.png").write_bytes(RECEIPT)
    (desk.folder / "letter.txt").write_text("Dear Sirs")
    return desk


def test_a_file_is_read_kept_sent_and_shown(expense: Desk) -> None:
    given = ("-i", "photo=@receipt.png", "-i", "more=@letter.txt", "-i", "note=@receipt.png")
    with Loopback(answer(200, PAYS)) as server:
        told = expense("run", "expense.yaml", *given, "--id", "e-1", "--base-url", f"{server.url}/v1", "--json")
        (request,) = server.requests
    assert (told.code, told.json["end"]) == (0, "paid")
    assert told.json["output"] == {"note": "@receipt.png"}, "a text is a text"
    parts = request.json["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["text", "text", "image_url"]
    (expense.folder / "receipt.png").unlink()  # it was read once, and is never opened again

    assert ", 1 attached, 1 left out" in expense("show", "e-1", "--log").out
    shown = expense("show", "e-1", "--decision", "1").out
    assert f"attached   artifact {DIGEST[:12]} for eyes" in shown
    assert "left out   artifact" in shown
    assert "text/plain is not taken" in shown
    (call,) = expense.json("show", "e-1", "-d", "1")["calls"]
    assert call["attached"] == [DIGEST]
    photo = {"$artifact": DIGEST, "bytes": len(RECEIPT), "media_type": "image/png"}
    assert expense.json("show", "e-1")["input"]["photo"] == photo
    assert expense("replay", "e-1").code == 0
    journal = SqliteJournal(expense.folder / "stepladder.db")
    assert journal.artifact(DIGEST) == RECEIPT
    journal.close()


def test_what_is_shown_to_a_model_may_be_played_from_a_reference(expense: Desk) -> None:
    """The reference that `show` prints may be handed in again, as any JSON."""
    photo = json.dumps({"$artifact": DIGEST, "bytes": len(RECEIPT), "media_type": "image/png"})
    with Loopback(answer(200, PAYS)) as server:
        expense("run", "expense.yaml", "-i", "photo=@receipt.png", "--base-url", f"{server.url}/v1")
        expense("run", "expense.yaml", "-i", f"photo={photo}", "--base-url", f"{server.url}/v1")
        first, second = (each.json["messages"] for each in server.requests)
    assert first == second


@pytest.mark.parametrize(
    ("path", "found"), [("gone.png", "no such file"), (".", "is a directory"), ("", "is a directory")]
)
def test_a_file_that_cannot_be_read_is_refused_and_nothing_is_written(expense: Desk, path: str, found: str) -> None:
    told = expense("run", "expense.yaml", "-i", f"photo=@{path}")
    assert told.code == 2
    assert f"--input: photo: found {path!r}: {found}" in " ".join(told.err.split())
    assert not (expense.folder / "stepladder.db").exists()
