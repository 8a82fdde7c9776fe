"""What happened: the only way anything from outside gets into a run.

Every event carries `at`, the time in seconds since 1970 by the driver's clock. Answers are kept as received; judging
them is pure and is done by the core, again at every replay. `command` is the number of the command that is answered.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind"):
    """Something that happened at `at` (seconds since 1970)."""

    at: float


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a call used: tokens in and out, and its price in USD (None: nobody knows the price).

    `estimated`: the price is an upper bound.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    estimated: bool = False


NOTHING_USED = Usage()


class Attempt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One HTTP attempt at one target, or a target that was passed over (`sent` is false: nothing left us).

    `outcome` is answered or the code of what went wrong, `handled` the class of what followed from it (ok, retry,
    failover, fallback, fatal, repair), `cause` what was said about it, `waited_s` the wait before it. `cost` says
    how it is booked: usage, estimate (an answer without usage), reserve (it may have been billed: `reserved_usd`
    counts as spent), none. `repaired` names what was put right in the form of its answer; `reask`: it was asked with
    a word about what was wrong with the answer before. `over_usd`: it was billed so much above what had been set aside.
    """

    target: str
    outcome: str = "answered"
    handled: str = "ok"
    cause: str = ""
    waited_s: float = 0.0
    elapsed_s: float = 0.0
    usage: Usage = NOTHING_USED
    cost: str = "usage"
    reserved_usd: float | None = None
    sent: bool = True
    reask: bool = False
    repaired: tuple[str, ...] = ()
    alert: bool = False
    request_id: str = ""
    over_usd: float = 0.0


class RunStarted(Event, frozen=True, gc=False, tag="run_started"):
    """A run begins on this input, pinned to a workflow hash and stamped with a policy hash."""

    run_id: str
    workflow: str
    workflow_hash: str
    policy_hash: str
    input: dict[str, Any]
    core: int = 1


class AgentReturned(Event, frozen=True, gc=False, tag="agent_returned"):
    """An agent's call gave a plain output; `artifacts` names what is kept outside the journal."""

    command: int
    output: dict[str, Any]
    attempt: int = 1
    usage: Usage = NOTHING_USED
    artifacts: dict[str, str] = {}
    elapsed_s: float = 0.0


class AgentFailed(Event, frozen=True, gc=False, tag="agent_failed"):
    """An agent's call gave no output that can be used.

    `reason`: raised, invalid (its output does not fit its schema), late (its deadline passed), cut_off (the process
    that made it is gone). The outcome of late and cut_off is unknown.
    """

    command: int
    reason: Literal["raised", "invalid", "late", "cut_off"]
    error: str = ""
    error_type: str = ""
    attempt: int = 1
    usage: Usage = NOTHING_USED
    elapsed_s: float = 0.0


class PersonAnswered(Event, frozen=True, gc=False, tag="person_answered"):
    """A person answered a question, a decision, an approval or a doubt."""

    command: int
    value: dict[str, Any]
    by: str = ""


class MessageReceived(Event, frozen=True, gc=False, tag="message_received"):
    """A message that the run waited for."""

    command: int
    name: str
    payload: dict[str, Any] = {}


class TimePassed(Event, frozen=True, gc=False, tag="time_passed"):
    """`at` has come: a wait is over, a deadline has passed, or (command 0) the run's working time is up."""

    command: int = 0
    attempt: int = 1


class ModelAnswered(Event, frozen=True, gc=False, tag="model_answered"):
    """A model's answer, as received; `model` is who served, `prompt` the digest of what it was asked.

    `cached` says that it was not asked this time: exact (the same situation before) or similar, with how alike it was.
    `attached` are the digests of the artifacts that went with the question, `left_out` those that did not, with why.
    `attempts` are all that were made for it, `usage` what they used together. `repaired` names what had to be put right
    in the form of the answer before it counts, `fields` where it keeps ours, and `whole` says that it had to have every
    field that was asked for: the judge takes all three at their word, so that a replay judges alike.
    """

    command: int
    text: str
    provider: str = ""
    model: str = ""
    finish: str = ""
    prompt: str = ""
    usage: Usage = NOTHING_USED
    elapsed_s: float = 0.0
    attached: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    cached: str = ""
    attempts: tuple[Attempt, ...] = ()
    repaired: tuple[str, ...] = ()
    fields: dict[str, str] = {}
    whole: bool = False


class ModelFailed(Event, frozen=True, gc=False, tag="model_failed"):
    """A model did not answer: `code` is the class of the failure, `error` what was said about it.

    `attached`, `left_out` and `attempts` are as for an answer; whether anything was sent is what these say.
    """

    command: int
    code: str
    error: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage = NOTHING_USED
    elapsed_s: float = 0.0
    attached: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    attempts: tuple[Attempt, ...] = ()


class RunCancelled(Event, frozen=True, gc=False, tag="run_cancelled"):
    """Somebody ended the run."""

    by: str = ""
    reason: str = ""


class RunRetried(Event, frozen=True, gc=False, tag="run_retried"):
    """Somebody takes a failed run up again, in the step where it ended."""

    by: str = ""


class RunResumed(Event, frozen=True, gc=False, tag="run_resumed"):
    """A process takes up a run that another one left in the middle of its work.

    The time in between is not working time. Calls and questions in flight are made again under their keys, with their
    full time; a call of an agent that is not idempotent is in doubt.
    """

    by: str = ""


class PolicyChanged(Event, frozen=True, gc=False, tag="policy_changed"):
    """From here on another policy decides; the workflow stays. `because` says why, where somebody said it."""

    policy_hash: str
    because: str = ""


class Renames(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Old name to new name, of what another workflow calls otherwise."""

    steps: dict[str, str] = {}
    ends: dict[str, str] = {}
    actions: dict[str, str] = {}
    signals: dict[str, str] = {}


class WorkflowChanged(Event, frozen=True, gc=False, tag="workflow_changed"):
    """From here on another workflow decides, under its policy; `renames` leads from the names before to its own."""

    workflow_hash: str
    policy_hash: str
    renames: Renames = Renames()


class OutcomeAttached(Event, frozen=True, gc=False, tag="outcome"):
    """How it turned out, said later, about the run (`decision` 0) or one decision of it; quality is 0 to 1."""

    decision: int = 0
    success: bool | None = None
    quality: float | None = None
    elapsed_s: float | None = None
    note: str = ""
    by: str = ""


class PayloadsPruned(Event, frozen=True, gc=False, tag="payloads_pruned"):
    """What the run took in and gave out was taken out of its journal: it is past its time.

    `left` is the seal of the turns before, as they are now: from here on the chain covers what is left of them.
    """

    left: str


class QuestionPut(Event, frozen=True, gc=False, tag="question_put"):
    """A decision point that stands alone was asked to decide on these facts among these legal actions."""

    point: str
    policy_hash: str
    facts: dict[str, Any]
    legal: tuple[str, ...]
    context: Any = None
    decision_id: str = ""


AnyEvent = (
    RunStarted
    | AgentReturned
    | AgentFailed
    | PersonAnswered
    | MessageReceived
    | TimePassed
    | ModelAnswered
    | ModelFailed
    | RunCancelled
    | RunRetried
    | RunResumed
    | PolicyChanged
    | WorkflowChanged
    | OutcomeAttached
    | PayloadsPruned
    | QuestionPut
)
