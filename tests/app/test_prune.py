"""Pruning: what goes, what stays, what is never touched, and what a pruned run can still be asked."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

import pytest

from stepladder.app.decision_point import DecisionPoint
from stepladder.app.definitions import Definitions
from stepladder.app.heads import head_of
from stepladder.app.inputs import plain_mapping
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.pruning import prune
from stepladder.app.reading import attach_outcome, read_run, replay_run
from stepladder.app.upgrading import compare_run
from stepladder.app.verifying import verify
from stepladder.cli.exporting import exported
from stepladder.drivers import Artifact, ManualClock
from stepladder.errors import InputError, RunConflict, RunError, RunPruned
from stepladder.events import AgentReturned, AnyEvent, OutcomeAttached, PersonAnswered, RunStarted
from stepladder.journal import (
    Journal,
    Kept,
    MemoryJournal,
    RawRun,
    Swept,
    chain,
    decode_turn,
    encode_turn,
    seal,
    sqlite_raw,
    without_payload,
)
from stepladder.journal.pruned import PAYLOAD
from stepladder.journal.sqlite import SqliteJournal
from stepladder.rules import rule
from tests.app.letters import PAGE, SECRET, fill, letters, orchestrator, write_letter
from tests.drivers.desk import go

LATER: Final = 10_000_000.0
"""Seconds after the runs, by their clock and by the wall clock."""
DAY: Final = 86_400.0


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    made: Journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "runs.db")
    go(fill(made))
    yield made
    made.close()


def pruned(journal: Journal, degree: Any = "payloads", **more: Any) -> Any:
    return prune(journal, degree, **{"older_than_s": 30 * DAY, "now": time.time() + 300 * DAY, **more})


def bodies(journal: Journal, run_id: str) -> list[bytes]:
    return [turn.body for run in journal.raw(run_id) if isinstance(run, RawRun) for turn in run.turns]


# --- which runs


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("ended", ["done", "lost", "gone", "alone"]),
        ("succeeded", ["done", "alone"]),
        ("failed", ["lost"]),
        ("cancelled", ["gone"]),
    ],
)
@pytest.mark.parametrize("degree", ["payloads", "runs"])
def test_only_what_has_ended_so_is_pruned(journal: Journal, degree: str, state: str, names: list[str]) -> None:
    before = {row.run_id: bodies(journal, row.run_id) for row in journal.rows()}
    said = pruned(journal, degree, state=state, dry_run=True)
    assert sorted(said.runs) == sorted(names)
    assert {row.run_id: bodies(journal, row.run_id) for row in journal.rows()} == before
    found = pruned(journal, degree, state=state)
    assert (found.runs, found.entries, found.left) == (said.runs, said.entries, {})
    left = {name: texts for name, texts in before.items() if name not in names}
    assert {name: bodies(journal, name) for name in left} == left
    assert verify(journal).findings == ()
    assert pruned(journal, degree, state=state).runs == ()


def test_age_counts_from_the_last_thing_that_happened(journal: Journal) -> None:
    (at,) = {row.updated_at for row in journal.rows() if row.run_id == "gone"}
    assert prune(journal, "payloads", older_than_s=10, now=at + 10).runs == ()
    assert "gone" in prune(journal, "payloads", older_than_s=10, now=at + 10.1).runs


@pytest.mark.parametrize("more", [{"state": "waiting"}, {"degree": "everything"}])
def test_what_cannot_be_asked_for(journal: Journal, more: dict[str, str]) -> None:
    with pytest.raises(InputError, match="succeeded"):
        pruned(journal, **more)


def test_a_run_at_work_is_not_pruned_even_if_its_line_is_old(journal: Journal) -> None:
    row = journal.row("done")
    assert row is not None
    journal.claim("done", "somebody")  # an outcome or a retry is about to be written
    found = pruned(journal, "runs")
    assert "has not ended, or is worked on" in found.left["done"]
    assert "done" not in found.runs
    assert journal.row("done") == row


def test_a_run_that_moved_on_meanwhile_is_left(journal: Journal) -> None:
    def outcome(run_id: str) -> None:
        if run_id == "done":
            attach_outcome(journal, "done", OutcomeAttached(journal.rows()[0].updated_at + 9, success=False))

    kept: list[str] = []

    class Slow:
        """Reads a run, and then somebody else writes."""

        def __getattr__(self, name: str) -> Any:
            if name != "raw":
                return getattr(journal, name)
            return lambda run_id=None: (kept.append(run_id), list(journal.raw(run_id)), outcome(run_id))[1]

    for degree in ("payloads", "runs"):
        found = pruned(Slow(), degree)  # type: ignore[arg-type]
        assert set(found.left) == {"done"}, degree
        assert "done" not in found.runs
    assert verify(journal).findings == ()


def test_what_was_tampered_with_is_evidence_and_stays(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "runs.db")
    go(fill(journal))
    with sqlite3.connect(tmp_path / "runs.db") as db:
        db.execute("UPDATE turns SET body = replace(body, 'heron', 'haron') WHERE seq = 2")
    for degree in ("payloads", "runs"):
        found = pruned(journal, degree)
        assert "is not as it was written, and is left as it is: done  entry 2" in found.left["done"]
    journal.close()


# --- without payloads


def test_payloads_go_and_records_stay(journal: Journal) -> None:
    head = head_of(journal)
    run = read_run(journal, "done")
    calls = [(entry.elapsed_s, entry.usage) for entry in run.entries if isinstance(entry, AgentReturned)]
    rows = {row.run_id: row for row in journal.rows()}
    pruned(journal)
    assert SECRET.encode() not in b"".join(bodies(journal, "done") + bodies(journal, "lost") + bodies(journal, "alone"))
    left = read_run(journal, "done")
    assert left.pruned
    assert not run.pruned
    assert (left.output, left.state.input) == (None, {})
    assert [left.id, left.status, left.end, left.success, left.usd, left.step, left.reason] == [
        run.id, run.status, run.end, run.success, run.usd, run.step, run.reason,
    ]  # fmt: skip
    assert [each.explain() for each in left.decisions] == [each.explain() for each in run.decisions]
    assert [each.opened.legal for each in left.decisions] == [each.opened.legal for each in run.decisions]
    assert left.outcomes == run.outcomes
    assert [(e.elapsed_s, e.usage) for e in left.entries if isinstance(e, AgentReturned)] == calls
    assert [entry.by for entry in left.entries if isinstance(entry, PersonAnswered)] == ["ann"]
    assert read_run(journal, "gone").reason == "not wanted"
    for row in journal.rows():
        assert row.pruned == (row.run_id != "open")
        assert (row.end, row.usd, row.updated_at) == (rows[row.run_id].end, rows[row.run_id].usd, row.updated_at)
    found = verify(journal, head=head)
    assert (found.findings, found.pruned) == ((), 4)


REFUSED: Final[dict[str, Callable[[Orchestrator], Awaitable[object]]]] = {
    "run": lambda letter: letter.run({"topic": "herons of done", "page": {}}, run_id="done"),
    "resume": lambda letter: letter.resume("done"),
    "retry": lambda letter: letter.retry("lost"),
    "cancel": lambda letter: letter.cancel("done"),
    "answer": lambda letter: letter.answer("done", {"count": 1}),
    "outcome": lambda letter: letter.outcome("done", success=True),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("degree", ["payloads", "runs"])
def test_a_pruned_run_does_not_go_on(journal: Journal, name: str, degree: str) -> None:
    pruned(journal, degree)

    async def body() -> None:
        async with orchestrator(journal) as letter:
            with pytest.raises(RunPruned, match="was pruned"):
                await REFUSED[name](letter)

    go(body())
    assert verify(journal).findings == ()


def test_a_pruned_run_is_not_decided_again(journal: Journal) -> None:
    pruned(journal)
    with pytest.raises(RunPruned, match="its payloads"):
        replay_run(journal, "done")
    with pytest.raises(RunPruned):
        attach_outcome(journal, "done", OutcomeAttached(2e9, success=True))
    found = compare_run(Definitions(journal), letters(), read_run(journal, "done").entries)
    assert (found.outcome, "was pruned" in found.cause) == ("incomparable", True)

    async def body() -> None:
        async with orchestrator(journal) as letter:
            assert letter.get("done").pruned
            assert letter.get("open").waiting
            with pytest.raises(RunPruned):
                letter.replay("done")
            run = await letter.answer("open", {"count": 1, "note": "x"})
            assert run.end == "done"

    go(body())
    assert verify(journal).findings == ()


def test_a_lone_decision_without_its_context_is_still_the_same_decision(journal: Journal) -> None:
    pruned(journal)

    async def body() -> None:
        point = DecisionPoint("next", signals={"errors": int}, rules=[rule("GO")], journal=journal)
        async with point:
            again = await point.decide({"errors": 1}, legal=["GO", "STAY"], decision_id="alone")
            assert again.action == "GO"
            await point.outcome("alone", success=True)
            with pytest.raises(RunPruned):
                point.replay("alone")

    go(body())
    assert verify(journal).findings == ()
    assert pruned(journal, now=4e9).runs == ()


CHANGES_OF_WHAT_IS_LEFT: Final = {
    "a reason": (
        2,
        "somebody wants it",
        "nobody wants it",
        12,
        "what is left of the pruned entries before was changed",
    ),
    "who answered": (5, "ann", "bob", 12, "what is left of the pruned entries"),
    "how it begins": (2, "left_of", "left-of", 2, "is no turn"),
    "the digest of what it was": (2, '"left_of":"', '"left_of":"0', 2, "was changed"),
    "nothing": (12, "x", "y", 0, ""),
}
"""Which turn, what becomes what, and where that is found."""


@pytest.mark.parametrize("name", CHANGES_OF_WHAT_IS_LEFT)
def test_what_is_left_is_covered_by_the_chain_again(tmp_path: Path, name: str) -> None:
    journal = SqliteJournal(tmp_path / "runs.db")
    go(fill(journal))
    pruned(journal)
    seq, old, new, entry, said = CHANGES_OF_WHAT_IS_LEFT[name]
    with sqlite3.connect(tmp_path / "runs.db") as db:
        where = f"seq = {seq} AND run = (SELECT number FROM runs WHERE run_id = 'done')"
        db.execute(f"UPDATE turns SET body = replace(body, '{old}', '{new}') WHERE {where}")
    found = verify(journal).findings
    assert [(each.run, each.entry) for each in found] == [("done", entry)] * bool(said)
    assert all(said in each.what for each in found)
    journal.close()


def test_emptied_by_somebody_else(tmp_path: Path) -> None:
    """The digest of what it was fits the chain, and nothing says that it was pruned."""
    journal = SqliteJournal(tmp_path / "runs.db")
    go(fill(journal))
    emptied = without_payload(bodies(journal, "open")[1])
    with sqlite3.connect(tmp_path / "runs.db") as db:
        of_open = "run = (SELECT number FROM runs WHERE run_id = 'open')"
        db.execute(f"UPDATE turns SET body = ? WHERE {of_open} AND seq = 2", (emptied.decode(),))
    assert all(turn.intact for turn in journal.turns("open"))
    (found,) = verify(journal).findings
    assert (found.run, found.entry, "nothing says" in found.what) == ("open", 2, True)
    journal.close()


def test_what_is_left_of_a_turn() -> None:
    whole = encode_turn([RunStarted(1.0, "r", "w", "h", "p", {"x": SECRET})])
    left = without_payload(whole)
    assert chain(b"before", left) == chain(b"before", whole)
    assert decode_turn(left) == (RunStarted(1.0, "r", "w", "h", "p", {}),)
    assert without_payload(left) == left
    assert seal([whole]) != seal([left]) != seal([left, left])
    for bad in (b'{"left_of":"zz","entries":[]}', b'{"left_of":"', b"{}"):
        assert chain(b"before", bad) != chain(b"before", whole)


NO_PAYLOAD: Final = {
    ("model_answered", "fields"),
    ("model_answered", "left_out"),
    ("model_failed", "left_out"),
    ("question_put", "facts"),
}
"""Digests with why they were left out; signals."""


def test_of_every_event_it_is_said_what_is_payload() -> None:
    for event in get_args(AnyEvent):
        hints = get_type_hints(event)
        open_ended = {name for name, hint in hints.items() if hint is Any or get_origin(hint) is dict}
        said = {(event.__struct_config__.tag, name) for name in open_ended - set(PAYLOAD.get(event, ()))}
        assert said <= NO_PAYLOAD, f"{event.__name__}: payload, or none?"


# --- whole runs


def test_a_removed_run_leaves_its_id(journal: Journal) -> None:
    head = head_of(journal)
    found = pruned(journal, "runs")
    assert sorted(found.runs) == ["alone", "done", "gone", "lost"]
    assert [row.run_id for row in journal.rows()] == ["open"]
    assert list(journal.raw("done")) == []
    verified = verify(journal, head=head)
    assert (verified.findings, verified.gone, verified.runs) == ((), 4, 1)
    assert verify(journal, "done", head).gone == 1
    after = head_of(journal)
    assert set(after.runs) == set(head.runs)
    with pytest.raises(RunPruned, match="nothing is left but its id"):
        read_run(journal, "done")

    async def body() -> None:
        async with orchestrator(journal) as letter:
            with pytest.raises(RunPruned):
                letter.get("done")
            with pytest.raises(RunPruned):
                await letter.run({"topic": "x", "page": {}}, run_id="done")
            await write_letter(letter, "next")
        point = DecisionPoint("next", signals={"errors": int}, rules=[rule("GO")], journal=journal)
        with pytest.raises(RunConflict, match="already"):
            await point.decide({"errors": 1}, legal=["GO"], decision_id="alone")

    go(body())
    assert verify(journal, head=head).findings == ()


def test_payloads_first_and_the_rest_later(journal: Journal) -> None:
    head = head_of(journal)
    pruned(journal)
    between = head_of(journal)
    pruned(journal, "runs")
    for each in (head, between):
        assert verify(journal, head=each).findings == ()


def test_whoever_exports_can_keep_a_run_from_being_pruned(journal: Journal) -> None:
    seen: list[str] = []

    def keep(run_id: str) -> None:
        seen.append(run_id)
        if run_id == "lost":
            raise RunError(run_id, "cannot be exported")

    found = pruned(journal, "runs", before=keep)
    assert sorted(seen) == ["alone", "done", "gone", "lost"]
    assert found.left == {"lost": "run 'lost': cannot be exported"}
    assert {row.run_id for row in journal.rows()} == {"lost", "open"}


# --- what nobody refers to any more


def artifacts(journal: Journal) -> set[bytes]:
    return {each.body for each in journal.raw() if isinstance(each, Kept) and each.kind == "artifact"}


@pytest.mark.parametrize("degree", ["payloads", "runs"])
def test_artifacts_go_with_the_last_run_that_refers_to_them(journal: Journal, degree: str) -> None:
    async def body() -> None:
        async with orchestrator(journal) as letter:
            page = Artifact(PAGE + b"done", "text/plain")
            await letter.run({"topic": "the same page", "page": page}, run_id="other")
            await letter.run({"topic": "in the inbox", "page": {}}, run_id="inbox")
            kept: dict[str, bytes] = {}
            page_of = plain_mapping({"page": Artifact(PAGE + b"lost", "text/plain")}, "message", kept)
            journal.put("inbox", "message", {"name": "later", "payload": page_of}, 0.0, kept)

    go(body())
    assert len(artifacts(journal)) == 3
    found = pruned(journal, degree)
    assert found.swept == Swept(1, 0)
    assert artifacts(journal) == {PAGE + b"done", PAGE + b"lost"}
    assert verify(journal).findings == ()


def test_definitions_go_when_no_run_is_of_them_and_nobody_uses_them(journal: Journal) -> None:
    (name,) = [row.workflow_hash for row in journal.rows() if row.run_id == "open"]
    assert pruned(journal, "runs").swept.definitions == 0, "a run that waits is of it"

    async def body() -> None:
        async with orchestrator(journal) as letter:
            await letter.cancel("open")

    go(body())
    assert pruned(journal, "runs", older_than_s=0, now=time.time() + 0.9 * DAY).swept.definitions == 0, "still in use"
    assert pruned(journal, "runs").swept.definitions == 1
    assert journal.definition(f"{name}/{letters().machine.policy.hash}") is None


def test_an_orchestrator_that_began_nothing_for_long_keeps_its_definition_again() -> None:
    journal, clock = MemoryJournal(), ManualClock()

    async def body() -> None:
        async with orchestrator(journal, clock) as letter:
            assert journal.sweep(4e9).definitions == 1
            clock.move(7200.0)
            await letter.run({"topic": "x", "page": {}}, run_id="r")

    go(body())
    assert verify(journal).findings == ()


def test_what_is_written_while_the_references_are_counted_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepladder.drivers import Artifact

    journal, other = SqliteJournal(tmp_path / "runs.db"), SqliteJournal(tmp_path / "runs.db")
    go(fill(journal))
    found = sqlite_raw.Loose.removed
    once: list[str] = []

    def meanwhile(loose: Any, db: Any) -> Any:
        if not once:
            once.append("x")
            db.execute("ROLLBACK")
            go(again())
            if len(once) > 1:
                prune(other, "runs", older_than_s=0, now=4e9, state="failed")
            db.execute("BEGIN IMMEDIATE")
        return found(loose, db)

    async def again() -> None:
        async with orchestrator(other) as letter:
            await letter.run({"topic": "x", "page": Artifact(PAGE + b"done", "text/plain")}, run_id="again")

    monkeypatch.setattr(sqlite_raw.Loose, "removed", meanwhile)
    pruned(journal, "runs", state="succeeded")
    assert PAGE + b"done" in artifacts(journal)
    assert verify(journal).findings == ()
    other.close()
    journal.close()


# --- the file


@pytest.mark.parametrize("degree", ["payloads", "runs"])
def test_the_file_shrinks_and_holds_no_trace(tmp_path: Path, degree: Any) -> None:
    path = tmp_path / "runs.db"
    journal = SqliteJournal(path)

    async def body() -> None:
        async with orchestrator(journal) as letter:
            for number in range(40):
                await write_letter(letter, f"r-{number}", SECRET * 100)
            await letter.run({"topic": "open", "page": {}}, run_id="open")

    go(body())
    journal.close()
    before = path.stat().st_size
    journal = SqliteJournal(path)
    pruned(journal, degree)
    assert path.stat().st_size < before / (2 if degree == "payloads" else 5)
    assert PAGE + b"r-7" not in path.read_bytes()
    assert (SECRET * 2).encode() not in path.read_bytes()
    assert Path(f"{path}-wal").stat().st_size == 0
    assert verify(journal).findings == ()
    journal.close()


def test_exports_made_before_stay_readable(journal: Journal) -> None:
    before = json.dumps(exported(journal, read_run(journal, "done")))
    pruned(journal)
    after = exported(journal, read_run(journal, "done"))
    assert SECRET in before
    assert SECRET not in json.dumps(after)
    told = json.loads(before)
    assert after["intact"]
    assert [record["action"] for record in after["decisions"]] == [record["action"] for record in told["decisions"]]
    assert after["entries"][-1]["kind"] == "payloads_pruned"
    assert after["policies"] == told["policies"]


def test_everything_at_once_in_two_processes_worth_of_handles(tmp_path: Path) -> None:
    """Two prunings and a run that is worked on, on one file."""
    first, second = SqliteJournal(tmp_path / "runs.db"), SqliteJournal(tmp_path / "runs.db")
    go(fill(first))

    async def body() -> None:
        async with orchestrator(tmp_path / "runs.db") as letter:
            both = [asyncio.to_thread(pruned, journal, "runs") for journal in (first, second)]
            writing = [write_letter(letter, f"w-{number}") for number in range(5)]
            one, two, *_ = await asyncio.gather(*both, *writing)
        assert sorted((*one.runs, *two.runs)) == ["alone", "done", "gone", "lost"]

    go(body())
    assert verify(first).findings == ()
    assert len(verify(first).findings) == 0
    first.close()
    second.close()
