"""Signals of wording: what agents and people say, looked at word by word.

Word lists, not models: cheap, the same everywhere, and readable. Text is data here: it is searched, never followed. The
lists of hedges follow Hyland (1998), those of apologies and objections what service transcripts show.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from stepladder.signals.signal import MESSAGE, Observation, Signal, said, signal

APOLOGY: Final = re.compile(
    r"\b(?:sorry|apolog\w+|my mistake|unfortunately|oversight|confusion|misunderst\w+|regret)\b", re.IGNORECASE
)
HEDGE: Final = re.compile(
    r"\b(?:seems?|appears?|might|may|perhaps|possibly|probably|not sure|unclear|i think|likely|assum\w+|unable|cannot"
    r"|can't|could ?n[o']t|did ?n[o']t|issue|problem|try again|let me try)\b",
    re.IGNORECASE,
)
FAILURE: Final = re.compile(
    r"\b(?:errors?|exception|fail(?:ed|ure|s)?|not found|invalid|denied|no such|do(?:es)? ?n[o']t exist|traceback"
    r"|unknown|unable|timed? ?out|not available|40[0-9]|50[0-9])\b",
    re.IGNORECASE,
)
SUCCESS: Final = re.compile(
    r"\b(?:success\w*|completed?|done|has been|have been|all set|confirmed|processed|updated|cancelled)\b",
    re.IGNORECASE,
)
OBJECTION: Final = re.compile(
    r"\b(?:no|not|don't|didn't|doesn't|isn't|wrong|incorrect|but|instead|still|again|already|actually|wait|why"
    r"|disappoint\w*|frustrat\w*|manager|supervisor)\b",
    re.IGNORECASE,
)


@signal("apologies", start=0, on=("decision",))
def apologies(count: int, seen: Observation) -> int:
    """Messages with a word of apology or regret."""
    return count + (APOLOGY.search(said(seen)) is not None)


@signal("hedges", start=0, on=("decision",))
def hedges(count: int, seen: Observation) -> int:
    """Words of doubt in messages, in all."""
    text = said(seen)
    return count + len(HEDGE.findall(text)) if text else count


def _add_rate(memory: tuple[int, int], found: int) -> tuple[int, int]:
    return memory[0] + found, memory[1] + 1


def _rate(memory: tuple[int, int]) -> float:
    return round(memory[0] / memory[1], 6) if memory[1] else 0.0


def _add_hedges(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    text = said(seen)
    return _add_rate(memory, len(HEDGE.findall(text))) if text else memory


hedge_rate: Final = Signal(
    "hedge_rate", (0, 0), _add_hedges, _rate, on=("decision",), description="Words of doubt for each message."
)


def _add_question(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    text = said(seen)
    return _add_rate(memory, "?" in text) if text and seen.name == MESSAGE else memory


question_rate: Final = Signal(
    "question_rate", (0, 0), _add_question, _rate, on=("decision",), description="The share of messages that ask."
)


def _add_objections(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    return _add_rate(memory, len(OBJECTION.findall(said(seen))))


objections: Final = Signal(
    "objections",
    (0, 0),
    _add_objections,
    lambda memory: memory[0],
    on=("answer",),
    description="Words of objection in what people say, in all.",
)
objection_rate: Final = Signal(
    "objection_rate",
    (0, 0),
    _add_objections,
    _rate,
    on=("answer",),
    description="Words of objection for each thing that people say.",
)


@signal("person_turns", start=0, on=("answer",))
def person_turns(count: int, seen: Observation) -> int:
    """How often people said something."""
    return count + 1


@signal("messages_said", start=0, on=("decision",))
def messages_said(count: int, seen: Observation) -> int:
    """Decisions to say something."""
    return count + (seen.name == MESSAGE)


@signal("failure_words", start=0)
def failure_words(count: int, seen: Observation) -> int:
    """Results whose text speaks of an error, whatever their status."""
    return count + (FAILURE.search(said(seen)) is not None)


def _add_failure_words(memory: int, seen: Observation) -> int:
    return memory + 1 if FAILURE.search(said(seen)) else 0


failure_streak: Final = Signal(
    "failure_streak", 0, _add_failure_words, description="Results in a row whose text speaks of an error."
)


def _add_claim(memory: tuple[bool, int], seen: Observation) -> tuple[bool, int]:
    failed, count = memory
    if seen.kind == "result":
        return seen.returned != "ok" or FAILURE.search(said(seen)[:200]) is not None, count
    text = said(seen)
    claimed = bool(text) and seen.name == MESSAGE and SUCCESS.search(text) is not None and not HEDGE.search(text)
    return False if seen.name == MESSAGE else failed, count + (failed and claimed)


contradictions: Final = Signal(
    "contradictions",
    (False, 0),
    _add_claim,
    lambda memory: memory[1],
    on=("decision", "result"),
    description="Messages that claim success right after a result that failed or speaks of an error.",
)


@signal("success_claims", start=0, on=("decision",))
def success_claims(count: int, seen: Observation) -> int:
    """Messages that claim something is done."""
    return count + (seen.name == MESSAGE and SUCCESS.search(said(seen)) is not None)


def _length(seen: Observation) -> int:
    length = seen.output.get("length")
    return length if isinstance(length, int) else len(said(seen))


def _add_message_length(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    return _add_rate(memory, _length(seen)) if seen.name == MESSAGE else memory


def _add_any_length(memory: tuple[int, int], seen: Observation) -> tuple[int, int]:
    return _add_rate(memory, _length(seen))


message_length: Final = Signal(
    "message_length", (0, 0), _add_message_length, _rate, on=("decision",), description="Mean characters of a message."
)
person_length: Final = Signal(
    "person_length", (0, 0), _add_any_length, _rate, on=("answer",), description="Mean characters that people say."
)
result_length: Final = Signal(
    "result_length", (0, 0), _add_any_length, _rate, description="Mean characters of a result."
)


@signal("short_results", start=0)
def short_results(count: int, seen: Observation) -> int:
    """Results of fewer than 30 characters."""
    return count + (_length(seen) < 30)


WORDING: Final[dict[str, Signal]] = {
    each.name: replace(each, total=True)
    for each in (
        apologies,
        hedges,
        hedge_rate,
        question_rate,
        objections,
        objection_rate,
        person_turns,
        messages_said,
        failure_words,
        failure_streak,
        contradictions,
        success_claims,
        message_length,
        person_length,
        result_length,
        short_results,
    )
}
"""The signals of wording by name."""
