"""Replay: no network, no agent, no model; everything is reproduced; what was planted is found where it was planted."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import Replayed
from stepladder.errors import JournalError
from stepladder.events import PolicyChanged
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm import ScriptedProvider
from stepladder.llm.errors import Unavailable
from stepladder.record import Settled
from tests.drivers.desk import ONE, TALK, go, of, until, workflow

LOOP = """
workflow: loop
input: {x: any}
start: trying
agents: {worker: {idempotent: true, scores: {quality: [0, 10]}}}
phases: {work: {steps: {trying: {agent: worker, as: tried, with: {x: input.x, round: taken.AGAIN}}}}}
ends: {solved: {success: true}, closed: {success: false}}
actions:
  SOLVE: {from: trying, to: solved, guard: [score.quality >= 8]}
  AGAIN: {from: trying, to: trying, guard: [taken.AGAIN < 5]}
  CLOSE: {from: trying, to: closed}
rules:
  trying:
    solve: {when: [score.quality >= 8], do: SOLVE, because: it is good}
    again: {do: AGAIN, because: it may get better}
    close: {do: CLOSE, because: it does not get better}
policy:
  limits: {decisions: 20, then: closed}
  classifier: {complex: {poor: [score.quality < 5]}, hybrid: {fair: [score.quality < 8]}}
  rungs: {first: {model: "scripted:first", deadline_s: 5}}
  routes: {complex: {ask: [first]}}
"""


def made(file: Path) -> Orchestrator:
    qualities = [2.0, 6.0, 4.5, 9.0]

    async def worker(x: Any, round: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
        return {"quality": qualities[round], "unread": f"nobody reads this {round}", "rows": [1, 2, 3]}

    provider = ScriptedProvider([{"action": "AGAIN", "confidence": 0.9}, Unavailable])
    return Orchestrator(workflow(LOOP), agents={"worker": worker}, providers={"scripted": provider}, journal=file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A journal with one run of four decisions: by agreement, rule, fallback and rule."""
    path = tmp_path / "runs.db"

    async def body() -> None:
        async with made(path) as orchestrator:
            run = await orchestrator.run({"x": 1}, run_id="r")
            assert [settled.action for settled in of(run, Settled)] == ["AGAIN", "AGAIN", "AGAIN", "SOLVE"]
            assert [record.opened.route for record in run.decisions] == ["complex", "hybrid", "complex", "standard"]

    go(body())
    return path


def replayed(file: Path) -> Replayed:
    async def body() -> Replayed:
        async with made(file) as orchestrator:
            return orchestrator.replay("r")

    return go(body())


