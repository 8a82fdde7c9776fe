"""What every journal does, told once: each test runs against memory, against a SQLite file and a Postgres schema, and
against these opened twice, where the second handle does what another process would."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import pytest
from msgspec.structs import replace

from stepladder.errors import RunConflict, RunNotFound, RunPruned
from stepladder.events import AgentReturned, RunStarted
from stepladder.journal import NO_DIGEST, Checkpoint, Journal, Kept, Pruned, Turn, chain, without_payload
from tests.journal.desk import OPENED, RETURNED, STARTED, Pair, append, body, create, row, turn_of


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


# --- many turns at once


def test_the_turns_of_many_runs_are_appended_in_one_go(journals: Pair) -> None:
    first, second = journals
    beginnings = [Turn(name, 1, body(STARTED), chain(NO_DIGEST, body(STARTED)), row(name)) for name in "cab"]
    assert first.write(beginnings) == [None] * 3
    items = {name: first.put(name, "message", {"name": name}, 1.0).number for name in "ab"}
    turns = [
        turn_of(second, "a", 2, body(RETURNED), taken=items["a"]),
        replace(turn_of(second, "c", 2, body(OPENED), row("c", status="ended", end="e")), artifacts={"d": b"1"}),
        turn_of(second, "b", 2, body(RETURNED, OPENED), row("b", status="waiting"), items["b"]),
        Turn("n", 1, body(STARTED), chain(NO_DIGEST, body(STARTED)), row("n", started_at=2.0)),
    ]
    assert second.write(turns) == [None] * 4
    for name in "abc":
        stored = first.turns(name)
        assert [turn.seq for turn in stored] == [1, 2]
        assert all(turn.intact for turn in stored)
        assert list(first.inbox(name)) == []
    assert [first.row(name) for name in "ab"] == [row("a"), row("b", status="waiting")]
    assert first.row("c") == row("c", status="ended", end="e")
    assert [each.run_id for each in first.rows(1)] == ["n"]
    assert first.artifact("d") == b"1"


def test_no_turns_are_no_answers(journals: Pair) -> None:
    assert journals[0].write([]) == []


def test_each_refused_turn_is_refused_alone(journals: Pair) -> None:
    """What a refused turn brings along is not kept; all others are durable with everything that they bring."""
    first, second = journals
    for name in ("late", "sound", "robbed", "owned"):
        create(first, row(name), body(STARTED), "me" if name == "owned" else "")
    append(second, "late", 2, body(RETURNED))
    item = second.put("robbed", "message", {"name": "n"}, 1.0)
    second.drop("robbed", item.number)

    def brings(turn: Turn) -> Turn:
        kept = {f"of {turn.run_id} {turn.seq}": b"bytes"}
        return replace(turn, artifacts=kept, checkpoint=Checkpoint(turn.seq, b"1" * 16, b"{}"))

    new = Turn("late", 1, body(STARTED), chain(NO_DIGEST, body(STARTED)), row("late", step="again"))
    refused = first.write(
        [
            brings(turn_of(first, "sound", 2, body(RETURNED), row("sound", step="s"))),
            brings(replace(turn_of(first, "late", 3, body(OPENED), row("late", step="x")), seq=2)),
            brings(Turn("no", 2, body(OPENED), NO_DIGEST, row("no"))),
            brings(turn_of(first, "robbed", 2, body(OPENED), row("robbed", step="x"), item.number)),
            brings(turn_of(first, "owned", 2, body(OPENED), row("owned", step="x"))),
            brings(replace(new, run_id="fresh", row=row("fresh"))),
        ]
    )
    kinds = [type(each).__name__ for each in refused]
    assert kinds == ["NoneType", "RunConflict", "RunNotFound", "RunConflict", "RunConflict", "NoneType"]
    assert [str(error).partition(": ")[0] for error in refused if error] == [
        f"run '{name}'" for name in ("late", "no", "robbed", "owned")
    ]
    assert type(first.write([brings(new)])[0]) is RunConflict
    assert [len(second.turns(name)) for name in ("sound", "late", "no", "robbed", "owned", "fresh")] == [
        2,
        2,
        0,
        1,
        1,
        1,
    ]
    assert [each.step for each in second.rows()] == ["", "", "", "s", ""]
    kept = [
        name
        for name in ("sound 2", "late 2", "late 1", "no 2", "robbed 2", "owned 2", "fresh 1")
        if second.artifact(f"of {name}") is not None
    ]
    assert kept == ["sound 2", "fresh 1"]
    assert [name for name in ("sound", "late", "robbed", "owned", "fresh") if second.checkpoint(name)] == [
        "sound",
        "fresh",
    ]


def test_a_group_of_a_thousand(journals: Pair) -> None:
    first, second = journals
    names = [f"r{number}" for number in range(1000)]
    digest = chain(NO_DIGEST, body(STARTED))
    assert first.write([Turn(name, 1, body(STARTED), digest, row(name)) for name in names]) == [None] * 1000
    later = chain(digest, body(RETURNED))
    assert second.write([Turn(name, 2, body(RETURNED), later) for name in reversed(names)]) == [None] * 1000
    assert all(each.intact for name in names[::100] for each in first.turns(name))


# --- parts of a run


def test_turns_behind_an_entry(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED, OPENED))
    append(first, "a", 3, body(RETURNED))
    append(first, "a", 4, body(RETURNED, OPENED))
    everything = second.turns("a")
    for after in range(7):
        assert second.turns("a", after) == [turn for turn in everything if turn.seq > after]


def test_what_follows_a_changed_turn_is_judged_by_its_own_digest(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    assert first.write([Turn("a", 2, body(RETURNED), b"x" * 16)]) == [None]
    append(first, "a", 3, body(OPENED))
    assert [turn.intact for turn in second.turns("a")] == [True, False, True]
    assert [turn.intact for turn in second.turns("a", 1)] == [False, True]
    assert [turn.intact for turn in second.turns("a", 2)] == [True]


def test_the_chain_runs_over_the_digests_of_bodies(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    append(first, "a", 2, body(RETURNED))
    before = NO_DIGEST
    for turn, text in zip(second.turns("a"), (body(STARTED), body(RETURNED)), strict=True):
        of_body = blake2b(text, digest_size=16).digest()
        before = blake2b(of_body, digest_size=16, key=before).digest()
        assert turn.digest == before


def test_the_newest_checkpoint_counts(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    assert second.checkpoint("a") is None
    assert second.checkpoint("no") is None
    for seq in (2, 3):
        kept = Checkpoint(seq, bytes([seq]) * 16, b'{"state": %d}' % seq)
        assert first.write([replace(turn_of(first, "a", seq, body(RETURNED)), checkpoint=kept)]) == [None]
        assert second.checkpoint("a") == kept


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


def test_what_an_item_refers_to_is_kept_with_it(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    first.put("a", "answer", {"value": {}}, 1.0, {"d": b"\0bytes", "e": b""})
    assert (second.artifact("d"), second.artifact("e")) == (b"\0bytes", b"")
    with pytest.raises(RunNotFound):
        first.put("no", "answer", {}, 1.0, {"f": b"f"})
    assert second.artifact("f") is None


def posted(journal: Journal, enough: Callable[[set[str]], bool]) -> bool:
    """Whether it tells this within five seconds: a server tells when it comes to it."""
    give_up = time.monotonic() + 5
    while not enough(set(journal.posted())):
        if time.monotonic() > give_up:
            return False
    return True


def test_runs_with_something_new_in_their_inbox_are_told_until_it_is_quiet(journals: Pair) -> None:
    first, second = journals
    for name in ("a", "b"):
        create(first, row(name), body(STARTED))
    second.put("a", "message", {"name": "n"}, 1.0)
    assert posted(first, lambda told: told == {"a"})
    item = second.put("b", "message", {"name": "n"}, 1.0)
    second.put("b", "message", {"name": "m"}, 2.0)
    assert posted(first, lambda told: "b" in told)
    append(second, "b", 2, body(RETURNED), taken=item.number)
    assert posted(first, lambda told: not told)


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


# --- as it is stored, and pruned


def raw(journal: Journal, run_id: str | None = None) -> list[Any]:
    return list(journal.raw(run_id))


def ended(journal: Journal, run_id: str = "a") -> None:
    create(journal, row(run_id), body(STARTED))
    append(journal, run_id, 2, body(RETURNED, OPENED), row(run_id, status="ended", end="done", success=True))


def test_everything_is_shown_as_it_is_stored(journals: Pair) -> None:
    first, second = journals
    create(first, row("a", started_at=9.0), body(STARTED))
    create(first, row("b"), body(STARTED, OPENED))
    item = second.put("a", "message", {"name": "n"}, 1.0)
    append(first, "a", 2, body(RETURNED), taken=item.number)
    second.put("a", "cancel", {}, 1.0, {"f" * 64: b"bytes"})
    first.keep_definition("w/p", "workflow", b"{}")
    one, two, *kept = raw(second)
    digests = [turn.digest for turn in first.turns("a")]
    assert one.turns == [(1, body(STARTED), digests[0]), (2, body(RETURNED), digests[1])]
    assert (one.name, one.row, list(one.taken)) == ("a", first.row("a"), [(item.number, "message", 2)])
    assert (two.name, two.checkpoint, list(two.taken)) == ("b", None, [])
    assert kept == [Kept("artifact", "f" * 64, b"bytes"), Kept("definition", "w/p", b"{}")]
    assert raw(second, "a") == [one]
    assert raw(second, "c") == []


def test_bodies_are_emptied_with_the_turn_that_says_so(journals: Pair) -> None:
    first, second = journals
    ended(first)
    first.put("a", "message", {"name": "n"}, 1.0)
    turn = turn_of(first, "a", 4, body(RETURNED), row(status="ended", pruned=True))
    left = {each.seq: without_payload(each.body) for each in raw(second, "a")[0].turns}
    second.empty(turn, left)
    found = first.turns("a")
    assert [(each.seq, each.intact) for each in found] == [(1, True), (2, True), (4, True)]
    assert found[0].entries == (RunStarted(1.0, "a", "w", "h", "p", {}),)
    assert first.row("a") == turn.row
    assert list(first.inbox("a")) == []
    with pytest.raises(RunConflict):
        second.empty(turn, left)
    assert len(first.turns("a")) == 3


def test_a_removed_run_leaves_its_id_and_its_last_digest(journals: Pair) -> None:
    first, second = journals
    for name in ("a", "b"):
        ended(first, name)
    second.put("a", "message", {"name": "n"}, 1.0)
    gone = Pruned("a", 3, first.turns("a")[-1].digest, 7.0)
    with pytest.raises(RunConflict):
        second.remove(replace(gone, digest=b"\0" * 16))
    second.remove(gone)
    assert list(first.pruned()) == list(first.pruned("a")) == [gone]
    assert list(first.pruned("b")) == []
    assert (first.row("a"), first.turns("a"), [each.name for each in raw(first)]) == (None, [], ["b"])
    for work in (
        lambda: create(first, row("a"), body(STARTED)),
        lambda: first.put("a", "message", {}, 1.0),
        lambda: first.claim("a", "me"),
        lambda: second.remove(gone),
    ):
        with pytest.raises((RunConflict, RunPruned)):
            work()
    create(first, row("c"), body(STARTED))
    assert [(each.name, len(each.turns)) for each in raw(second)] == [("b", 2), ("c", 1)]


@pytest.mark.parametrize("status", ["working", "waiting", "ended and owned"])
def test_what_goes_on_is_not_pruned(journals: Pair, status: str) -> None:
    first, second = journals
    create(first, row(status=status.split(maxsplit=1)[0]), body(STARTED))
    if "owned" in status:
        first.claim("a", "me")
    (run,) = raw(first)
    with pytest.raises(RunConflict, match="not pruned"):
        second.remove(Pruned("a", 1, run.turns[0].digest, 1.0))
    with pytest.raises(RunConflict, match="not pruned"):
        second.empty(turn_of(first, "a", 2, body(RETURNED), row()), {1: without_payload(body(STARTED))})
    with pytest.raises(RunNotFound):
        second.remove(Pruned("no", 1, b"", 1.0))
    assert raw(second) == [run]


def test_what_nobody_refers_to_is_swept(journals: Pair) -> None:
    first, second = journals
    digests = [letter * 64 for letter in "abcd"]
    ended(first)
    first.put("a", "message", {"page": {"$artifact": digests[0]}}, 1.0, dict.fromkeys(digests, b"bytes"))
    append(first, "a", 4, body(AgentReturned(3.0, 1, {"page": {"$artifact": digests[1]}})))
    for name in ("h/p", "h/q", "new/p"):
        first.keep_definition(name, "workflow", b"{}")
    assert second.sweep(0.0) == (2, 0)
    assert [first.artifact(digest) is not None for digest in digests] == [True, True, False, False]
    assert second.sweep(4e9) == (0, 2)
    assert [first.definition(name) is not None for name in ("h/p", "h/q", "new/p")] == [True, False, False]


def test_what_a_relieved_owner_writes_is_refused_until_it_claims_the_run_again(journals: Pair) -> None:
    first, second = journals
    create(first, row("r"), body(STARTED), owner="gone")
    second.claim("r", "mine")
    second.release("r", "mine")
    with pytest.raises(RunConflict, match="another process has taken it over"):
        append(first, "r", 2, body(RETURNED), owner="gone")
    first.claim("r", "gone")
    append(first, "r", 2, body(RETURNED), owner="gone")
