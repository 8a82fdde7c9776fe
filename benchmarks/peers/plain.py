"""No framework: what the agents, the state and the two questions cost by themselves."""

from collections.abc import Callable

from workload import AGENTS, needs_fix, needs_revision, start

NAME = "plain Python"
DETAIL = "a loop with two ifs: the floor, no framework"

AFTER = {"plan": "validate", "revise": "validate", "code": "check", "fix": "check"}


def make() -> Callable[[], list[str]]:
    return run


def run() -> list[str]:
    state, step = start(), "plan"
    while step != "done":
        state.update(AGENTS[step](state))
        if step == "validate":
            step = "revise" if needs_revision(state) else "code"
        elif step == "check":
            step = "fix" if needs_fix(state) else "done"
        else:
            step = AFTER[step]
    return [*state["trail"], step]
