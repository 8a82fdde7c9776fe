"""Who works on a run: one owner at a time, whoever asks and however many ask at once."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from typing import Any

import psutil
import pytest

from stepladder.errors import RunConflict, RunNotFound, RunOwned
from stepladder.journal import NO_DIGEST, Journal, Owner, Turn, chain, gone, new_owner
from stepladder.journal import owner as owners
from stepladder.journal.owner import this_host
from tests.journal.desk import RETURNED, STARTED, Pair, append, body, create, row, turn_of


def elsewhere(name: str, lease_s: float = 30.0) -> Owner:
    """On another machine, so that only its lease tells whether it lives."""
    return Owner(name, "another/machine", 1, 1.0, time.time() + lease_s)


@pytest.fixture
def mine(journals: Pair) -> Iterator[Owner]:
    """An owner in this process, and its run `a`."""
    owner = new_owner()
    journals[0].enroll(owner)
    create(journals[0], row(), body(STARTED), owner.id)
    yield owner
    gone(owner.id)


def test_a_run_belongs_to_whoever_began_it(journals: Pair, mine: Owner) -> None:
    first, second = journals
    second.enroll(elsewhere("other"))
    with pytest.raises(RunOwned, match="is being worked on by process"):
        second.claim("a", "other")
    append(first, "a", 2, body(RETURNED), owner=mine.id)


@pytest.mark.parametrize("brings_row", [False, True])
@pytest.mark.parametrize("owner", ["", "other"])
def test_a_turn_of_anybody_else_is_refused(journals: Pair, mine: Owner, owner: str, brings_row: bool) -> None:
    first, second = journals
    with pytest.raises(RunConflict, match="another process has taken it over"):
        append(second, "a", 2, body(RETURNED), row(step="x") if brings_row else None, owner=owner)
    assert len(first.turns("a")) == 1
    assert first.row("a") == row()


def test_a_clock_that_is_set_does_not_relieve_a_living_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day at which it was started, as the system tells it, moves with the clock."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        living = Owner("x", this_host(), process.pid, owners._started(process.pid), time.time() + 30)
        real = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 20)
        assert living.alive(time.time())
        process.communicate(b"\n")
    assert not living.alive(time.time())


def test_claiming_twice_is_claiming(journals: Pair, mine: Owner) -> None:
    first, _ = journals
    first.claim("a", mine.id)
    first.claim("a", mine.id)
    append(first, "a", 2, body(RETURNED), owner=mine.id)


def test_what_nobody_has_is_anybodys(journals: Pair) -> None:
    first, second = journals
    create(first, row(), body(STARTED))
    append(second, "a", 2, body(RETURNED))
    for owner in ("one", "two"):
        first.enroll(elsewhere(owner))
    first.claim("a", "one")
    with pytest.raises(RunOwned):
        second.claim("a", "two")
    with pytest.raises(RunConflict):
        append(second, "a", 3, body(RETURNED))
    append(first, "a", 3, body(RETURNED), owner="one")


def test_an_unknown_run_cannot_be_claimed(journals: Pair) -> None:
    first, _ = journals
    with pytest.raises(RunNotFound):
        first.claim("no", "me")
    first.release("no", "me")


@pytest.mark.parametrize("letting_go", ["release", "leave", "wait", "end"])
def test_whoever_lets_go_is_followed_by_the_next(journals: Pair, mine: Owner, letting_go: str) -> None:
    first, second = journals
    second.enroll(elsewhere("other"))
    match letting_go:
        case "release":
            first.release("a", mine.id)
        case "leave":
            first.leave(mine.id)
        case "wait":
            append(first, "a", 2, body(RETURNED), row(status="waiting"), owner=mine.id)
        case "end":
            append(first, "a", 2, body(RETURNED), row(status="ended"), owner=mine.id)
    with pytest.raises(RunConflict):
        append(first, "a", 3, body(RETURNED), owner=mine.id)
    second.claim("a", "other")
    append(second, "a", 3, body(RETURNED), row(step="on"), owner="other")
    with pytest.raises(RunOwned):
        first.claim("a", mine.id)


def test_only_its_owner_lets_go_of_a_run(journals: Pair, mine: Owner) -> None:
    first, second = journals
    second.enroll(elsewhere("other"))
    second.release("a", "other")
    second.leave("other")
    second.enroll(elsewhere("other"))
    with pytest.raises(RunOwned):
        second.claim("a", "other")
    append(first, "a", 2, body(RETURNED), owner=mine.id)


# --- relief


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


DEAD: dict[str, Callable[[], Owner | None]] = {
    "its lease has ended": lambda: elsewhere("dead", -1.0),
    "its process has ended": lambda: Owner("dead", this_host(), dead_process(), time.time(), time.time() + 30),
    "its process number is another one's": lambda: Owner("dead", this_host(), 1, 1.0, time.time() + 30),
    "nobody knows it": lambda: None,
}


@pytest.mark.parametrize("how", DEAD)
def test_an_owner_that_is_dead_is_relieved(journals: Pair, how: str) -> None:
    first, second = journals
    owner = DEAD[how]()
    if owner is not None:
        first.enroll(owner)
    create(first, row(), body(STARTED), "dead")
    second.enroll(elsewhere("next"))
    second.claim("a", "next")
    for late in (turn_of(first, "a", 2, body(RETURNED), owner="dead"), turn_of(first, "a", 2, body(RETURNED))):
        (refused,) = first.write([late])
        assert isinstance(refused, RunConflict)
        assert "another process has taken it over" in str(refused)
    append(second, "a", 2, body(RETURNED), row(step="on"), owner="next")
    first.release("a", "dead")
    with pytest.raises(RunOwned):
        first.claim("a", "dead")
    second.release("a", "next")
    with pytest.raises(RunConflict, match="another process has taken it over"):
        append(first, "a", 3, body(RETURNED), owner="dead")
    assert [turn.seq for turn in second.turns("a")] == [1, 2]


def test_an_owner_that_left_in_its_own_process_is_relieved(journals: Pair, mine: Owner) -> None:
    first, second = journals
    gone(mine.id)
    second.enroll(elsewhere("next"))
    second.claim("a", "next")
    with pytest.raises(RunConflict):
        append(first, "a", 2, body(RETURNED), owner=mine.id)


def test_a_sign_of_life_renews_the_lease(journals: Pair) -> None:
    first, second = journals
    first.enroll(elsewhere("one", -1.0))
    create(first, row(), body(STARTED), "one")
    first.enroll(elsewhere("one"))
    second.enroll(elsewhere("two"))
    with pytest.raises(RunOwned, match="process 1 on another"):
        second.claim("a", "two")


def test_in_a_group_only_what_was_taken_over_is_refused(journals: Pair) -> None:
    first, second = journals
    first.enroll(elsewhere("one", -1.0))
    for name in "abc":
        create(first, row(name), body(STARTED), "one")
    second.enroll(elsewhere("two"))
    second.claim("b", "two")
    refused = first.write([turn_of(first, name, 2, body(RETURNED), owner="one") for name in "abc"])
    assert [error is None for error in refused] == [True, False, True]


# --- processes that meet

RUNS = 1000
ROUNDS = 150


def claims(open_: Callable[[], Journal], meet: Barrier, told: Any) -> None:
    """Claim each run at the same moment as the others, and go on with it; tells the runs that were got."""
    journal, owner = open_(), new_owner()
    journal.enroll(owner)
    digest = chain(chain(NO_DIGEST, body(STARTED)), body(RETURNED))
    got = []
    for number in range(RUNS):
        meet.wait(30)
        try:
            journal.claim(f"r{number}", owner.id)
        except RunOwned:
            continue
        (refused,) = journal.write([Turn(f"r{number}", 2, body(RETURNED), digest, owner=owner.id)])
        got.append((number, refused is None))
    told.send(got)
    meet.wait(30)  # whoever ends first is no dead owner to the others


def insists(open_: Callable[[], Journal], meet: Barrier, told: Any) -> None:
    """Write turn after turn to runs that somebody takes away; tells how many were acknowledged."""
    journal, written = open_(), []
    for number in range(ROUNDS):
        seq, refused = 1, None
        meet.wait(30)
        while refused is None and seq < 5000:
            seq += 1
            time.sleep(0.0005)  # SQLite lets nobody in between two transactions that follow at once
            (refused,) = journal.write([Turn(f"r{number}", seq, body(RETURNED), NO_DIGEST, owner="dead")])
        assert "taken it over" in str(refused)
        written.append(seq - 1)
    told.send(written)


def takes(open_: Callable[[], Journal], meet: Barrier, told: Any) -> None:
    """Take the runs over in the middle of that; tells how many turns each had then."""
    journal, owner, found = open_(), new_owner(), []
    journal.enroll(owner)
    for number in range(ROUNDS):
        meet.wait(30)
        time.sleep(number % 5 / 1000)
        journal.claim(f"r{number}", owner.id)
        seen = len(journal.turns(f"r{number}"))
        (refused,) = journal.write([Turn(f"r{number}", seen + 1, body(RETURNED), NO_DIGEST, owner=owner.id)])
        assert refused is None
        found.append(seen)
    told.send(found)


def together(open_: Callable[[], Journal], *works: Callable[..., None]) -> list[Any]:
    """What these tell, each in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.journal.test_owners"])
    meet, processes = context.Barrier(len(works)), []
    for work in works:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(open_, meet, there))
        process.start()
        there.close()
        processes.append((process, here))
    told = [here.recv() if here.poll(60) else None for _, here in processes]
    for process, _ in processes:
        process.join(30)
        assert process.exitcode == 0
    return told


