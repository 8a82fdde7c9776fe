"""Signals over recordings are those of a live run, after each observation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepladder.clauses import parse_clause
from stepladder.errors import InputError
from stepladder.evaluation import COUNTED, Column, Columns, Mask, fold_columns
from stepladder.signals import BUILTIN, Fold, Observation, Signal, signal
from tests.signals.test_builtin import RISES, STAYS, Row, named

OUTPUTS: list[dict[str, Any]] = [
    *({}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"b": [1]}, {"b": [1.0]}, {"b": {}}, {"b": []}),
    *({"a": 0.0}, {"a": -0.0}, {"a": None}, {"human_intervention_required": True}, {"human_intervention_required": 1}),
]
SCORES: list[dict[str, Any]] = [{}, {}, {"q": 5}, {"q": 5.5}, {"q": 10}, {"q": None}, {"q": 11}, {"q": "x", "r": 3}]
observations = st.builds(
    Observation,
    kind=st.sampled_from(["result", "result", "result", "result", "answer", "decision"]),
    step=st.sampled_from(["s", "t"]),
    name=st.sampled_from(["a", "b"]),
    call=st.sampled_from(["", "c", "d"]),
    returned=st.sampled_from(["ok", "ok", "failed", "late", "in_doubt"]),
    output=st.sampled_from(OUTPUTS[:4]) | st.sampled_from(OUTPUTS),
    scores=st.sampled_from(SCORES),
    bounds=st.sampled_from([{}, {"q": (0.0, 5.0)}]),
)
recordings = st.lists(st.lists(observations, max_size=14), max_size=4)
SCALARS = [name for name in BUILTIN if name not in ("score", "trend")]
NAMES = [*SCALARS, "score.q", "score.r", "trend.q"]


def live(signals: list[Signal], runs: list[list[Observation]]) -> list[dict[str, Any]]:
    """The values after each observation, as a live run has them."""
    fold, rows = Fold(signals), list[dict[str, Any]]()
    for run in runs:
        memory, broken = fold.start(), dict[str, str]()
        for seen in run:
            memory, broken = fold.update(memory, broken, seen)
            rows.append(fold.values(memory, broken)[0])
    return rows


def values(column: Column) -> list[Any]:
    """What a column says of each row; None for nothing."""
    known = [*column.numbers, False, True, *column.words, None]
    return [known[place] for place in column.places.tolist()]


def same(columns: Columns, rows: list[dict[str, Any]]) -> None:
    assert columns.rows == len(rows)
    for name, column in columns.columns.items():
        assert values(column) == values(Columns.of(rows, [name]).columns[name]), name


WANTED = {"human_intervention_required": True}


@given(recordings)
@example([[Observation("result", "s", call="c", output={"a": 1})] * 4])
@example([[Observation("result", "s"), Observation("answer", "s", output=WANTED)]])
def test_any_recordings(runs: list[list[Observation]]) -> None:
    same(fold_columns(BUILTIN.values(), runs, NAMES), live(list(BUILTIN.values()), runs))


@pytest.mark.parametrize("row", [*RISES, *STAYS], ids=named)
def test_each_row_of_the_signals_tests(row: Row) -> None:
    if row.seen and not isinstance(row.value, dict):
        assert values(fold_columns(BUILTIN.values(), [row.seen], [row.signal]).columns[row.signal])[-1] == row.value


def test_the_counting_signals_need_no_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fold, "update", None)
    columns = fold_columns(BUILTIN.values(), [[Observation("result", "s", "a", "c")]], COUNTED)
    assert set(columns.columns) == set(COUNTED)


@signal("error_count", start=100)
def my_errors(total: int, seen: Observation) -> int:
    return total - 1 if seen.output["good"] else total


def test_a_signal_of_ones_own_is_folded_and_may_break() -> None:
    run = [
        Observation("result", "s", output=output) for output in ({"good": True}, {"good": False}, {}, {"good": True})
    ]
    columns = fold_columns([my_errors], [run, run[:1]], ["error_count", "error_count.more"])
    assert values(columns.columns["error_count"]) == [99, 99, None, None, 99]
    assert columns.holds(parse_clause("error_count != 99")).count() == 0
    assert columns.holds(parse_clause("error_count.more != 99")).count() == 0


def test_a_counting_signal_has_no_parts() -> None:
    columns = fold_columns(BUILTIN.values(), [[Observation("result", "s")]], ["error_count", "error_count.more"])
    assert columns.holds(parse_clause("error_count == 0")).count() == 1
    assert columns.holds(parse_clause("error_count.more == 0")).count() == 0


def test_a_name_of_no_signal_is_refused() -> None:
    with pytest.raises(InputError, match="the name 'eror_count'"):
        fold_columns(BUILTIN.values(), [], ["eror_count"])


def test_no_recordings() -> None:
    columns = fold_columns(BUILTIN.values(), [], NAMES)
    assert columns.rows == 0
    assert columns.holds(parse_clause("error_count == 0")).flags().tolist() == Mask.none(0).flags().tolist() == []
