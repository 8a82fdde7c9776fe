"""Finding API keys. A key goes from here into a header and nowhere else."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from urllib.parse import quote

from stepladder.llm.errors import KeyMissing


class Key(str):
    """A key that can be used like any text and is not shown where values are: in a traceback, in a debugger."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@functools.lru_cache(maxsize=256)
def forms_of(secret: str) -> tuple[str, ...]:
    """A secret as it may stand in a text: plain, in JSON, in JSON within JSON, shown by Python, in an address."""
    inner = json.dumps(secret)[1:-1]
    found = {
        secret,
        inner,
        json.dumps(inner)[1:-1],
        repr(secret.encode(errors="replace"))[2:-1],
        quote(secret, safe=""),
    }
    return tuple(sorted({str(each) for each in found}, key=len, reverse=True))


def find_key(provider: str, given: str | None, variables: Sequence[str]) -> Key:
    """`given`, or the first of the environment `variables` that is set, without surrounding white space.

    Raises `KeyMissing` when there is none, or when it could not travel in a header (which would put it into an
    error message of the HTTP library).
    """
    key = Key((given or next((os.environ[name] for name in variables if os.environ.get(name)), "")).strip())
    if not key:
        raise KeyMissing(provider, variables)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise KeyMissing(provider, variables, "an API key with characters that no key has")
    return key
