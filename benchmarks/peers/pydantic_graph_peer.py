"""pydantic-graph 2: nodes that return the next node, iterated on a graph that is built once.

Asynchronous, as it is throughout; entering the event loop is counted as set-up. Instrumentation is off. Nodes change
the state in place. Slower (measured when this was written): steps with decision nodes instead of `BaseNode` classes, by
four tenths, because each decision is a task of its own; `run()` instead of `iter()`, by a fourteenth.
"""

from __future__ import annotations

from collections.abc import Callable

import workload
from pydantic_graph import BaseNode, End, GraphBuilder, GraphRunContext
from timing import enter_loop, on_loop
from workload import State, needs_fix, needs_revision

NAME = "pydantic-graph"
DETAIL = "BaseNode classes, graph built once, iter(), asynchronous"

make_setup = enter_loop


class Plan(BaseNode[State]):
    """Entry of the graph."""

    async def run(self, ctx: GraphRunContext[State]) -> Validate:
        """Always on to the validator."""
        ctx.state.update(workload.plan(ctx.state))
        return Validate()


class Validate(BaseNode[State]):
    """Decides on the plan's score."""

    async def run(self, ctx: GraphRunContext[State]) -> Revise | Code:
        """A revision, or on to the code."""
        ctx.state.update(workload.validate(ctx.state))
        return Revise() if needs_revision(ctx.state) else Code()


class Revise(BaseNode[State]):
    """Leads back to the validator."""

    async def run(self, ctx: GraphRunContext[State]) -> Validate:
        """Always back to the validator."""
        ctx.state.update(workload.revise(ctx.state))
        return Validate()


class Code(BaseNode[State]):
    """Leads to the checker."""

    async def run(self, ctx: GraphRunContext[State]) -> Check:
        """Always on to the checker."""
        ctx.state.update(workload.code(ctx.state))
        return Check()


class Check(BaseNode[State, object, str]):
    """Decides on the failed checks."""

    async def run(self, ctx: GraphRunContext[State]) -> Fix | End[str]:
        """A fix, or the end."""
        ctx.state.update(workload.check(ctx.state))
        return Fix() if needs_fix(ctx.state) else End("done")


class Fix(BaseNode[State]):
    """Leads back to the checker."""

    async def run(self, ctx: GraphRunContext[State]) -> Check:
        """Always back to the checker."""
        ctx.state.update(workload.fix(ctx.state))
        return Check()


def make() -> Callable[[], list[str]]:
    builder = GraphBuilder(name="decide", state_type=State, input_type=Plan, output_type=str, auto_instrument=False)
    builder.add(builder.edge_from(builder.start_node).to(Plan))
    builder.add(*(builder.node(node) for node in (Plan, Validate, Revise, Code, Check, Fix)))
    graph = builder.build()

    async def run_once() -> list[str]:
        state = workload.start()
        async with graph.iter(state=state, inputs=Plan()) as run:
            async for _ in run:
                pass
        return [*state["trail"], run.output or "no end"]

    return on_loop(run_once)
