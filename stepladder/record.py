"""The decision record: what was known, asked, answered and chosen, kept as the entries it is folded from.

Entries are conclusions of the core. They carry the number `n` of their decision and no time of their own (a decision
happens at its event). A field that holds its default is not written.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from stepladder.clauses import Fired, Reading

STOP: Final = "STOP"
"""The built-in last rule of every step: always legal, never offered to a model, leads to the end in `limits.then`."""

Source = Literal["rule", "cache", "model", "panel", "person", "limit"]
Relation = Literal["none", "agreement", "override", "kept"]
Route = Literal["standard", "hybrid", "complex"]
Mode = Literal["model_wins", "rule_wins", "confident_model", "person_on_conflict", "shadow"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind"):
    """A conclusion about decision `n` of a run (numbered from 1)."""

    n: int


class Verdict(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One rung's answer. `confidence` is 0 to 1, None where the rung did not say."""

    action: str
    parameters: dict[str, Any] = {}
    reason: str = ""
    confidence: float | None = None


class Opened(Entry, frozen=True, gc=False, tag="opened"):
    """What is fixed when a decision opens.

    `blocked`: the actions of this step that are not legal, with what the failing guard clause saw. `rule` is the rule
    that answered ("" for STOP) and `passed_over` the rules that held but whose action is not legal. `signals` holds the
    values that changed since the run's last decision. `limit` names a limit that forces STOP. `broken` names signals
    whose predicate raised. `settles`: the rule needs nobody on this route, so those who would have been asked were not.
    """

    step: str
    legal: tuple[str, ...]
    verdict: Verdict
    rule: str = ""
    point: str = "next_action"
    blocked: dict[str, Reading] = {}
    passed_over: tuple[str, ...] = ()
    route: Route = "standard"
    fired: tuple[Fired, ...] = ()
    signals: dict[str, Any] = {}
    mode: Mode = "model_wins"
    limit: str = ""
    broken: dict[str, str] = {}
    settles: bool = False


class Asked(Entry, frozen=True, gc=False, tag="asked"):
    """A rung was asked: the models or the person, by which prompt, as which commands, until when.

    `because` says why a person is asked whom the route would not have asked: a cap closes the models.
    """

    rung: str
    commands: tuple[int, ...]
    models: tuple[str, ...] = ()
    prompt: str = ""
    deadline: float | None = None
    shadow: bool = False
    because: str = ""


class Answered(Entry, frozen=True, gc=False, tag="answered"):
    """How an answer was judged.

    `outcome`: agrees (with the rule), accepted, unsure (legal, but the rung's accept condition does not hold), invalid
    (not a legal answer), failed (no answer), vote (one voice of a panel), miss (the cache has none). `cause` says why
    for the last five.
    """

    rung: str
    outcome: Literal["agrees", "accepted", "unsure", "invalid", "failed", "vote", "miss"]
    command: int = 0
    verdict: Verdict | None = None
    cause: str = ""


class Settled(Entry, frozen=True, gc=False, tag="settled"):
    """What was chosen.

    `source`: who; `relation`: how that stands to the rule's verdict; `fallback`: why a rung that should have answered
    did not count ("" where there was no fallback); `approval`: the approval that has to be given first, `approve_by`
    until when (seconds since 1970; None: no limit).
    """

    action: str = ""
    to: str = ""
    reason: str = ""
    parameters: dict[str, Any] = {}
    source: Source = "rule"
    relation: Relation = "none"
    fallback: str = ""
    approval: str = ""
    approve_by: float | None = None


class Shadowed(Entry, frozen=True, gc=False, tag="shadow"):
    """What a model that nobody waited for would have chosen."""

    rung: str
    outcome: Literal["agrees", "differs", "invalid", "failed"]
    command: int = 0
    verdict: Verdict | None = None
    cause: str = ""


class Judged(Entry, frozen=True, gc=False, tag="judged"):
    """What the scores of the step `by` say came of the decision, `elapsed_s` seconds after it.

    `quality` is 0 to 1, None where a score is missing or out of range; `success` None where the phase converges on
    nothing.
    """

    by: str
    success: bool | None = None
    quality: float | None = None
    elapsed_s: float = 0.0


AnyEntry = Opened | Asked | Answered | Settled | Shadowed | Judged
