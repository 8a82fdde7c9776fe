"""Why a model did not answer, as data; and what is wrong with the way models were set up.

    StepladderError
    ├── ModelError            one call brought no answer; the ladder takes it as an event and goes on
    │   ├── Late              late          the deadline passed
    │   ├── Unreachable       unreachable   no complete HTTP answer: refused, reset, TLS, cut in the middle
    │   ├── RateLimited       rate_limited  429; `retry_after_s` is what the server asked for
    │   ├── Unavailable       unavailable   5xx, and the 4xx that mean "not now" (408, 409, 425)
    │   ├── Rejected          rejected      4xx; `reason` says bad_request, auth, quota, too_large, media_type ...
    │   ├── Refused           refused       the safety filter, or the model itself, declined
    │   ├── Truncated         truncated     the answer hit the length limit
    │   └── BadResponse       bad_response  a body that is not what the protocol promises
    └── SetupError            nothing was asked: a person has to change something first
        ├── ModelNameError    not provider:model, or no such provider
        ├── SdkMissing        the provider's SDK is not installed
        ├── KeyMissing        no API key, or one that cannot be a key
        ├── RetryingClient    a client that tries again by itself: retries have one owner
        └── ScriptRanDry      a scripted provider was asked more often than its script answers

A `ModelError` never holds an API key or a raw body: `detail` is one short line, cleaned by whoever made it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import msgspec

from stepladder.errors import StepladderError
from stepladder.fallback.handling import Failure

Reason = Literal[
    "bad_request",
    "auth",
    "not_found",
    "no_endpoint",
    "quota",
    "daily_quota",
    "too_large",
    "media_type",
    "redirect",
    "blocked",
    "unsendable",
    "closed",
]
"""Why a call was rejected; each wants another remedy (prompt, key, model name, base_url, money, time, shorter prompt,
another kind of attachment, base_url, a look at what stands in between, an address that is one)."""


@dataclass(eq=False)
class ModelError(StepladderError):
    """One call of `provider`:`model` brought no answer; `detail` says what was found, in one line.

    `retryable`: the very same call may succeed later. `may_be_billed`: the provider may have charged for it although
    no usage came back, so a budget keeps its reservation. Tokens and `cost_usd` are None where they are not known.
    `sign` is one word that tells apart what its class does not (dns, tls, gateway, no_answer ...): see
    `stepladder.fallback.handling`, which says what follows from class and sign.
    """

    provider: str
    model: str
    detail: str
    retryable: bool = False
    may_be_billed: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    request_id: str = ""
    sign: str = ""

    code: ClassVar[str] = "model_error"
    words: ClassVar[str] = "no answer"

    def __post_init__(self) -> None:
        super().__init__(str(self))

    def __str__(self) -> str:
        again = "may be tried again" if self.retryable else "trying again does not help"
        return f"{self.provider}:{self.model}: {self.words}: {self.detail} ({again})"

    @property
    def failure(self) -> Failure:
        """What the table of `stepladder.fallback.handling` reads."""
        hint = getattr(self, "retry_after_s", None)
        known = self.input_tokens is not None and self.output_tokens is not None
        return Failure(self.code, self.sign, hint, self.may_be_billed, known)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._fields()), ()

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def as_dict(self) -> dict[str, Any]:
        """`code` and every field, ready for JSON: what a journal keeps of the error."""
        return {"code": self.code, **self._fields()}


@dataclass(eq=False)
class Late(ModelError):
    """The deadline of the call passed before the whole answer was here."""

    retryable: bool = True
    may_be_billed: bool = True

    code: ClassVar[str] = "late"
    words: ClassVar[str] = "late"


@dataclass(eq=False)
class Unreachable(ModelError):
    """No complete HTTP answer: connection refused, name unknown, TLS, reset, cut in the middle."""

    retryable: bool = True

    code: ClassVar[str] = "unreachable"
    words: ClassVar[str] = "unreachable"


@dataclass(eq=False)
class RateLimited(ModelError):
    """429. `retry_after_s` is the least the server asks to wait, None when it did not say."""

    retryable: bool = True
    retry_after_s: float | None = None

    code: ClassVar[str] = "rate_limited"
    words: ClassVar[str] = "rate limited"


@dataclass(eq=False)
class Unavailable(ModelError):
    """The server cannot answer now: HTTP `status` 5xx, or 408, 409, 425; with `retry_after_s` if it said one."""

    retryable: bool = True
    status: int = 503
    retry_after_s: float | None = None

    code: ClassVar[str] = "unavailable"
    words: ClassVar[str] = "unavailable"


@dataclass(eq=False)
class Rejected(ModelError):
    """The call cannot succeed as it is. HTTP `status` is None when it was rejected before anything was sent."""

    status: int | None = 400
    reason: Reason = "bad_request"

    code: ClassVar[str] = "rejected"
    words: ClassVar[str] = "rejected"

    @property
    def failure(self) -> Failure:
        """Told apart by its reason."""
        return msgspec.structs.replace(super().failure, sign=self.reason)


@dataclass(eq=False)
class Refused(ModelError):
    """The safety filter or the model declined; `reason` is the provider's word (content_filter, SAFETY, refusal)."""

    reason: str = ""

    code: ClassVar[str] = "refused"
    words: ClassVar[str] = "refused"


