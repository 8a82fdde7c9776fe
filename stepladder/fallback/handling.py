"""What to do about a call that brought no decision: one table from what was seen to what follows.

An adapter turns status, codes, finish reason and the shape of a body into a `Failure` (its `code` and `sign`); the
table below turns that into a `Handling`. Nothing else decides about it.

    class      means                                                         same target    next target
    retry      passing: the same call may succeed                            budgeted       once retries are spent
    failover   this target cannot serve this request                         never          at once
    fallback   no model should be asked again (a refusal, a filter)          never          only where policy says so
    fatal      this target is set up wrongly: off until that changes         never          at once
    repair     an answer came that does not count: asked again once          once           after that
    ok         it counts
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Class = Literal["ok", "retry", "failover", "fallback", "fatal", "repair"]
Again = Literal["never", "once", "budgeted"]
Over = Literal["never", "immediate", "after_retries", "after_reask", "policy"]
Scope = Literal["", "endpoint", "model"]
Latch = Literal["", "model", "api_key", "provider", "until_retry_after", "until_reset"]
Cost = Literal["none", "usage", "estimate", "reserve"]

LATCH_FROM_S: Final = 60.0
"""A server that asks to wait longer than this has taken the model off: it is left alone until then."""
DAY_S: Final = 86_400.0
"""How long a spent daily quota is left alone, where nobody says when it comes back."""


class Failure(msgspec.Struct, frozen=True):
    """What was seen of a call that brought no decision.

    `code` is the class of the error, `sign` says more where it counts, `retry_after_s` the least that the server asks
    to wait. `billed`: it may have been charged; `known`: what it used is known.
    """

    code: str
    sign: str = ""
    retry_after_s: float | None = None
    billed: bool = False
    known: bool = False

    @property
    def cost(self) -> Cost:
        """How it is booked."""
        return "usage" if self.known else "reserve" if self.billed else "none"


class Handling(msgspec.Struct, frozen=True):
    """What follows: of which class it is, whether this target is asked again, when the next one is, what the breaker
    of which scope counts, what is switched off, and whether somebody should be told."""

    name: Class
    again: Again = "never"
    over: Over = "immediate"
    breaker: Scope = ""
    latch: Latch = ""
    alert: bool = False


OK: Final = Handling("ok", over="never")
MENDED: Final = Handling("repair", over="never")
"""An answer that counts once its form is put right."""
_PASSING: Final = Handling("retry", "budgeted", "after_retries", "model")
_ENDPOINT: Final = Handling("retry", "budgeted", "after_retries", "endpoint")
_REPAIR: Final = Handling("repair", "once", "after_reask")
_NEXT: Final = Handling("failover")
_TOLD: Final = Handling("failover", alert=True)
_OFF: Final = Handling("fatal", latch="provider", alert=True)

TABLE: Final[dict[tuple[str, str], Handling]] = {
    ("late", ""): _PASSING,
    ("unreachable", ""): _ENDPOINT,
    ("unreachable", "dns"): Handling("retry", "budgeted", "after_retries", "endpoint", alert=True),
    ("unreachable", "tls"): _OFF,
    ("rate_limited", ""): Handling("retry", "budgeted", "after_retries"),
    ("rate_limited", "final"): _NEXT,
    ("unavailable", ""): _PASSING,
    ("unavailable", "gateway"): _ENDPOINT,
    ("unavailable", "final"): Handling("failover", breaker="model"),
    ("rejected", ""): _TOLD,
    ("rejected", "unsendable"): _OFF,
    ("rejected", "auth"): Handling("fatal", latch="api_key", alert=True),
    ("rejected", "redirect"): _OFF,
    ("rejected", "no_endpoint"): _OFF,
    ("rejected", "blocked"): Handling("failover", breaker="endpoint", alert=True),
    ("rejected", "not_found"): Handling("failover", latch="model", alert=True),
    ("rejected", "quota"): Handling("failover", latch="api_key", alert=True),
    ("rejected", "daily_quota"): Handling("failover", latch="until_reset"),
    ("rejected", "too_large"): _NEXT,
    ("rejected", "media_type"): _NEXT,
    ("rejected", "closed"): _NEXT,
    ("refused", ""): Handling("fallback", over="policy"),
    ("refused", "unquotable"): _NEXT,
    ("truncated", ""): _REPAIR,
    ("bad_response", ""): _ENDPOINT,
    ("bad_response", "model"): _PASSING,
    ("bad_response", "too_large"): Handling("failover", breaker="endpoint"),
    ("bad_response", "page"): Handling("fatal", breaker="endpoint", latch="provider", alert=True),
    ("bad_response", "no_answer"): _REPAIR,
    ("invalid", ""): _REPAIR,
    ("low_quality", ""): _NEXT,
    ("setup", ""): Handling("fatal", alert=True),
    ("broken_provider", ""): _TOLD,
}
"""(code, sign) -> what follows; a sign that is not named is as none."""


CODES: Final = tuple(dict.fromkeys(code for code, _ in TABLE))
"""Every class of failure that the table knows."""


def handling(failure: Failure) -> Handling:
    """What follows from a failure. Total: what nobody foresaw goes to the next target.

    Who asks for a long wait is asked no more until then, whatever the table says about another attempt.
    """
    found = TABLE.get((failure.code, failure.sign)) or TABLE.get((failure.code, ""), _TOLD)
    if (failure.retry_after_s or 0.0) > LATCH_FROM_S:
        latch = found.latch or "until_retry_after"
        return msgspec.structs.replace(found, name="failover", again="never", over="immediate", latch=latch)
    return found


def latched_for_s(found: Handling, failure: Failure) -> float | None:
    """Seconds that its latch holds; None until the configuration changes."""
    if found.latch == "until_retry_after":
        return failure.retry_after_s
    if found.latch == "until_reset":
        return max(failure.retry_after_s or 0.0, DAY_S if failure.retry_after_s is None else LATCH_FROM_S)
    return None
