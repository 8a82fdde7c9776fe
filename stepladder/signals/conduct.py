"""Signals of conduct: what an agent does with its calls, whether it learns anything, whether it goes round.

They are folded over what agents decide (a tool's name, an action, `MESSAGE` for saying something) and what comes
back, in live runs and in recordings alike. `docs/signals.md` says of each where it is from.
"""

from __future__ import annotations

import math
import re
from typing import Final

from msgspec.structs import replace

from stepladder.signals.signal import MESSAGE, Observation, Signal, said, signal
from stepladder.signals.tally import Tally, count_calls, count_results, count_tools, result_key

WINDOW: Final = 6
"""How many calls, or results, are recent."""
_WORD: Final = re.compile(r"\w+")
_NOTHING: Final = frozenset({"", "[]", "{}", "()", "0", "null", "None", '""'})


def is_empty(seen: Observation) -> bool:
    """Whether a result says nothing."""
    return not seen.output or ("text" in seen.output and said(seen).strip() in _NOTHING)


@signal("steps_taken", start=0, on=("result", "answer", "decision"))
def steps_taken(count: int, seen: Observation) -> int:
    """Everything observed so far."""
    return count + 1


@signal("calls_made", start=0, on=("decision",))
def calls_made(count: int, seen: Observation) -> int:
    """Decisions other than to say something."""
    return count + (seen.name != MESSAGE)


