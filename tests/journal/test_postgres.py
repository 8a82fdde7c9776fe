"""The Postgres server: how a journal is made in it, what is refused, and what becomes of a connection that is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import msgspec
import psycopg
import pytest
from msgspec.structs import replace

from stepladder.errors import JournalError, NoJournal, RunConflict, RunOwned
from stepladder.journal import NO_DIGEST, InboxItem, Owner, Pruned, RawRun, Turn, chain
from stepladder.journal import postgres_server as server
from stepladder.journal.postgres import PostgresJournal
from tests.journal.desk import OPENED, RETURNED, STARTED, append, body, create, row, turn_of
from tests.postgres import Postgres


class Place:
    """A schema of its own."""

    def __init__(self, postgres: Postgres) -> None:
        self.server, self.schema = postgres, postgres.new_schema()
        self.opened: list[PostgresJournal] = []

    def journal(self, **options: Any) -> PostgresJournal:
        self.opened.append(PostgresJournal(self.server.address(), schema=self.schema, **options))
        return self.opened[-1]

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.server(statement, *values, schema=self.schema)

    def tables(self) -> set[str]:
        return {name for (name,) in self("SELECT tablename FROM pg_tables WHERE schemaname = %s", self.schema)}


@pytest.fixture
def place(postgres: Postgres) -> Iterator[Place]:
    made = Place(postgres)
    yield made
    for journal in made.opened:
        journal.close()


# --- opening


def test_a_journal_that_must_be_there(place: Place) -> None:
    with pytest.raises(NoJournal, match=f"no journal in schema {place.schema}"):
        place.journal(create=False)
    assert place.tables() == set()
    place.journal()
    place.journal(create=False)


def test_it_is_opened_again_as_it_was(place: Place) -> None:
    create(place.journal(), row(), body(STARTED))
    append(place.journal(), "a", 2, body(RETURNED))
    assert [turn.intact for turn in place.journal().turns("a")] == [True, True]


def test_a_newer_version_is_refused_and_left_alone(place: Place) -> None:
    place.journal()
    place("UPDATE journal SET version = %s", server.SCHEMA_VERSION + 1)
    with pytest.raises(JournalError, match=f"schema version {server.SCHEMA_VERSION + 1}.*a newer stepladder wrote it"):
        place.journal()
    assert place("SELECT version FROM journal") == [(server.SCHEMA_VERSION + 1,)]


def test_tables_of_another_program_are_refused_and_left_alone(place: Place) -> None:
    place(f"CREATE SCHEMA {place.schema}")
    place("CREATE TABLE bookmarks (url text)")
    with pytest.raises(JournalError, match="another program's tables"):
        place.journal()
    assert place.tables() == {"bookmarks"}


def test_a_schema_that_is_there_and_empty_becomes_a_journal(place: Place) -> None:
    place(f"CREATE SCHEMA {place.schema}")
    create(place.journal(), row(), body(STARTED))


@pytest.mark.parametrize("schema", ["", "a b", 'a"b', "1a", "a" * 64, "ä"])
def test_a_schema_has_a_plain_name(postgres: Postgres, schema: str) -> None:
    with pytest.raises(JournalError, match="schema name"):
        PostgresJournal(postgres.address(), schema=schema)


def test_a_database_that_cannot_hold_every_text(postgres: Postgres) -> None:
    postgres("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(JournalError, match="a database in LATIN1"):
        PostgresJournal(postgres.address("latin"))


def test_whoever_may_only_use_the_tables_can_work(postgres: Postgres) -> None:
    """The schema is made by whoever may; the others need no more than the rights on its tables."""
    PostgresJournal(postgres.address(), schema="handed_out").close()
    postgres("CREATE ROLE clerk LOGIN")
    with pytest.raises(JournalError, match="permission denied"):
        PostgresJournal(postgres.address(user="clerk"), schema="handed_out")
    postgres("GRANT USAGE ON SCHEMA handed_out TO clerk")
    postgres("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA handed_out TO clerk")
    journal = PostgresJournal(postgres.address(user="clerk"), schema="handed_out")
    create(journal, row(), body(STARTED))
    journal.put("a", "message", {}, 1.0)
    journal.close()


@pytest.mark.parametrize("password", ["wrong-hunter2", "wrong%3Ahunter2"])
def test_a_password_is_not_told(postgres: Postgres, password: str) -> None:
    postgres("DROP ROLE IF EXISTS ada")
    postgres("CREATE ROLE ada LOGIN PASSWORD 'right-hunter2'")
    address = postgres.address(user="ada")
    with pytest.raises(JournalError, match="password authentication failed") as caught:
        PostgresJournal(address.replace("ada@", f"ada:{password}@"))
    assert "hunter2" not in str(caught.value)
    postgres("GRANT CREATE ON DATABASE postgres TO ada")
    journal = PostgresJournal(address.replace("ada@", "ada:right-hunter2@"), schema="of_ada")
    assert journal.name == address
    with pytest.raises(RunConflict) as conflict:
        for _ in range(2):
            create(journal, row(), body(STARTED))
    assert "hunter2" not in str(conflict.value)
    journal.close()
    postgres("DROP OWNED BY ada")
    postgres("DROP ROLE ada")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(JournalError, match="connection") as caught:
        PostgresJournal("postgresql://ada:hunter2@/runs?host=/nowhere")
    assert "hunter2" not in str(caught.value)


def test_without_psycopg_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from stepladder import PostgresJournal\n"
        "try: PostgresJournal('postgresql://ada:hunter2@db/runs')\n"
        "except Exception as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "postgresql://ada@db/runs" in told
    assert "pip install 'stepladder[postgres]'" in told


def test_processes_that_make_the_same_schema_at_once(place: Place) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [threads.submit(place.journal) for _ in range(8)]
        journals = [each.result() for each in made]
    for number, journal in enumerate(journals):
        create(journal, row(f"r{number}"), body(STARTED))
    assert len(journals[0].rows()) == 8


# --- upgrades


def test_an_upgrade_that_fails_leaves_everything_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    create(place.journal(), row(), body(STARTED))
    before = place.tables()

    def half(db: psycopg.Connection) -> None:
        db.execute("ALTER TABLE runs ADD COLUMN colour text")
        db.execute("DELETE FROM turns")
        db.execute("SELECT 1 / 0").fetchall()

    monkeypatch.setattr(server, "UPGRADES", (*server.UPGRADES, half))
    monkeypatch.setattr(server, "SCHEMA_VERSION", server.SCHEMA_VERSION + 1)
    with pytest.raises(JournalError, match="division by zero"):
        place.journal()
    monkeypatch.undo()
    assert (place.tables(), place("SELECT version FROM journal")) == (before, [(server.SCHEMA_VERSION,)])
    assert len(place.journal().turns("a")) == 1


def test_a_journal_of_version_1_is_made_one_of_today(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UPGRADES", server.UPGRADES[:1])
    monkeypatch.setattr(server, "SCHEMA_VERSION", 1)
    with suppress(JournalError):  # there is no table of pruned runs yet
        create(place.journal(), row(), body(STARTED))
    assert "pruned" not in place.tables()
    monkeypatch.undo()
    journal = place.journal()
    create(journal, row(status="ended"), body(STARTED))
    (found,) = [each for each in journal.raw() if isinstance(each, RawRun)]
    journal.remove(Pruned("a", 1, found.turns[0].digest, 1.0))
    assert [left.run_id for left in journal.pruned()] == ["a"]


def test_a_sweep_waits_for_who_is_writing(place: Place) -> None:
    """What another transaction refers to and has not committed yet is there when it comes to removing."""
    digest = "a" * 64
    journal = place.journal()
    create(journal, row(), body(STARTED))
    place("INSERT INTO artifacts VALUES (%s, %s)", digest, b"bytes")
    with psycopg.connect(place.server.address()) as other, ThreadPoolExecutor(1) as threads:
        other.execute(f'SET search_path = "{place.schema}"'.encode())
        kept = msgspec.json.encode({"page": {"$artifact": digest}}).decode()
        other.execute("INSERT INTO inbox (run, kind, body, put_at) VALUES (1, 'message', %s, 1)", (kept,))
        swept = threads.submit(place.journal().sweep, 0.0)
        time.sleep(0.3)
        assert not swept.done()
        other.commit()
        assert swept.result() == (0, 0)
    assert journal.artifact(digest) == b"bytes"


def test_one_of_many_processes_upgrades(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.journal()

    def coloured(db: psycopg.Connection) -> None:
        db.execute("ALTER TABLE runs ADD COLUMN colour text")

    monkeypatch.setattr(server, "UPGRADES", (*server.UPGRADES, coloured))
    monkeypatch.setattr(server, "SCHEMA_VERSION", server.SCHEMA_VERSION + 1)
    with ThreadPoolExecutor(4) as threads:
        for opened in [threads.submit(place.journal) for _ in range(4)]:
            opened.result()
    assert place("SELECT version FROM journal") == [(server.SCHEMA_VERSION,)]


# --- the chain, and what does not belong there


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE turns SET body = replace(body, 'None', 'none') WHERE seq = 2", []),
        ("UPDATE turns SET body = replace(body, '\"at\":2.0', '\"at\":2.5') WHERE seq = 2", [2]),
        ("UPDATE turns SET digest = '' WHERE seq = 2", [2, 3]),
        ("UPDATE turns SET digest = decode(repeat('00', 100), 'hex') WHERE seq = 2", [2, 3]),
        ("DELETE FROM turns WHERE seq = 2", [3]),
    ],
)
def test_what_was_changed_is_seen(place: Place, change: str, broken: list[int]) -> None:
    journal = place.journal()
    create(journal, row(), body(STARTED))
    for seq in (2, 3, 4):
        append(journal, "a", seq, body(RETURNED))
    place(change)
    assert [turn.seq for turn in journal.turns("a") if not turn.intact] == broken


@pytest.mark.parametrize("broken", ["no json", "[]]", "{}", '[{"kind": "no_such_event", "at": 1}]'])
def test_a_body_that_is_no_turn_is_said_with_its_place(place: Place, broken: str) -> None:
    journal = place.journal()
    create(journal, row(), body(STARTED))
    place("UPDATE turns SET body = %s", broken)
    with pytest.raises(JournalError, match="run 'a', entry 1"):
        journal.turns("a")


# --- leases run by the server's clock


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_a_lease_is_as_long_as_its_machine_says_whatever_its_clock_says(
    place: Place, monkeypatch: pytest.MonkeyPatch, off_s: float
) -> None:
    """The clock of the owner's machine goes wrong, the server's and that of whoever asks do not."""
    journal, now = place.journal(), time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + off_s)
        journal.enroll(Owner("one", "another/machine", 1, 1.0, time.time() + 30))
        journal.enroll(Owner("two", "another/machine", 1, 1.0, time.time() - 1))
    for name, owner in (("a", "one"), ("b", "two")):
        create(journal, row(name), body(STARTED), owner)
    ((left,),) = place("SELECT until - extract(epoch FROM clock_timestamp())::float8 FROM owners WHERE id = 'one'")
    assert 20 < left <= 30
    with pytest.raises(RunOwned):
        journal.claim("a", "me")
    journal.claim("b", "me")


# --- two at the same run


def in_the_middle(place: Place, statement: str, *values: Any) -> tuple[psycopg.Connection, Callable[[], None]]:
    """Another process in the middle of a transaction that has done this; and what ends it."""
    db = psycopg.connect(place.server.address(), options=f"-c search_path={place.schema}")
    db.execute(statement.encode(), values or None)

    def committed() -> None:
        db.commit()
        db.close()

    return db, committed


def meanwhile(work: Callable[[], Any], then: Callable[[], None]) -> Any:
    """What `work` gives, which cannot go on before `then`."""
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(work)
        time.sleep(0.15)
        assert not waiting.done(), "it did not wait"
        then()
        return waiting.result(10)


def test_a_takeover_waits_for_the_turn_that_is_being_written(place: Place) -> None:
    journal = place.journal()
    create(journal, row(), body(STARTED), "dead")
    digest = chain(journal.turns("a")[0].digest, body(RETURNED))
    writer, commit = in_the_middle(place, "SELECT 1 FROM runs FOR NO KEY UPDATE")
    writer.execute("INSERT INTO turns SELECT number, 2, %s, %s FROM runs", (body(RETURNED).decode(), digest))
    meanwhile(lambda: journal.claim("a", "next"), commit)
    assert [turn.seq for turn in journal.turns("a")] == [1, 2]
    append(journal, "a", 3, body(OPENED), owner="next")


def test_a_relieved_owner_that_waited_for_the_takeover_is_refused(place: Place) -> None:
    journal = place.journal()
    for name in "ab":
        create(journal, row(name), body(STARTED), "dead")
    turns = [turn_of(journal, name, 2, body(RETURNED), owner="dead") for name in "ab"]
    _, commit = in_the_middle(place, "UPDATE runs SET owner = 'next' WHERE run_id = 'a'")
    refused, written = meanwhile(lambda: journal.write(turns), commit)
    assert "taken it over" in str(refused)
    assert written is None
    assert [len(journal.turns(name)) for name in "ab"] == [1, 2]


def test_a_turn_that_waited_for_its_own_place_is_refused(place: Place) -> None:
    """The look at the places comes after the lock: what was committed meanwhile is seen."""
    journal = place.journal()
    create(journal, row(), body(STARTED))
    turn = turn_of(journal, "a", 2, body(RETURNED))
    writer, commit = in_the_middle(place, "SELECT 1 FROM runs FOR NO KEY UPDATE")
    writer.execute("INSERT INTO turns SELECT number, 2, '[]', '' FROM runs")
    (refused,) = meanwhile(lambda: journal.write([turn]), commit)
    assert "entry 2 was written by another process" in str(refused)


def test_an_item_that_is_being_dropped_is_not_taken(place: Place) -> None:
    journal = place.journal()
    create(journal, row(), body(STARTED))
    item = journal.put("a", "message", {}, 1.0)
    turn = turn_of(journal, "a", 2, body(RETURNED), taken=item.number)
    _, commit = in_the_middle(place, "UPDATE inbox SET taken = -1")
    (refused,) = meanwhile(lambda: journal.write([turn]), commit)
    assert "was taken by another process" in str(refused)
    assert len(journal.turns("a")) == 1


def test_a_run_that_is_being_begun_is_not_begun_again(place: Place) -> None:
    journal = place.journal()
    turn = Turn("a", 1, body(STARTED), chain(NO_DIGEST, body(STARTED)), row())
    values = "'a', 'w', 'h', 1, 1, 'working', '', '', '', NULL, 0, 0, NULL"
    _, commit = in_the_middle(place, f"INSERT INTO runs OVERRIDING SYSTEM VALUE VALUES (77, {values})")
    (refused,) = meanwhile(lambda: journal.write([turn]), commit)
    assert "already a run of this id" in str(refused)


def test_groups_that_meet_in_any_order_end(place: Place) -> None:
    """Two processes write the same new runs, artifacts and old runs in opposite orders: nobody waits in a circle."""
    first, second = place.journal(), place.journal()
    names = [f"r{number}" for number in range(40)]
    digest = chain(NO_DIGEST, body(STARTED))
    kept = {f"d{number}": b"x" for number in range(20)}

    def write(journal: PostgresJournal, order: list[str], round_: int) -> list[Any]:
        artifacts = dict(kept if journal is first else reversed(kept.items()))
        seq = round_ + 1
        rows = [row(name) if seq == 1 else None for name in order]
        return journal.write(
            [
                Turn(name, seq, body(STARTED), digest, each, artifacts={f"{n}{seq}": b for n, b in artifacts.items()})
                for name, each in zip(order, rows, strict=True)
            ]
        )

    with ThreadPoolExecutor(2) as threads:
        for round_ in range(30):
            one = threads.submit(write, first, names, round_)
            two = threads.submit(write, second, names[::-1], round_)
            for each, other in zip(one.result(30), reversed(two.result(30)), strict=True):
                assert (each is None) != (other is None), "exactly one"


def test_a_lock_is_waited_for_and_then_said(place: Place) -> None:
    journal = place.journal(patience_s=0.2)
    create(journal, row(), body(STARTED))
    _, commit = in_the_middle(place, "SELECT 1 FROM runs FOR UPDATE")
    with pytest.raises(JournalError, match="lock timeout"):
        append(journal, "a", 2, body(RETURNED))
    with pytest.raises(JournalError, match="lock timeout"):
        journal.claim("a", "me")
    commit()
    append(journal, "a", 2, body(RETURNED))


def test_a_process_that_is_frozen_in_the_middle_keeps_nobody_waiting(place: Place, monkeypatch: Any) -> None:
    frozen, other = place.journal(patience_s=0.4), place.journal(patience_s=5.0)
    create(frozen, row(), body(STARTED), "dead")
    turn = turn_of(frozen, "a", 2, body(RETURNED), owner="dead")
    locked, thawed = threading.Event(), threading.Event()
    appending = frozen._appending
    seen = appending._seen

    def slowly(*given: Any) -> Any:
        found = seen(*given)
        if not locked.is_set():
            locked.set()
            thawed.wait(10)
        return found

    monkeypatch.setattr(appending, "_seen", slowly)
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(frozen.write, [turn])
        assert locked.wait(10)
        other.claim("a", "next")
        thawed.set()
        (refused,) = writing.result(10)
    assert "taken it over" in str(refused)
    append(other, "a", 2, body(OPENED), owner="next")


# --- a connection that is lost


def cut(journal: PostgresJournal) -> None:
    """End the server's side of both connections, as an administrator or a broken network would."""
    for db in (journal._server._writer, journal._server._reader):
        assert db is not None
        with psycopg.connect(**journal._server._link, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (db.info.backend_pid,))


