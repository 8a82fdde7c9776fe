"""The signals of agents' conduct and wording: a row where each rises, a row where it stays, and laws for all."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.signals import AGENTS, MESSAGE, Fold, Observation


def said(text: str) -> Observation:
    return Observation("decision", "agent", MESSAGE, output={"text": text, "length": len(text)})


def asked(text: str) -> Observation:
    return Observation("answer", "user", "person", output={"text": text, "length": len(text)})


def call(tool: str = "find", args: str = "a b", call: str = "c1") -> Observation:
    return Observation("decision", "agent", tool, call, output={"args": args})


def got(text: str = "page one", returned: str = "ok", call: str = "c1") -> Observation:
    output = {"text": text, "length": len(text), "sha": text} if text else {}
    return Observation("result", "agent", "find", call, returned, output)


def flag(**flags: bool) -> Observation:
    return Observation("decision", "boss", MESSAGE, output={"flags": flags})


FAILED = got("broken", "failed")


class Row(NamedTuple):
    signal: str
    seen: list[Observation]
    value: Any


ROWS = [
    Row("steps_taken", [said("a"), asked("b"), got()], 3),
    Row("calls_made", [call(), said("a"), call()], 2),
    Row("error_rate", [got(), FAILED], 0.5),
    Row("error_rate", [call(), said("a")], 0.0),
    Row("longest_errors", [FAILED, FAILED, got(), FAILED], 2),
    Row("longest_errors", [got(), got()], 0),
    Row("most_repeated_call", [got(), got(), got(call="c2")], 2),
    Row("most_repeated_call", [got(call=""), got(call="")], 0),
    Row("needless_calls", [got(), got(), got(), got(call="c2")], 2),
    Row("needless_calls", [got(), got(call="c2")], 0),
    Row("most_repeated_result", [got(), got(call="c2"), got("other")], 2),
    Row("old_results", [got(), got(), got("other"), got()], 2),
    Row("old_results", [got(), got("other")], 0),
    Row("progress_rate", [], 1.0),
    Row("progress_rate", [got(), got(), got("new"), FAILED], 0.5),
    Row("progress_rate", [got(str(turn)) for turn in range(9)], 1.0),
    Row("empty_results", [got(""), got("[]"), got("null"), got("0"), got()], 4),
    Row("empty_results", [Observation("result", "s", output={"rows": 3})], 0),
    Row("tool_diversity", [call("a"), call("b"), said("x")], 1.0),
    Row("tool_diversity", [call("a"), call("a")], 0.0),
    Row("tools_used", [call("a"), call("b"), call("a")], 2),
    Row("sequence_novelty", [call("a"), call("b"), call("a"), call("b")], 0.75),
    Row("oscillations", [call(call=name) for name in "xyxy"], 1),
    Row("oscillations", [call(call=name) for name in "xxxx"], 0),
    Row("call_likeness", [call(args="a b"), call(args="a b"), call(args="b c")], round((1 + 1 / 3) / 2, 6)),
    Row("call_likeness", [call(), said("a")], 0.0),
    Row("argument_length", [call(args="ab"), call(args="abcd"), said("x")], 3.0),
    Row("calls_alone", [call(), call(), asked("x"), call(), said("y")], 1),
    Row("longest_alone", [call(), call(), asked("x"), call()], 2),
    Row("hand_overs", [call("transfer_to_human"), call("find")], 1),
    Row("agents_seen", [call(), asked("x"), call()], 2),
    Row("told_in_loop", [flag(is_in_loop=True), flag(is_in_loop=False), said("a")], 1),
    Row("told_no_progress", [flag(is_progress_being_made=False), flag(is_progress_being_made=True)], 1),
    Row("called", [call("a"), call("b"), call("a"), said("x")], {"a": 2, "b": 1}),
    Row("apologies", [said("I'm sorry, my mistake"), said("fine"), said("Unfortunately no")], 2),
    Row("hedges", [said("It seems that it might work"), said("done")], 2),
    Row("hedge_rate", [said("It seems so"), said("done")], 0.5),
    Row("question_rate", [said("which?"), said("ok"), call()], 0.5),
    Row("objections", [asked("no, that is wrong"), asked("thanks")], 2),
    Row("objection_rate", [asked("no, that is wrong"), asked("thanks")], 1.0),
    Row("person_turns", [asked("a"), said("b"), asked("c")], 2),
    Row("messages_said", [asked("a"), said("b"), call()], 1),
    Row("failure_words", [got("Error: x"), got("not found"), got("fine")], 2),
    Row("failure_streak", [got("Error: x"), got("fine"), got("timed out")], 1),
    Row("contradictions", [FAILED, said("All done.")], 1),
    Row("contradictions", [FAILED, said("It failed."), said("All done.")], 0),
    Row("contradictions", [got(), said("All done.")], 0),
    Row("success_claims", [said("It has been updated."), said("which?")], 1),
    Row("message_length", [said("ab"), said("abcd"), call()], 3.0),
    Row("person_length", [asked("abc"), said("x")], 3.0),
    Row("result_length", [got("abc"), got("a")], 2.0),
    Row("short_results", [got("abc"), got("x" * 30)], 1),
]


def folded(name: str, seen: list[Observation]) -> Any:
    fold = Fold([AGENTS[name]])
    memory = fold.start()
    for each in seen:
        memory, broken = fold.update(memory, {}, each)
        assert not broken
    return fold.values(memory, {})[0][name]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.signal)
def test_what_a_signal_says(row: Row) -> None:
    assert folded(row.signal, row.seen) == row.value


def test_every_signal_has_a_row() -> None:
    assert {row.signal for row in ROWS} == AGENTS.keys()
    assert all(each.description for each in AGENTS.values())


TEXTS = (
    st.sampled_from(["", "[]", "Error 404", "sorry", "It seems done", "no, wait", "x" * 40, "\ud800", "{}"]) | st.text()
)
SEEN = st.one_of(
    TEXTS.map(said),
    TEXTS.map(asked),
    st.tuples(TEXTS, st.sampled_from(["ok", "failed", "late", "in_doubt"])).map(lambda each: got(*each)),
    st.tuples(st.sampled_from("ab"), TEXTS, st.sampled_from("xy")).map(lambda each: call(*each)),
    st.dictionaries(st.sampled_from(["text", "sha", "args", "flags", "length"]), st.none() | st.integers() | TEXTS).map(
        lambda output: Observation("result", "s", "n", "c", output=output)
    ),
)


@given(st.lists(SEEN, max_size=12))
def test_no_signal_ever_breaks_or_changes_its_memory(seen: list[Observation]) -> None:
    for each in AGENTS.values():
        memory = each.start
        for one in seen:
            if one.kind in each.on:
                before = copy.deepcopy(memory)
                new = each.update(memory, one)
                assert memory == before
                memory = new
        value = each.value(memory)
        assert isinstance(value, (int, float, dict))
        assert value == value  # noqa: PLR0124 - NaN