def begun(open_: Callable[[], Journal], runs: int) -> Journal:
    """A journal with runs that a dead process has left; every other one belongs to nobody."""
    journal = open_()
    journal.enroll(elsewhere("dead", -1.0))
    digest = chain(NO_DIGEST, body(STARTED))
    owners = ["dead" if number % 2 == 0 or runs == ROUNDS else "" for number in range(runs)]
    turns = [Turn(f"r{n}", 1, body(STARTED), digest, row(f"r{n}"), owner) for n, owner in enumerate(owners)]
    assert journal.write(turns) == [None] * runs
    return journal


def test_of_processes_that_claim_the_same_run_exactly_one_goes_on(shared: Callable[[], Journal]) -> None:
    journal = begun(shared, RUNS)
    got = sorted(each for told in together(shared, claims, claims) for each in told)
    assert got == [(number, True) for number in range(RUNS)]
    assert all(len(journal.turns(f"r{number}")) == 2 for number in range(0, RUNS, 50))
    journal.close()


def test_what_a_relieved_owner_writes_comes_before_the_takeover_or_not_at_all(shared: Callable[[], Journal]) -> None:
    journal = begun(shared, ROUNDS)
    acknowledged, found = together(shared, insists, takes)
    assert acknowledged == found
    assert max(found) > 1, "some were written in time"
    assert [len(journal.turns(f"r{number}")) for number in range(ROUNDS)] == [seen + 1 for seen in found]
    journal.close()
