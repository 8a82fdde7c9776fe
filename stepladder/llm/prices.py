"""What a call cost, by the price list bundled with genai-prices. Offline: nothing is fetched, no thread starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GEMINI_URL: Final = "https://generativelanguage.googleapis.com"
"""Where Gemini's models are priced, whatever gateway or cloud leads to them."""
Prices = Mapping[str, tuple[float, float]]
"""`provider:model` -> US dollars per million tokens (read, written)."""


def cost_usd(
    provider: str,
    model: str,
    input_tokens: int,
    output_tokens: int,
    *,
    cached_input_tokens: int = 0,
    base_url: str | None = None,
    overrides: Prices | None = None,
) -> float | None:
    """US dollars for one call, or None when the model has no known price.

    `cached_input_tokens` is the part of `input_tokens` that the provider read from its cache. With `base_url` the price
    list is searched for that server instead of `provider`: a model of the same name served elsewhere is not
    priced as the original. `overrides` come first, and charge cached tokens in full.
    """
    own = (overrides or {}).get(f"{provider}:{model}")
    if own is not None:
        return (input_tokens * own[0] + output_tokens * own[1]) / 1_000_000
    return _listed(provider, model, (input_tokens, output_tokens, cached_input_tokens), base_url)


def _listed(provider: str, model: str, tokens: tuple[int, int, int], base_url: str | None) -> float | None:
    try:
        import genai_prices
    except ImportError:
        return None
    read, written, cached = tokens
    usage = genai_prices.Usage(input_tokens=read, output_tokens=written, cache_read_tokens=min(cached, read))
    try:
        if base_url is None:
            return float(genai_prices.calc_price(usage, model, provider_id=provider).total_price)
        return float(genai_prices.calc_price(usage, model, provider_api_url=base_url).total_price)
    except Exception:  # a price list that cannot price a call must not cost us its answer
        return None
