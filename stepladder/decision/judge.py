"""Judging an answer: pure, strict, and never a repair.

An answer counts only if it is exactly one JSON object without duplicate keys that a journal can hold, its action is
one of the legal ones to the letter, next_state (where given) is where that action leads, confidence (where given) is
between 0 and 1, and the parameters are those that the action takes. Anything else is invalid, with the cause. Further
keys are ignored: the answer as received is in the journal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stepladder.decision.point import Option
from stepladder.errors import InputError
from stepladder.record import Verdict
from stepladder.values import plain

MAX_ANSWER: Final = 200_000
"""Characters of an answer that are looked at; a longer one is invalid."""


class Invalid(msgspec.Struct, frozen=True):
    """Why an answer does not count."""

    cause: str


class _NotStrictError(ValueError):
    pass


def judge_text(text: str, options: Mapping[str, Option]) -> Verdict | Invalid:
    """The verdict that an answer spells, or why it is none."""
    if not text.strip():
        return Invalid("the answer is empty")
    if len(text) > MAX_ANSWER:
        return Invalid(f"the answer has {len(text)} characters, more than {MAX_ANSWER}")
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return Invalid(f"the answer is not strict JSON: {str(error)[:120]}")
    try:
        return judge(plain(value, "the answer"), options)
    except InputError as error:  # JSON can spell what no journal can hold: 1e999, half a character, an endless nest
        return Invalid(str(error)[:300])


def judge(value: object, options: Mapping[str, Option]) -> Verdict | Invalid:
    """The verdict that a decoded answer gives, or why it gives none."""
    if not isinstance(value, dict):
        return Invalid(f"the answer is a {type(value).__name__}, not an object")
    option = _option(value.get("action"), options)
    if isinstance(option, Invalid):
        return option
    cause = _reason(value) or _next_state(value, option) or _confidence(value)
    if cause:
        return Invalid(cause)
    parameters = _parameters(value, option)
    if isinstance(parameters, Invalid):
        return parameters
    confidence = value.get("confidence")
    sure = None if confidence is None else float(confidence)
    return Verdict(option.action, parameters, value.get("reason") or "", sure)


def _option(action: object, options: Mapping[str, Option]) -> Option | Invalid:
    if action is None:
        return Invalid("the answer has no action")
    if not isinstance(action, str) or action not in options:
        return Invalid(f"action {_short(action)} is not legal here; legal: {', '.join(options)}")
    return options[action]


def _reason(value: dict[str, Any]) -> str:
    reason = value.get("reason")
    return "" if reason is None or isinstance(reason, str) else f"reason {_short(reason)} is not text"


def _next_state(value: dict[str, Any], option: Option) -> str:
    state = value.get("next_state")
    if state is None or state == option.to:
        return ""
    return f"next_state {_short(state)} is not where {option.action} leads ({option.to})"


def _confidence(value: dict[str, Any]) -> str:
    confidence = value.get("confidence")
    if confidence is None:
        return ""
    number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
    if number and 0 <= confidence <= 1:
        return ""
    return f"confidence {_short(confidence)} is not a number from 0 to 1"


def _parameters(value: dict[str, Any], option: Option) -> dict[str, Any] | Invalid:
    given = value.get("parameters")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return Invalid(f"parameters {_short(given)} are not an object")
    given = {name: item for name, item in given.items() if item is not None}
    if option.check is None:
        return given
    wrong = option.check(given)
    return Invalid(f"parameters of {option.action}: {wrong}") if wrong else given


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotStrictError("a key occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise _NotStrictError(f"{name} is not a JSON number")
