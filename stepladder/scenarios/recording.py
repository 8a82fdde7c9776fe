"""A recording: one run of agents as it was recorded, ours or another system's.

On disk a recording is one line of JSON (`docs/tuning.md` has every key). In memory it is taken apart. Signals and
policies are handed steps and nothing else, so they cannot read the other two by mistake:

    steps       what agents, tools and people did, in order, with nothing from later on
    identity    model, agent system, task: pooled figures would measure these instead of the policy
    after       outcome, decisive error, judges' verdicts, rewards of turns, durations
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

FORMAT: Final = 1
"""The version of the format of a line; a line that names none is of version 1."""

Kind = Literal["user_message", "message", "tool_call", "tool_result", "handoff", "decision"]
IDENTITY: Final = frozenset({"run_id", "model", "user_model", "agent_system", "task_id", "split_key", "split", "trial"})
"""Keys that say who ran what: no signal and no policy reads them."""
AFTERWARDS: Final = frozenset(
    {"outcome", "failure", "judges", "agent_seconds", "n_steps", "score", "success", "termination", "hardness", "level"}
)
"""Keys known only after the run, or to a judge only: no signal and no policy reads them."""


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one of our own decisions was: the point, who settled it, and what the rule and the model said."""

    point: str = "next_action"
    source: str = ""
    rule: str = ""
    rule_action: str = ""
    model: str = ""
    model_action: str = ""
    route: str = ""
    signals: Mapping[str, Any] = {}


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was seen.

    `i` counts up; `agent` is who did it; `tool` and `args` are what was called with what (`args_sha`: equal for equal
    calls); `ref` is the earlier step that a result answers; `text` may be cut, `text_len` and `text_sha` are of the
    whole; `is_error` is None where the recording does not say; `signals` are flags that the recorded system itself
    raised at this step; `decided` belongs to decisions of ours.
    """

    i: int
    agent: str
    kind: Kind
    tool: str | None = None
    args: str | None = None
    args_sha: str | None = None
    ref: int | None = None
    text: str = ""
    text_len: int = 0
    text_sha: str | None = None
    is_error: bool | None = None
    signals: Mapping[str, bool | None] = {}
    tokens: int | None = None
    prompt_tokens: int | None = None
    cost: float | None = None
    ts: str | None = None
    decided: Decided | None = None


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run came to; None where nobody knows."""

    success: bool | None = None
    score: float | None = None
    termination: str | None = None


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decisive error, as people labelled it."""

    step: int | None = None
    agent: str | None = None
    category: str | list[str] | None = None
    reason: str | None = None
    agent_matches_step: bool | None = None


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who ran what."""

    model: str | None = None
    user_model: str | None = None
    agent_system: str | None = None
    task_id: str | None = None
    trial: int | None = None
    provenance: Mapping[str, Any] = {}


class Afterwards(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was known only after the run. `rewards`: by step number, what an oracle gave for the turn."""

    outcome: Outcome = Outcome()
    failure: Failure | None = None
    judges: Mapping[str, Any] | None = None
    agent_seconds: float | None = None
    rewards: Mapping[int, float] = {}

    @property
    def failed(self) -> bool | None:
        """Whether the run failed; None where nobody knows."""
        return None if self.outcome.success is None else not self.outcome.success


class Recording(msgspec.Struct, frozen=True):
    """One recorded run. `split_key`: runs that share it are never on both sides of a split."""

    run_id: str
    source: str
    family: str
    domain: str
    split_key: str
    steps: tuple[Step, ...]
    identity: Identity = Identity()
    after: Afterwards = Afterwards()

    def said(self, name: str) -> str:
        """What it says of itself under this key (model, family, split_key, provenance.KEY ...); "" for nothing."""
        head, _, key = name.partition(".")
        if head == "provenance":
            value = self.identity.provenance.get(key)
        else:
            value = getattr(self if name in _OWN else self.identity, name)
        return "" if value is None else str(value)

    def said_to_be(self, source: str = "", domain: str = "") -> Recording:
        """The same, said to be from this source and of this domain ("": as it is), also where its family and its split
        key are named after the domain."""
        family, key = self.family, self.split_key
        if domain and family.endswith(f"/{self.domain}"):
            family = family.removesuffix(self.domain) + domain
        if domain and key.startswith(f"{self.domain}:"):
            key = domain + key.removeprefix(self.domain)
        return msgspec.structs.replace(
            self, source=source or self.source, domain=domain or self.domain, family=family, split_key=key
        )


_OWN: Final = frozenset({"run_id", "source", "family", "domain", "split_key"})
