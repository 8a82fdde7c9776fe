"""`transitions` by itself, driven by a loop of three lines.

One machine is shared by all runs; a run is a model that is added to it and removed again, which is counted as set-up.
The state is a dict on the model and is changed in place: transitions carries none itself. Synchronous, as the plain
`Machine` is: an `AsyncMachine` took four times as long (measured when this was written).
"""

from collections.abc import Callable

from transitions import Machine
from workload import AGENTS, needs_fix, needs_revision, start

NAME = "transitions"
DETAIL = "flat Machine shared by all runs, auto_transitions off, synchronous"

TRANSITIONS = [
    {"trigger": "advance", "source": "plan", "dest": "validate"},
    {"trigger": "advance", "source": "validate", "dest": "revise", "conditions": "needs_revision"},
    {"trigger": "advance", "source": "validate", "dest": "code"},
    {"trigger": "advance", "source": "revise", "dest": "validate"},
    {"trigger": "advance", "source": "code", "dest": "check"},
    {"trigger": "advance", "source": "check", "dest": "fix", "conditions": "needs_fix"},
    {"trigger": "advance", "source": "check", "dest": "done"},
    {"trigger": "advance", "source": "fix", "dest": "check"},
]


class Run:
    """A model: transitions gives it `state` and `advance`."""

    state: str
    advance: Callable[[], bool]

    def __init__(self) -> None:
        self.data = start()

    def needs_revision(self) -> bool:
        """A condition of `advance`."""
        return needs_revision(self.data)

    def needs_fix(self) -> bool:
        """A condition of `advance`."""
        return needs_fix(self.data)


def make() -> Callable[[], list[str]]:
    machine = new_machine()

    def run_once() -> list[str]:
        run = Run()
        machine.add_model(run)
        while run.state != "done":
            run.data.update(AGENTS[run.state](run.data))
            run.advance()
        machine.remove_model(run)
        return [*run.data["trail"], run.state]

    return run_once


def make_setup() -> Callable[[], Run]:
    machine = new_machine()

    def add_and_remove() -> Run:
        run = Run()
        machine.add_model(run)
        machine.remove_model(run)
        return run

    return add_and_remove


def new_machine() -> Machine:
    return Machine(
        model=None, states=[*AGENTS, "done"], transitions=TRANSITIONS, initial="plan", auto_transitions=False
    )
