"""The shape of the policy in a file, as pydantic reads it: what tuning may change. Names are checked in `policy`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from stepladder.fallback import full_name
from stepladder.workflow.section import AnyOfFile, Clauses, Name, Seconds, Section, Share


class NoProgressFile(Section):
    """What happens when a run goes in circles: the same action in the same situation, and nothing new in between."""

    escalate: int | None = Field(2, ge=2, description="Taken so often, the decision is complex; null: never.")
    end: int | None = Field(3, ge=2, description="Taken so often, it is STOP instead; null: never.")


class LimitsFile(Section):
    """What ends or narrows a run."""

    decisions: int = Field(100, ge=1, le=1_000_000)
    usd: float | None = Field(None, ge=0, allow_inf_nan=False)
    working_s: Seconds | None = None
    no_progress: NoProgressFile = NoProgressFile()  # type: ignore[call-arg]
    then: Name | None = Field(None, description="The end that STOP leads to; needed where several ends fail.")


class ClassifierFile(Section):
    """Which states are complex or hybrid; the rest is standard."""

    complex: AnyOfFile = {}
    hybrid: AnyOfFile = {}


class AttachmentsFile(Section):
    """Which artifacts the models of a rung are sent."""

    types: list[str] = Field(min_length=1, description="Media types, such as image/png, image/* or application/pdf.")
    bytes: int = Field(5_000_000, ge=1, le=50_000_000, description="How many bytes in all, for one question.")


RetriedCode = Literal["late", "unreachable", "rate_limited", "unavailable", "bad_response", "truncated", "invalid"]
"""The codes of failures after which the same model may be asked again."""


class RetryModelFile(Section):
    """How often a model is asked for one answer."""

    attempts: int = Field(3, ge=1, le=10, description="Requests to one model, the first and a re-ask included.")
    requests: int = Field(6, ge=1, le=30, description="Requests to all models of the chain together.")
    reask: int = Field(1, ge=0, le=1, description="How often an answer that does not count is asked for again.")
    backoff_s: float = Field(0.2, ge=0, le=60, allow_inf_nan=False, description="The longest first wait; then doubled.")
    max_backoff_s: float = Field(4.0, ge=0, le=600, allow_inf_nan=False)
    after: dict[RetriedCode, Annotated[int, Field(ge=1, le=10)]] = Field(
        {}, description="Requests to one model that has failed so, in place of attempts: late: 1."
    )


OurField = Literal["action", "reason", "confidence", "next_state", "parameters"]


ModelName = Annotated[str, AfterValidator(full_name)]
"""`provider:name`; where the provider has a default model, its name alone will do."""


class LinkFile(Section):
    """One model of a chain."""

    model: ModelName
    when: AnyOfFile = Field({}, description="Asked only after failures that fit: clauses on failure, sign, class.")
    quality: AnyOfFile = Field(
        {}, description="An answer that fits none goes on to the next: agrees, confidence, action."
    )
    fields: dict[OurField, str] = Field({}, description="Where its answers keep our fields: field to dotted path.")
    timeout_s: Seconds | None = Field(None, description="The longest that one attempt may take.")
    window: int | None = Field(None, ge=1, description="How many tokens it reads at most.")


def _linked(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


Links = Annotated[
    list[Annotated[LinkFile, BeforeValidator(_linked, json_schema_input_type=str | LinkFile)]], Field(min_length=1)
]


class RungFile(Section):
    """Who may be asked: a model, a chain of models that stand in for one another, a panel of models, or (under the
    names person and cache) a person, or the verdicts that models gave before."""

    model: ModelName | None = None
    models: list[ModelName] = []
    chain: Links | None = None
    retry: RetryModelFile | None = None
    reorder: bool = Field(False, description="Ask the more reliable models of the chain first.")
    quorum: int | None = Field(None, ge=1)
    prompt: str | None = None
    deadline_s: Seconds | None = None
    accept: AnyOfFile = {}
    attachments: AttachmentsFile | None = None
    max_output_tokens: int | None = Field(
        None, ge=1, le=1_000_000, description="Tokens a model may write, thinking included. Default: 1024."
    )
    features: list[str] = Field(
        [], description="cache: paths of the facts that make situations the same. Default: the whole prompt."
    )
    ttl_s: Seconds | None = Field(None, description="cache: seconds that a verdict lives. Default: a day.")
    entries: int | None = Field(None, ge=1, le=10_000_000, description="cache: verdicts kept at most. Default: 4096.")
    shared: bool = Field(False, description="cache: in a file beside the journal, for every process.")
    similar: float | None = Field(
        None, gt=0, le=1, allow_inf_nan=False, description="cache: how alike features may do, 0 to 1. Default: off."
    )


Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False, le=1_000_000_000)]


class MoneyFile(Section):
    """What may be spent on models, beside limits.usd, which is the cap of a run."""

    decision_usd: Usd | None = Field(None, description="US dollars for one decision, all attempts together.")
    day_usd: Usd | None = Field(None, description="US dollars a UTC day, over all runs that share the journal.")
    throttle: Share | None = Field(
        0.8, description="Share of a run's or day's cap from which on only `still_ask` ask models; null: never."
    )
    still_ask: list[Literal["standard", "hybrid", "complex"]] = Field(
        ["complex"], description="Routes that ask models while the rest is throttled."
    )
    on_cap: Literal["rule", "person", "stop"] = Field(
        "rule", description="At a cap: the rules go on, a person is asked, or the run stops."
    )
    allow_unpriced: bool | None = Field(
        None, description="Whether models without a known price may be asked. Default: only where there is no cap."
    )
    prices: dict[str, Annotated[list[Price], Field(min_length=2, max_length=2)]] = Field(
        {}, description="provider:model to US dollars per million tokens [read, written], before the price list."
    )


Count = Annotated[int, Field(ge=1, le=1_000_000)]


class BreakerFile(Section):
    """When the breaker of a model, or of its server, opens, and for how long."""

    calls: int = Field(20, ge=1, le=100_000, description="How many of the newest calls are remembered.")
    least: Count = Field(10, description="So many calls before a share counts.")
    straight: Count = Field(5, description="So many failures with nothing else in sight open it at once.")
    failing: float = Field(0.5, gt=0, le=1, allow_inf_nan=False, description="Share of failures that opens it.")
    slow: float = Field(0.8, gt=0, le=1, allow_inf_nan=False, description="Share of slow answers that opens it.")
    slow_s: Seconds | None = Field(None, description="An answer is slow from here on. Default: none is.")
    window_s: Seconds = Field(60.0, description="Calls older than this are forgotten.")
    open_s: Seconds = Field(5.0, description="How long it stays open the first time.")
    growth: float = Field(
        2.0, ge=1, le=100, allow_inf_nan=False, description="How many times longer after each probe that failed."
    )
    most_open_s: Seconds = Field(300.0, description="And no longer than this.")
    jitter: float = Field(
        0.3, ge=0, lt=1, allow_inf_nan=False, description="Share of the open time that is left to chance."
    )
    probe_s: Seconds = Field(30.0, description="How long one probe is waited for before another may go.")


class RateFile(Section):
    """How much is sent at most."""

    per_minute: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False, description="Requests in any minute.")
    tokens_per_minute: float | None = Field(
        None,
        gt=0,
        le=1e12,
        allow_inf_nan=False,
        description="Tokens in any minute: read, and as many as may be written.",
    )
    at_once: Count | None = Field(None, description="Requests on their way at the same time.")


class RetriesFile(Section):
    """How much of what a process sends may be second attempts."""

    share: float = Field(0.1, ge=0, le=1, allow_inf_nan=False, description="Retries as a share of first attempts.")
    least: int = Field(3, ge=0, le=1_000_000, description="So many are free.")
    window_s: Seconds = Field(60.0, description="Over so many seconds.")


class ModelsFile(Section):
    """How everything that is asked is treated: breakers, rates, retries of the whole process."""

    breaker: BreakerFile = BreakerFile()  # type: ignore[call-arg]
    rates: dict[str, RateFile] = Field(
        {}, description="provider:model, provider:* (all its models together) or * (all together) to limits."
    )
    retries: RetriesFile = RetriesFile()  # type: ignore[call-arg]
    shared: bool = Field(False, description="Breakers in a file beside the journal, for every process.")


ModeName = Literal["model_wins", "rule_wins", "confident_model", "person_on_conflict", "shadow"]


class RolloutFile(Section):
    """A share of the runs that is reconciled otherwise."""

    share: Share
    reconcile: ModeName


class RouteFile(Section):
    """Which rungs a route asks, and who wins a conflict."""

    ask: list[Name] = []
    reconcile: ModeName = "model_wins"
    confidence: Share = 0.8
    rollout: RolloutFile | None = None


class ApprovalFile(Section):
    """Before the run enters this phase, step or end, a person has to agree."""

    entering: Name
    when: Clauses = []
    deadline_s: Seconds | None = None


class TermFile(Section):
    """Bands of one signal, and the points of each: below the first cut, and from each cut on."""

    cuts: list[float] = Field(min_length=1)
    points: list[float] = Field(min_length=2)


class PartFile(Section):
    """Points that are added together."""

    base: float = 0.0
    terms: dict[str, TermFile] = {}


class RiskFile(PartFile):
    """The scorecard of a learned risk."""

    domains: dict[str, PartFile] = {}


class PolicyFile(Section):
    """What tuning may change."""

    mode: Literal["programmatic", "llm", "hybrid"] = "hybrid"
    limits: LimitsFile = LimitsFile()  # type: ignore[call-arg]
    money: MoneyFile | None = None
    models: ModelsFile | None = None
    classifier: ClassifierFile | None = None
    rungs: dict[Name, RungFile] = {}
    routes: dict[Literal["standard", "hybrid", "complex"], RouteFile] = {}
    on_invalid: Literal["rule", "next_rung", "give_up"] = "rule"
    on_low_confidence: Literal["next_rung", "rule", "person"] = "next_rung"
    approvals: dict[Name, ApprovalFile] = {}
    risk: RiskFile | None = Field(None, description="A learned scorecard, which the classifier reads as risk.value.")
    by_domain: dict[str, ClassifierFile] = Field(
        {}, description="Classifiers for recordings of a domain; a workflow takes the one under its own name."
    )
    provenance: dict[str, Any] = Field({}, description="Where a tuned policy is from. Read by people.")
