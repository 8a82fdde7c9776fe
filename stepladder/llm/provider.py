"""What a model is asked, what it answers, and who asks it: the values every provider speaks."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Attachment(msgspec.Struct, frozen=True):
    """Bytes that go with a question: an image, a document."""

    media_type: str
    """Without parameters, in lower case: image/png."""
    data: bytes
    name: str
    """What the prompt calls it: attachment-1."""


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One question to one model, complete: nothing about the call is set anywhere else."""

    model: str
    """The model's name inside the provider: what follows the first colon of `openai:gpt-5-mini`."""
    system: str
    """Instructions; empty for none."""
    prompt: str
    """The question."""
    attachments: tuple[Attachment, ...] = ()
    """What goes with the prompt. One that the provider cannot take is `Rejected` before anything is sent."""
    schema: dict[str, Any]
    """JSON Schema that the answer is to follow; sent along, not checked here."""
    name: str = "decide"
    """What the answer is called; a call of a function of this name counts as the answer."""
    strict: bool = True
    """Whether the schema is one that a provider's strict mode takes; otherwise it is sent as guidance only."""
    deadline_s: float
    """Seconds for the whole call, connecting and the last byte included."""
    max_output_tokens: int = 1024
    """Upper bound of tokens written, thinking included."""
    temperature: float | None = None
    """None leaves it to the provider (some models accept no other value)."""


class ModelReply(msgspec.Struct, frozen=True, kw_only=True):
    """One complete answer. Whether it is a good one is not judged here."""

    text: str
    """The answer exactly as received; valid Unicode, never empty."""
    model: str
    """The model that served, as the server named it; the one asked for where it named none."""
    input_tokens: int
    """Tokens read; 0 when `usage_known` is false."""
    output_tokens: int
    """Tokens written, thinking included; 0 when `usage_known` is false."""
    cost_usd: float | None
    """US dollars; None when the model has no known price or the usage is not known."""
    latency_s: float
    """Seconds from the start of the call to its last byte."""
    finish: str
    """Why the model stopped, in the provider's own word."""
    provider: str
    """The name of the provider that was asked."""
    request_id: str = ""
    """The provider's id of this exchange, for its support; empty if it gave none."""
    usage_known: bool = True
    """False when the server sent no usage that can be read: book an estimate, not zero."""
    repaired: tuple[str, ...] = ()
    """What was odd about the exchange: tool_call, same_calls, content_type, byte_order_mark and stream were put right;
    other_model: the server names another model than the one that was asked."""


class Provider(Protocol):
    """Asks models. Implementations are safe to share between tasks, threads and event loops."""

    name: str
    """The word before the colon: `openai`."""

    async def ask(self, request: ModelRequest) -> ModelReply:
        """The answer, after at most one HTTP request and `request.deadline_s` seconds.

        Raises a `ModelError` of `stepladder.llm.errors` or lets `CancelledError` through, nothing else. Never tries
        again by itself: retrying has one owner and it is not the provider.
        """
        ...

    async def close(self) -> None:
        """Give back connections. May be called twice; asking afterwards is `Rejected`."""
        ...
