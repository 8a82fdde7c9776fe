"""The workflow file's own shape, as pydantic reads it. Names and values are checked in `build`.

The policy's part of it is in `policy_file`, since a policy may be a file of its own.

Field descriptions become the JSON Schema that editors use.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stepladder.workflow.policy_file import PolicyFile
from stepladder.workflow.section import Arguments, Clauses, Fields, Name, Seconds, Section, Spelt


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[
    list[Name], BeforeValidator(_listed), Field(min_length=1, json_schema_extra={"type": ["string", "array"]})
]


class AgentFile(Section):
    """What an agent promises."""

    idempotent: bool = Field(False, description="Whether the same call made twice has the effect of one.")
    description: str = ""
    output: Fields = {}
    fails: Clauses = []
    scores: dict[Name, Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        {}, description="Output fields that are scores, each with its range [low, high]."
    )


class RetryFile(Section):
    """How often a call is made, and the first pause."""

    attempts: int = Field(1, ge=1, le=100)
    backoff_s: float = Field(0.0, ge=0, allow_inf_nan=False)


class WaitFile(Section):
    """What a step waits for: a message, or seconds."""

    message: Name | None = None
    seconds: Seconds | None = None
    deadline_s: Seconds | None = None


class StepFile(Section):
    """A step, with at most one effect: agent, ask or wait."""

    description: str = ""
    agent: Names | None = None
    ask: Literal["person"] | None = None
    wait: WaitFile | None = None
    as_: Name | None = Field(None, alias="as")
    prompt: str | None = None
    timeout_s: Seconds | None = None
    deadline_s: Seconds | None = None
    retry: RetryFile | None = None
    judges: Names | None = Field(
        None, description="Steps; its scores become the outcome of the newest decision that led into one of them."
    )
    with_: Arguments = Field({}, alias="with")
    output: Fields = {}
    workflow: Any = Field(None, description="Not built yet: running another workflow.")
    plan: Any = Field(None, description="Not built yet: running a plan.")
    map: Any = Field(None, description="Not built yet: mapping over items.")


class PhaseFile(Section):
    """A phase and its steps, in order."""

    steps: dict[Name, StepFile] = Field(min_length=1)
    converged: Clauses = []


class EndFile(Section):
    """An end and what the run gives there."""

    success: bool
    output: Arguments = {}


class ActionFile(Section):
    """An action from some steps to another; several entries make a list."""

    from_: Annotated[list[str], BeforeValidator(_listed)] = Field(alias="from", min_length=1)
    to: Name
    guard: Clauses = []
    parameters: Fields = {}
    significant: list[Name] = []
    description: str = ""
    use_when: str = ""
    example: str = ""


def _entries(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Actions = Annotated[
    list[ActionFile], BeforeValidator(_entries), Field(min_length=1, json_schema_extra={"type": ["object", "array"]})
]


class RuleFile(Section):
    """When these clauses hold, do this action, because."""

    when: Clauses = []
    do: Name
    with_: Arguments = Field({}, alias="with")
    because: str = ""
    settles: list[Literal["hybrid", "complex"]] = Field(
        [], description="Routes on which nobody is asked where this rule is chosen, but in 5% of the runs."
    )
    shadow: bool = Field(False, description="Never chosen; what it would have said is compared later.")


class MigrationFile(Section):
    """What a workflow that runs may come from calls otherwise, old name to new name."""

    from_: Spelt = Field(
        alias="from",
        description="Its workflow hash, or its version where it has the same name.",
        json_schema_extra={"type": ["string", "integer"]},
    )
    steps: dict[Name, Name] = {}
    ends: dict[Name, Name] = {}
    actions: dict[Name, Name] = {}
    signals: dict[Name, Name] = {}


class WorkflowFile(Section):
    """A whole workflow file."""

    workflow: Name
    version: int = Field(1, ge=1)
    description: str = ""
    input: Fields = {}
    start: Name
    agents: dict[Name, AgentFile] = {}
    phases: dict[Name, PhaseFile] = Field(min_length=1)
    ends: dict[Name, EndFile] = Field(min_length=1)
    actions: dict[Name, Actions] = Field(min_length=1)
    rules: dict[Name, dict[Name, RuleFile]] = {}
    select_agent: dict[Name, dict[Name, RuleFile]] = {}
    policy: PolicyFile = PolicyFile()  # type: ignore[call-arg]
    prompts: dict[str, str] = Field(
        {}, description="Prompt texts by name@version; files in prompts/ beside it add to them."
    )
    migrates: Annotated[
        list[MigrationFile], BeforeValidator(_entries), Field(json_schema_extra={"type": ["object", "array"]})
    ] = Field([], description="Runs of other workflows that may go on under this one.")
