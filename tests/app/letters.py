"""A journal with a bit of everything, for tests of keeping journals: three runs, a lone decision, an artifact."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from stepladder.app.decision_point import DecisionPoint
from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import Artifact, ManualClock, turns
from stepladder.journal import Journal
from stepladder.journal.sqlite import SqliteJournal
from stepladder.rules import rule
from stepladder.workflow.yaml_text import read_yaml

SECRET: Final = "the heron keeps its nest behind the mill"
"""What payloads say, and records do not."""
PAGE: Final = b"a page about herons, behind the mill"

LETTERS: Final = """
workflow: letters
input: {topic: string, page: {type: object}}
start: writing
agents: {writer: {idempotent: true}, printer: {idempotent: true}}
phases:
  all:
    steps:
      writing:  {agent: writer, as: draft, with: {topic: input.topic}}
      asking:   {ask: person, as: wish, with: {question: "'How many?'"}, output: {count: integer, note: string}}
      printing: {agent: printer, as: sheets, with: {text: result.draft.text, note: result.wish.note}}
ends:
  done: {success: true, output: {text: result.draft.text, count: result.wish.count}}
  lost: {success: false}
actions:
  ASK:    {from: writing, to: asking, guard: [returned == ok]}
  PRINT:  {from: asking, to: printing, guard: [returned == ok], parameters: {note: string}}
  FINISH: {from: printing, to: done, guard: [returned == ok]}
  LOSE:   {from: "*", to: lost}
rules:
  writing:  {ask: {do: ASK, because: somebody wants it}, lose: {do: LOSE}}
  asking:   {print: {do: PRINT, with: {note: last.note}, because: they said how many}, lose: {do: LOSE}}
  printing: {finish: {do: FINISH, because: it is printed}, lose: {do: LOSE}}
policy: {limits: {then: lost}, classifier: {}}
"""


def letters() -> Workflow:
    return Workflow.define(read_yaml(LETTERS)[0])


async def writer(topic: str) -> dict[str, Any]:
    return {"text": f"on {topic}: {SECRET}"}


async def printer(text: str, note: str) -> dict[str, Any]:
    if note == "jam":
        raise RuntimeError(f"no paper for {SECRET}")
    return {"sheets": 2, "proof": Artifact(f"proof of {text}".encode(), "text/plain")}


def orchestrator(journal: Journal | str | Path, clock: ManualClock | None = None) -> Orchestrator:
    agents = {"writer": writer, "printer": printer}
    return Orchestrator(letters(), agents=agents, journal=journal, clock=clock or ManualClock())


async def write_letter(letter: Orchestrator, run_id: str, note: str = SECRET) -> None:
    page = Artifact(PAGE + run_id.encode(), "text/plain")
    await letter.run({"topic": f"herons of {run_id}", "page": page}, run_id=run_id)
    await letter.answer(run_id, {"count": 3, "note": note}, by="ann")


async def fill(journal: Journal) -> None:
    """done, lost: ended; open: asks a person; gone: cancelled; alone: a lone decision."""
    clock = ManualClock()
    async with orchestrator(journal, clock) as letter:
        await write_letter(letter, "done")
        await write_letter(letter, "lost", "jam")
        await letter.run({"topic": "open", "page": {}}, run_id="open")
        await letter.run({"topic": "gone", "page": {}}, run_id="gone")
        await letter.cancel("gone", reason="not wanted", by="bob")
        await letter.outcome("done", success=True, note="they were glad", by="ann")
    point = DecisionPoint("next", signals={"errors": int}, rules=[rule("GO")], journal=journal, clock=clock)
    async with point:
        await point.decide({"errors": 1}, legal=["GO", "STAY"], context={"said": SECRET}, decision_id="alone")


def filled(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal file with all of this; states are kept every few entries."""
    monkeypatch.setattr(turns, "CHECKPOINT_EVERY", 5)
    journal = SqliteJournal(path)
    asyncio.run(fill(journal))
    journal.close()
