"""LangGraph: compiled once, invoked per run; one channel per key of the state, no checkpointer.

Its fastest documented way here, and these are slower (measured when this was written):

* conditional edges instead of `Command(goto=...)`: a seventh;
* `invoke` without `version="v2"`, which also collects the stream of updates: a twelfth;
* `ainvoke` on asynchronous nodes instead of `invoke` on synchronous ones: a quarter to a half.
"""

from collections.abc import Callable
from typing import Literal

import workload
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from workload import State, needs_fix, needs_revision

NAME = "LangGraph"
DETAIL = "StateGraph compiled once, Command(goto) where it decides, invoke(version='v2'), synchronous"


def validate(state: State) -> Command[Literal["revise", "code"]]:
    update = workload.validate(state)
    return Command(update=update, goto="revise" if needs_revision(update) else "code")


def check(state: State) -> Command[Literal["fix", "__end__"]]:
    update = workload.check(state)
    return Command(update=update, goto="fix" if needs_fix(update) else END)


def make() -> Callable[[], list[str]]:
    builder = StateGraph(State)
    for name, agent in {**workload.AGENTS, "validate": validate, "check": check}.items():
        builder.add_node(name, agent)
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "validate")
    builder.add_edge("revise", "validate")
    builder.add_edge("code", "check")
    builder.add_edge("fix", "check")
    graph = builder.compile()

    def run_once() -> list[str]:
        final = graph.invoke(workload.start(), version="v2").value
        return [*final["trail"], "done"]  # returning at all means END: nothing here interrupts

    return run_once
