"""From a name in a policy (`openai:gpt-5-mini`) to an open provider. SDKs are imported when one is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import msgspec

from stepladder.fallback import TargetPolicy
from stepladder.llm.breaker_place import storage_at
from stepladder.llm.errors import ModelNameError, SdkMissing, SetupError
from stepladder.llm.health import Health
from stepladder.llm.known import Known
from stepladder.llm.prices import GEMINI_URL, cost_usd
from stepladder.llm.provider import Provider


class _Adapter(NamedTuple):
    """Where a provider is, what installs its SDK, with what it is opened, and where its models are priced whatever
    server leads to them."""

    module: str
    name: str
    extra: str
    options: Mapping[str, Any] = {}
    priced_at: str | None = None


ADAPTERS: Mapping[str, _Adapter] = {
    "openai": _Adapter("stepladder.llm.openai", "OpenAIProvider", "openai"),
    "google": _Adapter("stepladder.llm.google", "GoogleProvider", "google", priced_at=GEMINI_URL),
    "vertex": _Adapter(
        "stepladder.llm.google", "GoogleProvider", "google", {"vertexai": True, "name": "vertex"}, GEMINI_URL
    ),
}
"""Providers that can be opened by name."""
NAMES: frozenset[str] = frozenset({*ADAPTERS, "scripted"})
"""Providers a model may name; a scripted one has to be handed in, with its script."""


def parse_model(text: str, known: Collection[str] = NAMES) -> tuple[str, str]:
    """`"openai:gpt-5-mini"` -> `("openai", "gpt-5-mini")`; further colons belong to the model.

    Raises `ModelNameError`.
    """
    if not isinstance(text, str):
        raise ModelNameError(text, f"a {type(text).__name__}", known)
    provider, colon, model = text.partition(":")
    if not colon:
        raise ModelNameError(text, "no colon", known)
    if provider not in known:
        raise ModelNameError(text, f"the unknown provider {provider!r}", known)
    if not model or model != model.strip():
        raise ModelNameError(text, "no model" if not model.strip() else "white space around the model", known)
    return provider, model


def open_provider(name: str, /, *, base_url: str | None = None, api_key: str | None = None, **options: Any) -> Provider:
    """A new provider of that name; `options` go to its adapter (`prices`, `vertexai`, another `name`, ...).

    Raises `ModelNameError`, `SdkMissing` or `KeyMissing`.
    """
    adapter = ADAPTERS.get(name)
    if name == "scripted":
        raise SetupError("a scripted provider has to be handed in: {'scripted': ScriptedProvider([...])}")
    if adapter is None:
        raise ModelNameError(name, f"the unknown provider {name!r}", ADAPTERS)
    try:
        module = importlib.import_module(adapter.module)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("stepladder"):
            raise
        raise SdkMissing(name, missing.name or adapter.extra, adapter.extra) from missing
    asked = {**adapter.options, **options}
    return cast(Provider, getattr(module, adapter.name)(base_url=base_url, api_key=api_key, **asked))


class Providers:
    """The open providers of one application: each is opened once per `base_url`, when first asked for.

    `own` are providers made elsewhere, by name: they come before the built-in ones, and `close` leaves them to
    whoever made them. `options` are for the adapters, by name: `{"google": {"vertexai": True, "project": "p"}}`.
    `health` holds breakers, limits and the retry budget; with none, these are as the policy says that asks.
    """

    def __init__(
        self,
        own: Mapping[str, Provider] | None = None,
        *,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        health: Health | None = None,
    ) -> None:
        self.health = health or Health()
        """What is known of the targets: breakers, limits, latches, the retry budget."""
        self._given = health is not None
        self._healths: dict[tuple[bytes, str], Health] = {}
        self._known = {"": self.health.known}
        self._own = dict(own or {})
        self._options = dict(options or {})
        self._open: dict[tuple[str, str | None], Provider] = {}

    @property
    def names(self) -> frozenset[str]:
        """Every provider a model may name here."""
        return frozenset({*ADAPTERS, *self._own})

    def health_under(self, policy: TargetPolicy | None, place: str | Path | None = None) -> Health:
        """What is known of the targets by those who ask under this policy, with breakers kept at `place`.

        A `health` that was handed in comes before both. Whoever asks under the same policy shares it; what was seen of
        targets all share who keep their breakers at the same place.

        Raises:
            InputError, SdkMissing: breakers cannot be kept there.
        """
        storage = storage_at(place)
        if self._given or (policy is None and storage is None):
            return self.health
        asked, kept = policy or TargetPolicy(), str(place) if storage is not None else ""
        key = msgspec.json.encode(asked), kept
        if key not in self._healths:
            known = self._known.setdefault(kept, Known(storage=storage))
            self._healths[key] = Health(breaker=asked.breaker, rates=asked.rates, retries=asked.retries, known=known)
        return self._healths[key]

    def open(self, name: str, *, base_url: str | None = None) -> Provider:
        """The provider of that name and base_url, opened if need be. Raises what `open_provider` raises."""
        if name in self._own:
            return self._own[name]
        options = dict(self._options.get(name, {}))
        key = name, base_url or options.pop("base_url", None)
        options.pop("base_url", None)
        if key not in self._open:
            self._open[key] = open_provider(name, base_url=key[1], **options)
        return self._open[key]

    def price_usd(self, text: str, read: int, written: int) -> float | None:
        """US dollars for so many tokens of `provider:model`, as far as it is known before the provider is opened."""
        name, model = parse_model(text, self.names)
        own = getattr(self._own.get(name), "price", None)
        if own is not None:
            found: float | None = own(model, read, written)
            return found
        if name == "scripted":
            return 0.0
        options = self._options.get(name, {})
        adapter, prices = ADAPTERS.get(name), options.get("prices")
        base_url = (adapter.priced_at if adapter else None) or options.get("base_url")
        return cost_usd(name, model, read, written, base_url=base_url, overrides=prices)

    def __getitem__(self, name: str) -> Provider:
        return self.open(name)

    def resolve(self, text: str) -> tuple[Provider, str]:
        """`"openai:gpt-5-mini"` -> the open provider and the model's name in it."""
        name, model = parse_model(text, self.names)
        return self.open(name), model

    def is_open(self, provider: Provider) -> bool:
        """Whether this is still one of them."""
        return provider in self._own.values() or provider in self._open.values()

    async def close(self) -> None:
        """Close what was opened here. May be called twice; what is asked for afterwards is opened anew."""
        opened, self._open = self._open, {}
        for provider in opened.values():
            await provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
