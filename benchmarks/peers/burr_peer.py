"""Burr: the graph is built once, the application once per run, because an application is a run.

Building the application is counted as set-up. No tracker, no persister, no hooks. Slower (measured when this was
written): `run()` instead of `step()`, by a tenth; `arun()` on asynchronous actions, by a third.
"""

from collections.abc import Callable

import workload
from burr.core import Application, ApplicationBuilder, GraphBuilder, State, action, when
from burr.core.graph import Graph

NAME = "Burr"
DETAIL = "Graph built once, an Application built per run, step(), synchronous"


@action(reads=["trail"], writes=["plan", "trail"])
def plan(state: State) -> State:
    return state.update(**workload.plan(state))


@action(reads=["trail", "revisions"], writes=["plan_score", "trail"])
def validate(state: State) -> State:
    return state.update(**workload.validate(state))


@action(reads=["trail", "revisions"], writes=["revisions", "trail"])
def revise(state: State) -> State:
    return state.update(**workload.revise(state))


@action(reads=["trail"], writes=["code", "trail"])
def code(state: State) -> State:
    return state.update(**workload.code(state))


@action(reads=["trail", "fixes"], writes=["failed_checks", "trail"])
def check(state: State) -> State:
    return state.update(**workload.check(state))


@action(reads=["trail", "fixes"], writes=["fixes", "trail"])
def fix(state: State) -> State:
    return state.update(**workload.fix(state))


@action(reads=[], writes=[])
def done(state: State) -> State:
    """Where the last decision leads; never run."""
    return state


def make() -> Callable[[], list[str]]:
    graph = new_graph()

    def run_once() -> list[str]:
        app = new_application(graph)
        while (following := app.get_next_action()).name != "done":
            app.step()
        return [*app.state["trail"], following.name]

    return run_once


def make_setup() -> Callable[[], Application]:
    graph = new_graph()
    return lambda: new_application(graph)


def new_graph() -> Graph:
    return (
        GraphBuilder()
        .with_actions(plan, validate, revise, code, check, fix, done)
        .with_transitions(
            ("plan", "validate"),
            ("validate", "revise", when(plan_score__lt=workload.ACCEPTED)),
            ("validate", "code"),
            ("revise", "validate"),
            ("code", "check"),
            ("check", "fix", when(failed_checks__gt=0)),
            ("check", "done"),
            ("fix", "check"),
        )
        .build()
    )


def new_application(graph: Graph) -> Application:
    return ApplicationBuilder().with_graph(graph).with_entrypoint("plan").with_state(**workload.start()).build()
