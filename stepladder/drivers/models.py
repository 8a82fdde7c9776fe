"""Asking a model on behalf of a rung: the command goes in, one event with all its attempts comes out."""

from __future__ import annotations

import asyncio

import msgspec

from stepladder.commands import AskModel
from stepladder.decision import Rung
from stepladder.drivers.attachments import Attached
from stepladder.drivers.clock import Clock
from stepladder.drivers.contract import Asks
from stepladder.events import Attempt, ModelAnswered, ModelFailed
from stepladder.fallback import Chain
from stepladder.llm import ModelRequest
from stepladder.llm.outcome import Outcome, used
from stepladder.llm.owner import Owner
from stepladder.llm.purse import Payer
from stepladder.prompts import Rendered

ModelEvent = ModelAnswered | ModelFailed
NO_DEADLINE_S = 60.0
"""Seconds for a model where the rung sets none."""


async def ask_model(
    owner: Owner,
    clock: Clock,
    command: AskModel,
    rung: Rung,
    rendered: Rendered,
    attached: Attached,
    asks: Asks,
    payer: Payer,
) -> ModelEvent:
    """The answer of a model, or of another that stands in for it, as an event with every attempt that was made.

    Whatever goes wrong is a failure of this rung, never of the run. What was sent until somebody cut it off is in the
    event as well: it may be billed.

    The purse is asked before anything is sent, and told what it came to.

    Raises:
        ScriptRanDry: a scripted provider has no answer left; a scenario that is too short must fail.
        AssertionError: a check inside a script.
        CancelledError: it was cut off before anything was sent.
    """
    started = clock.now()
    notes: list[Attempt] = []
    try:
        event = await _asked(owner, clock, command, rung, rendered, attached, asks, payer, notes)
    except asyncio.CancelledError:
        if not notes:
            raise
        event = _cut_off(command, notes, clock.now(), started)
    return msgspec.structs.replace(event, attached=tuple(attached.sent), left_out=dict(attached.left_out))


async def _asked(
    owner: Owner,
    clock: Clock,
    command: AskModel,
    rung: Rung,
    rendered: Rendered,
    attached: Attached,
    asks: Asks,
    payer: Payer,
    notes: list[Attempt],
) -> ModelEvent:
    started = clock.now()
    chain = rung.chain(command.model)
    contract = asks(chain)
    contract.whole = not any(owner.is_final(link.model) for link in chain.links)
    left_s = NO_DEADLINE_S if command.deadline is None else max(0.001, command.deadline - started)
    outcome = await owner.ask(chain, _request(rendered, attached, rung), contract, payer, left_s, notes)
    if outcome.reply is None or outcome.answer is None:
        return _failed(command, outcome, clock.now(), started)
    return _answered(command, outcome, chain, clock.now(), started, rendered.digest, whole=contract.whole)


def cut_off(command: AskModel, now: float) -> ModelFailed:
    """The event for a question in shadow that another process took with it."""
    return ModelFailed(now, command.number, "cut_off", "the process that asked is gone", model=command.model)


def unaskable(command: AskModel, now: float, code: str, said: str) -> ModelFailed:
    """The event for a question that came to nothing before a model could fail at it."""
    return ModelFailed(now, command.number, code, said, model=command.model)


def _request(rendered: Rendered, attached: Attached, rung: Rung) -> ModelRequest:
    request = ModelRequest(
        model="",
        system=rendered.system,
        prompt=rendered.prompt,
        attachments=tuple(attached.sent.values()),
        schema=rendered.schema,
        strict=rendered.strict,
        deadline_s=0.0,
    )
    most = rung.max_output_tokens
    return msgspec.structs.replace(request, max_output_tokens=most) if most else request


def _answered(
    command: AskModel, outcome: Outcome, chain: Chain, now: float, started: float, prompt: str, *, whole: bool
) -> ModelAnswered:
    reply, answer = outcome.reply, outcome.answer
    assert reply is not None, "an answer has a reply"
    assert answer is not None, "a reply was read"
    return ModelAnswered(
        now,
        command.number,
        answer.text,
        reply.provider,
        reply.model,
        reply.finish,
        prompt,
        outcome.usage,
        now - started,
        attempts=() if _plain(outcome, command.model) else outcome.attempts,
        repaired=answer.repaired,
        fields=chain.links[outcome.link].fields,
        whole=whole,
    )


def _plain(outcome: Outcome, asked: str) -> bool:
    """Whether there was one attempt, of which the event says everything."""
    first, *others = outcome.attempts
    said = (first.target, first.handled, first.cost, first.waited_s, first.repaired, first.over_usd)
    return not others and said == (asked, "ok", "usage", 0.0, (), 0.0)


def _failed(command: AskModel, outcome: Outcome, now: float, started: float) -> ModelFailed:
    failure = outcome.failure
    assert failure is not None, "no answer has a reason"
    code = "unavailable" if failure.code == "setup" else failure.code
    provider = outcome.provider or command.model.partition(":")[0]
    took_s, model = now - started, outcome.model or command.model
    return ModelFailed(
        now, command.number, code, outcome.said, provider, model, outcome.usage, took_s, attempts=outcome.attempts
    )


def _cut_off(command: AskModel, notes: list[Attempt], now: float, started: float) -> ModelFailed:
    said = "nobody waited for the answer any more"
    return ModelFailed(
        now,
        command.number,
        "cut_off",
        said,
        command.model.partition(":")[0],
        command.model,
        used(notes),
        now - started,
        attempts=tuple(notes),
    )
