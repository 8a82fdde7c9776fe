"""Finding API keys. A key goes from here into a header and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Sequence

from stepladder.llm.errors import KeyMissing


def find_key(provider: str, given: str | None, variables: Sequence[str]) -> str:
    """`given`, or the first of the environment `variables` that is set, without surrounding white space.

    Raises `KeyMissing` when there is none, or when it could not travel in a header (which would put it into an
    error message of the HTTP library).
    """
    key = (given or next((os.environ[name] for name in variables if os.environ.get(name)), "")).strip()
    if not key:
        raise KeyMissing(provider, variables)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise KeyMissing(provider, variables, "an API key with characters that no key has")
    return key