def test_a_lost_connection_is_made_anew(place: Place) -> None:
    journal, other = place.journal(), place.journal()
    create(journal, row(), body(STARTED))
    cut(journal)
    append(journal, "a", 2, body(RETURNED))
    cut(journal)
    assert len(journal.turns("a")) == 2
    assert set(journal.posted()) == set()
    other.put("a", "message", {}, 1.0)
    cut(journal)
    give_up = time.monotonic() + 5
    while set(journal.posted()) != {"a"}:
        assert time.monotonic() < give_up, "what was told meanwhile is looked up"
    cut(journal)
    item = journal.put("a", "message", {}, 2.0)
    assert len(journal.inbox("a")) == 2
    journal.drop("a", item.number)


class Losing:
    """Loses the connection of a journal at the commit of one transaction, before it is made or just after."""

    def __init__(self, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> None:
        self.times, self.again = 0, False

        def transacted(db: psycopg.Connection, work: Any, again: bool = False) -> Any:
            self.times += 1
            if self.times > 1:
                self.again = self.again or again
                return whole(db, work, again)
            if committed:
                whole(db, work, again)
            else:
                with db.pipeline() as pipeline:
                    db.execute("BEGIN")
                    work(server.Transaction(db, pipeline))
            cut(journal)
            db.execute("SELECT 1")
            raise AssertionError("the connection is lost")

        whole = server._transacted
        monkeypatch.setattr(server, "_transacted", transacted)


@pytest.mark.parametrize("committed", [False, True])
def test_a_group_whose_commit_got_no_answer_is_written_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    journal = place.journal()
    for name in "abc":
        create(journal, row(name), body(STARTED), "me" if name == "a" else "")
    append(journal, "c", 2, body(OPENED))
    item = journal.put("b", "message", {}, 1.0)
    group = [
        turn_of(journal, "a", 2, body(RETURNED), row("a", status="ended"), owner="me"),
        turn_of(journal, "b", 2, body(RETURNED), taken=item.number),
        replace(turn_of(journal, "c", 2, body(RETURNED)), seq=2),
        Turn("new", 1, body(STARTED), chain(NO_DIGEST, body(STARTED)), row("new")),
    ]
    lost = Losing(journal, monkeypatch, committed=committed)
    answers = journal.write(group)
    assert (lost.times, lost.again) == (2, True)
    assert [error is None for error in answers] == [True, True, False, True]
    assert [len(journal.turns(name)) for name in ("a", "b", "c", "new")] == [2, 2, 2, 1]
    assert journal.inbox("b") == []
    append(journal, "new", 2, body(RETURNED))


def test_what_was_committed_before_a_takeover_is_acknowledged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer got lost, somebody took the run over, then the owner comes back: its turn is durable all the same."""
    journal, other = place.journal(), place.journal()
    create(journal, row(), body(STARTED), "dead")
    turn = turn_of(journal, "a", 2, body(RETURNED), owner="dead")
    Losing(journal, monkeypatch, committed=True)
    anew = journal._server._connected

    def after_the_takeover() -> psycopg.Connection:
        other.claim("a", "next")
        return anew()

    monkeypatch.setattr(journal._server, "_connected", after_the_takeover)
    assert journal.write([turn]) == [None]
    (refused,) = journal.write([turn_of(journal, "a", 3, body(RETURNED), owner="dead")])
    assert "taken it over" in str(refused)


@pytest.mark.parametrize("committed", [False, True])
def test_an_item_whose_commit_got_no_answer_is_put_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    journal = place.journal()
    create(journal, row(), body(STARTED))
    Losing(journal, monkeypatch, committed=committed)
    item = journal.put("a", "message", {"name": "n"}, 1.5, {"d": b"1"})
    assert journal.inbox("a") == [item] == [InboxItem(item.number, "message", {"name": "n"}, 1.5)]
    assert journal.artifact("d") == b"1"


@pytest.fixture
def own_server(postgres: Postgres) -> Iterator[Postgres]:
    made = Postgres(postgres.programs)
    yield made
    made.remove()


def test_a_server_that_stops_and_comes_back(own_server: Postgres) -> None:
    """Its absence is a JournalError once patience is spent; what was acknowledged is there when it comes back."""
    hasty = PostgresJournal(own_server.address(), patience_s=0.3)
    patient = PostgresJournal(own_server.address(), patience_s=20.0)
    create(hasty, row(), body(STARTED))
    own_server.stop()
    for refused in (lambda: append(hasty, "a", 2, body(RETURNED)), lambda: hasty.turns("a"), hasty.posted):
        with pytest.raises(JournalError, match="connection"):
            refused()
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(append, patient, "a", 2, body(RETURNED))
        time.sleep(0.3)
        own_server.start()
        late.result(20)
    append(hasty, "a", 3, body(RETURNED))
    assert [turn.intact for turn in hasty.turns("a")] == [True] * 3
    hasty.close()
    patient.close()


def test_a_closed_journal_says_so(place: Place) -> None:
    journal = place.journal()
    journal.close()
    journal.close()
    for refused in (lambda: journal.row("a"), journal.posted, lambda: create(journal, row(), body(STARTED))):
        with pytest.raises(JournalError, match="closed"):
            refused()


def test_a_commit_that_would_not_wait_for_the_disk_is_not_made(postgres: Postgres) -> None:
    off = "-c%20synchronous_commit%3Doff%20-c%20default_transaction_isolation%3Dserializable"
    journal = PostgresJournal(f"{postgres.address()}&options={off}", schema=postgres.new_schema())
    assert journal._server.read("SHOW synchronous_commit") == [("on",)]
    found = journal._server.write(lambda on: on.answers(on.ask("SHOW transaction_isolation")))
    assert found == [[("read committed",)]]
    journal.close()
