"""Signals that say in which situation an agent acts: what happened last, how this run goes about things, what was said.

They are what rules are mined over (`stepladder mine`). A workflow whose rules read them names them as signals of its
own: `SIGNALS = HABITS` in its agents file. Texts are read for words and marks alone; nothing in them is an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from stepladder.signals.signal import MESSAGE, Observation, Signal
from stepladder.signals.signal import said as text_of

Counts = Mapping[str, Any]

BACK: Final = 5
"""How many observations back `recent` goes."""
WORDS: Final = 80
"""How many different words of a text are kept."""
_WORD: Final = re.compile(r"[a-z]{2,20}", re.ASCII)
_CODE: Final = re.compile(r"#\w+|\b(?=\w*\d)[A-Za-z_]*\d\w*|\S+@\S+", re.ASCII)
_NOT_WORD: Final = re.compile(r"\W+", re.ASCII)


def named(text: str) -> str:
    """The text as a name that clauses can have."""
    return _NOT_WORD.sub("_", text)[:60] or "nobody"


def _says(seen: Observation) -> bool:
    return seen.kind == "decision" and seen.name == MESSAGE


def _recent(memory: tuple[str, ...], seen: Observation) -> tuple[str, ...]:
    head = {"answer": "answer", "result": f"{seen.returned}_{named(seen.name)}"}.get(seen.kind, named(seen.name))
    return (head, *memory[: BACK - 1])


recent: Final = Signal(
    "recent",
    (),
    _recent,
    lambda memory: {str(back): word for back, word in enumerate(memory, 1)},
    ("result", "answer", "decision"),
    description="The newest observations as words, recent.1 the last: answer, an action, ok_TOOL or failed_TOOL.",
)

_RHYTHM: Final = {
    "steps": 0,
    "answers": 0,
    "messages": 0,
    "calls": 0,
    "open_calls": 0,
    "since_answer": 0,
    "calls_since_answer": 0,
    "calls_before_answer": 0,
    "announced": 0,
    "unannounced": 0,
    "in_row": 0,
    "last": "",
}


def _beat(memory: Counts, seen: Observation) -> Counts:
    new = {**memory, "steps": memory["steps"] + 1, "last": seen.kind}
    if seen.kind == "answer":
        before = {"calls_before_answer": memory["calls_since_answer"], "calls_since_answer": 0, "since_answer": 0}
        return {**new, **before, "answers": memory["answers"] + 1, "open_calls": 0}
    new["since_answer"] = memory["since_answer"] + 1
    if seen.kind == "result":
        return {**new, "open_calls": max(0, memory["open_calls"] - 1)}
    if _says(seen):
        return {**new, "messages": memory["messages"] + 1, "open_calls": 0, "last": "message"}
    for name in ("calls", "calls_since_answer", "open_calls"):
        new[name] = memory[name] + 1
    if memory["last"] == "decision":
        return {**new, "in_row": memory["in_row"] + 1}
    how = "announced" if memory["last"] == "message" else "unannounced"
    return {**new, how: memory[how] + 1}


def _rhythm(memory: Counts) -> dict[str, Any]:
    told = {name: value for name, value in memory.items() if name != "last"}
    turns = memory["announced"] + memory["unannounced"]
    told["announced_share"] = round(memory["announced"] / turns, 3) if turns else 0.0
    told["messages_a_call"] = round(memory["messages"] / max(1, memory["calls"]), 3)
    return told


rhythm: Final = Signal(
    "rhythm",
    _RHYTHM,
    _beat,
    _rhythm,
    ("result", "answer", "decision"),
    description="How this run goes about things: counts of steps, answers, messages and calls, calls without a result "
    "yet, calls that a message announced and those that none did, calls in a row.",
)


def _measured(memory: Counts, seen: Observation) -> Counts:
    text, length = text_of(seen), seen.output.get("length")
    size = length if isinstance(length, int) else len(text)
    told = {"last": size, "codes": len(_CODE.findall(text))}
    if seen.kind == "answer":
        return {**memory, **told, "answer": size, "answer_codes": told["codes"], "answer_asks": "?" in text}
    if seen.kind == "result":
        return {**memory, **told, "result": size, "items": text.count("},"), "shape": _shape(text)}
    if _says(seen):
        same = memory.get("again", 0) + 1 if seen.output.get("sha", text) == memory.get("sha") else 0
        told |= {"again": same, "sha": seen.output.get("sha", text)}
        return {**memory, **told, "message": size, "asks": "?" in text, "lines": text.count("\n")}
    return {**memory, **told}


def _shape(text: str) -> str:
    return {"{": "mapping", "[": "list", "": "nothing"}.get(text[:1], "number" if text[:1].isdigit() else "text")


texts: Final = Signal(
    "texts",
    {},
    _measured,
    lambda memory: {name: value for name, value in memory.items() if name != "sha"},
    on=("result", "answer", "decision"),
    description="Sizes and marks of the newest answer, message and result: length, codes and ids in it, whether it "
    "asks, lines, items, shape (mapping, list, number, text, nothing).",
)


def _words(seen: Observation) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_WORD.findall(text_of(seen).lower())))[:WORDS]


def _true(memory: tuple[str, ...]) -> dict[str, bool]:
    return dict.fromkeys(memory, True)


heard: Final = Signal(
    "heard", (), lambda _, seen: _words(seen), _true, ("answer",), description="heard.WORD: it is in the newest answer."
)
said: Final = Signal(
    "said",
    (),
    lambda memory, seen: _words(seen) if _says(seen) else memory,
    _true,
    ("decision",),
    description="said.WORD: it is in the newest message.",
)
shown: Final = Signal(
    "shown", (), lambda _, seen: _words(seen), _true, ("result",), description="shown.WORD: it is in the newest result."
)


def _did(memory: Counts, seen: Observation) -> Counts:
    before: tuple[str, ...] = memory["before"]
    new = {**memory, "before": _recent(before, seen)[:2]}
    if seen.kind != "decision":
        return new
    done = dict(memory["done"])
    for key in {"|".join(before[:1]), "|".join(before)}:
        action, times = done.get(key, ("", 0))
        done[key] = (named(seen.name), times + 1 if action == named(seen.name) else 1)
    return {**new, "done": done}


def _habit(memory: Counts) -> dict[str, Any]:
    before, done, told = memory["before"], memory["done"], dict[str, Any]()
    for name, key in (("one", "|".join(before[:1])), ("two", "|".join(before))):
        if key in done:
            told[name], told[f"{name}_times"] = done[key]
    return told


habit: Final = Signal(
    "habit",
    {"before": (), "done": {}},
    _did,
    _habit,
    ("result", "answer", "decision"),
    description="What this run did the last time the newest observation (habit.one), or the newest two (habit.two), "
    "were the same as now, and how many times in a row.",
)

HABITS: Final[tuple[Signal, ...]] = (recent, habit, rhythm, texts, heard, said, shown)
