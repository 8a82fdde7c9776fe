"""What-if answers are what deciding one row after the other gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.classifier import Classifier, classify
from stepladder.clauses import AnyOf, parse_clause
from stepladder.errors import InputError
from stepladder.evaluation.columns import Columns
from stepladder.evaluation.verdicts import ROUTES
from stepladder.evaluation.whatif import NOTHING, WhatIf, changed, past_of

SETTINGS = [
    NOTHING,
    Classifier(AnyOf({"errors": ["error_count > 2"]}), AnyOf({"row": ["consecutive_errors > 0"]})),
    Classifier(AnyOf({"calls": ["repeated_calls >= 2", "error_count > 0"]}), AnyOf({})),
    Classifier(AnyOf({}), AnyOf({"row": ["consecutive_errors > 1"], "calls": ["repeated_calls >= 3"]})),
]

row = st.fixed_dictionaries(
    {
        "error_count": st.integers(0, 4),
        "consecutive_errors": st.integers(0, 3),
        "repeated_calls": st.integers(1, 4),
    }
)
runs_of_rows = st.lists(st.lists(row, min_size=1, max_size=9), min_size=1, max_size=30)


@given(runs_of_rows, st.sampled_from(SETTINGS), st.sampled_from(SETTINGS), st.data())
def test_the_first_change_is_exact(
    runs: list[list[dict[str, Any]]], before: Classifier, after: Classifier, data: st.DataObject
) -> None:
    failed = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=len(runs), max_size=len(runs)))
    rows = [each for run in runs for each in run]
    was = [ROUTES.index(classify(before, each)[0]) for each in rows]
    now = [ROUTES.index(classify(after, each)[0]) for each in rows]
    names = ("error_count", "consecutive_errors", "repeated_calls")
    codes = np.array(was)
    past = past_of(Columns.of(rows, names), map(len, runs), codes == 2, codes == 1, failed=failed)
    answer = WhatIf(past).ask("x", after)
    at, up, unknown, escalated, begin = dict[str, int](), 0, 0, list[int](), 0
    for number, run in enumerate(runs):
        places = [place for place in range(len(run)) if was[begin + place] != now[begin + place]]
        if places:
            at[str(number)] = places[0]
            up += now[begin + places[0]] > was[begin + places[0]]
            unknown += len(run) - 1 - places[0]
        if 2 in now[begin : begin + len(run)]:
            escalated.append(number)
        begin += len(run)
    assert answer.at == at
    assert (answer.changed, answer.up, answer.unknown) == (len(at), up, unknown)
    assert answer.same + answer.changed + answer.unknown == len(rows)
    assert (answer.escalates, answer.escalated) == (now.count(2), len(escalated))
    assert answer.failing == sum(failed[each] is True for each in escalated)
    assert answer.known == sum(failed[each] is not None for each in escalated)
    assert answer.failures == failed.count(True)


def test_long_runs_and_words_that_are_full() -> None:
    """Runs that end, and change, at the edges of the words that bits are kept in."""
    lengths = [64, 1, 63, 128, 200, 64]
    values = np.zeros(sum(lengths), np.int64)
    for place in (63, 64, 127, 128, 255, 300, 519):
        values[place] = 1
    off = np.zeros(len(values), np.bool_)
    past = past_of(Columns.of_arrays({"x": values}), lengths, off, off)
    answer = WhatIf(past).ask("x", Classifier(AnyOf({"x": ["x > 0"]}), AnyOf({})))
    assert answer.at == {"0": 63, "1": 0, "2": 62, "3": 0, "4": 44, "5": 63}
    assert answer.unknown == 0 + 0 + 0 + 127 + 155 + 0


def test_the_last_step_of_a_recording_does_not_count() -> None:
    off = np.zeros(4, np.bool_)
    counts = np.array([True, True, True, False])
    past = past_of(Columns.of_arrays({"x": np.array([0, 0, 0, 1])}), [4], off, off, counts=counts)
    assert WhatIf(past).ask("x", Classifier(AnyOf({"x": ["x > 0"]}), AnyOf({}))).changed == 0


@pytest.mark.parametrize(
    ("clauses", "complex_", "hybrid"),
    [
        (["error_count > 4"], {"errors": "error_count > 4"}, {"row": "consecutive_errors > 0"}),
        (["consecutive_errors >= 2"], {"errors": "error_count > 2"}, {"row": "consecutive_errors >= 2"}),
        (["error_count < 2"], {"errors": "error_count > 2", "error_count < 2": "error_count < 2"}, None),
        (["a > 1", "b > 2"], {"errors": "error_count > 2", "a > 1 and b > 2": "a > 1, b > 2"}, None),
        (["error_count > 4", "a > 1"], {"errors": "error_count > 4", "a > 1": "a > 1"}, None),
        (["error_count > 2"], {"errors": "error_count > 2"}, None),
    ],
)
def test_a_setting_changes_thresholds_or_adds_a_reason(
    clauses: list[str], complex_: dict[str, str], hybrid: dict[str, str] | None
) -> None:
    found = changed(SETTINGS[1], [parse_clause(each) for each in clauses])
    assert {name: ", ".join(map(str, each.clauses)) for name, each in found.complex.named.items()} == complex_
    told = {name: ", ".join(map(str, each.clauses)) for name, each in found.hybrid.named.items()}
    assert told == (hybrid or {"row": "consecutive_errors > 0"})


def test_rows_that_do_not_fit() -> None:
    off = np.zeros(3, np.bool_)
    columns = Columns.of_arrays({"x": np.arange(3)})
    for lengths in ([2], [3, 0]):
        with pytest.raises(InputError, match="one or more a run"):
            past_of(columns, lengths, off, off)
    with pytest.raises(InputError, match="no column 'y'"):
        WhatIf(past_of(columns, [3], off, off)).ask("y", Classifier(AnyOf({"y": ["y > 0"]}), AnyOf({})))
