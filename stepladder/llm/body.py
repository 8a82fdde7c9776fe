"""From the bytes of an answer to the document in them, and to the error object that it may be. Pure, and total."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from stepladder.llm.errors import BadResponse
from stepladder.llm.reading import Call, HttpAnswer, text_of


class Keys(NamedTuple):
    """Keys in quotes, for which a document is looked through: where one of `once` occurs more than once, or one of
    `whole` at all, none of its objects may hold the same key twice."""

    once: tuple[bytes, ...] = ()
    whole: tuple[bytes, ...] = ()


NO_KEYS: Final = Keys()


def decode(call: Call, answer: HttpAnswer, keys: Keys = NO_KEYS) -> dict[str, Any] | BadResponse:
    """The body as a JSON object, strictly: valid UTF-8, no NaN, no lone surrogate, nothing after its end. A byte order
    mark before it means nothing."""
    what = f"{len(answer.body)} bytes of {answer.headers.get('content-type', 'unnamed type')}"
    body = answer.body.removeprefix(MARK)
    if not body.strip():
        return call.fault(BadResponse, f"HTTP {answer.status} with an empty body", may_be_billed=True)
    try:
        document = parsed(body, keys)
    except Twice:
        return twice(call, what)
    except (ValueError, RecursionError) as failure:  # msgspec's errors and UnicodeDecodeError are ValueErrors
        page = is_page(answer)
        hint = "; is base_url right?" if page else f": {failure}"
        sign = "page" if page else ""
        detail = f"{what} are not JSON{hint}"
        return call.fault(BadResponse, detail, retryable=not page, may_be_billed=not page, sign=sign)
    if not isinstance(document, dict):
        return call.fault(BadResponse, f"{what} are JSON but no object", may_be_billed=True)
    return document


MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark, which JSON should not begin with (RFC 8259, 8.1)."""


class Twice(ValueError):
    """A key occurs twice in one object."""


def parsed(data: bytes, keys: Keys) -> Any:
    """The value of a JSON text. Raises Twice, or ValueError or RecursionError for what is none."""
    value = msgspec.json.decode(data)
    if any(each in data for each in keys.whole) or any(data.count(each) > 1 for each in keys.once):
        json.loads(data, object_pairs_hook=_once)
    return value


def twice(call: Call, what: str) -> BadResponse:
    """The error for a document that can be read in two ways."""
    return call.fault(BadResponse, f"{what} with a key twice", may_be_billed=True, sign="no_answer")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Twice
    return found


def is_page(answer: HttpAnswer) -> bool:
    """Whether the body is a page for people."""
    start = answer.body[:200].lstrip().lower()
    return "html" in answer.headers.get("content-type", "").lower() or start.startswith((b"<!doctype html", b"<html"))


def oddities(answer: HttpAnswer) -> tuple[str, ...]:
    """What is odd about the form of a good answer: JSON that is called something else, or begins with a mark."""
    named = answer.headers.get("content-type", "application/json").lower()
    called = () if "json" in named or "event-stream" in named else ("content_type",)
    return (*called, "byte_order_mark") if answer.body.startswith(MARK) else called


def error_document(answer: HttpAnswer) -> dict[str, Any]:
    """The error object of a body, or an empty one."""
    document = _document(answer)
    return {} if document is None else _as_error(_named_error(document) or document)


def error_in(document: Mapping[str, Any], *answers: str) -> dict[str, Any] | None:
    """The error object of a document that came with a 200, or None: under its name, or the whole of a document that
    has none of the fields `answers` and has the form of one."""
    if error := document.get("error"):
        return _as_error(error)
    if any(document.get(name) for name in answers):
        return None
    if errors := _named_error(document):
        return _as_error(errors)
    return dict(document) if _says_so(document) else None


def is_foreign(answer: HttpAnswer) -> bool:
    """Whether the body of an error is a page or a word, as firewalls, proxies and login pages send them; servers of
    models send objects."""
    body = answer.body.removeprefix(MARK).lstrip()
    return bool(body) and not body.startswith((b"{", b"["))


def _says_so(document: Mapping[str, Any]) -> bool:
    """Whether a document is an error as a whole."""
    return "error" in (document.get("object"), document.get("type")) or {"code", "message"} <= document.keys()


def _document(answer: HttpAnswer) -> dict[str, Any] | None:
    """The object that a body is; Gemini at times wraps it in a list of one."""
    try:
        document = msgspec.json.decode(answer.body.removeprefix(MARK))
    except (ValueError, RecursionError):
        return None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    return document if isinstance(document, dict) else None


def _named_error(document: Mapping[str, Any]) -> object:
    errors = document.get("errors")
    return document.get("error") or (errors[0] if isinstance(errors, list) and errors else None)


def _as_error(error: object) -> dict[str, Any]:
    return error if isinstance(error, dict) else {"message": text_of(error)}
