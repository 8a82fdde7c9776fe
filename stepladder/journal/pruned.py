"""What is left of a turn whose payload was pruned.

Payload is what came in from outside or goes out to agents and people: inputs, outputs, answers, messages, what models
wrote, parameters, the text of errors. Signals stay, and what was legal, chosen, by whom, why and at which price.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from msgspec.structs import replace

from stepladder.events import (
    AgentFailed,
    AgentReturned,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    PersonAnswered,
    QuestionPut,
    RunStarted,
)
from stepladder.journal.codec import decode_turn, encode_left
from stepladder.journal.store import LEFT_OF, NO_DIGEST, body_digest
from stepladder.record import Answered, Opened, Settled, Shadowed

PAYLOAD: Final[dict[type[Any], dict[str, Any]]] = {
    RunStarted: {"input": {}},
    AgentReturned: {"output": {}, "artifacts": {}},
    AgentFailed: {"error": ""},
    PersonAnswered: {"value": {}},
    MessageReceived: {"payload": {}},
    ModelAnswered: {"text": ""},
    ModelFailed: {"error": ""},
    QuestionPut: {"context": None},
    Settled: {"parameters": {}},
}
"""The fields that are emptied, and what is in them then."""
_JUDGED: Final = (Opened, Answered, Shadowed)
"""Entries with a verdict, whose parameters are emptied."""


def without_payload(body: bytes) -> bytes:
    """What is left of the turn; of what is left already, the same. Raises ValueError where it is no turn."""
    if body.startswith(LEFT_OF):
        return body
    return encode_left(body_digest(body), [_emptied(entry) for entry in decode_turn(body)])


def seal(bodies: Iterable[bytes]) -> bytes:
    """A digest of these bodies as they are now: 16 bytes."""
    found = NO_DIGEST
    for body in bodies:
        found = blake2b(body, digest_size=16, key=found).digest()
    return found


def _emptied(entry: Any) -> Any:
    if isinstance(entry, _JUDGED) and entry.verdict is not None:
        return replace(entry, verdict=replace(entry.verdict, parameters={}))
    if attempts := getattr(entry, "attempts", ()):
        entry = replace(entry, attempts=tuple(replace(each, cause="") for each in attempts))
    return replace(entry, **PAYLOAD.get(type(entry), {}))
