"""From an HTTP answer to its document, in one piece or as a stream: what every wire format does before it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from stepladder.llm.body import Keys, decode, error_document, oddities
from stepladder.llm.errors import ModelError
from stepladder.llm.reading import Call, HttpAnswer, Said
from stepladder.llm.statuses import by_status
from stepladder.llm.stream import broken, events, is_stream


class Format(NamedTuple):
    """What is a wire format's own: the `keys` that an answer hangs on; what an error object `said`; the events of a
    stream `folded` into one document, None where its `end` is missing."""

    keys: Keys
    said: Callable[[Mapping[str, Any]], Said]
    folded: Callable[[list[dict[str, Any]]], dict[str, Any] | None]
    end: str


class Document(NamedTuple):
    """A document that came with a good status, and the call that now knows how it came."""

    call: Call
    value: dict[str, Any]
    streamed: bool


def document_of(call: Call, answer: HttpAnswer, form: Format) -> Document | ModelError:
    """The document of an answer, or what the answer's status or body comes to instead."""
    if not 200 <= answer.status < 300:
        return by_status(call, answer, form.said(error_document(answer)))
    streamed = is_stream(answer)
    value = _folded(call, answer, form) if streamed else decode(call, answer, form.keys)
    if isinstance(value, ModelError):
        return value
    repaired = ("stream",) if streamed else oddities(answer)
    return Document(msgspec.structs.replace(call, repaired=repaired), value, streamed)


def _folded(call: Call, answer: HttpAnswer, form: Format) -> dict[str, Any] | ModelError:
    chunks = events(call, answer, form.keys)
    if isinstance(chunks, ModelError):
        return chunks
    return form.folded(chunks) or broken(call, f"no {form.end}")
