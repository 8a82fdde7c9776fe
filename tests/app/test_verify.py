"""What was changed in a journal is found, at its place."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.app.heads import Head, head_of, read_head
from stepladder.app.verifying import Finding, Verified, verify
from stepladder.errors import InputError, RunNotFound
from stepladder.journal import NO_DIGEST, MemoryJournal, chain
from stepladder.journal.sqlite import SqliteJournal
from stepladder.workflow import definition as core
from tests.app.letters import fill, filled, orchestrator, write_letter
from tests.drivers.desk import go

Tamper = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "runs.db"
    with pytest.MonkeyPatch.context() as patch:
        filled(path, patch)
    return path


@pytest.fixture
def file(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "runs.db"))


def looked(path: Path, run_id: str | None = None, head: Head | None = None) -> Verified:
    with closing(SqliteJournal(path)) as journal:
        return verify(journal, run_id, head)


def taken(path: Path) -> Head:
    with closing(SqliteJournal(path)) as journal:
        return head_of(journal, 5.0)


def change(path: Path, *changes: str | Tamper) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for each in changes:
            db.execute(each) if isinstance(each, str) else each(db)


def seqs(path: Path, run_id: str) -> list[int]:
    with closing(SqliteJournal(path)) as journal:
        return [turn.seq for turn in journal.turns(run_id)]


OF: Final = "run = (SELECT number FROM runs WHERE run_id = '{}')"


def of(run_id: str, at: int | None = None) -> str:
    """The turns of a run, or its turn number `at` (from 0)."""
    if at is None:
        return OF.format(run_id)
    nth = f"(SELECT seq FROM turns WHERE {OF.format(run_id)} ORDER BY seq LIMIT 1 OFFSET {at})"
    return f"{OF.format(run_id)} AND seq = {nth}"


def rechained(run_id: str) -> Tamper:
    """Digests that fit what is there."""

    def tamper(db: sqlite3.Connection) -> None:
        before = NO_DIGEST
        for rowid, body in db.execute(f"SELECT rowid, body FROM turns WHERE {of(run_id)} ORDER BY seq").fetchall():
            before = chain(before, body.encode())
            db.execute("UPDATE turns SET digest = ? WHERE rowid = ?", (before, rowid))

    return tamper


def swapped(db: sqlite3.Connection) -> None:
    rows = [db.execute(f"SELECT rowid, body FROM turns WHERE {of('done', at)}").fetchone() for at in (1, 2)]
    for (rowid, _), (_, body) in zip(rows, reversed(rows), strict=True):
        db.execute("UPDATE turns SET body = ? WHERE rowid = ?", (body, rowid))


def put_in(db: sqlite3.Connection) -> None:
    db.execute(f"UPDATE turns SET seq = seq + 100 WHERE {of('done')} AND seq > 7")
    db.execute(f"INSERT INTO turns SELECT run, 8, body, digest FROM turns WHERE {of('done', 1)}")


def put_between(db: sqlite3.Connection) -> None:
    db.execute(f"INSERT INTO turns SELECT run, 3, body, digest FROM turns WHERE {of('done', 1)}")


def moved(db: sqlite3.Connection) -> None:
    (other,) = db.execute("SELECT number FROM runs WHERE run_id = 'gone'").fetchone()
    db.execute(f"UPDATE turns SET run = ?, seq = 99 WHERE {of('done', 1)}", (other,))


def forgotten(run_id: str) -> list[str]:
    """Every trace of a run removed."""
    tables = [f"DELETE FROM {table} WHERE {of(run_id)}" for table in ("turns", "inbox", "checkpoints", "takeovers")]
    return [*tables, f"DELETE FROM runs WHERE run_id = '{run_id}'"]


def body(old: str, new: str, at: int, run_id: str = "done") -> str:
    return f"UPDATE turns SET body = replace(body, '{old}', '{new}') WHERE {of(run_id, at)}"


def line(run_id: str, sets: str) -> str:
    return f"UPDATE runs SET {sets} WHERE run_id = '{run_id}'"


def checkpoint(sets: str) -> str:
    return f"UPDATE checkpoints SET {sets} WHERE {of('done')}"


PROOF: Final = "WHERE CAST(body AS TEXT) LIKE 'proof%'"
CUT: Final = [f"DELETE FROM turns WHERE {of('lost', 3)}"]
OTHER: Final = checkpoint("""state = replace(state, '"workflow":"', '"workflow":"x')""")

Expected = tuple[str, int | None, str]
"""A run ("": any), an entry (None: any), and a part of what is said."""

TAMPERINGS: Final[dict[str, tuple[list[str | Tamper], list[Expected]]]] = {
    "a byte of the first turn": ([body("herons", "herens", 0)], [("done", 1, "changed")]),
    "a byte of a later turn": ([body("heron", "haron", 1)], [("done", 2, "changed")]),
    "a byte of the last turn": ([body("glad", "sad", 4)], [("done", 11, "changed")]),
    "a byte that breaks it": ([body("[", "(", 1)], [("done", 2, "is no turn")]),
    "a digest": (
        [f"UPDATE turns SET digest = zeroblob(16) WHERE {of('done', 1)}"],
        [("done", 2, "changed"), ("done", 5, "changed")],
    ),
    "the first turn is gone": ([f"DELETE FROM turns WHERE {of('done', 0)}"], [("done", 1, "missing")]),
    "a turn in the middle is gone": ([f"DELETE FROM turns WHERE {of('done', 1)}"], [("done", 2, "missing to 4")]),
    "the last turn is gone": (CUT, [("lost", 7, "status 'ended', its turns 'working'"), ("lost", 10, "checkpoint")]),
    "all turns are gone": ([f"DELETE FROM turns WHERE {of('lost')}"], [("lost", 0, "no turns")]),
    "two turns change places": ([swapped], [("done", 2, "changed"), ("done", 5, "changed")]),
    "a turn is put in": ([put_in], [("done", 8, "changed"), ("done", 108, "changed")]),
    "a turn is put between": ([put_between], [("done", 5, "an entry 3 was put in")]),
    "a turn is another run's": ([moved], [("done", 2, "missing"), ("gone", None, "missing")]),
    "a number": ([f"UPDATE turns SET seq = 'x' WHERE {of('open', 1)}"], [("open", 2, "an entry 'x' was put in")]),
    "the line: its end": ([line("done", "ended = 'lost'")], [("done", 11, "end 'lost', its turns 'done'")]),
    "the line: its status": ([line("open", "status = 'ended'")], [("open", 4, "'ended', its turns 'waiting'")]),
    "the line: its success": ([line("lost", "success = 1")], [("lost", None, "success True, its turns False")]),
    "the line: its decisions": ([line("done", "decisions = 7")], [("done", None, "decisions 7, its turns 3")]),
    "the line: its price": ([line("gone", "usd = 0.5")], [("gone", None, "usd 0.5")]),
    "the line: its workflow": ([line("gone", "workflow_hash = 'x'")], [("gone", None, "workflow_hash 'x'")]),
    "the line: its id": ([line("done", "run_id = 'dome'")], [("dome", 1, "is the beginning of run 'done'")]),
    "the line: pruned": ([line("done", "pruned = 1")], [("done", None, "pruned True")]),
    "the line of a lone decision": ([line("alone", "ended = 'STAY'")], [("alone", None, "end 'STAY'")]),
    "the line is gone": (["DELETE FROM runs WHERE run_id = 'gone'"], [("gone", 0, "is not there")]),
    "an artifact": ([f"UPDATE artifacts SET body = 'x' {PROOF}"], [("", 0, "bytes do not fit")]),
    "an artifact is gone": ([f"DELETE FROM artifacts {PROOF}"], [("done", 8, "refers to artifact")]),
    "a definition that is none": (["UPDATE definitions SET body = '[]'"], [("", 0, "no definition as")]),
    "a definition is gone": (["DELETE FROM definitions"], 4 * [("", None, "no definition of letters")]),
    "items taken by nobody": (["UPDATE inbox SET taken = 4 WHERE kind = 'answer'"], 2 * [("", 4, "no such event")]),
    "an item taken by another turn": (["UPDATE inbox SET taken = 1 WHERE kind = 'cancel'"], [("gone", 1, "(cancel)")]),
    "an item of no kind": (["UPDATE inbox SET kind = 'x' WHERE kind = 'cancel'"], [("gone", None, "(x)")]),
    "a checkpoint's state": (
        [checkpoint("state = replace(state, 'printing', 'writing')")],
        [("done", 10, "is not the state that its turns lead to")],
    ),
    "a checkpoint's place": ([checkpoint("entries = 3")], [("done", 3, "of no place")]),
    "a checkpoint that is none": ([checkpoint("state = '{}'")], [("done", 10, "cannot be read")]),
    "a checkpoint of another definition": ([OTHER], [("done", 10, "that the run never had")]),
}


def test_an_untouched_journal_is_as_it_was_written(file: Path) -> None:
    found = looked(file)
    assert (found.findings, found.unchecked, found.runs, found.pruned) == ((), {}, 5, 0)
    assert found.entries == sum(place.entries for place in taken(file).runs.values())
    assert looked(file, "done").runs == 1
    with pytest.raises(RunNotFound):
        looked(file, "no")


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_was_changed_is_found_at_its_place(file: Path, name: str) -> None:
    changes, expected = TAMPERINGS[name]
    change(file, *changes)
    found = looked(file).findings
    assert len(found) == len(expected), found
    for each in expected:
        assert any(_is(one, *each) for one in found), found


def _is(found: Finding, run: str, entry: int | None, said: str) -> bool:
    return run in ("", found.run) and entry in (None, found.entry) and said in found.what


def test_a_changed_definition_is_found_and_so_are_runs_that_do_not_fit_it(file: Path) -> None:
    change(file, "UPDATE definitions SET body = replace(body, 'LOSE', 'WIN')")
    first, *others = sorted(looked(file).findings, key=lambda found: found.run)
    assert first.run == ""
    assert "does not fit its hash" in first.what
    assert {found.run for found in others} <= {"done", "lost", "open", "gone"}


AS_IF_PRUNED: Final = f"""
INSERT INTO pruned VALUES ('lost', 9, (SELECT digest FROM turns WHERE {of("lost")} ORDER BY seq DESC LIMIT 1), 1)"""
"""Fewer entries than it had, under the digest of its end."""

AGAINST_A_HEAD: Final[dict[str, tuple[list[str | Tamper], Expected]]] = {
    "a turn rewritten with all digests after it": (
        [body("glad", "cross", 4), rechained("done")],
        ("done", 11, "its history up to here was written anew"),
    ),
    "the tail of a waiting run cut off": (
        [
            f"DELETE FROM turns WHERE {of('open', 1)}",
            line("open", "status = 'working', waiting = '', step = 'writing'"),
        ],
        ("open", 2, "cut off: it had 4 entries in the head"),
    ),
    "a run removed as if it had been pruned": (
        [AS_IF_PRUNED, *forgotten("lost")],
        ("lost", 0, "was removed: it had 10 entries"),
    ),
    "a whole run removed": (forgotten("lost"), ("lost", 0, "was removed: it had 10 entries in the head")),
}


@pytest.mark.parametrize("name", AGAINST_A_HEAD)
def test_what_only_a_kept_head_shows(file: Path, name: str) -> None:
    changes, expected = AGAINST_A_HEAD[name]
    head = taken(file)
    change(file, *changes)
    assert not any(_is(each, *expected) for each in looked(file).findings)
    (found,) = [each for each in looked(file, head=head).findings if _is(each, *expected)]
    assert found in looked(file, expected[0], head).findings


def test_a_head_takes_what_goes_on(file: Path) -> None:
    head = taken(file)
    journal = SqliteJournal(file)

    async def body() -> None:
        async with orchestrator(journal) as letter:
            await letter.answer("open", {"count": 1, "note": "x"})
            await write_letter(letter, "new")

    go(body())
    assert verify(journal, head=head).findings == ()
    journal.close()


def test_a_head_is_a_small_document_that_witnesses_itself(file: Path, tmp_path: Path) -> None:
    head = taken(file)
    assert (head.journal, head.at, sorted(head.runs)) == ("runs.db", 5.0, ["alone", "done", "gone", "lost", "open"])
    kept = tmp_path / "head.json"
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(head)))
    assert read_head(kept) == head
    text = kept.read_text()
    for bad, said in (
        (text.replace('"entries": 4', '"entries": 3', 1), "changed after it was taken"),
        (text.replace("runs.db", "other.db"), "changed after it was taken"),
        (text.replace('"version": 1', '"version": 2'), "stepladder-head 2"),
        ("[]", "Expected `object`"),
        ("", "truncated"),
    ):
        kept.write_text(bad)
        with pytest.raises(InputError, match=said):
            read_head(kept)
    with pytest.raises(InputError, match="no such file"):
        read_head(tmp_path / "none.json")


def test_definitions_that_want_their_own_signals_are_said_to_be_unchecked(file: Path) -> None:
    change(file, 'UPDATE definitions SET body = replace(body, \'"signals":{}\', \'"signals":{"mood":2}\')')
    found = looked(file)
    assert list(found.unchecked.values()) == ["it needs its own signals: mood (--agents)"]
    assert found.findings == ()
    change(file, "UPDATE runs SET ended = 'lost', decisions = 9 WHERE run_id = 'done'")
    (finding,) = looked(file).findings
    assert "end 'lost', its turns 'done'" in finding.what


def test_another_core_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.workflow.hashes.CORE", core.CORE + 1)
    found = [each for each in looked(file).findings if each.what.startswith("definition")]
    assert "under this version of stepladder" in found[0].what


def test_a_journal_in_memory_is_verified_too() -> None:
    journal = MemoryJournal()
    go(fill(journal))
    head = head_of(journal)
    assert verify(journal, head=head).findings == ()
    body = journal._turns["done"][1][1].replace(b"heron", b"haron")
    journal._turns["done"][1] = (2, body, journal._turns["done"][1][2])
    assert [(each.run, each.entry) for each in verify(journal).findings] == [("done", 2)]


# --- by law


@given(st.data())
def test_any_single_changed_byte_of_turns_is_found(whole: Path, data: st.DataObject) -> None:
    copy = Path(shutil.copy(whole, whole.with_name("changed.db")))
    with closing(sqlite3.connect(copy)) as db:
        rows = db.execute("SELECT rowid, run, seq, CAST(body AS BLOB), digest FROM turns").fetchall()
        rowid, *row = data.draw(st.sampled_from(rows), "turn")
        column = data.draw(st.sampled_from([0, 1, 2, 2, 2, 3, 3]), "column")
        row[column] = changed(row[column], data)
        values = (*row, rowid)
        try:
            with db:
                db.execute(
                    "UPDATE turns SET run = ?, seq = ?, body = CAST(? AS TEXT), digest = ? WHERE rowid = ?", values
                )
        except sqlite3.IntegrityError:
            return  # there is a turn of this number: nobody can write that
    assert looked(copy).findings


def changed(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, int):
        return value ^ 1 << data.draw(st.integers(0, 7), "bit")
    at = data.draw(st.integers(0, len(value) - 1), "byte")
    return value[:at] + bytes([value[at] ^ data.draw(st.integers(1, 255), "xor")]) + value[at + 1 :]
