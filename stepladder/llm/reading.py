"""Reading HTTP answers: what the wire formats share. Pure, and total: whatever the bytes are, a value comes out.

An adapter's `read` gets a `Call` and an `HttpAnswer` and returns a `ModelReply` or a `ModelError`. The order is fixed:
status and JSON (`document`), usage (so that it is kept whatever is wrong further on), error object, finish reason,
content. What a status and an error object mean is in `statuses`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from stepladder.llm.errors import BadResponse, ModelError, Refused
from stepladder.llm.keys import forms_of
from stepladder.llm.provider import ModelReply, ModelRequest

_DETAIL_CHARS = 240
_MOST_TOKENS = 10**9
_TAG = re.compile(r"<[^<>]{0,400}>")
_KEY_LIKE = re.compile(r"(?:sk-|AIza|ya29\.|Bearer\s+)[^\s\"',;)]{6,}")

Error = TypeVar("Error", bound=ModelError)


class HttpAnswer(msgspec.Struct, frozen=True):
    """A complete HTTP answer: status, headers by lower-case name, decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call; None where the server did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0

    @property
    def known(self) -> bool:
        """Both counts are there, so the call can be priced."""
        return self.input_tokens is not None and self.output_tokens is not None


MESSAGE: Final = 2_000
"""Characters of a message that are looked at."""


class Said(msgspec.Struct, frozen=True):
    """What an error object says: its code words, its message, how many seconds to wait if it names them, and the names
    of the limits that were reached."""

    words: tuple[str, ...] = ()
    message: str = ""
    retry_after_s: float | None = None
    limits: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """Words and message in one line."""
        return ": ".join(each for each in (" ".join(dict.fromkeys(self.words)), self.message) if each)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call while its answer is being read; makes replies and errors that carry what is known of it."""

    provider: str
    request: ModelRequest
    price: Callable[[str, int, int, int], float | None]
    """(model, input, output, cached tokens) -> US dollars."""
    latency_s: float = 0.0
    request_id: str = ""
    secrets: tuple[str, ...] = ()
    """What must not appear in any message."""
    repaired: tuple[str, ...] = ()
    """What was odd about the HTTP answer and does not matter."""

    def reply(self, text: str, model: object, usage: Usage, finish: str, repaired: tuple[str, ...] = ()) -> ModelReply:
        """The answer; a `model` that is no word is replaced by the one asked for. An answer takes tokens to read and
        to write: a usage that says otherwise is none."""
        served = struck(model[:200], self.secrets) if isinstance(model, str) and model else self.request.model
        usage = usage if usage.known and usage.input_tokens and usage.output_tokens else Usage()
        other = () if is_same_model(self.request.model, served) else (OTHER_MODEL,)
        return ModelReply(
            text=struck(text, self.secrets),
            model=served,
            input_tokens=usage.input_tokens or 0,
            output_tokens=usage.output_tokens or 0,
            cost_usd=self._cost(served, usage),
            latency_s=self.latency_s,
            finish=finish,
            provider=self.provider,
            request_id=self.request_id,
            usage_known=usage.known,
            repaired=(*self.repaired, *other, *repaired),
        )

    def fault(self, kind: type[Error], detail: str, usage: Usage | None = None, **fields: Any) -> Error:
        """An error of `kind` with a cleaned detail and, where known, what the call used and cost."""
        if usage is not None:
            cost = self._cost(self.request.model, usage)
            fields.setdefault("may_be_billed", not usage.known)
            fields |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost_usd": cost}
        fields.setdefault("request_id", self.request_id)
        return kind(self.provider, self.request.model, clean(detail, self.secrets), **fields)

    def _cost(self, model: str, usage: Usage) -> float | None:
        read, written = usage.input_tokens, usage.output_tokens
        if read is None or written is None:
            return None
        cost = self.price(model, read, written, usage.cached_tokens)
        if cost is None and model != self.request.model:
            return self.price(self.request.model, read, written, usage.cached_tokens)
        return cost


Read = Callable[[Call, HttpAnswer], ModelReply | ModelError]


OTHER_MODEL: Final = "other_model"
"""What is told of an answer of a model that was not asked."""
_VERSION: Final = re.compile(r"[-@:](?:\d[\d.-]*|v\d[\w.-]*|latest|(?:preview|exp)(?:-\d[\d-]*)?)", re.IGNORECASE)


@functools.lru_cache(maxsize=512)
def is_same_model(asked: str, served: str) -> bool:
    """Whether a server that names `served` was asked for `asked`: the same name, perhaps with where it comes from
    before it and its version behind it. `gpt-5-mini` is another one than `gpt-5`."""
    asked, served = (each.rpartition("/")[2].lower() for each in (asked, served))
    return served == asked or (served.startswith(asked) and _VERSION.fullmatch(served.removeprefix(asked)) is not None)


LEAST_SECRET: Final = 8
"""Characters of a key: shorter ones are words like any other, and stay in an answer that holds them."""


def struck(text: str, secrets: tuple[str, ...], least: int = LEAST_SECRET) -> str:
    """`text` without secrets of so many characters or more, however they are written."""
    for secret in secrets:
        if len(secret) >= least:
            for form in forms_of(secret):
                text = text.replace(form, "***")
    return text


def clean(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` as one short line without secrets, markup and unprintable characters."""
    text = struck(text, secrets, least=4)
    text = _KEY_LIKE.sub("***", _TAG.sub(" ", text[:4000]))
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _DETAIL_CHARS else f"{line[: _DETAIL_CHARS - 3]}..."


