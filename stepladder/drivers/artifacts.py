"""Artifacts: bytes that come in with a value and are kept beside the journal, where the run has a reference to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from stepladder.errors import InputError
from stepladder.values import NOT_PLAIN, plain, plain_already

ARTIFACT: Final = "$artifact"
TAKEN_IN: Final = re.compile(rb'\{"\$artifact":"([0-9a-f]{64})","bytes":\d+,"media_type":"')
"""A reference as it is journaled; the group is its digest."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Artifact(msgspec.Struct, frozen=True):
    """Bytes that a run takes in, in an agent's output, an input or an answer.

    They are kept beside the journal; the run sees their digest, size and type.
    """

    data: bytes
    media_type: str = "application/octet-stream"


def taken_in(value: object, what: str, kept: dict[str, bytes]) -> Any:
    """A plain copy of the value with references for its artifacts, whose bytes are added to `kept` by digest.

    Raises:
        InputError: something in it is neither JSON nor an artifact (`what` names the whole).
    """
    found = plain_already(value)
    if found is not NOT_PLAIN:
        return found
    with suppress(RecursionError):  # what holds itself is refused below
        value = _set_aside(value, kept)
    return plain(value, what)


def digest_of(value: object) -> str:
    """The digest that the value refers to; "" where it is no reference."""
    digest = value.get(ARTIFACT) if isinstance(value, dict) else None
    return digest if isinstance(digest, str) and _DIGEST.fullmatch(digest) else ""


def references(value: object) -> Iterator[dict[str, Any]]:
    """The references in a plain value, in its order."""
    if isinstance(value, dict) and digest_of(value):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from references(item)


def noted(value: Any, notes: Mapping[str, Mapping[str, str]]) -> Any:
    """The plain value with what is noted about its references beside them; the same object where that is nothing."""
    if note := notes.get(digest_of(value)):
        return {ARTIFACT: value[ARTIFACT], **note, **{key: item for key, item in value.items() if key not in note}}
    if isinstance(value, dict):
        changed: Any = {key: noted(item, notes) for key, item in value.items()}
        return changed if any(changed[key] is not item for key, item in value.items()) else value
    if isinstance(value, list):
        changed = [noted(item, notes) for item in value]
        return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value
    return value


def _set_aside(value: Any, kept: dict[str, bytes]) -> Any:
    """The value with artifacts replaced by references to them."""
    if isinstance(value, Artifact):
        if not isinstance(value.data, (bytes, bytearray, memoryview)):
            raise InputError("artifact", "data", f"a {type(value.data).__name__}", "bytes")
        digest = sha256(value.data).hexdigest()
        kept[digest] = bytes(value.data)
        return {ARTIFACT: digest, "bytes": len(kept[digest]), "media_type": value.media_type}
    parts = _parts(value)
    if not _has_artifact(parts):
        return value
    if isinstance(parts, dict):
        return {key: _set_aside(item, kept) for key, item in parts.items()}
    return [_set_aside(item, kept) for item in parts]


def _has_artifact(value: Any) -> bool:
    if isinstance(value, Artifact):
        return True
    parts = _parts(value)
    return any(_has_artifact(item) for item in (parts.values() if isinstance(parts, dict) else parts))


def _parts(value: Any) -> dict[Any, Any] | Sequence[Any]:
    """The fields or items in which an artifact may be."""
    if value is None or isinstance(value, (str, int, float)):
        return ()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    names = getattr(type(value), "model_fields", {})  # pydantic
    return {name: getattr(value, name) for name in names}
