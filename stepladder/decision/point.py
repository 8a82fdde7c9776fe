"""The values a decision is made of: who may be asked (the ladder), and what is asked (the question)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf, Facts, Reading
from stepladder.fallback import Chain, Link, Retry, TargetPolicy
from stepladder.record import Mode, Verdict
from stepladder.record import Route as RouteName
from stepladder.values import digest

PERSON: Final = "person"
"""The name of the rung that asks a person."""
CACHE: Final = "cache"
"""The name of the rung that looks up what the next rung of models said in the same situation before."""
MISS: Final = "miss"
"""The code of a look-up that found nothing."""
OVER_CAP: Final = "over_cap"
"""The code of a call that was not made because it might have cost more than a cap leaves."""

OnInvalid = Literal["rule", "next_rung", "give_up"]
OnLowConfidence = Literal["next_rung", "rule", "person"]
How = Literal["programmatic", "llm", "hybrid"]
OnCap = Literal["rule", "person", "stop"]


MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]*/(\*|[a-z0-9][a-z0-9.+-]*)", re.ASCII)
"""image/png, or image/* for every image."""


class Attachments(msgspec.Struct, frozen=True):
    """Which artifacts a rung's models are sent with a question: those of these media types, so many bytes in all.

    A type is image/png, or image/* for every image. Without a type none are sent.
    """

    types: tuple[str, ...] = ()
    bytes: int = 5_000_000

    def take(self, media_type: str) -> bool:
        """Whether artifacts of this type (bare, in lower case) are sent."""
        return media_type in self.types or f"{media_type.rpartition('/')[0]}/*" in self.types


class Caching(msgspec.Struct, frozen=True):
    """How the rung `cache` looks verdicts up.

    `features` are the paths of the facts that make two situations the same (none: the whole prompt does). A verdict
    lives `ttl_s` seconds; at most `entries` are kept; `shared` keeps them in a file beside the journal, for all
    processes. `similar` (0 to 1, None: off) is how alike the features of another situation must be for its verdict to
    count.
    """

    features: tuple[str, ...] = ()
    ttl_s: float = 86_400.0
    entries: int = 4_096
    shared: bool = False
    similar: float | None = None


class Budget(msgspec.Struct, frozen=True):
    """What may be spent on models, in US dollars: on a decision, a run and a UTC day (None: no cap).

    From the share `throttle` of a run's or day's cap on, only decisions of the routes `still_ask` ask models (None: all
    do until it is reached). `on_cap` says what happens when a cap is reached. `prices` (US dollars per million tokens
    read and written, by `provider:model`) come before the price list. A model without a price is refused unless
    `allow_unpriced`; None refuses it where there is a cap, which could not be kept otherwise.
    """

    decision_usd: float | None = None
    run_usd: float | None = None
    day_usd: float | None = None
    throttle: float | None = None
    still_ask: tuple[RouteName, ...] = ("complex",)
    on_cap: OnCap = "rule"
    allow_unpriced: bool | None = None
    prices: dict[str, tuple[float, float]] = {}

    @property
    def capped(self) -> bool:
        """Whether there is any cap."""
        return (self.decision_usd, self.run_usd, self.day_usd) != (None, None, None)

    @property
    def needs_prices(self) -> bool:
        """Whether a model without a price is refused."""
        return self.capped if self.allow_unpriced is None else not self.allow_unpriced


class Rung(msgspec.Struct, frozen=True):
    """One rung: the models it asks (several are a panel, `quorum` of which must say the same), a person or the cache.

    `accept` are the conditions on an answer, any of which is enough (none: every legal answer is accepted).
    `deadline_s` is the time for the whole rung, in seconds; None means no limit. `links` are the chain of models that
    stand in for one another (`models` is the first of them then), `retry` says how often each is asked (None: as
    `Retry()` says), and with `reorder` the more reliable are asked first. `max_output_tokens` bounds what a model
    writes, thinking included (0: the default of a request).
    """

    name: str
    models: tuple[str, ...] = ()
    quorum: int = 1
    prompt: str = ""
    deadline_s: float | None = None
    accept: AnyOf = AnyOf()
    attachments: Attachments = Attachments()
    links: tuple[Link, ...] = ()
    retry: Retry | None = None
    reorder: bool = False
    max_output_tokens: int = 0
    caching: Caching | None = None

    def chain(self, model: str) -> Chain:
        """Who is asked in place of `model`, one of `models`, and how often."""
        return Chain(self.links or (Link(model),), self.retry or Retry(), self.reorder)

    @property
    def targets(self) -> tuple[str, ...]:
        """Every model that it may ask."""
        return tuple(link.model for link in self.links) or self.models

    @property
    def is_person(self) -> bool:
        """Whether it asks a person."""
        return self.name == PERSON

    @property
    def is_cache(self) -> bool:
        """Whether it looks verdicts up."""
        return self.name == CACHE


class Route(msgspec.Struct, frozen=True):
    """Which rungs a route asks, in order, and how an answer is settled against the rule.

    `share` of the runs (0 to 1, the same run always alike) use `rollout` instead of `mode`. `confidence` is what
    confident_model asks for.
    """

    ask: tuple[str, ...] = ()
    mode: Mode = "model_wins"
    confidence: float = 0.8
    rollout: Mode | None = None
    share: float = 0.0

    def mode_for(self, run_key: str, point: str) -> Mode:
        """The mode for this run."""
        if self.rollout is None:
            return self.mode
        return self.rollout if int(digest(run_key, point), 16) < self.share * 2**64 else self.mode


class Ladder(msgspec.Struct, frozen=True):
    """Who is asked, and when. `targets` says how everything that is asked is treated, where the policy does."""

    classifier: Classifier
    rungs: dict[str, Rung] = {}
    routes: dict[str, Route] = {}
    how: How = "hybrid"
    on_invalid: OnInvalid = "rule"
    on_low_confidence: OnLowConfidence = "next_rung"
    budget: Budget | None = None
    targets: TargetPolicy | None = None

    def covered(self, name: RouteName) -> Rung | None:
        """The rung of models that the cache stands for on this route: the next one."""
        names = self.route(name).ask
        above = names[names.index(CACHE) + 1 :] if CACHE in names else ()
        return next((self.rungs[each] for each in above if self.rungs[each].models), None)

    def rung(self, name: str, route: RouteName) -> Rung:
        """The rung as it is asked on this route: the cache has the models, quorum and conditions of what it covers."""
        covered = self.covered(route) if name == CACHE else None
        if covered is None:
            return self.rungs[name]
        cache = self.rungs[CACHE]
        deadline_s = cache.deadline_s or covered.deadline_s
        return msgspec.structs.replace(covered, name=CACHE, deadline_s=deadline_s, caching=cache.caching or Caching())

    @property
    def asked(self) -> tuple[Rung, ...]:
        """The rungs that some route asks."""
        named = {rung for route in self.routes.values() for rung in route.ask} if self.how != "programmatic" else ()
        return tuple(rung for name, rung in self.rungs.items() if name in named)

    def route(self, name: RouteName) -> Route:
        """What this route asks: nothing in programmatic, always something in llm."""
        if self.how == "programmatic":
            return NOBODY_ASKED
        found = self.routes.get(name, NOBODY_ASKED)
        if self.how == "llm" and not found.ask:
            others = (self.routes.get(other, NOBODY_ASKED) for other in ("hybrid", "complex"))
            return next((route for route in others if route.ask), found)
        return found


NOBODY_ASKED: Final = Route()
AUDITED: Final = 0.05
"""In so many runs those are asked all the same that a rule would settle it without, so that it stays known whether they
agree."""


def audited(run_key: str) -> bool:
    """Whether this run, always alike, is one of them."""
    return int(digest(run_key, "audit"), 16) < AUDITED * 2**64


class Option(msgspec.Struct, frozen=True):
    """A legal action: where it leads, and how its parameters are checked.

    `check(parameters)` gives what is wrong with them, or "". `significant` are the parameters that count for agreement.
    """

    action: str
    to: str
    check: Any = None
    significant: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, gc=False):
    """What is asked: facts, legal set and the rule's verdict, fixed when the decision opens.

    `stop` is where STOP leads. `limit` names a limit that forces STOP now, `used_up` holds the actions in whose place
    one does. `models_closed` says why no model may be asked ("" if one may). `next_command` numbers the commands it
    gives out, `settles` are the routes on which the rule needs nobody.
    """

    n: int
    step: str
    facts: Facts
    options: Mapping[str, Option]
    verdict: Verdict
    stop: str
    now: float
    next_command: int
    rule: str = ""
    point: str = "next_action"
    passed_over: tuple[str, ...] = ()
    blocked: dict[str, Reading] = {}
    signals: dict[str, Any] = {}
    broken: dict[str, str] = {}
    limit: str = ""
    used_up: Mapping[str, str] | None = None
    models_closed: str = ""
    run_key: str = ""
    settles: tuple[str, ...] = ()

    def leads_to(self, action: str) -> str:
        """Where the action leads."""
        option = self.options.get(action)
        return option.to if option else self.stop