class NetworkUsedError(Exception):
    pass


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise NetworkUsedError

    for name in ("connect", "connect_ex", "send", "sendall", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.mark.usefixtures("no_network")
def test_everything_is_reproduced_without_network_agents_or_models(file: Path) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("an agent was called")

    silent = ScriptedProvider([])
    orchestrator = Orchestrator(workflow(LOOP), agents={"worker": never}, providers={"scripted": silent}, journal=file)
    found = orchestrator.replay("r")
    assert (found.divergence, found.decisions, found.end) == (None, 4, "solved")
    assert found.entries == len(orchestrator.get("r").entries)
    assert silent.requests == []


def plant(file: Path, before: str, after: str, turn: int | None = None) -> int:
    """Change the text in one turn's body; the number of the decision in which it should be found."""
    with sqlite3.connect(file) as db:
        rows = db.execute("SELECT seq, body FROM turns ORDER BY seq").fetchall()
        holding = [seq for seq, body in rows if before in body and (turn is None or seq == turn)]
        assert holding, f"{before} is in no turn"
        db.execute("UPDATE turns SET body = replace(body, ?, ?) WHERE seq = ?", (before, after, holding[0]))
        return holding[0]


@pytest.mark.parametrize(
    ("before", "after", "decision", "said"),
    [
        # a threshold and a reading in a fired clause
        ('[["score.quality < 5",2.0', '[["score.quality < 3",2.0', 1, "fired was"),
        ('[["score.quality < 8",6.0', '[["score.quality < 8",6.5', 2, "fired was"),
        ('"score":{"quality":6.0}', '"score":{"quality":6.5}', 2, "signals was"),
        # a settled action, and how it came about
        (
            '"kind":"settled","n":2,',
            '"kind":"settled","n":2,"action":"SOLVE",',
            2,
            "action was 'SOLVE', is now 'AGAIN'",
        ),
        ('"relation":"agreement"', '"relation":"override"', 1, "relation was 'override'"),
        ('"fallback":"first: unavailable"', '"fallback":"first: late"', 3, "fallback was"),
        ('"rule":"solve"', '"rule":"again"', 4, "rule was"),
        # payloads: one that a rule reads, one that nobody reads, and what a model said
        ('"quality":9.0,', '"quality":7.0,', 4, ""),
        ("nobody reads this 0", "nobody reads thiz 0", 1, "digest does not fit"),
        ("nobody reads this 2", "nobody reads thiz 2", 3, "digest does not fit"),
        ('\\"confidence\\": 0.9', '\\"confidence\\": 0.8', 1, ""),
        ('"code":"unavailable"', '"code":"timed_out"', 3, ""),
        # the beginning
        ('"input":{"x":1}', '"input":{"x":2}', 1, "digest does not fit"),
    ],
)
def test_what_was_planted_is_found_at_its_decision(
    file: Path, before: str, after: str, decision: int, said: str
) -> None:
    plant(file, before, after)
    divergence = replayed(file).divergence
    assert divergence is not None
    assert divergence.decision == decision, divergence.cause
    assert said in divergence.cause


def test_a_removed_turn_is_found(file: Path) -> None:
    with sqlite3.connect(file) as db:
        seqs = [seq for (seq,) in db.execute("SELECT seq FROM turns ORDER BY seq")]
        db.execute("DELETE FROM turns WHERE seq = ?", (seqs[2],))
    divergence = replayed(file).divergence
    assert divergence is not None
    assert "is missing" in divergence.cause
    assert divergence.seq == seqs[2]


def test_a_removed_beginning_is_found_and_the_run_is_not_taken_up(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("DELETE FROM turns WHERE seq = 1")
    divergence = replayed(file).divergence
    assert divergence is not None
    assert (divergence.cause, divergence.decision) == ("entry 1 is missing", 1)

    async def body() -> None:
        async with made(file) as orchestrator:
            with pytest.raises(JournalError, match="without its beginning"):
                await orchestrator.wait("r")

    go(body())


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        '[{"kind":"time_passed","at":1.0}]',
        '[{"kind":"opened","n":1,"step":"x","legal":[],"verdict":{"action":"A"}}]',
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_turn_replaced_by_another_is_found_and_never_a_crash(file: Path, body: str, place: int) -> None:
    with sqlite3.connect(file) as db:
        seqs = [seq for (seq,) in db.execute("SELECT seq FROM turns ORDER BY seq")]
        db.execute("UPDATE turns SET body = ? WHERE seq = ?", (body, seqs[place]))
    assert replayed(file).divergence is not None


def test_swapped_turns_are_found(file: Path) -> None:
    with sqlite3.connect(file) as db:
        (a, first), (b, second) = db.execute("SELECT seq, body FROM turns ORDER BY seq LIMIT 2 OFFSET 1").fetchall()
        db.execute("UPDATE turns SET body = ? WHERE seq = ?", (second, a))
        db.execute("UPDATE turns SET body = ? WHERE seq = ?", (first, b))
    assert replayed(file).divergence is not None


def test_a_journal_that_was_tampered_with_is_still_a_journal_error_where_it_cannot_be_read(file: Path) -> None:
    plant(file, '"kind":"settled"', '"kind":"unsettled"')
    with pytest.raises(JournalError, match="entry"):
        replayed(file)


# --- policies that change between processes

OTHER = {
    "rules": {"drafting": {"question": {"when": ["taken.ASK < 2", "error_count == 0"]}}},
    "policy": {"classifier": {"hybrid": {"often": ["repeated_calls >= 2"]}}},
}


def talker(file: Path, changes: dict[str, Any] | None = None) -> Orchestrator:
    agents = {"writer": lambda topic, notes: {"text": topic}, "printer": lambda text, note: {"sheets": 1}}
    return Orchestrator(workflow(TALK, changes), agents=agents, journal=file)


def test_a_policy_that_changed_is_journaled_and_its_signals_have_their_memories(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talker(file) as first:
            await first.run({"topic": "owls"}, run_id="r")
            await first.answer("r", {"text": "a"})
            assert first.get("r").step == "embargo"
            other_policy = workflow(TALK, OTHER)
            assert other_policy.hash == first.workflow.hash
            assert other_policy.machine.policy.hash != first.machine.policy.hash
        async with talker(file, {**OTHER, "policy": {**OTHER["policy"], "limits": {"then": "dropped"}}}) as second:
            run = await second.cancel("r")
            (changed,) = of(run, PolicyChanged)
            assert changed.policy_hash == second.machine.policy.hash
            assert second.replay("r").divergence is None
        async with talker(file) as third:
            assert third.replay("r").divergence is None, "each decision is made under the policy it had"
            run = await third.retry("r")
            assert third.replay("r").divergence is None

    go(body())


def test_a_signal_that_only_the_new_policy_reads_counts_what_happened_before(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    changes = {
        "rules": {
            "embargo": {"suspicious": {"when": ["clarifications >= 1"], "do": "DROP", "because": "somebody answered"}}
        }
    }

    async def body() -> None:
        async with talker(file) as first:
            await first.run({"topic": "owls"}, run_id="r")
            await first.answer("r", {"text": "a"})
        reordered = {
            **changes,
            "rules": {
                "embargo": {
                    "cool": None,
                    "drop": None,
                    "suspicious": changes["rules"]["embargo"]["suspicious"],
                    "cool_it": {"when": ["returned == ok"], "do": "COOL", "because": "it is released"},
                }
            },
        }
        async with talker(file, reordered) as second:
            run = await second.send("r", "released")
            assert run.reason == "somebody answered"
            assert run.decisions[-1].signals["clarifications"] == 1
            assert second.replay("r").divergence is None
            before = [record.policy_hash for record in run.decisions]
            assert len(set(before)) == 2

    go(body())


def test_a_policy_that_the_journal_does_not_keep_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talker(file) as first:
            await first.run({"topic": "owls"}, run_id="r")
        async with talker(file, OTHER) as second:
            await second.answer("r", {"text": "a"})
            lost = second.machine.policy.hash
        with sqlite3.connect(file) as db:
            db.execute("DELETE FROM definitions WHERE hash LIKE ?", (f"%/{lost}",))
        async with talker(file) as third:
            with pytest.raises(JournalError, match=lost):
                third.replay("r")

    go(body())


def test_there_and_back_again(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talker(file) as first:
            await first.run({"topic": "owls"}, run_id="r")
        async with talker(file, OTHER) as second:
            await second.answer("r", {"text": "a"})
            assert second.get("r").step == "asking", "the new policy asks twice"
        async with talker(file) as third:
            run = await third.answer("r", {"text": "b"})
            assert run.step == "embargo"
            assert len(of(run, PolicyChanged)) == 2
            assert third.replay("r").divergence is None

    go(body())


def test_looking_at_a_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talker(file) as first:
            before = (await first.run({"topic": "owls"}, run_id="r")).entries
        async with talker(file, OTHER) as second:
            assert second.get("r").entries == before
            assert second.replay("r").divergence is None
            assert second.get("r").explain()
            assert second.get("r").entries == before

    go(body())


def test_a_replay_of_a_run_at_work(tmp_path: Path) -> None:
    async def body() -> None:
        let_go = asyncio.Event()

        async def worker(x: Any) -> dict[str, Any]:
            await let_go.wait()
            return {}

        async with Orchestrator(workflow(ONE), agents={"worker": worker}, journal=tmp_path / "runs.db") as orchestrator:
            await orchestrator.start({"x": 1}, run_id="r")
            assert orchestrator.replay("r").divergence is None
            let_go.set()
            await until(lambda: orchestrator.get("r").status == "ended")
            assert orchestrator.replay("r").decisions == 1

    go(body())


def test_the_definition_is_kept_with_the_journal(file: Path) -> None:
    journal = SqliteJournal(file)
    made_of = workflow(LOOP)
    assert journal.definition(f"{made_of.hash}/{made_of.machine.policy.hash}") == made_of.stored()
    journal.close()
