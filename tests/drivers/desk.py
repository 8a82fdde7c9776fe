"""What tests of drivers, journals and the Orchestrator share: small workflows, and verbs without ceremony."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import ManualClock
from stepladder.events import Event
from stepladder.record import Entry, Settled
from tests.example_workflows import source

T = TypeVar("T")

ONE: Final = """
workflow: one
input: {x: any}
start: working
agents: {worker: {idempotent: true}}
phases: {work: {steps: {working: {agent: worker, as: made, with: {x: input.x}}}}}
ends:
  done:   {success: true, output: {made: result.made}}
  failed: {success: false, output: {error: last.error, error_type: last.error_type, returned: returned}}
actions:
  FINISH:  {from: working, to: done, guard: [returned == ok]}
  GIVE_UP: {from: working, to: failed}
rules:
  working:
    finish:  {when: [returned == ok], do: FINISH, because: it is made}
    give_up: {do: GIVE_UP, because: it could not be made}
policy: {classifier: {}}
"""
"""One agent, called once; what it gave or how it failed is the output."""

TALK: Final = """
workflow: talk
input: {topic: string}
start: drafting
agents:
  writer:  {idempotent: true, output: {text: string}}
  printer: {output: {sheets: integer}}
phases:
  work:
    steps:
      drafting:  {agent: writer, as: draft, with: {topic: input.topic, notes: all.notes.text}}
      asking:
        {ask: person, as: notes, with: {question: "'What is missing?'"}, output: {text: string}, deadline_s: 600}
      embargo:   {wait: {message: released, deadline_s: 3600}, as: release}
      cooling:   {wait: {seconds: 60}}
      printing:  {agent: printer, as: print, timeout_s: 30, with: {text: result.draft.text, note: result.release.note}}
ends:
  printed: {success: true, output: {sheets: result.print.sheets, text: result.draft.text, notes: all.notes.text}}
  dropped: {success: false, output: {reason: decision.because}}
actions:
  ASK:    {from: drafting, to: asking, guard: [returned == ok]}
  REVISE: {from: asking, to: drafting, guard: [taken.REVISE < 2]}
  HOLD:   {from: [drafting, asking], to: embargo}
  COOL:   {from: embargo, to: cooling, guard: [returned == ok]}
  PRINT:  {from: cooling, to: printing}
  FINISH: {from: printing, to: printed, guard: [returned == ok]}
  DROP:   {from: "*", to: dropped}
rules:
  drafting:
    failed:   {when: [returned != ok], do: DROP, because: the writer failed}
    question: {when: [taken.ASK < 1], do: ASK, because: a person looks at it}
    held:     {do: HOLD, because: it was looked at}
  asking:
    revise: {when: [returned == ok], do: REVISE, because: there are notes}
    hold:   {do: HOLD, because: nobody has notes}
  embargo:
    cool: {when: [returned == ok], do: COOL, because: it is released}
    drop: {do: DROP, because: nobody released it}
  cooling:
    print: {do: PRINT, because: it is cool}
  printing:
    finish: {when: [returned == ok], do: FINISH, because: it is printed}
    drop:   {do: DROP, because: the printer failed}
policy:
  classifier: {}
  limits: {then: dropped}
"""
"""Every kind of wait: an agent, a person, a message, a time, and an agent that must not be called twice."""

LADDER: Final = """
workflow: ladder
input: {x: any}
start: trying
agents: {worker: {idempotent: true}}
phases: {work: {steps: {trying: {agent: worker, as: tried, with: {x: input.x}}}}}
ends: {solved: {success: true}, closed: {success: false}}
actions:
  SOLVE: {from: trying, to: solved}
  CLOSE: {from: trying, to: closed}
  AGAIN: {from: trying, to: trying}
rules:
  trying: {solve: {do: SOLVE, because: one try is enough}}
policy:
  limits: {decisions: 6, usd: 1.0, then: closed}
  classifier: {complex: {always: [decisions >= 0]}}
  rungs:
    first:  {model: "scripted:first", deadline_s: 5, accept: {sure: [confidence >= 0.5]}}
    panel:  {models: ["scripted:a", "scripted:b", "scripted:c"], quorum: 2, deadline_s: 8}
    person: {deadline_s: 600}
  routes:
    complex: {ask: [first]}
"""
"""One decision after one call, always put to a ladder of models."""


def workflow(text: str, changes: Mapping[str, Any] | None = None, **more: Any) -> Workflow:
    """The workflow that the text spells, with `changes` merged into it."""
    return Workflow.define(source(text, changes), **more)


def go(work: Coroutine[Any, Any, T], seconds: float = 20.0) -> T:
    """Run it on a loop of its own; a test that hangs fails."""

    async def timed() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(timed())


async def one(agent: Callable[..., Any], x: Any = 1, changes: Mapping[str, Any] | None = None, **more: Any) -> Run:
    """A run of ONE with this agent. The decisions are read before the journal closes."""
    async with Orchestrator(workflow(ONE, changes), agents={"worker": agent}, **more) as orchestrator:
        run = await orchestrator.run({"x": x}, run_id="run")
        _ = run.entries
        assert orchestrator.replay("run").divergence is None
    return run


async def turns(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(true: Callable[[], object], clock: ManualClock | None = None, step_s: float = 0.0) -> None:
    """Wait until it is true, moving the clock on by `step_s` in between."""
    while not true():
        if clock is not None and step_s:
            clock.move(step_s)
        await asyncio.sleep(0.001)


def of(run: Run, kind: type[T]) -> list[T]:
    """The run's entries of this kind."""
    return [entry for entry in run.entries if isinstance(entry, kind)]


def path(run: Run) -> list[str]:
    """The actions it took."""
    return [settled.action for settled in of(run, Settled)]


Entries = list[Event | Entry]
