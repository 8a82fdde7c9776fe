"""A process that works on a run and kills itself (SIGKILL, no goodbye) at a named place.

    python child.py JOURNAL KEYS [--die PLACE] [--doubt done|redo] [--no-answer] [--verb run|resume]

Agents append their name and idempotency key to KEYS, a file outside the journal, and put the key into their output, so
that a reader of both knows which calls were made and which were recorded. What the run came to is printed as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from stepladder.app.journals import open_journal
from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import AgentCall, Artifact
from stepladder.errors import RunConflict, StepladderError
from stepladder.events import AgentFailed, AgentReturned, Event, RunStarted
from stepladder.journal import InboxItem, Journal, Turn, decode_turn, entries_in
from stepladder.journal.address import is_address
from stepladder.journal.postgres import PostgresJournal
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm import ModelRequest, ScriptedProvider
from stepladder.record import Entry, Settled

RUN: Final = "journey"

PLACES: Final = (
    "before the first call",
    "in an agent before its effect",
    "after the effect before returning",
    "after returning before the append",
    "after the append before the next command",
    "during a retry pause",
    "while waiting for a person",
    "after an answer was put",
    "after an answer was taken",
    "while waiting for a time",
    "in the middle of a model ask",
    "after a model answered before the append",
    "in the middle of a panel",
    "in the bank before its effect",
    "in the bank after its effect",
    "at the end",
)
"""Where it may die."""


class Death:
    """Kills this process when it comes to its place."""

    def __init__(self, place: str) -> None:
        self.place = place

    def at(self, place: str) -> None:
        if place == self.place:
            os.kill(os.getpid(), signal.SIGKILL)

    def soon(self, place: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.at, place)


class Deadly:
    """Places to die around each append to a real journal."""

    death: Death

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        (turn,) = turns  # one run is at work
        event = decode_turn(turn.body)[0]
        kind = type(event).__name__
        if kind == "AgentReturned" and event.command == 2:  # type: ignore[union-attr]
            self.death.at("after returning before the append")
        if kind == "ModelAnswered":
            self.death.at("after a model answered before the append")
        refused: list[StepladderError | None] = super().write(turns)  # type: ignore[misc]
        if kind == "RunStarted":
            self.death.at("before the first call")
        if kind == "AgentReturned" and event.command == 2:  # type: ignore[union-attr]
            self.death.at("after the append before the next command")
        if kind == "AgentFailed":
            self.death.soon("during a retry pause", 0.02)
        if kind == "PersonAnswered":
            self.death.at("after an answer was taken")
            self.death.soon("while waiting for a time", 0.01)
        return refused

    def put(self, *what: Any) -> InboxItem:
        item: InboxItem = super().put(*what)  # type: ignore[misc]
        self.death.at("after an answer was put")
        return item


class DeadlySqlite(Deadly, SqliteJournal):
    """In a file."""


class DeadlyPostgres(Deadly, PostgresJournal):
    """On a server."""


def deadly(journal: str, death: Death) -> Journal:
    """The journal that this names."""
    opened = DeadlyPostgres(journal) if is_address(journal) else DeadlySqlite(journal)
    opened.death = death
    return opened


class Agents:
    """Agents whose effect is a line in a file."""

    def __init__(self, keys: Path, death: Death) -> None:
        self.keys, self.death = keys, death

    def _effect(self, call: AgentCall) -> dict[str, Any]:
        line = f"{call.agent} {call.key}\n".encode()
        file = os.open(self.keys, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, line)
        os.fsync(file)
        os.close(file)
        return {"key": call.key}

    async def fetcher(self, call: AgentCall, topic: str, count: int = 0) -> dict[str, Any]:
        await asyncio.sleep(0.005)
        return {**self._effect(call), "page": Artifact(topic.encode(), "text/plain")}

    def parser(self, call: AgentCall, page: str) -> dict[str, Any]:
        self.death.at("in an agent before its effect")
        done = self._effect(call)
        self.death.at("after the effect before returning")
        return done

    async def flaky(self, call: AgentCall, facts: str) -> dict[str, Any]:
        if call.attempt == 1:
            raise ConnectionError("the first attempt always fails")
        return self._effect(call)

    def bank(self, call: AgentCall, count: int) -> dict[str, Any]:
        self.death.at("in the bank before its effect")
        done = self._effect(call)
        self.death.at("in the bank after its effect")
        return {**done, "ok": True}

    async def reporter(self, call: AgentCall, charge: bool) -> dict[str, Any]:
        return self._effect(call)

    @property
    def all(self) -> dict[str, Any]:
        names = ("fetcher", "parser", "flaky", "bank", "reporter")
        return {name: getattr(self, name) for name in names}


def models(death: Death) -> ScriptedProvider:
    """Models that always say the same, each after a moment."""

    async def answer(request: ModelRequest) -> dict[str, Any]:
        await asyncio.sleep(0.01 if request.model in ("judge", "a") else 0.03)
        if request.model == "judge":
            assert [each.data for each in request.attachments] == [b"judgement", b"owls"]
            death.at("in the middle of a model ask")
            return {"action": "VOTE", "confidence": 0.9}
        if request.model != "a":
            death.at("in the middle of a panel")
        return {"action": "CHARGE" if request.model != "c" else "LOSE", "confidence": 0.8}

    return ScriptedProvider([answer] * 40)


def journey() -> Workflow:
    """The workflow."""
    return Workflow.load(Path(__file__).with_name("journey.yaml"))


async def go(given: argparse.Namespace) -> dict[str, Any]:
    """Work until there is nothing more to say to the run."""
    death = Death(given.die)
    journal = deadly(given.journal, death)
    agents = Agents(Path(given.keys), death)

    def listen(run: Run, entries: Sequence[Event | Entry]) -> None:
        if run.status == "ended":
            death.at("at the end")

    async with Orchestrator(
        journey(), agents=agents.all, journal=journal, providers={"scripted": models(death)}, listen=listen
    ) as orchestrator:
        try:
            if given.verb == "run":
                run = await orchestrator.run({"topic": "owls"}, run_id=RUN)
            else:
                run = await orchestrator.resume(RUN)
            while run.waiting and not given.no_answer:
                death.at("while waiting for a person")
                doubt = {"effect": given.doubt, **({"output": {"ok": True}} if given.doubt == "done" else {})}
                run = await orchestrator.answer(RUN, doubt if run.waiting.about == "effect" else {"count": 3})
        except RunConflict as error:
            return {"conflict": str(error)}
        return told(orchestrator, run)


def told(orchestrator: Orchestrator, run: Run) -> dict[str, Any]:
    """What a test compares."""
    replayed = orchestrator.replay(run.id)
    return {
        "end": run.end,
        "waiting": run.waiting.about if run.waiting else "",
        "output": run.output,
        "settled": [
            [each.n, each.action, each.source, each.relation] for each in run.entries if isinstance(each, Settled)
        ],
        "kinds": [type(each).__name__ for each in run.entries],
        "failed": [each.reason for each in run.entries if isinstance(each, AgentFailed)],
        "started": sum(isinstance(each, RunStarted) for each in run.entries),
        "divergence": replayed.divergence and replayed.divergence.cause,
    }


def recorded(place: str) -> set[str]:
    """The keys of the calls whose result is in the journal."""
    journal = open_journal(place)
    entries = entries_in(journal.turns(RUN))
    journal.close()
    return {entry.output["key"] for entry in entries if isinstance(entry, AgentReturned)}


def work(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Work as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("journal")
    parser.add_argument("keys")
    parser.add_argument("--die", default="", choices=["", *PLACES])
    parser.add_argument("--doubt", default="done", choices=["done", "redo"])
    parser.add_argument("--no-answer", action="store_true")
    parser.add_argument("--verb", default="run", choices=["run", "resume"])
    return asyncio.run(go(parser.parse_args(arguments)))


if __name__ == "__main__":
    print(json.dumps(work()))
