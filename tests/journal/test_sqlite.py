"""The SQLite file: how it is opened, what is refused, what happens when the disk is full or two processes meet."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stepladder.errors import JournalError, RunConflict
from stepladder.events import AgentReturned, RunStarted
from stepladder.journal import Pruned, RunRow, encode_turn
from stepladder.journal.sqlite import SqliteJournal
from stepladder.journal.sqlite_file import APPLICATION, SCHEMA_VERSION
from tests.journal.desk import append, create, turn_of

STARTED = encode_turn([RunStarted(1.0, "a", "w", "h", "p", {})])


def row(run_id: str = "a") -> RunRow:
    return RunRow(run_id, "w", "h", 1.0, 1.0)


def turn(number: int, text: str = "") -> bytes:
    return encode_turn([AgentReturned(float(number), number, {"text": text})])


def write_with(journal: SqliteJournal, artifacts: dict[str, bytes]) -> None:
    (refused,) = journal.write([replace(turn_of(journal, "a", 6, turn(6)), artifacts=artifacts)])
    assert refused is None


def pragma(path: Path, name: str) -> Any:
    with sqlite3.connect(path) as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


def written(path: Path, turns: int = 5) -> None:
    journal = SqliteJournal(path)
    create(journal, row(), STARTED)
    for number in range(2, turns + 1):
        append(journal, "a", number, turn(number, "x" * 400))
    journal.close()


# --- opening


def test_a_new_file_is_a_marked_journal_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    journal = SqliteJournal(path)
    assert journal._file.db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    assert journal._file.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()
    assert (pragma(path, "application_id"), pragma(path, "user_version")) == (APPLICATION, SCHEMA_VERSION)


def test_a_journal_is_opened_again_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    written(path)
    journal = SqliteJournal(path, create=False)
    assert [each.seq for each in journal.turns("a")] == [1, 2, 3, 4, 5]
    assert all(each.intact for each in journal.turns("a"))
    append(journal, "a", 6, turn(6))
    assert journal.turns("a")[-1].intact
    journal.close()


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.touch()
    SqliteJournal(path).close()
    assert pragma(path, "application_id") == APPLICATION


def test_a_journal_that_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such file"):
        SqliteJournal(tmp_path / "runs.db", create=False)
    assert not (tmp_path / "runs.db").exists()


def other_program(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")


def newer(path: Path) -> None:
    written(path)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def no_database(path: Path) -> None:
    path.write_text("this is no database, although it is long enough to look like one\n" * 20)


def directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (other_program, "another program's SQLite file"),
        (newer, f"schema version {SCHEMA_VERSION + 1}.*a newer stepladder wrote it"),
        (no_database, "file is not a database"),
        (directory, "unable to open"),
    ],
)
def test_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path, make: Any, said: str) -> None:
    path = tmp_path / "runs.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(JournalError, match=said) as caught:
        SqliteJournal(path)
    assert caught.value.file == str(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("name", ["turns", "runs", "inbox"])
def test_a_damaged_schema_is_said_although_the_message_quotes_what_is_no_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "runs.db"
    SqliteJournal(path).close()
    whole, created = path.read_bytes(), f"CREATE TABLE {name}".encode()
    assert created in whole
    path.write_bytes(whole.replace(created, created.replace(b"TE T", b"T\xf3 T")))
    with pytest.raises(JournalError, match=r"runs\.db: found \w+Error: "):
        SqliteJournal(path)


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="unable to open"):
        SqliteJournal(tmp_path / "no" / "runs.db")


@pytest.mark.parametrize("keep", [0.05, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_a_journal_error_never_a_wrong_answer(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "runs.db"
    written(path, 60)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(JournalError):
        journal = SqliteJournal(path)
        try:
            journal.turns("a")
            append(journal, "a", 61, turn(61))
        finally:
            journal.close()


NOBODY = 65534


def as_nobody(work: Any) -> str:
    """What `work` says in a process without the right to write everywhere."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode()[:4000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_only_be_read_is_a_journal_error(open_folder: Path, what: str) -> None:
    path = open_folder / "runs.db"
    written(path)
    path.chmod(0o444 if what == "file" else 0o666)
    open_folder.chmod(0o777 if what == "file" else 0o555)

    def work() -> int:
        journal = SqliteJournal(path)
        append(journal, "a", 6, turn(6))
        return len(journal.turns("a"))

    assert as_nobody(work).startswith("JournalError: ")
    open_folder.chmod(0o755)


def test_where_nothing_can_be_written_it_can_be_read(open_folder: Path) -> None:
    path = open_folder / "runs ?#%.db"
    written(path)
    path.chmod(0o444)
    open_folder.chmod(0o555)

    def look() -> str:
        journal = SqliteJournal(path, create=False)
        with pytest.raises(JournalError):
            append(journal, "a", 6, turn(6))
        return f"{len(journal.turns('a'))} turns, {len(list(journal.raw()))} run"

    assert as_nobody(look) == "5 turns, 1 run"
    open_folder.chmod(0o755)


