"""Performing a command: one call of an agent, one question to a model, each ending in one event.

Whatever an agent, a provider or a prompt does wrong is in the event. Only a task that is cut off from outside raises.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable

from stepladder.commands import AskModel, CallAgent
from stepladder.decision import CACHE
from stepladder.drivers.agents import Agent, AgentCall, Raised, attempt, raised, returned
from stepladder.drivers.attachments import Attached, attach_to_run
from stepladder.drivers.contract import contract_for
from stepladder.drivers.flights import Post
from stepladder.drivers.models import ModelEvent, ask_model, cut_off, unaskable
from stepladder.drivers.paying import budget_of, payer_of
from stepladder.drivers.recalling import Posed, learning, recalling
from stepladder.drivers.resources import Resources
from stepladder.errors import StepladderError
from stepladder.orchestrator import Machine, options_of
from stepladder.orchestrator.facts import with_measures
from stepladder.prompts import Rendered, agent_prompt, supervisor_prompt
from stepladder.state import Asking, RunState
from stepladder.workflow.definition import CallEffect


async def call_agent(resources: Resources, machine: Machine, run_id: str, command: CallAgent) -> Post:
    """Call an agent: the event, and the artifacts to keep with it."""
    clock = resources.clock
    started = clock.now()
    result: object
    try:
        result = await _called(resources, machine, run_id, command)
    except asyncio.CancelledError as error:
        if is_cut_off():
            raise
        result = Raised(error)  # it was the agent that said so
    except (Exception, SystemExit, BaseExceptionGroup) as error:
        result = Raised(error)
    except KeyboardInterrupt as error:
        if threading.current_thread() is threading.main_thread():  # elsewhere no signal raises it
            raise
        result = Raised(error)
    at = clock.now()
    elapsed_s = max(0, int((at - started) * 1e6 + 0.5)) / 1e6
    if isinstance(result, Raised):
        return Post(raised(command, result.error, at, elapsed_s))
    event, kept = returned(command, result, at, elapsed_s, machine.definition.agents[command.agent].check)
    return Post(event, 0, kept)


async def ask(resources: Resources, machine: Machine, state: RunState | None, command: AskModel) -> ModelEvent:
    """Ask a model about the decision that is open in `state` (None: the process that asked is gone)."""
    clock = resources.clock
    asking = (state.shadows.get(command.number) or state.asking) if state is not None else None
    if state is None or asking is None:
        return cut_off(command, clock.now())
    rung = machine.policy.ladder.rung(command.rung, asking.opened.route)
    try:
        attached, shown = attach_to_run(rung.attachments, state, resources.journal.artifact)
        rendered = supervisor_prompt(machine, shown, asking)
    except StepladderError as error:
        return unaskable(command, clock.now(), "bad_prompt", str(error))
    posed = _posed(machine, state, asking, rendered, attached)
    cache = recalling(resources.verdicts, clock, resources.redactor, posed, command)
    if cache is not None and command.rung == CACHE:
        return await cache.look()
    payer = payer_of(command, asking.opened, state.run_id, budget_of(machine.budget, state))
    asks = contract_for(posed.options, asking.opened.verdict)
    question = ask_model(resources.owner, clock, command, rung, rendered, attached, asks, payer)
    try:
        return await learning(cache, question)
    except asyncio.CancelledError:
        if is_cut_off():
            raise
        return unaskable(command, clock.now(), "cancelled", "the provider cancelled the call by itself")


def _posed(machine: Machine, state: RunState, asking: Asking, rendered: Rendered, attached: Attached) -> Posed:
    """The question as the cache knows it."""
    opened, facts = asking.opened, with_measures(machine, state)
    versions = (machine.definition.hash, machine.policy.hash)
    options, sent = options_of(machine, opened), tuple(attached.sent)
    return Posed(machine.policy.ladder, opened, options, facts, rendered, versions, sent)


def is_cut_off() -> bool:
    """Whether somebody cancels the task that runs now."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _called(resources: Resources, machine: Machine, run_id: str, command: CallAgent) -> Awaitable[object]:
    """What the agent will give, or Raised."""
    agent = resources.agents[command.agent]
    effect = machine.definition.steps[command.step].effect
    assert isinstance(effect, CallEffect), "only a calling step has calls"
    told = agent.wants_call or effect.prompt
    call = _agent_call(resources, machine, run_id, command, effect.prompt) if told else None
    arguments = agent.arguments(command, call, effect.arguments.placed, resources.secret)
    called: Awaitable[object] = (
        agent.function(**arguments) if agent.is_async else _threaded(resources, agent, arguments)
    )
    return called


async def _threaded(resources: Resources, agent: Agent, arguments: dict[str, object]) -> object:
    loop = asyncio.get_running_loop()
    result = await loop.run_in_executor(resources.threads, attempt, agent.function, arguments)
    return await result if inspect.isawaitable(result) else result


def _agent_call(resources: Resources, machine: Machine, run_id: str, command: CallAgent, name: str) -> AgentCall:
    text = machine.definition.prompts.get(name, "")
    return AgentCall(
        run_id,
        command.step,
        command.agent,
        command.key,
        command.attempt,
        command.deadline,
        name,
        _prompt(name, text, command) if text else "",
        resources.journal.artifact,
    )


def _prompt(name: str, text: str, command: CallAgent) -> str:
    rendered = agent_prompt(text, command.arguments, {"step": command.step, "agent": command.agent}, name=name)
    return f"{rendered.system}\n\n{rendered.prompt}" if rendered.system else rendered.prompt
