"""SQLite files of version 1, as stepladder wrote them before runs had owners: how they are taken up."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Final

import pytest

from stepladder.errors import JournalError, RunConflict
from stepladder.journal import InboxItem, new_owner
from stepladder.journal.sqlite import SqliteJournal
from stepladder.journal.sqlite_file import APPLICATION, SCHEMA_VERSION
from tests.journal.desk import OPENED, RETURNED, STARTED, append, body, row

SCHEMA: Final = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, workflow_hash TEXT NOT NULL,
    started_at REAL NOT NULL, updated_at REAL NOT NULL, status TEXT NOT NULL, step TEXT NOT NULL, waiting TEXT NOT NULL,
    ended TEXT NOT NULL, success INTEGER, decisions INTEGER NOT NULL, usd REAL NOT NULL);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE TABLE turns (
    run INTEGER NOT NULL REFERENCES runs, seq INTEGER NOT NULL, body TEXT NOT NULL, digest BLOB NOT NULL,
    UNIQUE (run, seq));
CREATE TABLE inbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, kind TEXT NOT NULL,
    body TEXT NOT NULL, put_at REAL NOT NULL, taken INTEGER NOT NULL DEFAULT 0);
CREATE INDEX inbox_open ON inbox (run) WHERE taken = 0;
CREATE TABLE definitions (hash TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE artifacts (digest TEXT PRIMARY KEY, body BLOB NOT NULL);
"""
"""Version 1, to the letter."""
BODIES: Final = (body(STARTED, OPENED), body(RETURNED), body(RETURNED, OPENED), body(RETURNED))
SEQS: Final = (1, 3, 4, 6)


def write(path: Path, runs: int = 3) -> None:
    """A file of version 1 with runs r0, r1, ...; its chain ran over the bodies themselves."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("PRAGMA user_version = 1")
        for number in range(1, runs + 1):
            line = (number, f"r{number - 1}", "w", "h", 1.0, 1.0, "working", "", "", "", None, 0, 0.0)
            db.execute(f"INSERT INTO runs VALUES ({', '.join('?' * 13)})", line)
            before = b"\0" * 16
            for seq, text in zip(SEQS, BODIES, strict=True):
                before = blake2b(text, digest_size=16, key=before).digest()
                db.execute("INSERT INTO turns VALUES (?, ?, ?, ?)", (number, seq, text.decode(), before))
        db.execute("INSERT INTO inbox (run, kind, body, put_at) VALUES (1, 'message', '{\"name\":\"n\"}', 2.0)")
        db.execute("INSERT INTO definitions VALUES ('h', 'workflow', '{}')")
        db.execute("INSERT INTO artifacts VALUES ('d', x'00ff')")
    db.close()


def version(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()


def intact(journal: SqliteJournal, run_id: str) -> list[bool]:
    return [turn.intact for turn in journal.turns(run_id)]


def test_everything_in_it_is_there_and_intact(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    write(path)
    journal = SqliteJournal(path)
    assert version(path) == SCHEMA_VERSION
    for run_id in ("r0", "r1", "r2"):
        assert [turn.seq for turn in journal.turns(run_id)] == list(SEQS)
        assert intact(journal, run_id) == [True] * 4
        assert journal.row(run_id) == row(run_id)
        assert journal.checkpoint(run_id) is None
    assert journal.turns("r0")[2].entries == (RETURNED, OPENED)
    assert journal.inbox("r0") == [InboxItem(1, "message", {"name": "n"}, 2.0)]
    assert (journal.definition("h"), journal.artifact("d")) == (b"{}", b"\0\xff")
    journal.close()


def test_its_runs_can_be_owned_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    write(path)
    journal, other = SqliteJournal(path), SqliteJournal(path)
    owner = new_owner()
    journal.enroll(owner)
    journal.claim("r0", owner.id)
    with pytest.raises(RunConflict):
        append(other, "r0", 7, body(RETURNED))
    append(journal, "r0", 7, body(RETURNED), owner=owner.id, taken=1)
    assert intact(other, "r0") == [True] * 5
    journal.close()
    other.close()


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE turns SET body = replace(body, '\"at\":2.0', '\"at\":2.5') WHERE seq = 3", [3]),
        ("UPDATE turns SET digest = zeroblob(16) WHERE seq = 3", [3, 4]),
        ("UPDATE turns SET digest = x'' WHERE seq = 6", [6]),
        ("DELETE FROM turns WHERE seq = 3", [4]),
        ("UPDATE turns SET seq = 5 WHERE seq = 1", [3, 5, 6]),
    ],
)
def test_what_was_tampered_with_stays_so(tmp_path: Path, change: str, broken: list[int]) -> None:
    path = tmp_path / "runs.db"
    write(path)
    db = sqlite3.connect(path)
    db.execute(f"{change} AND run = 2")
    db.commit()
    db.close()
    journal = SqliteJournal(path)
    assert [turn.seq for turn in journal.turns("r1") if not turn.intact] == broken
    assert intact(journal, "r0") == intact(journal, "r2") == [True] * 4
    journal.close()
    again = SqliteJournal(path)
    assert [turn.seq for turn in again.turns("r1") if not turn.intact] == broken
    again.close()


DIES = """
import os, signal, sys
from stepladder.journal import sqlite_file
whole, left = sqlite_file._chain_anew, int(sys.argv[2])
def chain_anew(db, number):
    global left
    left -= 1
    db.execute("PRAGMA cache_size = 1")  # what is not committed yet lies in the file already
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    whole(db, number)
sqlite_file._chain_anew = chain_anew
sqlite_file.SqliteFile(__import__("pathlib").Path(sys.argv[1]), create=False, busy_s=5.0, synchronous="full")
"""


@pytest.mark.parametrize("after", [0, 25])
def test_killed_in_the_middle_it_is_of_version_1_and_the_next_one_upgrades_it(tmp_path: Path, after: int) -> None:
    path = tmp_path / "runs.db"
    write(path, runs=50)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", DIES, str(path), str(after)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert version(path) == 1
    db = sqlite3.connect(path)
    assert "owner" not in {column[1] for column in db.execute("PRAGMA table_info(runs)")}
    db.close()
    journal = SqliteJournal(path)
    assert all(intact(journal, f"r{number}") == [True] * 4 for number in range(50))
    journal.close()


MAKES = """
import sys, time
from stepladder.journal.sqlite import SqliteJournal
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
journal = SqliteJournal(sys.argv[1])
print(all(turn.intact for number in range(50) for turn in journal.turns(f"r{number}")))
"""


def test_processes_that_open_it_at_once(tmp_path: Path) -> None:
    import time

    path = tmp_path / "runs.db"
    write(path, runs=50)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", MAKES, str(path), str(time.time() + 0.7)]
    openers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    assert [opener.communicate(timeout=30)[0].strip() for opener in openers] == ["True"] * 3


def test_a_newer_one_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    write(path)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(JournalError, match=f"schema version {SCHEMA_VERSION + 1}"):
        SqliteJournal(path)
    assert version(path) == SCHEMA_VERSION + 1
