"""Every exception stepladder raises on purpose, in one tree.

    StepladderError
    ├── DefinitionError       a workflow, policy, prompt or scenario that cannot be used (all its problems at once)
    ├── InputError            a value handed in from outside that does not fit (input, answer, message, agent result)
    ├── RunError              about one run
    │   ├── RunNotFound
    │   ├── RunEnded          nothing more happens to an ended run
    │   ├── RunNotWaiting     an answer nobody asked for
    │   ├── RunConflict       the same id with another input, or another process moved the run on
    │   │   └── RunOwned      a living process works on the run
    │   ├── Draining          this process is about to stop
    │   ├── RunPruned         what it was decided on is not there any more
    │   └── WrongDefinition   the run is pinned to another workflow
    ├── NoRule                a decision point whose rules cannot answer a legal set
    ├── IllegalAction         an action that is not legal here reached the machine (a bug, never a model's doing)
    ├── JournalError          a journal that cannot be read or written
    │   └── NoJournal         there is none yet, and none was to be made
    ├── Diverged              today's code decides otherwise than the journal says
    ├── OutcomeUnknownError   raised by an agent that does not know whether its effect happened (drivers.agents)
    ├── RemoteAgentError      a remote agent gave no output (drivers.remote)
    │   └── ToolError         the tool of an MCP server said that it failed (drivers.mcp)
    └── llm.ModelError        a model that did not answer (see stepladder.llm.errors)

Fields first, message made from fields: whoever reads one at night sees where, what was found, what was expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

LISTED: Final = 12
"""Differences that a message lists."""


class StepladderError(Exception):
    """Root of the tree. `retryable` says whether the same call may succeed later without a change."""

    retryable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[StepladderError], args: tuple[Any, ...], fields: dict[str, Any]) -> StepladderError:
    """A copy of an error, out of another process perhaps: its message and its fields."""
    error = kind.__new__(kind, *args)
    error.__dict__ |= fields
    return error


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file or value.

    `where` is a dotted path of keys, `line` counts from 1 (0: not from a file), `level` is "error" or "warning".
    """

    where: str
    found: str
    expected: str
    file: str = ""
    line: int = 0
    level: str = "error"
    code: str = "definition"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part)
        head = f"{place}: " if place else ""
        return f"{head}{self.where or 'top level'}: found {self.found}; expected {self.expected}"


class DefinitionError(StepladderError):
    """A definition with at least one problem; `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InputError(StepladderError):
    """A value from outside that does not fit: `where` in `what`, what was `found` and what was `expected`."""

    def __init__(self, what: str, where: str, found: str, expected: str) -> None:
        self.what, self.where, self.found, self.expected = what, where, found, expected
        super().__init__(f"{what}: {where or 'the value'}: found {found}; expected {expected}")


class RunError(StepladderError):
    """About one run, named by `run_id`."""

    def __init__(self, run_id: str, message: str) -> None:
        self.run_id = run_id
        super().__init__(f"run {run_id!r}: {message}")


class RunNotFound(RunError):
    """No run of this id in this journal."""

    def __init__(self, run_id: str, journal: str = "this journal") -> None:
        super().__init__(run_id, f"not in {journal}; `stepladder runs` lists the runs there are")


class RunEnded(RunError):
    """The run has ended; nothing more happens to it (a failed one can be retried)."""

    def __init__(self, run_id: str, end: str) -> None:
        self.end = end
        super().__init__(
            run_id, f"has already ended in {end!r}; only a run that failed can be taken up again, by retry"
        )


class RunNotWaiting(RunError):
    """An answer or message that nothing waits for."""

    def __init__(self, run_id: str, offered: str, waiting: str) -> None:
        self.offered, self.waiting = offered, waiting
        super().__init__(run_id, f"{offered} was offered, but it waits for {waiting}")


class RunConflict(RunError):
    """The id is taken by a run with another input, or another process has moved this run on."""

    retryable = True


class RunOwned(RunConflict):
    """A living process works on the run; `owner` says which."""

    def __init__(self, run_id: str, owner: str) -> None:
        self.owner = owner
        super().__init__(run_id, f"is being worked on by {owner}; wait for that process, or end it")


class Draining(RunError):
    """This Orchestrator begins nothing any more: it is about to be closed."""

    retryable = True

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, "is not taken up: this process begins nothing any more; another one can take it up")


class RunPruned(RunError):
    """The run was pruned, with its payloads or whole: it is not decided again and does not go on."""

    def __init__(self, run_id: str, left: str = "its payloads; `stepladder show` shows what is left of it") -> None:
        super().__init__(run_id, f"was pruned: {left}")


class WrongDefinition(RunError):
    """The run is pinned to another workflow than the one at hand.

    `cause`: what can be done, or why what was asked for cannot be done, at `decision` (0: at none); `differences`: what
    has changed between the two.
    """

    def __init__(
        self,
        run_id: str,
        found: str,
        expected: str,
        cause: str = "load that version",
        differences: Sequence[str] = (),
        decision: int = 0,
    ) -> None:
        self.found, self.expected, self.cause = found, expected, cause
        self.differences, self.decision = tuple(differences), decision
        more = [f"and {len(differences) - LISTED} more differences"] if len(differences) > LISTED else []
        listed = "".join(f"\n  {each}" for each in [*differences[:LISTED], *more])
        super().__init__(run_id, f"is pinned to workflow {expected}, the one at hand is {found}; {cause}{listed}")


class NoRule(StepladderError):
    """No rule of the decision point can answer this legal set."""

    def __init__(self, point: str, legal: Sequence[str], rules: Sequence[str]) -> None:
        self.point, self.legal = point, tuple(legal)
        super().__init__(
            f"decision point {point!r}: no rule can choose from {list(legal)}; its rules choose {list(rules)}; "
            "add a rule without `when` for one of the legal actions"
        )


class IllegalAction(StepladderError):
    """The machine was told to take an action that does not lead out of this step."""

    def __init__(self, step: str, action: str) -> None:
        self.step, self.action = step, action
        super().__init__(f"action {action!r} does not lead out of step {step!r}")


class JournalError(StepladderError):
    """A journal that cannot be read or written: which `file`, what was `found`, what was `expected`."""

    def __init__(self, file: str, found: str, expected: str) -> None:
        self.file, self.found, self.expected = file, found, expected
        super().__init__(f"{file}: found {found}; expected {expected}")


class NoJournal(JournalError):
    """There is no journal yet, and none was to be made."""

    def __init__(self, file: str, found: str) -> None:
        super().__init__(file, found, "a journal that a run has written")


class Diverged(StepladderError):
    """Deciding again gives something else than the journal says, first at entry `seq` (decision `decision`)."""

    def __init__(self, run_id: str, seq: int, decision: int, recorded: str, decided: str) -> None:
        self.run_id, self.seq, self.decision = run_id, seq, decision
        self.recorded, self.decided = recorded, decided
        super().__init__(
            f"run {run_id!r}, entry {seq}, decision {decision}: recorded {recorded}; decided now {decided}"
        )


def cause_of(error: Exception) -> str:
    """What the system, or a codec, says of a file that could not be read or written: no number, no path, lower case."""
    return str(getattr(error, "strerror", None) or error).lower()