@pytest.mark.parametrize(("kept", "said"), [(("", "-wal", "-shm"), "5"), (("", "-wal"), "JournalError")])
def test_a_log_is_read_as_well_or_the_file_is_refused(
    tmp_path: Path, open_folder: Path, kept: tuple[str, ...], said: str
) -> None:
    """The newest commits are in it: a look that passed over them would tell of a past that is over."""
    journal = SqliteJournal(tmp_path / "runs.db")
    create(journal, row(), STARTED)
    for number in range(2, 6):
        append(journal, "a", number, turn(number))
    for each in kept:  # as a killed process leaves them
        copy = open_folder / f"runs.db{each}"
        copy.write_bytes((tmp_path / f"runs.db{each}").read_bytes())
        copy.chmod(0o444)
    journal.close()
    open_folder.chmod(0o555)
    assert as_nobody(lambda: len(SqliteJournal(open_folder / "runs.db", create=False).turns("a"))).startswith(said)
    open_folder.chmod(0o755)


# --- a full disk


def test_a_full_disk_refuses_the_turn_whole_and_lets_the_next_one_in(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    written(path)
    journal = SqliteJournal(path)
    item = journal.put("a", "message", {"name": "n"}, 1.0)
    pages = journal._file.db.execute("PRAGMA page_count").fetchone()[0]
    journal._file.db.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(JournalError, match="full"):
            append(journal, "a", 6, turn(6, "y" * 100_000), row(), item.number)
    assert [each.seq for each in journal.turns("a")] == [1, 2, 3, 4, 5]
    assert list(journal.inbox("a")) == [item]
    with pytest.raises(JournalError, match="full"):
        write_with(journal, {"d": b"z" * 100_000})
    assert journal.artifact("d") is None
    with pytest.raises(JournalError, match="full"):
        journal.put("a", "message", {"name": "n" * 100_000}, 1.0)
    with pytest.raises(JournalError, match="full"):
        create(journal, row("b"), turn(1, "z" * 100_000))
    assert journal.row("b") is None
    journal._file.db.execute("PRAGMA max_page_count = 100000")
    append(journal, "a", 6, turn(6, "y" * 100_000), row(), item.number)
    create(journal, row("b"), STARTED)
    assert all(each.intact for each in journal.turns("a"))
    journal.close()


def test_a_locked_file_is_waited_for_and_then_said(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    written(path)
    journal = SqliteJournal(path, busy_s=0.05)
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            append(journal, "a", 6, turn(6))
        other.execute("ROLLBACK")
    append(journal, "a", 6, turn(6))
    journal.close()


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "runs.db")
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.row("a")
    with pytest.raises(JournalError, match="closed"):
        create(journal, row(), STARTED)


def test_a_body_that_is_no_turn_is_said_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    written(path)
    for broken in ("no json", "[]]", '[{"kind": "no_such_event", "at": 1}]', '[{"kind": "agent_returned"}]', "{}"):
        with sqlite3.connect(path) as db:
            db.execute("UPDATE turns SET body = ? WHERE seq = 3", (broken,))
        journal = SqliteJournal(path)
        with pytest.raises(JournalError, match="run 'a', entry 3"):
            journal.turns("a")
        journal.close()


# --- processes and threads

MAKES = """
import sys, time
from stepladder.journal import RunRow
from stepladder.journal.sqlite import SqliteJournal
from tests.journal.desk import create
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
journal = SqliteJournal(sys.argv[1])
for number in range(20):
    create(journal, RunRow(f"{sys.argv[3]}-{number}", "w", "h", 1.0, 1.0), b"[]")
journal.close()
"""


def test_processes_that_make_the_same_file_at_once(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / f"{attempt}.db"
        at = str(time.time() + 0.7)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        makers = [
            subprocess.Popen(
                [sys.executable, "-c", MAKES, str(path), at, str(name)],
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for name in range(4)
        ]
        for maker in makers:
            _, said = maker.communicate(timeout=30)
            assert maker.returncode == 0, said
        journal = SqliteJournal(path)
        assert len(journal.rows(1000)) == 80
        journal.close()


def test_threads_share_one_handle(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "runs.db")
    refused: list[int] = []
    create(journal, row(), STARTED)

    def work(name: int) -> None:
        for seq in range(2, 42):
            try:
                append(journal, "a", seq, turn(seq, str(name)))
            except RunConflict:
                refused.append(seq)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns = journal.turns("a")
    assert [each.seq for each in turns] == sorted({each.seq for each in turns})
    assert len(turns) - 1 + len(refused) == 160
    assert all(each.intact for each in turns)
    journal.close()


# --- the chain


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    written(path, 6)
    return path


def intact(path: Path) -> dict[int, bool]:
    journal = SqliteJournal(path)
    try:
        return {each.seq: each.intact for each in journal.turns("a")}
    finally:
        journal.close()


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)


def test_untouched_turns_are_intact(file: Path) -> None:
    assert intact(file) == dict.fromkeys(range(1, 7), True)


def test_a_changed_turn_is_seen(file: Path) -> None:
    change(file, "UPDATE turns SET body = replace(body, 'xxx', 'xyx') WHERE seq = 3")
    assert [seq for seq, sound in intact(file).items() if not sound] == [3]


def test_a_single_changed_character_is_seen(file: Path) -> None:
    change(file, "UPDATE turns SET body = replace(body, '\"at\":4.0', '\"at\":4.5') WHERE seq = 4")
    assert [seq for seq, sound in intact(file).items() if not sound] == [4]


def test_a_removed_turn_is_seen_at_the_next(file: Path) -> None:
    change(file, "DELETE FROM turns WHERE seq = 3")
    found = intact(file)
    assert 3 not in found
    assert [seq for seq, sound in found.items() if not sound] == [4]


def test_a_removed_beginning_is_seen(file: Path) -> None:
    change(file, "DELETE FROM turns WHERE seq = 1")
    assert [seq for seq, sound in intact(file).items() if not sound] == [2]


@pytest.mark.parametrize("with_digests", [False, True])
def test_swapped_turns_are_seen(file: Path, with_digests: bool) -> None:
    columns = "body, digest" if with_digests else "body"
    with sqlite3.connect(file) as db:
        third, fourth = (db.execute(f"SELECT {columns} FROM turns WHERE seq = ?", (seq,)).fetchone() for seq in (3, 4))
        sets = ", ".join(f"{name} = ?" for name in columns.split(", "))
        db.execute(f"UPDATE turns SET {sets} WHERE seq = 3", fourth)
        db.execute(f"UPDATE turns SET {sets} WHERE seq = 4", third)
    broken = [seq for seq, sound in intact(file).items() if not sound]
    assert {3, 4} <= set(broken)


@pytest.mark.parametrize("digest", ["x''", "'text'", "NULL", "zeroblob(16)", "zeroblob(100)"])
def test_a_broken_digest_is_no_crash(file: Path, digest: str) -> None:
    change(
        file,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'digest BLOB NOT NULL', 'digest BLOB')",
    )
    change(file, f"UPDATE turns SET digest = {digest} WHERE seq = 3")
    assert {3, 4} <= {seq for seq, sound in intact(file).items() if not sound}
    change(file, f"UPDATE turns SET digest = {digest} WHERE seq = 6")
    journal = SqliteJournal(file)
    append(journal, "a", 7, turn(7))
    assert len(journal.turns("a")) == 7
    journal.close()


def test_a_turn_put_in_between_is_seen(file: Path) -> None:
    change(
        file,
        "UPDATE turns SET seq = 100 WHERE seq = 6",
        "INSERT INTO turns SELECT run, 6, body, digest FROM turns WHERE seq = 5",
    )
    assert [seq for seq, sound in intact(file).items() if not sound] == [6]


# --- files of before


RUNS_2 = """CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, workflow_hash TEXT NOT NULL,
    started_at REAL NOT NULL, updated_at REAL NOT NULL, status TEXT NOT NULL, step TEXT NOT NULL, waiting TEXT NOT NULL,
    ended TEXT NOT NULL, success INTEGER, decisions INTEGER NOT NULL, usd REAL NOT NULL, owner TEXT)"""


def of_version_2(path: Path) -> None:
    """A journal as version 2 made it, with one ended run."""
    written(path, 40)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE runs SET status = 'ended', ended = 'done', success = 1")
        rows = db.execute("SELECT * FROM runs").fetchall()
        db.execute("DROP TABLE runs")
        db.execute(RUNS_2)
        db.executemany(f"INSERT INTO runs VALUES ({', '.join('?' * 14)})", [row[:14] for row in rows])
        db.execute("CREATE INDEX runs_by_start ON runs (started_at)")
        db.execute("DROP TABLE pruned")
        db.execute("DROP INDEX inbox_by_run")
        db.execute("DROP TABLE definitions")
        db.execute("CREATE TABLE definitions (hash TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)")
        db.execute("INSERT INTO definitions VALUES ('h/p', 'workflow', '{}')")
        db.execute("PRAGMA user_version = 2")
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA auto_vacuum = NONE")
        db.execute("VACUUM")


def schema(path: Path) -> set[str]:
    with sqlite3.connect(path) as db:
        found = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        return {" ".join(sql.replace('"', "").split()).replace("( ", "(") for (sql,) in found}


def test_a_file_of_version_2_is_taken_over_whole_and_can_be_pruned(tmp_path: Path) -> None:
    path, new = tmp_path / "runs.db", tmp_path / "new.db"
    of_version_2(path)
    SqliteJournal(new).close()
    journal = SqliteJournal(path)
    assert schema(path) == schema(new)
    assert pragma(path, "user_version") == SCHEMA_VERSION
    line = journal.row("a")
    assert line is not None
    assert (line.end, line.success, line.pruned) == ("done", True, False)
    turns = journal.turns("a")
    assert len(turns) == 40
    assert all(each.intact for each in turns)
    assert journal.sweep(time.time() - 60).definitions == 0, "it is not known since when nobody uses it"
    size = path.stat().st_size
    journal.remove(Pruned("a", 40, turns[-1].digest, 1.0))
    journal.sweep(0.0)
    assert path.stat().st_size < size / 1.2
    create(journal, row("b"), STARTED)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT number FROM runs").fetchall() == [(2,)], "no number is given twice"
    journal.close()
