"""Models: what is asked, what is answered, why there was no answer, and what it cost.

Importing this package imports no SDK: an adapter is loaded when a provider of its name is opened.
"""

from stepladder.llm.errors import (
    BadResponse,
    KeyMissing,
    Late,
    ModelError,
    ModelNameError,
    RateLimited,
    Refused,
    Rejected,
    RetryingClient,
    ScriptRanDry,
    SdkMissing,
    SetupError,
    Truncated,
    Unavailable,
    Unreachable,
)
from stepladder.llm.prices import Prices, cost_usd
from stepladder.llm.provider import Attachment, ModelReply, ModelRequest, Provider
from stepladder.llm.registry import Providers, open_provider, parse_model
from stepladder.llm.scripted import ScriptedProvider

__all__ = [
    "Attachment",
    "BadResponse",
    "KeyMissing",
    "Late",
    "ModelError",
    "ModelNameError",
    "ModelReply",
    "ModelRequest",
    "Prices",
    "Provider",
    "Providers",
    "RateLimited",
    "Refused",
    "Rejected",
    "RetryingClient",
    "ScriptRanDry",
    "ScriptedProvider",
    "SdkMissing",
    "SetupError",
    "Truncated",
    "Unavailable",
    "Unreachable",
    "cost_usd",
    "open_provider",
    "parse_model",
]
