"""Raw answers of models: a verdict, or invalid with a cause. Nothing is repaired, nothing raises."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.decision import Invalid, Option, judge, judge_text
from stepladder.decision.judge import MAX_ANSWER
from stepladder.record import Verdict
from stepladder.workflow.schemas import checker, object_schema

ASK_CHECK: Final = checker(
    object_schema({"question": "string", "urgency": {"type": "integer", "default": 1}}, required=True, closed=True)
)
NONE_CHECK: Final = checker(object_schema({}, required=True, closed=True))
OPTIONS: Final = {
    "RETRY": Option("RETRY", "planning", NONE_CHECK),
    "ASK": Option("ASK", "asking", ASK_CHECK),
    "FREE": Option("FREE", "anywhere"),
}


def say(**answer: Any) -> str:
    return json.dumps(answer)


def deep(levels: int) -> str:
    return '{"action":"FREE","parameters":{"a":' + "[" * levels + "]" * levels + "}}"


ASK = {"question": "by revenue?"}

VALID: dict[str, tuple[str, Verdict]] = {
    "bare": (say(action="RETRY"), Verdict("RETRY")),
    "all fields": (
        say(action="ASK", reason="vague", parameters=ASK, next_state="asking", confidence=0.9),
        Verdict("ASK", ASK, "vague", 0.9),
    ),
    "white space around": (f"\n\t {say(action='RETRY')} \r\n", Verdict("RETRY")),
    "right next_state": (say(action="RETRY", next_state="planning"), Verdict("RETRY")),
    "null next_state": (say(action="RETRY", next_state=None), Verdict("RETRY")),
    "extra keys": (say(action="RETRY", thoughts=["..."], decision=1), Verdict("RETRY")),
    "missing reason": (say(action="RETRY", confidence=0.5), Verdict("RETRY", confidence=0.5)),
    "null reason": (say(action="RETRY", reason=None), Verdict("RETRY")),
    "null confidence": (say(action="RETRY", confidence=None), Verdict("RETRY")),
    "confidence 0": (say(action="RETRY", confidence=0), Verdict("RETRY", confidence=0.0)),
    "confidence 1": (say(action="RETRY", confidence=1), Verdict("RETRY", confidence=1.0)),
    "parameters null": (say(action="RETRY", parameters=None), Verdict("RETRY")),
    "a null parameter is an absent one": (say(action="ASK", parameters={**ASK, "urgency": None}), Verdict("ASK", ASK)),
    "an optional parameter": (
        say(action="ASK", parameters={**ASK, "urgency": 2}),
        Verdict("ASK", {**ASK, "urgency": 2}),
    ),
    "unchecked parameters": (say(action="FREE", parameters={"a": [1, None]}), Verdict("FREE", {"a": [1, None]})),
    "escapes": ('{"\\u0061ction":"RE\\u0054RY"}', Verdict("RETRY")),
    "an astral character": ('{"action":"FREE","reason":"\\ud83d\\ude00"}', Verdict("FREE", reason="\U0001f600")),
    "flat enough": (deep(40), Verdict("FREE", {"a": json.loads("[" * 40 + "]" * 40)})),
    "long, but not too long": (say(action="FREE", reason="x" * 100_000), Verdict("FREE", reason="x" * 100_000)),
    "a large integer": (say(action="FREE", parameters={"n": 2**70}), Verdict("FREE", {"n": 2**70})),
}

INVALID: dict[str, tuple[str, str]] = {
    "empty": ("", "the answer is empty"),
    "blank": (" \n\t\u3000 ", "the answer is empty"),
    "prose": ("I would retry.", "not strict JSON"),
    "prose around": (f"Sure! {say(action='RETRY')}", "not strict JSON"),
    "prose behind": (f"{say(action='RETRY')} Hope this helps.", "not strict JSON"),
    "code fence": (f"```json\n{say(action='RETRY')}\n```", "not strict JSON"),
    "truncated": ('{"action": "RETR', "not strict JSON"),
    "truncated at the end": ('{"action": "RETRY"', "not strict JSON"),
    "two objects": (say(action="RETRY") * 2, "not strict JSON"),
    "single quotes": ("{'action': 'RETRY'}", "not strict JSON"),
    "trailing comma": ('{"action": "RETRY",}', "not strict JSON"),
    "comment": ('{"action": "RETRY"} // sure', "not strict JSON"),
    "duplicate keys": ('{"action":"RETRY","action":"ASK"}', "a key occurs twice"),
    "duplicate keys inside": ('{"action":"FREE","parameters":{"a":1,"a":2}}', "a key occurs twice"),
    "duplicate keys by escapes": ('{"action":"RETRY","\\u0061ction":"ASK"}', "a key occurs twice"),
    "NaN": ('{"action":"RETRY","confidence":NaN}', "NaN is not a JSON number"),
    "Infinity": ('{"action":"RETRY","confidence":Infinity}', "Infinity is not a JSON number"),
    "-Infinity": ('{"action":"FREE","parameters":{"a":-Infinity}}', "-Infinity is not a JSON number"),
    "an overflowing number": ('{"action":"FREE","parameters":{"a":1e999}}', "inf"),
    "confidence 95": (say(action="RETRY", confidence=95), "confidence 95 is not a number from 0 to 1"),
    "confidence below 0": (say(action="RETRY", confidence=-0.1), "confidence -0.1"),
    "confidence a little above 1": (say(action="RETRY", confidence=1.0000001), "confidence 1.0000001"),
    "confidence overflowing": ('{"action":"RETRY","confidence":1e999}', "inf"),
    "confidence of 400 digits": (say(action="RETRY", confidence=10**400), "confidence 1000"),
    "a number of 5,000 digits": ('{"action":"RETRY","confidence":1' + "0" * 5000 + "}", "not strict JSON"),
    "bool confidence": (say(action="RETRY", confidence=True), "confidence True"),
    "string confidence": (say(action="RETRY", confidence="0.9"), "confidence '0.9'"),
    "confidence in a list": (say(action="RETRY", confidence=[0.9]), "confidence [0.9]"),
    "no action": (say(reason="hm"), "no action"),
    "null action": (say(action=None), "no action"),
    "action as a number": (say(action=1), "action 1 is not legal here; legal: RETRY, ASK, FREE"),
    "action as a list": (say(action=["RETRY"]), "action ['RETRY'] is not legal"),
    "action as an object": (say(action={"name": "RETRY"}), "action {'name': 'RETRY'} is not legal"),
    "a list": (json.dumps([{"action": "RETRY"}]), "a list, not an object"),
    "a string": (json.dumps("RETRY"), "a str, not an object"),
    "null": ("null", "a NoneType, not an object"),
    "true": ("true", "a bool, not an object"),
    "a number": ("42", "a int, not an object"),
    "wrong case": (say(action="retry"), "action 'retry' is not legal"),
    "spaces": (say(action=" RETRY "), "action ' RETRY ' is not legal"),
    "empty action": (say(action=""), "action '' is not legal"),
    "STOP": (say(action="STOP"), "action 'STOP' is not legal"),
    "unknown action": (say(action="DROP_TABLES"), "action 'DROP_TABLES' is not legal"),
    "look-alikes": (say(action="R\u0395TRY"), "is not legal"),
    "zero width": (say(action="RETRY\u200b"), "is not legal"),
    "full width": (say(action="ＲＥＴＲＹ"), "is not legal"),
    "BOM": ("\ufeff" + say(action="RETRY"), "not strict JSON"),
    "another white space": ("\u00a0" + say(action="RETRY"), "not strict JSON"),
    "wrong next_state": (
        say(action="RETRY", next_state="asking"),
        "next_state 'asking' is not where RETRY leads (planning)",
    ),
    "empty next_state": (say(action="RETRY", next_state=""), "next_state '' is not where"),
    "next_state no text": (say(action="RETRY", next_state=["planning"]), "next_state ['planning'] is not where"),
    "reason no text": (say(action="RETRY", reason={"why": "?"}), "reason {'why': '?'} is not text"),
    "reason a number": (say(action="RETRY", reason=0), "reason 0 is not text"),
    "parameters a list": (
        say(action="ASK", parameters=["by revenue?"]),
        "parameters ['by revenue?'] are not an object",
    ),
    "parameters a text": (say(action="ASK", parameters="question"), "parameters 'question' are not an object"),
    "parameters false": (say(action="RETRY", parameters=False), "parameters False are not an object"),
    "parameters missing": (say(action="ASK"), "parameters of ASK: "),
    "a parameter missing": (say(action="ASK", parameters={"urgency": 1}), "parameters of ASK: "),
    "a parameter of the wrong type": (say(action="ASK", parameters={"question": 5}), "parameters of ASK: question"),
    "a required parameter null": (say(action="ASK", parameters={"question": None}), "parameters of ASK: "),
    "a parameter too many": (say(action="RETRY", parameters={"x": 1}), "parameters of RETRY: "),
    "deep": (deep(80), "nesting deeper than 64"),
    "deeper": (deep(300), "nesting deeper than 64"),
    "far too deep": (deep(20_000), "not strict JSON"),
    "deep where nothing is checked": (say(action="RETRY", notes=json.loads("[" * 300 + "]" * 300)), "nesting deeper"),
    "a lone surrogate": ('{"action":"FREE","reason":"\\ud800"}', "lone surrogate"),
    "a lone surrogate in a parameter": ('{"action":"ASK","parameters":{"question":"\\udc00"}}', "lone surrogate"),
    "a lone surrogate as a key": ('{"action":"FREE","parameters":{"\\ud800":1}}', "lone surrogate"),
    "a raw lone surrogate": ('{"action":"FREE","reason":"\ud800"}', "lone surrogate"),
    "300k characters": ('{"action":"RETRY","reason":"' + "x" * 300_000 + '"}', f"characters, more than {MAX_ANSWER}"),
    "300k spaces": (" " * 300_000, "the answer is empty"),
}


def test_the_table_is_long_enough() -> None:
    assert len(VALID) + len(INVALID) >= 80


@pytest.mark.parametrize("case", VALID)
def test_a_verdict(case: str) -> None:
    text, expected = VALID[case]
    found = judge_text(text, OPTIONS)
    assert found == expected
    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == expected


@pytest.mark.parametrize("case", INVALID)
def test_invalid_with_a_cause(case: str) -> None:
    text, cause = INVALID[case]
    found = judge_text(text, OPTIONS)
    assert isinstance(found, Invalid)
    assert cause in found.cause
    assert len(found.cause) < 1000
    msgspec.json.encode(found)


def test_confidence_is_a_float() -> None:
    """So that an entry reads back as the same bytes."""
    assert isinstance(judge({"action": "RETRY", "confidence": 1}, OPTIONS).confidence, float)


def test_a_long_legal_set_stays_readable() -> None:
    many = {f"ACTION_{number}": Option(f"ACTION_{number}", "x") for number in range(3)}
    assert judge({"action": "x" * 5000}, many).cause.startswith("action 'xxx")


ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from([*OPTIONS, "STOP", "retry", None, 1]) | st.text(max_size=3),
        "reason": st.none() | st.text(max_size=5) | st.integers(),
        "confidence": st.none() | st.floats(-0.5, 1.5) | st.booleans() | st.text(max_size=2) | st.just(10**400),
        "next_state": st.sampled_from(["planning", "asking", "anywhere", "", None, 3]),
        "parameters": st.none()
        | st.fixed_dictionaries(
            {}, optional={"question": st.text(max_size=5) | st.integers(), "urgency": st.integers()}
        )
        | st.lists(st.integers(), max_size=1),
        "more": st.text(max_size=3),
    },
)


@given(ANSWERS)
def test_a_verdict_is_always_legal(answer: dict[str, Any]) -> None:
    found = judge_text(json.dumps(answer), OPTIONS)
    if isinstance(found, Verdict):
        assert found.action in OPTIONS
        assert answer.get("next_state") in (None, OPTIONS[found.action].to)
        assert found.confidence is None or 0 <= found.confidence <= 1
        assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found
    else:
        assert found.cause


@given(st.text() | st.text(alphabet='{}[]":,\\actionRETRY0123.eE- ', max_size=40))
def test_any_text_is_judged(text: str) -> None:
    assert isinstance(judge_text(text, OPTIONS), Invalid)
