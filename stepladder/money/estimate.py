"""What a call may cost at most, before it is made, and what it did cost, afterwards.

The bound on tokens read is the number of UTF-8 bytes sent: every tokenizer that the providers use (byte-level BPE,
SentencePiece with byte fallback) makes at most one token of a byte. Providers add marks around messages and schemas:
`FRAME_TOKENS` covers them. Images are billed by size and not by bytes; `ATTACHMENT_TOKENS` is above the dearest table
that is published (48,169 tokens for one image). Tokens written are bounded by what the request allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from stepladder.llm import ModelRequest, cost_usd

FRAME_TOKENS: Final = 256
"""Tokens that a provider may add around system, prompt and schema."""
ATTACHMENT_TOKENS: Final = 50_000
"""Tokens of one attachment at least, whatever its bytes."""

Prices = Mapping[str, tuple[float, float]]
Priced = Callable[[str, int, int], float | None]
"""(model in its provider, tokens read, tokens written) -> US dollars, or None where nobody knows."""


def input_tokens_at_most(request: ModelRequest) -> int:
    """More tokens than the provider can bill as read for this request."""
    sent = (request.system, request.prompt, msgspec.json.encode(request.schema))
    texts = sum(len(each if isinstance(each, bytes) else each.encode("utf-8", "surrogatepass")) for each in sent)
    attached = sum(max(ATTACHMENT_TOKENS, len(each.data)) for each in request.attachments)
    return texts + attached + FRAME_TOKENS


class PriceList:
    """Prices of models: `overrides` (US dollars per million tokens read and written) before what the provider says,
    before the list of genai-prices."""

    def __init__(self, overrides: Prices | None = None) -> None:
        self.overrides = dict(overrides or {})

    def usd(self, target: str, read: int, written: int, own: Priced | None = None) -> float | None:
        """US dollars for so many tokens of `target` (`provider:model`), or None; `own` is its provider's price."""
        provider, _, model = target.partition(":")
        if target in self.overrides or own is None:
            if provider == "scripted" and target not in self.overrides:
                return 0.0
            return cost_usd(provider, model, read, written, overrides=self.overrides)
        return own(model, read, written)

    def at_most(self, target: str, request: ModelRequest, own: Priced | None = None) -> float | None:
        """The most that this request may cost, in US dollars, or None where the model has no known price."""
        return self.usd(target, input_tokens_at_most(request), request.max_output_tokens, own)
