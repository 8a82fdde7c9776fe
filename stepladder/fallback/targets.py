"""How the targets of an application are treated: when breakers open, how much is sent, how often is tried again."""

from __future__ import annotations

from typing import Final

import msgspec

from stepladder.fallback.budget import Rate
from stepladder.fallback.window import BreakerPolicy

DEFAULT_MODELS: Final = {"google": "gemini-2.5-flash-lite", "vertex": "gemini-2.5-flash-lite"}
"""The model that is meant where only its provider is named."""


def full_name(model: str) -> str:
    """`google` and `google:` -> `google:gemini-2.5-flash-lite`. Every other name is as it was given."""
    provider, _, name = model.partition(":")
    return f"{provider}:{DEFAULT_MODELS[provider]}" if not name and provider in DEFAULT_MODELS else model


class Retries(msgspec.Struct, frozen=True):
    """Retries of a process over the last `window_s` seconds: at most `share` of the first attempts, or `least` where
    that is more."""

    share: float = 0.1
    least: int = 3
    window_s: float = 60.0


class TargetPolicy(msgspec.Struct, frozen=True):
    """Breakers, rates and retries of every target.

    `rates` are by `provider:model`, by `provider:*` for all models of a provider together, and by `*` for everything
    together: a request has to pass each that covers it. With `shared` the state of the breakers is kept beside the
    journal, for every process.
    """

    breaker: BreakerPolicy = BreakerPolicy()
    rates: dict[str, Rate] = {}
    retries: Retries = Retries()
    shared: bool = False
