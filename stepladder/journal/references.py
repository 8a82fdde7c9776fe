"""What the runs of a journal refer to: artifacts by their digest, definitions by the hashes that runs are pinned to."""

from __future__ import annotations

import re
from typing import Final

from stepladder.journal.store import LEFT_OF

_DIGEST: Final = re.compile(rb'"([0-9a-f]{64})"')
_HASH: Final = re.compile(rb'"(?:workflow|policy)_hash":"([^"]*)"')


class References:
    """References found so far. Every text that looks like a digest counts as one: rather keep too much."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        self._hashes: set[bytes] = set()

    def see(self, body: bytes) -> None:
        """Look into a turn or an inbox item. A turn whose payload was pruned refers to no artifact any more."""
        self._hashes.update(_HASH.findall(body))
        if not body.startswith(LEFT_OF):
            self._digests.update(_DIGEST.findall(body))

    def artifact(self, digest: str) -> bool:
        """Whether an artifact is referred to."""
        return digest.encode() in self._digests

    def definition(self, hash_: str) -> bool:
        """Whether a definition, kept under `workflow hash/policy hash`, is referred to."""
        return all(part.encode() in self._hashes for part in hash_.split("/"))
