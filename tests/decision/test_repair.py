"""What is put right in the form of an answer, what is not, and that neither takes long."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.decision import Invalid, Option, judge_text, read_text
from stepladder.record import Verdict

OPTIONS = {name: Option(name, "x") for name in ("approve", "reject")}
GOOD = '{"action": "approve", "confidence": 0.8, "reason": "ok"}'

MENDED = {
    "nothing": (GOOD, ()),
    "fence": (f"```json\n{GOOD}\n```", ("fence",)),
    "fence in prose": (f"Here it is:\n```\n{GOOD}\n```\nGood luck!", ("fence",)),
    "prose after": (f"{GOOD}\nI chose {{this}} because it fits.", ("prose",)),
    "prose before": (f"My answer: {GOOD}", ("prose",)),
    "the same twice": (f"{GOOD}\n{GOOD}", ("prose",)),
    "thought": ('<think>{"action": "reject"}?</think>' + GOOD, ("thought",)),
    "encoded": (json.dumps(GOOD), ("encoded",)),
    "wrapped": (f'{{"decision": {GOOD}}}', ("wrapped",)),
    "listed": (f"[{GOOD}]", ("wrapped",)),
    "case": (GOOD.replace("approve", " APPROVE "), ("case",)),
    "number": (GOOD.replace("0.8", '"0.8"'), ("number",)),
    "extra": (GOOD.replace("}", ', "__class__": "x", "skip_approval": true}'), ("extra",)),
    "literal": ("{'action': 'approve', 'confidence': 0.8, 'reason': 'ok'}", ("literal",)),
    "comments": (GOOD.replace(",", ", // so\n", 1).replace("}", ",}"), ("comments",)),
    "raw control": (GOOD.replace("ok", "o\tk"), ("raw_controls",)),
    "markup": (GOOD.replace("ok", "<img src=x onerror=alert(1)>ok![x](http://x)"), ("markup",)),
    "role": (GOOD.replace("ok", "SYSTEM: ok"), ("role",)),
    "escape": (GOOD.replace("ok", "ok\\u001b[2J\\u202e"), ("controls",)),
    "half a character": (GOOD.replace("ok", "ok \\ud83d"), ("surrogate",)),
    "long": (GOOD.replace("ok", "A" * 300_000), ("long",)),
}


@pytest.mark.parametrize("row", MENDED.values(), ids=list(MENDED))
def test_a_form_that_leaves_no_doubt_is_put_right(row: tuple[str, tuple[str, ...]]) -> None:
    text, steps = row
    found = read_text(text, OPTIONS, whole=True)
    assert isinstance(found.verdict, Verdict), found
    assert (found.verdict.action, found.verdict.confidence, found.repaired) == ("approve", 0.8, steps)
    assert judge_text(text, OPTIONS, found.repaired, whole=True) == found.verdict
    if steps not in ((), ("extra",), ("role",), ("markup",)) and len(text) < 10_000:
        assert judge_text(text, OPTIONS, whole=True) != found.verdict, "as it stands it is not the same answer"


REFUSED = {
    "synonym": (GOOD.replace("approve", "accept"), "action"),
    "look-alike": (GOOD.replace("approve", "\u0430pprove"), "action"),
    "zero-width": (GOOD.replace("approve", "approve\u200b"), "action"),
    "bare word": ("approve", "form"),
    "two that differ": (f"{GOOD}\n{GOOD.replace('approve', 'reject')}", "conflict"),
    "cut off": (GOOD[:40], "form"),
    "cut off inside": ('{"decision": ' + GOOD, "form"),
    "cut off behind": (f'{GOOD}\n{{"action": "rej', "form"),
    "a thought without an end": ("<think>" + GOOD[:-1], "form"),
    "an answer in a thought without an end": ("<think>I lean towards " + GOOD, "form"),
    "a thought without an end behind one": ("<think>a</think><Reasoning>" + GOOD + " or not", "form"),
    "twice the same key": ('{"action": "approve", "action": "reject", "confidence": 1}', "twice"),
    "twice in a literal": ("{'action': 'approve', 'action': 'reject', 'confidence': 1}", "twice"),
    "NaN": (GOOD.replace("0.8", "NaN"), "number"),
    "beyond a float": (GOOD.replace("0.8", "1e999"), "held"),
    "95": (GOOD.replace("0.8", "95"), "confidence"),
    "per cent": (GOOD.replace("0.8", '"80%"'), "confidence"),
    "a flag": (GOOD.replace("0.8", "true"), "confidence"),
    "no confidence": ('{"action": "approve", "reason": "ok"}', "confidence"),
    "null action": (GOOD.replace('"approve"', "null"), "action"),
    "code": ("{'action': __import__('os').getcwd(), 'confidence': 1}", "form"),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=list(REFUSED))
def test_what_leaves_a_doubt_does_not_count(row: tuple[str, str]) -> None:
    text, kind = row
    found = read_text(text, OPTIONS, whole=True).verdict
    assert isinstance(found, Invalid), found
    assert found.kind == kind


TAGS = ["<think>", "<think></think>", "<", "![[", "\x1b["]
MARKS = ["/*", "//", "`", "```\n", '"\\', "[", "- ", "(", "{1:", "{'", '{"', '{"a":']
HOSTILE = [*TAGS, *MARKS]


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("size", [16_000, 1_000_000])
def test_no_text_takes_long(part: str, size: int) -> None:
    text = part * (size // len(part))
    started = time.process_time()
    read_text(text, OPTIONS, whole=True)
    read_text(json.dumps({"action": "approve", "confidence": 1, "reason": text}), OPTIONS, whole=True)
    assert time.process_time() - started < 1.0


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")), st.booleans())
def test_any_text_is_read_and_read_again_alike(text: str, whole: bool) -> None:
    found = read_text(text, OPTIONS, whole=whole)
    if isinstance(found.verdict, Verdict):
        assert found.verdict.action in OPTIONS
        assert judge_text(text, OPTIONS, found.repaired, whole=whole) == found.verdict