@dataclass(eq=False)
class Truncated(ModelError):
    """The answer hit the length limit; the beginning of it is worth nothing and is not kept."""

    code: ClassVar[str] = "truncated"
    words: ClassVar[str] = "truncated"


@dataclass(eq=False)
class BadResponse(ModelError):
    """A body that is not what the protocol promises: empty, null, cut, too large, an error object in a 200."""

    retryable: bool = True

    code: ClassVar[str] = "bad_response"
    words: ClassVar[str] = "bad response"


class SetupError(StepladderError):
    """Models were set up wrongly; nothing was asked and nothing will be until a person changes something."""


class ModelNameError(SetupError):
    """`name` is not of the form provider:model, or its provider is none of `known`."""

    def __init__(self, name: object, found: str, known: Collection[str]) -> None:
        self.name, self.found, self.known = name, found, tuple(sorted(known))
        expected = f"provider:model with a provider of {', '.join(self.known)}, for example openai:gpt-5-mini"
        super().__init__(f"model {name!r}: found {found}; expected {expected}")


class SdkMissing(SetupError):
    """The SDK of `provider` cannot be imported; `extra` is what installs it."""

    def __init__(self, provider: str, module: str, extra: str) -> None:
        self.provider, self.module, self.extra = provider, module, extra
        super().__init__(f"provider {provider!r} needs the module {module!r}: pip install 'stepladder[{extra}]'")


class KeyMissing(SetupError):
    """No usable API key for `provider`: pass `api_key` or set one of `variables`. The key itself is never shown."""

    def __init__(self, provider: str, variables: Sequence[str], found: str = "no API key") -> None:
        self.provider, self.variables, self.found = provider, tuple(variables), found
        super().__init__(
            f"provider {provider!r}: found {found}; expected one in {' or '.join(variables)} or as api_key="
        )


class RetryingClient(SetupError):
    """A client was handed in that tries again by itself: every request would be multiplied, and nobody would count."""

    def __init__(self, provider: str, found: str, expected: str) -> None:
        self.provider, self.found, self.expected = provider, found, expected
        super().__init__(
            f"provider {provider!r}: found a client with {found}; expected {expected}: retries have one owner"
        )


class ScriptRanDry(SetupError):
    """A scripted provider was asked once more than its script has answers.

    Not a `ModelError`: a ladder falls back on those, and a test with too short a script would pass by its rules.
    """

    def __init__(self, answers: int, prompt: str) -> None:
        self.answers, self.prompt = answers, prompt
        shown = prompt if len(prompt) <= 80 else f"{prompt[:77]}..."
        super().__init__(f"the script has {answers} answers and was asked once more; the prompt begins {shown!r}")
