"""Judging an answer: pure and strict.

An answer counts only if it is exactly one JSON object without duplicate keys that a journal can hold, its action is
one of the legal ones to the letter, next_state (where given) is where that action leads, confidence (where given) is
between 0 and 1, and the parameters are those that the action takes. Anything else is invalid, with the cause. Further
keys are ignored: the answer as received is in the journal.

What may be put right in the form of an answer is in `repair`; an event names the steps that were taken, and no other is
taken when it is judged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from stepladder.decision.point import Option
from stepladder.decision.repair import LONGEST, NotStrict, Reader, loads
from stepladder.errors import InputError
from stepladder.events import ModelAnswered
from stepladder.record import Verdict
from stepladder.values import plain

MAX_ANSWER: Final = 200_000
"""Characters of an answer that are looked at; a longer one is invalid."""


class Invalid(msgspec.Struct, frozen=True):
    """Why an answer does not count. `kind` is one word, and nothing that a model wrote: empty, long, form, twice,
    number, conflict, action, reason, next_state, confidence, parameters or held (no journal can hold it)."""

    cause: str
    kind: str = "form"


class Read(msgspec.Struct, frozen=True):
    """An answer that was read: its verdict, or why it has none, and what was put right in its form."""

    verdict: Verdict | Invalid
    repaired: tuple[str, ...] = ()


def judge_text(
    text: str,
    options: Mapping[str, Option],
    repaired: Collection[str] = (),
    fields: Mapping[str, str] | None = None,
    *,
    whole: bool = False,
) -> Verdict | Invalid:
    """The verdict that an answer spells, or why it is none. Of all repairs those in `repaired` are made."""
    if not repaired and not fields:
        return _strictly(text, options, whole=whole)
    return read_text(text, options, repaired, fields, whole=whole).verdict


def judge_answer(event: ModelAnswered, options: Mapping[str, Option]) -> Verdict | Invalid:
    """The verdict of an answer as it stands in the journal."""
    return judge_text(event.text, options, event.repaired, event.fields, whole=event.whole)


def read_text(
    text: str,
    options: Mapping[str, Option],
    may: Collection[str] | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    whole: bool = False,
) -> Read:
    """The answer, with what has to be put right in it: of all repairs those in `may` are tried (None: every one).

    `fields` says where it keeps our fields; `whole`: it has to have a confidence.
    """
    if not text.strip():
        return Read(EMPTY)
    if len(text) > LONGEST:
        return Read(_too_long(text, LONGEST))
    reader = Reader(may, fields)
    try:
        value = plain(reader.read(text, options), "the answer")
    except NotStrict as error:
        return Read(Invalid(f"the answer is not strict JSON: {error}", error.kind), tuple(reader.taken))
    except InputError as error:
        return Read(Invalid(str(error)[:300], "held"), tuple(reader.taken))
    return Read(judge(value, options, whole=whole), tuple(reader.taken))


def _strictly(text: str, options: Mapping[str, Option], *, whole: bool) -> Verdict | Invalid:
    if not text.strip():
        return EMPTY
    if len(text) > MAX_ANSWER:
        return _too_long(text, MAX_ANSWER)
    try:
        return judge(plain(loads(text), "the answer"), options, whole=whole)
    except NotStrict as error:
        return Invalid(f"the answer is not strict JSON: {error}", error.kind)
    except InputError as error:  # JSON can spell what no journal can hold: 1e999, half a character, an endless nest
        return Invalid(str(error)[:300], "held")


def _too_long(text: str, most: int) -> Invalid:
    return Invalid(f"the answer has {len(text)} characters, more than {most}", "long")


EMPTY: Final = Invalid("the answer is empty", "empty")


def judge(value: object, options: Mapping[str, Option], *, whole: bool = False) -> Verdict | Invalid:
    """The verdict that a decoded answer gives, or why it gives none. `whole`: it has to say how sure it is."""
    if not isinstance(value, dict):
        return Invalid(f"the answer is a {type(value).__name__}, not an object")
    option = _option(value.get("action"), options)
    if isinstance(option, Invalid):
        return option
    for kind, wrong in (
        ("reason", _reason(value)),
        ("next_state", _next_state(value, option)),
        ("confidence", _confidence(value, whole=whole)),
    ):
        if wrong:
            return Invalid(wrong, kind)
    parameters = _parameters(value, option)
    if isinstance(parameters, Invalid):
        return parameters
    confidence = value.get("confidence")
    sure = None if confidence is None else float(confidence)
    return Verdict(option.action, parameters, value.get("reason") or "", sure)


def _option(action: object, options: Mapping[str, Option]) -> Option | Invalid:
    if action is None:
        return Invalid("the answer has no action", "action")
    if not isinstance(action, str) or action not in options:
        return Invalid(f"action {_short(action)} is not legal here; legal: {', '.join(options)}", "action")
    return options[action]


def _reason(value: dict[str, Any]) -> str:
    reason = value.get("reason")
    return "" if reason is None or isinstance(reason, str) else f"reason {_short(reason)} is not text"


def _next_state(value: dict[str, Any], option: Option) -> str:
    state = value.get("next_state")
    if state is None or state == option.to:
        return ""
    return f"next_state {_short(state)} is not where {option.action} leads ({option.to})"


def _confidence(value: dict[str, Any], *, whole: bool) -> str:
    confidence = value.get("confidence")
    if confidence is None:
        return "the answer does not say how sure it is" if whole else ""
    number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
    if number and 0 <= confidence <= 1:
        return ""
    return f"confidence {_short(confidence)} is not a number from 0 to 1"


def _parameters(value: dict[str, Any], option: Option) -> dict[str, Any] | Invalid:
    given = value.get("parameters")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return Invalid(f"parameters {_short(given)} are not an object", "parameters")
    given = {name: item for name, item in given.items() if item is not None}
    if option.check is None:
        return given
    wrong = option.check(given)
    return Invalid(f"parameters of {option.action}: {wrong}", "parameters") if wrong else given


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
