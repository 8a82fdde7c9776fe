"""What every journal does, told once: each test runs against memory, against one SQLite file, and against that file
opened twice, where the second handle does what another process would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import RunConflict, RunNotFound
from stepladder.events import AgentReturned, RunStarted
from stepladder.journal import NO_DIGEST, Journal, MemoryJournal, RunRow, Turn, encode_turn
from stepladder.journal.sqlite import SqliteJournal
from stepladder.record import Opened, Verdict
from tests.journal.desk import append, create

Pair = tuple[Journal, Journal]


def two_handles(path: Path) -> Pair:
    return SqliteJournal(path), SqliteJournal(path)


def one_handle(path: Path) -> Pair:
    journal = SqliteJournal(path)
    return journal, journal


def in_memory(_: Path) -> Pair:
    journal = MemoryJournal()
    return journal, journal


@pytest.fixture(params=[in_memory, one_handle, two_handles], ids=lambda make: make.__name__)
def journals(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    make: Callable[[Path], Pair] = request.param
    pair = make(tmp_path / "runs.db")
    yield pair
    for journal in pair:
        journal.close()


def row(run_id: str = "a", **more: Any) -> RunRow:
    return RunRow(
        **{"run_id": run_id, "workflow": "w", "workflow_hash": "h", "started_at": 1.0, "updated_at": 1.0, **more}
    )


STARTED = RunStarted(1.0, "a", "w", "h", "p", {"x": 1})
RETURNED = AgentReturned(2.0, 1, {"a": [1, {"b": None}]})
OPENED = Opened(1, "step", ("GO",), Verdict("GO"))


def body(*entries: Any) -> bytes:
    return encode_turn(entries)


def test_a_new_run_is_its_first_turn(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED, OPENED))
    (turn,) = second.turns("a")
    assert (turn.seq, turn.entries, turn.intact) == (1, (STARTED, OPENED), True)
    assert second.row("a") == row()


def test_an_id_is_taken_once(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    with pytest.raises(RunConflict, match="already a run of this id"):
        create(second, row(step="other"), body(STARTED, OPENED))
    assert second.row("a") == row()
    assert len(second.turns("a")) == 1


def test_turns_are_kept_in_order_whoever_appends(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED, OPENED))
    append(second, "a", 3, body(RETURNED))
    append(first, "a", 4, body(RETURNED, OPENED))
    append(second, "a", 6, body(RETURNED))
    assert [turn.seq for turn in first.turns("a")] == [1, 3, 4, 6]
    assert all(turn.intact for turn in first.turns("a"))


def test_an_older_view_is_refused_and_changes_nothing(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    append(second, "a", 2, body(RETURNED))
    item = first.put("a", "message", {"name": "n"}, 1.0)
    for late in (first, second):
        for seq in (2, 1):
            with pytest.raises(RunConflict):
                append(late, "a", seq, body(RETURNED, OPENED), row(step="late"), item.number)
    assert [turn.seq for turn in first.turns("a")] == [1, 2]
    assert second.row("a") == row()
    assert list(second.inbox("a")) == [item]


def test_whoever_was_refused_can_go_on_after_a_look(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    append(first, "a", 2, body(RETURNED))
    append(second, "a", 3, body(RETURNED))
    with pytest.raises(RunConflict):
        append(first, "a", 3, body(OPENED))
    append(first, "a", 4, body(OPENED))
    assert all(turn.intact for turn in second.turns("a"))


def test_runs_do_not_disturb_each_other(journals: Pair) -> None:
    first, second = journals
    for name in ("a", "b"):
        create(first, row(name), body(STARTED))
    append(second, "b", 2, body(RETURNED))
    append(first, "a", 2, body(OPENED))
    assert [turn.entries for turn in first.turns("b")] == [(STARTED,), (RETURNED,)]
    assert [turn.entries for turn in second.turns("a")] == [(STARTED,), (OPENED,)]


def test_a_row_stays_unless_the_turn_brings_one(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    append(first, "a", 2, body(RETURNED))
    assert second.row("a") == row()
    changed = row(status="ended", step="s", end="done", success=False, decisions=3, usd=0.25, updated_at=9.0)
    append(first, "a", 3, body(RETURNED), changed)
    assert second.row("a") == changed


def test_an_unknown_run(journals: Pair) -> None:
    first, _ = journals
    assert first.turns("no") == []
    assert first.row("no") is None
    assert list(first.inbox("no")) == []
    with pytest.raises(RunNotFound):
        append(first, "no", 2, body(RETURNED))
    with pytest.raises(RunNotFound):
        first.put("no", "message", {}, 1.0)


def test_rows_come_newest_first_and_are_filtered(journals: Pair) -> None:
    first, second = journals
    create(first, row("old", started_at=1.0, status="ended", success=True), body(STARTED))
    create(first, row("new", started_at=3.0, status="waiting"), body(STARTED))
    create(first, row("mid", started_at=2.0, workflow="other"), body(STARTED))
    create(first, row("mid2", started_at=2.0, workflow="other", status="ended"), body(STARTED))

    def names(*given: Any, **more: Any) -> list[str]:
        return [each.run_id for each in second.rows(*given, **more)]

    assert names() == ["new", "mid2", "mid", "old"], "of the same time, the later one first"
    assert names(2) == ["new", "mid2"]
    assert names(status="ended") == ["mid2", "old"]
    assert names(workflow="other") == ["mid2", "mid"]
    assert names(status="ended", workflow="w") == ["old"]
    assert names(workflow="none") == []


# --- the inbox


def test_an_inbox_keeps_its_items_in_order_until_a_turn_takes_them(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    put = [first.put("a", "message", {"name": "n", "payload": {"i": number}}, float(number)) for number in range(3)]
    assert list(second.inbox("a")) == put
    append(second, "a", 2, body(RETURNED), taken=put[1].number)
    assert list(first.inbox("a")) == [put[0], put[2]]


def test_an_item_is_taken_once(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    item = first.put("a", "answer", {"value": {}}, 1.0)
    append(first, "a", 2, body(RETURNED), taken=item.number)
    with pytest.raises(RunConflict, match="taken"):
        append(second, "a", 3, body(RETURNED), taken=item.number)
    assert [turn.seq for turn in second.turns("a")] == [1, 2], "the turn that could not take it was not appended"
    append(second, "a", 3, body(RETURNED))
    assert list(second.inbox("a")) == []


def test_an_item_is_dropped_once(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    item = second.put("a", "answer", {"value": {}}, 1.0)
    first.drop("a", item.number)
    assert list(second.inbox("a")) == []
    with pytest.raises(RunConflict):
        second.drop("a", item.number)


def test_inboxes_are_apart(journals: Pair) -> None:
    first, second = journals
    for name in ("a", "b"):
        create(first, row(name), body(STARTED))
    of_a, of_b = first.put("a", "cancel", {"by": "x"}, 1.0), second.put("b", "retry", {"by": "y"}, 2.0)
    assert of_a.number != of_b.number
    assert list(second.inbox("a")) == [of_a]
    assert list(first.inbox("b")) == [of_b]


@pytest.mark.parametrize("value", [{}, {"a": [1, 2.5, None, True, 'é\u2028"\\']}, {"deep": {"er": [[]]}}])
def test_what_is_put_comes_back_as_it_was(journals: Pair, value: dict[str, Any]) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    first.put("a", "message", {"name": "n", "payload": value}, 1.5)
    (item,) = second.inbox("a")
    assert (item.kind, item.body, item.put_at) == ("message", {"name": "n", "payload": value}, 1.5)


# --- what is kept beside the runs


def test_definitions_are_kept_once_under_their_hash(journals: Pair) -> None:
    first, second = journals
    assert second.definition("h") is None
    first.keep_definition("h", "workflow", b'{"a": 1}')
    first.keep_definition("h", "workflow", b'{"a": 2}')
    assert second.definition("h") == b'{"a": 1}'


def test_artifacts_are_kept_as_they_are(journals: Pair) -> None:
    first, second = journals
    assert second.artifact("d") is None
    for digest, data in (("d", bytes(range(256))), ("empty", b""), ("big", b"x" * 3_000_000)):
        for name in ("a", "b"):
            run_id = f"{digest} {name}"
            turn = Turn(run_id, 1, body(STARTED), NO_DIGEST, row(run_id), artifacts={digest: data})
            assert first.write([turn]) == [None]
        assert second.artifact(digest) == data


@pytest.mark.parametrize("run_id", ["with space", "quo'te", 'dou"ble', "semi;colon", "ünï 😀", "a" * 200, "%_*", "--"])
def test_any_id_is_an_id(journals: Pair, run_id: str) -> None:
    first, second = journals
    create(first, row(run_id), body(STARTED))
    append(second, run_id, 2, body(RETURNED), row(run_id, step="s"))
    assert second.row(run_id) == row(run_id, step="s")
    assert len(first.turns(run_id)) == 2


def test_what_a_relieved_owner_writes_is_refused_until_it_claims_the_run_again(journals: Pair) -> None:
    first, second = journals
    create(first, row("r"), body(STARTED), owner="gone")
    second.claim("r", "mine")
    second.release("r", "mine")
    with pytest.raises(RunConflict, match="another process has taken it over"):
        append(first, "r", 2, body(RETURNED), owner="gone")
    first.claim("r", "gone")
    append(first, "r", 2, body(RETURNED), owner="gone")
