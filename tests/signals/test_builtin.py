"""Where each signal that ships rises, and where it stays."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from stepladder.signals import BUILTIN, Fold, Observation, Signal

RANGE = {"alignment": (0.0, 10.0)}
TWO = {"alignment": (0.0, 10.0), "compatibility": (0.0, 10.0)}


def result(output: dict[str, Any] | None = None, **fields: Any) -> Observation:
    output = {"x": 1} if output is None else output
    return Observation("result", **{"step": "s", "name": "agent", "call": "c", "output": output, **fields})


def failed(**fields: Any) -> Observation:
    return result({"error": "no"}, returned="failed", **fields)


def rated(*values: Any, returned: str = "ok", bounds: dict[str, tuple[float, float]] | None = None) -> Observation:
    scores = dict(zip(["alignment", "compatibility"], values, strict=False))
    return result(
        {"of": values}, scores=scores, bounds=bounds or (RANGE if len(values) == 1 else TWO), returned=returned
    )


def by(name: str, seen: Observation) -> Observation:
    return replace(seen, name=name)


def answer(returned: str = "ok", **output: Any) -> Observation:
    return Observation("answer", "ask", "person", returned=returned, output=output)


def timer() -> Observation:
    return Observation("result", "pause")


def message(returned: str = "ok", **payload: Any) -> Observation:
    return Observation("result", "embargo", "released", returned=returned, output=payload)


def decided(action: str = "GO") -> Observation:
    return Observation("decision", "s", action)


def value_of(signal: Signal, seen: list[Observation]) -> Any:
    fold = Fold([signal])
    memory, broken = fold.start(), {}
    for each in seen:
        memory, broken = fold.update(memory, broken, each)
    assert not broken
    values, broken = fold.values(memory, broken)
    assert not broken
    return values[signal.name]


class Row(NamedTuple):
    signal: str
    case: str
    seen: list[Observation]
    value: Any


A, B = result({"of": "a"}), result({"of": "b"}, step="t", call="d")
PERSON = result({"human_intervention_required": True})

RISES = [
    Row("error_count", "every failure", [failed(), result(), failed()], 2),
    Row("error_count", "late and in doubt are errors", [result(returned="late"), result(returned="in_doubt")], 2),
    Row("error_count", "a message that did not come", [message(returned="late")], 1),
    Row("consecutive_errors", "failures in a row", [result(), failed(), result(returned="late")], 2),
    Row("repeated_calls", "the same call again", [result(), result({"y": 2}), result()], 3),
    Row("repeated_calls", "the same call after another one", [result(), result(call="d"), result()], 2),
    Row("repeated_results", "the same step with the same output", [A, A], 2),
    Row("repeated_results", "not only in a row", [A, B, A], 2),
    Row("unusual_patterns", "two steps in turn", [A, B, A, B], 1),
    Row("unusual_patterns", "three times the same", [A, A, A], 1),
    Row("unusual_patterns", "an empty result", [result({})], 1),
    Row("unusual_patterns", "stuck and empty", [result({}), result({}), result({})], 2),
    Row("score", "the newest", [rated(3), rated(7.5)], {"alignment": 7.5}),
    Row("score", "each by its name", [rated(3, 4)], {"alignment": 3, "compatibility": 4}),
    Row("score", "the ends of the range", [rated(0, 10)], {"alignment": 0, "compatibility": 10}),
    Row("trend", "up", [rated(3), rated(7.5)], {"alignment": 4.5}),
    Row("trend", "down", [rated(7.5), rated(3)], {"alignment": -4.5}),
    Row("validation_anomalies", "a missing score", [rated(None)], 1),
    Row("validation_anomalies", "text, flag, beyond the range", [rated("9", True)], 2),
    Row("validation_anomalies", "above and below", [rated(10.5, -1)], 2),
    Row("validation_anomalies", "the validator raised", [rated(None, None, returned="failed")], 2),
    Row("convergence_issues", "two validations without progress", [rated(5), rated(5), rated(4)], True),
    Row("convergence_issues", "scores that are none", [rated(None), rated("x")], True),
    Row(
        "convergence_issues",
        "one at its best, the other one not moving",
        [rated(10, 5), rated(10, 5), rated(10, 5)],
        True,
    ),
    Row("convergence_issues", "each validator for itself", [rated(5), by("b", rated(9)), rated(5), rated(5)], True),
    Row("human_intervention_required", "the newest result says so", [result(), PERSON], True),
    Row("human_intervention_required", "nobody answered", [PERSON, answer(returned="late")], True),
    Row("clarifications", "every answer", [answer(), result(), answer()], 2),
]

STAYS = [
    Row("error_count", "results, answers and decisions", [result(), answer(), decided()], 0),
    Row("consecutive_errors", "a success ends the row", [failed(), failed(), result()], 0),
    Row("consecutive_errors", "an answer does not", [failed(), answer()], 1),
    Row("repeated_calls", "another call", [result(), result(call="d")], 1),
    Row("repeated_calls", "nothing was called", [], 0),
    Row("repeated_calls", "waiting is no call", [timer(), timer(), message()], 0),
    Row("repeated_calls", "waiting between two calls", [result(), timer(), result(call="d"), timer()], 1),
    Row("repeated_results", "another output", [A, result({"of": "b"})], 1),
    Row("repeated_results", "the same output of another step", [A, result({"of": "a"}, step="t")], 1),
    Row("repeated_results", "nothing came back", [], 0),
    Row("repeated_results", "too far back", [A, *[result({"of": n}) for n in range(8)]], 1),
    Row("unusual_patterns", "nothing came back", [], 0),
    Row("unusual_patterns", "three in turn", [A, B, A], 0),
    Row("unusual_patterns", "twice the same", [A, A], 0),
    Row("unusual_patterns", "the pattern is over", [A, A, A, B], 0),
    Row("unusual_patterns", "a timer gives nothing", [timer()], 0),
    Row("unusual_patterns", "a message without payload", [message(), message(), message()], 0),
    Row("score", "no score declared", [rated(3), result()], {"alignment": 3}),
    Row("score", "an invalid one is none, and does not leave the old one", [rated(9), rated(None)], {}),
    Row("score", "out of range", [rated(11)], {}),
    Row("score", "within a range of its own", [rated(0.5, bounds={"alignment": (0.0, 1.0)})], {"alignment": 0.5}),
    Row("score", "out of a range of its own", [rated(5, bounds={"alignment": (0.0, 1.0)})], {}),
    Row("score", "a validator that came late says nothing", [rated(9), rated(None, returned="late")], {}),
    Row("trend", "one score is no trend", [rated(9)], {}),
    Row("trend", "the one before was invalid", [rated(9), rated(None), rated(9)], {}),
    Row("validation_anomalies", "valid scores", [rated(0, 10)], 0),
    Row("validation_anomalies", "the newest result counts", [rated(None), rated(5)], 0),
    Row("validation_anomalies", "a result without scores", [rated(None), result()], 0),
    Row("validation_anomalies", "no result at all is an error, not an anomaly", [rated(None, returned="late")], 0),
    Row("convergence_issues", "each is better", [rated(5), rated(6), rated(7), rated(8)], False),
    Row("convergence_issues", "one score of two is better", [rated(5, 5), rated(5, 6), rated(5, 7)], False),
    Row("convergence_issues", "once without progress", [rated(5), rated(5)], False),
    Row("convergence_issues", "all at their best", [rated(10), rated(10), rated(10)], False),
    Row("convergence_issues", "the newest result is no validation", [rated(5), rated(5), rated(5), result()], False),
    Row("convergence_issues", "another validator's scores", [rated(9), by("b", rated(2)), by("b", rated(3))], False),
    Row(
        "human_intervention_required", "another word for yes", [result({"human_intervention_required": "true"})], False
    ),
    Row("human_intervention_required", "the newest result says nothing", [PERSON, result()], False),
    Row("human_intervention_required", "an answer clears it", [PERSON, answer()], False),
    Row("clarifications", "nobody answered in time", [answer(returned="late"), result()], 0),
]


def named(row: Row) -> str:
    return f"{row.signal}: {row.case}"


@pytest.mark.parametrize("row", RISES, ids=named)
def test_rises(row: Row) -> None:
    assert value_of(BUILTIN[row.signal], row.seen) == row.value


@pytest.mark.parametrize("row", STAYS, ids=named)
def test_stays(row: Row) -> None:
    assert value_of(BUILTIN[row.signal], row.seen) == row.value


def test_every_signal_has_both_rows() -> None:
    both = {row.signal for row in RISES} & {row.signal for row in STAYS}
    assert both == BUILTIN.keys() - {"situation"}


def test_equal_situations_have_one_name() -> None:
    def name(seen: Observation) -> str:
        return value_of(BUILTIN["situation"], [seen])

    assert name(A) == name(result({"of": "a"}, at=99.0))
    assert len({name(each) for each in (A, B, result({"of": "a"}, step="t"), result({"of": "a"}, call="d"))}) == 4
    assert value_of(BUILTIN["situation"], [A, answer()]) == name(A)


def test_a_signal_is_described() -> None:
    assert all(signal.description for signal in BUILTIN.values())