def _add_returned(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    failed, total = memory
    return failed + (seen.returned != "ok"), total + 1


error_rate: Final = Signal(
    "error_rate",
    (0, 0),
    _add_returned,
    lambda memory: memory[0] / memory[1] if memory[1] else 0.0,
    description="The share of results that are not ok.",
)


def _add_streak(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    streak = 0 if seen.returned == "ok" else memory[0] + 1
    return streak, max(streak, memory[1])


longest_errors: Final = Signal(
    "longest_errors",
    (0, 0),
    _add_streak,
    lambda memory: memory[1],
    description="The most results in a row that were not ok.",
)


most_repeated_call: Final = Signal(
    "most_repeated_call",
    Tally(),
    count_calls,
    lambda memory: memory.most,
    description="How often the call that was made most often has returned.",
)
needless_calls: Final = Signal(
    "needless_calls", Tally(), count_calls, lambda memory: memory.again, description="Calls that had been made before."
)
most_repeated_result: Final = Signal(
    "most_repeated_result",
    Tally(),
    count_results,
    lambda memory: memory.most,
    description="How often the result that came most often has come.",
)
old_results: Final = Signal(
    "old_results",
    Tally(),
    count_results,
    lambda memory: memory.again,
    description="Results that had come before, word for word.",
)


def _add_news(
    memory: tuple[frozenset[tuple[str, str]], tuple[bool, ...]], seen: Observation
) -> tuple[frozenset[tuple[str, str]], tuple[bool, ...]]:
    known, news = memory
    key = result_key(seen)
    new = key not in known and seen.returned == "ok" and not is_empty(seen)
    return known | {key}, (*news[-WINDOW + 1 :], new)


progress_rate: Final = Signal(
    "progress_rate",
    (frozenset(), ()),
    _add_news,
    lambda memory: sum(memory[1]) / len(memory[1]) if memory[1] else 1.0,
    description=f"The share of the last {WINDOW} results that were ok, not empty and not seen before.",
)


@signal("empty_results", start=0)
def empty_results(count: int, seen: Observation) -> int:
    """Results that say nothing: no text, an empty list, null, 0."""
    return count + is_empty(seen)


def entropy(counts: dict[str, int]) -> float:
    """Bits of surprise in a draw from these counts (Shannon 1948)."""
    total = sum(counts.values())
    return -sum(count / total * math.log2(count / total) for count in counts.values()) if total else 0.0


tool_diversity: Final = Signal(
    "tool_diversity",
    {},
    count_tools,
    lambda memory: round(entropy(memory), 6),
    on=("decision",),
    description="Entropy of the tools called so far, in bits.",
)
tools_used: Final = Signal("tools_used", {}, count_tools, len, on=("decision",), description="Different tools called.")

Pairs = tuple[str, frozenset[tuple[str, str]], int]


def _add_pair(memory: Pairs, seen: Observation) -> Pairs:
    before, pairs, total = memory
    return seen.name, pairs | {(before, seen.name)}, total + 1


sequence_novelty: Final = Signal(
    "sequence_novelty",
    ("", frozenset(), 0),
    _add_pair,
    lambda memory: len(memory[1]) / memory[2] if memory[2] else 1.0,
    on=("decision",),
    description="The share of decisions that followed the one before for the first time in this run.",
)


def _add_turn(memory: tuple[tuple[str, ...], int], seen: Observation) -> tuple[tuple[str, ...], int]:
    if not seen.call:
        return memory
    recent, count = (*memory[0][-3:], seen.call), memory[1]
    turned = len(recent) == 4 and recent[:2] == recent[2:] and recent[0] != recent[1]
    return recent, count + turned


oscillations: Final = Signal(
    "oscillations",
    ((), 0),
    _add_turn,
    lambda memory: memory[1],
    on=("decision",),
    description="How often the newest four calls were two calls in turn (A B A B).",
)

Likeness = tuple[frozenset[str], float, int]


def _add_likeness(memory: Likeness, seen: Observation) -> Likeness:
    arguments = seen.output.get("args")
    if not isinstance(arguments, str):
        return memory
    before, total, count = memory
    words = frozenset(_WORD.findall(arguments.lower()))
    if not count:
        return words, 0.0, 1
    either = words | before
    return words, total + (len(words & before) / len(either) if either else 1.0), count + 1


call_likeness: Final = Signal(
    "call_likeness",
    (frozenset(), 0.0, 0),
    _add_likeness,
    lambda memory: round(memory[1] / (memory[2] - 1), 6) if memory[2] > 1 else 0.0,
    on=("decision",),
    description="How alike the arguments of one call and the next are, on average (Jaccard 1901, over words).",
)


def _add_length(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    arguments = seen.output.get("args")
    return (memory[0] + len(arguments), memory[1] + 1) if isinstance(arguments, str) else memory


argument_length: Final = Signal(
    "argument_length",
    (0, 0),
    _add_length,
    lambda memory: round(memory[0] / memory[1], 3) if memory[1] else 0.0,
    on=("decision",),
    description="Mean characters of a call's arguments.",
)


def _add_alone(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    if seen.kind == "answer":
        return 0, memory[1]
    now = memory[0] + (seen.name != MESSAGE)
    return now, max(now, memory[1])


calls_alone: Final = Signal(
    "calls_alone",
    (0, 0),
    _add_alone,
    lambda memory: memory[0],
    on=("decision", "answer"),
    description="Calls since a person last said something.",
)
longest_alone: Final = Signal(
    "longest_alone",
    (0, 0),
    _add_alone,
    lambda memory: memory[1],
    on=("decision", "answer"),
    description="The most calls between two things that people said.",
)

_HAND_OVER: Final = re.compile(r"transfer|human|escalat", re.IGNORECASE)


@signal("hand_overs", start=0, on=("decision",))
def hand_overs(count: int, seen: Observation) -> int:
    """Calls of a tool whose name speaks of handing over to people."""
    return count + (seen.name != MESSAGE and _HAND_OVER.search(seen.name) is not None)


def _add_agent(memory: frozenset[str], seen: Observation) -> frozenset[str]:
    return memory if seen.step in memory else memory | {seen.step}


agents_seen: Final = Signal(
    "agents_seen",
    frozenset(),
    _add_agent,
    len,
    on=("decision", "answer", "result"),
    description="Different agents, tools' callers and people that did something.",
)


def _flag(name: str, when: bool) -> Signal:
    def update(count: int, seen: Observation) -> int:
        flags = seen.output.get("flags")
        return count + (isinstance(flags, dict) and flags.get(name) is when)

    return Signal("", 0, update, on=("decision", "answer", "result"))


told_in_loop: Final = replace(
    _flag("is_in_loop", True),
    name="told_in_loop",
    description="How often the system itself noted that it is in a loop (Magentic-One's ledger).",
)
told_no_progress: Final = replace(
    _flag("is_progress_being_made", False),
    name="told_no_progress",
    description="How often the system itself noted that no progress is being made (Magentic-One's ledger).",
)

CONDUCT: Final[dict[str, Signal]] = {
    each.name: replace(each, total=True)
    for each in (
        steps_taken,
        calls_made,
        error_rate,
        longest_errors,
        most_repeated_call,
        needless_calls,
        most_repeated_result,
        old_results,
        progress_rate,
        empty_results,
        tool_diversity,
        tools_used,
        sequence_novelty,
        oscillations,
        call_likeness,
        argument_length,
        calls_alone,
        longest_alone,
        hand_overs,
        agents_seen,
        told_in_loop,
        told_no_progress,
    )
}
"""The signals of conduct by name."""