class ToolCall(NamedTuple):
    """A call of a function in an answer: its name, and its arguments as JSON text."""

    name: str
    arguments: str


def answered(
    call: Call, text: str, calls: Sequence[ToolCall], model: object, usage: Usage, finish: str
) -> ModelReply | ModelError:
    """What a finished answer comes to: its text, or the one call of the function that the answer is named after."""
    if calls:
        if {each.name for each in calls} != {call.request.name} or len({_told(each.arguments) for each in calls}) > 1:
            names = ", ".join(sorted({clean(each.name)[:40] for each in calls}))
            return no_answer(call, f"{len(calls)} calls ({names}) where one answer was asked for", usage)
        if not calls[0].arguments.strip():
            return no_answer(call, "a call without arguments", usage)
        if _contradicts(text, calls[0].arguments):
            return no_answer(call, "a call, and beside it a text that says something else", usage)
        repaired = ("tool_call",) if len(calls) == 1 else ("tool_call", "same_calls")
        return call.reply(calls[0].arguments, model, usage, finish, repaired)
    if not text:
        return no_answer(call, "finished with no text", usage)
    if declines(text):
        return call.fault(Refused, text, usage, reason="refusal")
    return call.reply(text, model, usage, finish)


def agreed(call: Call, results: Sequence[ModelReply | ModelError], usage: Usage) -> ModelReply | ModelError:
    """What several answers to one question come to: what all of them say, or nothing. None is preferred."""
    first, *others = results
    if isinstance(first, ModelReply):
        same = all(isinstance(each, ModelReply) and _told(each.text) == _told(first.text) for each in others)
    else:
        same = all(type(each) is type(first) for each in others)
    return first if same else no_answer(call, f"{len(results)} answers that differ where one was asked for", usage)


def no_answer(call: Call, detail: str, usage: Usage) -> BadResponse:
    """The error for a complete exchange that holds no answer: it may be asked for once more."""
    return call.fault(BadResponse, detail, usage, sign="no_answer")


def _told(arguments: str) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="deterministic")
    except (ValueError, RecursionError):
        return arguments.encode(errors="replace")


def _contradicts(text: str, arguments: str) -> bool:
    """Whether the object in a text, whatever stands around it, and the arguments of a call give one key two values."""
    if "{" not in text:
        return False
    try:
        beside, made = (msgspec.json.decode(each) for each in (text[text.find("{") : text.rfind("}") + 1], arguments))
    except (ValueError, RecursionError):
        return False
    if not isinstance(beside, dict) or not isinstance(made, dict):
        return False
    return any(made[key] != value for key, value in beside.items() if key in made)


_DECLINES: Final = re.compile(
    r"\W*(?:(?:i am|i'm|we are|we're)? ?(?:very |really |so )?sorry\b|i (?:apologi[sz]e|regret)|unfortunately\b)?"
    r"\W*(?:but )?\W*(?:i|we) ?(?:can't|cannot|can not|won't|will not|(?:am|are|'m|'re) (?:unable|not able) to"
    r"|(?:must|have to) decline)\b.{0,60}?"
    r"(?:help|assist|comply|do that|do this|provide|answer|continue|fulfil|engage|discuss|support|request|decline)",
    re.IGNORECASE | re.DOTALL,
)


def declines(text: str) -> bool:
    """Whether a text that holds no object says no more than that its writer will not do it."""
    return len(text) < 600 and "{" not in text and _DECLINES.match(text.replace("\u2019", "'")) is not None


def count(value: object) -> int | None:
    """A number of tokens: an int, a whole float or digits in a string; None for everything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    return None


def tokens(read: object, written: object, total: object, cached: object) -> Usage:
    """Usage from four counts. What `total` has more than the others is thinking, and billed as written."""
    input_tokens, output_tokens, both = count(read), count(written), count(total)
    if input_tokens is not None and both is not None:
        output_tokens = max(output_tokens or 0, both - input_tokens)
    return Usage(input_tokens, output_tokens, min(count(cached) or 0, input_tokens or 0))


def text_of(value: object) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def words_of(*values: object) -> tuple[str, ...]:
    """Those of `values` that are words, or numbers standing for one (gateways put a status there)."""
    plain = (value for value in values if isinstance(value, str | int) and not isinstance(value, bool))
    return tuple(str(value) for value in plain if value != "")
