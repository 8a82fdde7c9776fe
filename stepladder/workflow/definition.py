"""A workflow, resolved: every name checked, every clause compiled, every default filled in."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from stepladder.clauses import ALWAYS, Condition
from stepladder.decision import Ladder, Option
from stepladder.events import Renames
from stepladder.rules import Rule
from stepladder.signals import Fold
from stepladder.workflow.arguments import Arguments
from stepladder.workflow.schemas import Check

CORE: Final = 1
"""The version of the core's own way of deciding; it belongs to every hash."""

ANSWERED: Final = frozenset({"action", "reason", "confidence", "next_state", "parameters"})
"""The keys of an answer."""
NO_ARGUMENTS: Final = Arguments({}, frozenset())


class Agent(msgspec.Struct, frozen=True):
    """An agent's contract. `scores` are output fields that are scores, with their range."""

    name: str
    idempotent: bool = False
    description: str = ""
    output: dict[str, Any] = {}
    check: Check | None = None
    fails: Condition = ALWAYS
    scores: dict[str, tuple[float, float]] = {}


class Retry(msgspec.Struct, frozen=True):
    """How often a call is made in all, and the pause before the second; each later pause is twice as long."""

    attempts: int = 1
    backoff_s: float = 0.0

    def pause_s(self, attempt: int) -> float:
        """Seconds between attempt number `attempt` and the next."""
        return self.backoff_s * 2.0 ** (attempt - 1)


class CallEffect(msgspec.Struct, frozen=True):
    """Call an agent; several names are candidates, of which the point select_agent chooses."""

    agents: tuple[str, ...]
    name: str
    arguments: Arguments = NO_ARGUMENTS
    prompt: str = ""
    timeout_s: float | None = None
    retry: Retry = Retry()


class PersonEffect(msgspec.Struct, frozen=True):
    """Ask a person."""

    name: str
    arguments: Arguments = NO_ARGUMENTS
    output: dict[str, Any] = {}
    check: Check | None = None
    deadline_s: float | None = None


class WaitEffect(msgspec.Struct, frozen=True):
    """Wait for a message, or for a time."""

    name: str
    message: str = ""
    seconds: float | None = None
    arguments: Arguments = NO_ARGUMENTS


Effect = CallEffect | PersonEffect | WaitEffect


class Step(msgspec.Struct, frozen=True):
    """A state of the machine; entering it has at most one effect.

    Its agent's scores become the outcome of the newest decision that led into one of the steps that it `judges`.
    """

    name: str
    phase: str
    effect: Effect | None = None
    description: str = ""
    judges: tuple[str, ...] = ()


class Phase(msgspec.Struct, frozen=True):
    """A stage. Leaving it for a later one, or for a successful end, needs `converged`."""

    name: str
    steps: tuple[str, ...]
    converged: Condition = ALWAYS


class End(msgspec.Struct, frozen=True):
    """Where a run ends, and what it gives."""

    name: str
    success: bool
    output: Arguments = NO_ARGUMENTS


class Action(msgspec.Struct, frozen=True):
    """A labelled way into a step; the texts are for the supervisor's prompt."""

    name: str
    description: str = ""
    use_when: str = ""
    example: str = ""
    parameters: dict[str, Any] = {}
    significant: tuple[str, ...] = ()

    @property
    def answer(self) -> dict[str, Any] | None:
        """The example as an answer, also where it is only the answer's parameters; None where it is prose."""
        try:
            found = json.loads(self.example)
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        return found if "action" in found and ANSWERED.issuperset(found) else {"parameters": found}


class Move(msgspec.Struct, frozen=True):
    """An action as it leads out of one step: where to, under which guard (its own and the phase's convergence)."""

    option: Option
    guard: Condition = ALWAYS


class NoProgress(msgspec.Struct, frozen=True):
    """After how many takings of one action in one situation, nothing new in between, the ladder is asked (`escalate`)
    and the run ends (`end`); None: never."""

    escalate: int | None = 2
    end: int | None = 3


class Limits(msgspec.Struct, frozen=True):
    """`decisions`: next_action decisions since a person answered; `usd`, `working_s`: of a run; `then`: STOP's end."""

    then: str
    decisions: int = 100
    usd: float | None = None
    working_s: float | None = None
    no_progress: NoProgress = NoProgress()


class Approval(msgspec.Struct, frozen=True):
    """A person has to agree, within `deadline_s`, before the run enters this phase, step or end."""

    name: str
    entering: str
    when: Condition = ALWAYS
    deadline_s: float | None = None


class Policy(msgspec.Struct, frozen=True):
    """The part that may be tuned. `select_agent` holds the rules that choose among a step's agents."""

    hash: str
    rules: dict[str, tuple[Rule, ...]]
    arguments: dict[tuple[str, str], Arguments]
    select_agent: dict[str, tuple[Rule, ...]]
    limits: Limits
    ladder: Ladder
    approvals: tuple[Approval, ...] = ()


class Migration(msgspec.Struct, frozen=True):
    """Runs of another workflow, by its hash or version, may go on under this one, where their past allows it."""

    from_: str
    renames: Renames = Renames()


class Definition(msgspec.Struct, frozen=True):
    """A workflow with its policy. `moves` lists, for each step, the actions that lead out of it."""

    name: str
    version: int
    hash: str
    input: dict[str, Any]
    check_input: Check | None
    start: str
    agents: dict[str, Agent]
    phases: dict[str, Phase]
    steps: dict[str, Step]
    ends: dict[str, End]
    actions: dict[str, Action]
    moves: dict[str, tuple[Move, ...]]
    policy: Policy
    prompts: dict[str, str]
    fold: Fold
    collects: frozenset[str]
    source: dict[str, Any]
    file: str = ""
    migrates: tuple[Migration, ...] = ()

    @property
    def called(self) -> set[str]:
        """The agents that some step calls."""
        effects = [step.effect for step in self.steps.values()]
        return {agent for effect in effects if isinstance(effect, CallEffect) for agent in effect.agents}
