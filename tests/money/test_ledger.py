"""The ledger: what is booked before, what it is settled at, and which caps hold."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.errors import NoJournal
from stepladder.money import NANO, Booking, Cap, Ledger, Settlement, usd
from stepladder.money.amounts import cap_nano, day_of, nano
from stepladder.money.sqlite import SqliteStore

NOON = 1_700_000_000.0
DAY = "2023-11-14"


def booking(
    name: str, amount: float | None = 0.01, *caps: Cap, at: float = NOON, run: str = "r", **more: object
) -> Booking:
    return Booking(name, at, run, 1, "next_action", "supervisor", "openai:m", amount, caps, **more)  # type: ignore[arg-type]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(SqliteStore(None))


def cap(scope: str, amount: float, throttle: float | None = None) -> Cap:
    return Cap(scope, cap_nano(amount), None if throttle is None else cap_nano(amount * throttle))  # type: ignore[arg-type]


def test_booked_at_the_most_it_may_cost_and_settled_at_what_it_did(ledger: Ledger) -> None:
    assert ledger.write([booking("a", 0.02)]) == [None]
    assert [usd(ledger.total(*each)) for each in (("day", DAY), ("run", "r"), ("decision", "r/1"))] == [0.02] * 3
    ledger.write([Settlement("a", "paid", 0.004, input_tokens=10, output_tokens=2)])
    assert [usd(ledger.total(*each)) for each in (("day", DAY), ("run", "r"), ("decision", "r/1"))] == [0.004] * 3
    line = ledger.line("a")
    assert line is not None
    assert (line.state, usd(line.reserved), usd(line.booked), line.estimated) == ("paid", 0.02, 0.004, False)
    assert (line.day, line.input_tokens, line.output_tokens) == (DAY, 10, 2)


@pytest.mark.parametrize(
    ("settled", "left"),
    [
        (Settlement("a", "free"), 0.0),
        (Settlement("a", "unknown"), 0.02),
        (Settlement("a", "unknown", None, True), 0.02),
        (Settlement("a", "paid", 0.05), 0.05),  # more than it might have: what was billed is booked all the same
        (Settlement("another", "free"), 0.02),
    ],
)
def test_what_a_settlement_leaves(ledger: Ledger, settled: Settlement, left: float) -> None:
    ledger.write([booking("a", 0.02), settled])
    assert usd(ledger.total("run", "r")) == left


def test_nothing_is_settled_or_booked_twice(ledger: Ledger) -> None:
    ledger.write([booking("a", 0.02), booking("a", 0.02), Settlement("a", "paid", 0.01), Settlement("a", "free")])
    assert usd(ledger.total("run", "r")) == 0.01
    ledger.write([booking("a", 0.02)])
    assert usd(ledger.total("run", "r")) == 0.01


def test_what_is_unknown_can_be_reconciled_later(ledger: Ledger) -> None:
    ledger.write([booking("a", 0.02), Settlement("a", "unknown", None, True), Settlement("a", "paid", 0.001)])
    assert usd(ledger.total("day", DAY)) == 0.001


@pytest.mark.parametrize("scope", ["decision", "run", "day"])
def test_a_cap_refuses_what_might_go_over_it(ledger: Ledger, scope: str) -> None:
    caps = (cap(scope, 0.025),)
    assert ledger.write([booking("a", 0.02, *caps)]) == [None]
    (refusal,) = ledger.write([booking("b", 0.006, *caps)])
    assert refusal is not None
    assert (refusal.code, refusal.reason) == (
        "over_cap",
        f"$0.02 of $0.025 a {scope} is spent or reserved; this call may cost $0.006",
    )
    assert ledger.line("b") is None
    assert ledger.write([booking("c", 0.005, *caps)]) == [None], "exactly the cap is within it"


def test_each_scope_counts_for_itself(ledger: Ledger) -> None:
    caps = (cap("decision", 0.01), cap("run", 0.02), cap("day", 0.03))
    tomorrow = NOON + 86_400
    rows = [
        (booking("a", 0.01, *caps), None),
        (booking("b", 0.01, *caps), "decision"),
        (Booking("c", NOON, "r", 2, "p", "s", "m", 0.01, caps), None),
        (Booking("d", NOON, "r", 3, "p", "s", "m", 0.01, caps), "run"),
        (booking("e", 0.01, *caps, run="s"), None),
        (booking("f", 0.01, *caps, run="t"), "day"),
        (booking("g", 0.01, *caps, run="t", at=tomorrow), None),
    ]
    for each, expected in rows:
        (refusal,) = ledger.write([each])
        assert (refusal and refusal.reason.partition(" a ")[2].split(" ")[0]) == expected, each.id


def test_from_the_throttle_on_only_important_decisions_ask(ledger: Ledger) -> None:
    caps = (cap("day", 0.1, 0.8),)
    assert ledger.write([booking("a", 0.08, *caps)]) == [None]
    (refusal,) = ledger.write([booking("b", 0.01, *caps)])
    assert refusal is not None
    assert refusal.code == "throttled"
    assert ledger.write([booking("c", 0.01, *caps, important=True)]) == [None]
    (refusal,) = ledger.write([booking("d", 0.02, *caps, important=True)])
    assert refusal is not None
    assert refusal.code == "over_cap"


def test_a_call_without_a_price_is_on_the_ledger_at_nothing(ledger: Ledger) -> None:
    ledger.write([booking("a", None), Settlement("a", "paid", 0.0, input_tokens=7)])
    line = ledger.line("a")
    assert line is not None
    assert (line.priced, line.booked, line.input_tokens) == (False, 0, 7)


def test_a_dead_process_leaves_its_reservations_counted(tmp_path: Path) -> None:
    first = Ledger(SqliteStore(tmp_path / "l"))
    first.write([booking("a", 0.02)])
    del first  # never settled, never closed
    again = Ledger(SqliteStore(tmp_path / "l", create=False))
    assert usd(again.total("day", DAY)) == 0.02
    assert [line.state for line in again.lines()] == ["open"]
    again.close()


def test_no_file_is_made_where_none_was_to_be(tmp_path: Path) -> None:
    with pytest.raises(NoJournal):
        SqliteStore(tmp_path / "l", create=False)
    assert not (tmp_path / "l").exists()


def test_many_threads_at_two_connections_never_go_over(tmp_path: Path) -> None:
    ledgers = [Ledger(SqliteStore(tmp_path / "l")) for _ in range(2)]
    caps = (cap("day", 0.1),)
    booked: list[str] = []

    def work(worker: int) -> None:
        for n in range(8):
            name = f"{worker}-{n}"
            if ledgers[worker % 2].write([booking(name, 0.003, *caps, run=str(worker))]) == [None]:
                booked.append(name)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(booked) == 33, "as many as fit, and no more"
    assert ledgers[0].total("day", DAY) == 33 * 3_000_000
    for each in ledgers:
        each.close()


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("book"), st.integers(0, 9), st.floats(0, 0.05)),
        st.tuples(st.sampled_from(["paid", "free", "unknown"]), st.integers(0, 9), st.floats(0, 0.05)),
    ),
    max_size=40,
)


@given(operations=OPERATIONS, most=st.floats(0, 0.2))
@settings(max_examples=60, deadline=None)
def test_totals_are_the_sums_of_the_lines_and_reservations_never_go_over(
    operations: list[tuple[str, int, float]], most: float
) -> None:
    ledger = Ledger(SqliteStore(None))
    caps = (cap("day", most), cap("run", most))
    for what, name, amount in operations:
        if what == "book":
            before = ledger.total("day", DAY)
            (refusal,) = ledger.write([booking(str(name), amount, *caps, run=str(name % 3))])
            after = ledger.total("day", DAY)
            assert after == before if refusal else after <= max(before, cap_nano(most))
        else:
            line = ledger.line(str(name))
            at_most = min(amount, usd(line.reserved)) if line else amount
            ledger.write([Settlement(str(name), what, at_most)])  # type: ignore[arg-type]
    lines = list(ledger.lines())
    assert ledger.total("day", DAY) == sum(line.booked for line in lines) <= cap_nano(most)
    for run in "012":
        assert ledger.total("run", run) == sum(line.booked for line in lines if line.run == run)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_amounts_never_lose_a_fraction(one: float, other: float) -> None:
    assert nano(one) >= one * NANO - 1e-3
    assert cap_nano(one) <= one * NANO + 1e-3
    assert usd(nano(one) + nano(other)) >= one + other - 1e-9


def test_days_are_utc() -> None:
    assert [day_of(at) for at in (0.0, 86_399.999, 86_400.0)] == ["1970-01-01", "1970-01-01", "1970-01-02"]
