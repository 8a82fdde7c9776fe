"""Asking a model on behalf of a rung."""

from __future__ import annotations

import msgspec

from stepladder.commands import AskModel
from stepladder.drivers.attachments import Attached
from stepladder.drivers.clock import Clock
from stepladder.drivers.paying import NotPaid, Paying
from stepladder.errors import StepladderError
from stepladder.events import ModelAnswered, ModelFailed, Usage
from stepladder.llm import ModelReply, ModelRequest, Providers
from stepladder.llm.errors import ModelError, ScriptRanDry
from stepladder.llm.purse import Payer, Purse
from stepladder.prompts import Rendered

ModelEvent = ModelAnswered | ModelFailed
NO_DEADLINE_S = 60.0
"""Seconds for a model where the rung sets none."""


async def ask_model(
    providers: Providers,
    clock: Clock,
    command: AskModel,
    rendered: Rendered,
    attached: Attached,
    purse: Purse,
    payer: Payer,
    max_output_tokens: int = 0,
) -> ModelEvent:
    """The answer of a model, as an event. Whatever goes wrong is a failure of this rung, never of the run.

    The purse is asked before anything is sent, and told what it came to.

    Raises:
        ScriptRanDry: a scripted provider has no answer left; a scenario that is too short must fail.
        AssertionError: a check inside a script.
    """
    paid = Paying(purse, payer, max_output_tokens)
    event = await _asked(providers, clock, command, rendered, attached, paid)
    return msgspec.structs.replace(event, attached=tuple(attached.sent), left_out=dict(attached.left_out))


async def _asked(
    providers: Providers, clock: Clock, command: AskModel, rendered: Rendered, attached: Attached, paying: Paying
) -> ModelEvent:
    started = clock.now()
    try:
        provider, model = providers.resolve(command.model)
        request = paying.bounded(_request(command, rendered, attached, model, started))
        reply, usage = await paying.ask(provider, command.model, request)
    except NotPaid as refused:
        failed = ModelFailed(clock.now(), command.number, refused.code, refused.reason, model=command.model)
        return msgspec.structs.replace(failed, provider=command.model.partition(":")[0])
    except ModelError as error:
        return _failed(command, clock.now(), started, error, paying.usage)
    except (ScriptRanDry, AssertionError):
        raise
    except StepladderError as error:  # no key, no SDK, no such provider: nothing was sent
        name = command.model.partition(":")[0]
        return ModelFailed(clock.now(), command.number, "unavailable", str(error), name, command.model)
    except Exception as error:  # somebody's own provider; what it raises is no reason for a run to stop
        said = f"{type(error).__name__}: {error}"
        return ModelFailed(clock.now(), command.number, "broken_provider", said, model=command.model)
    return _answered(command, reply, usage, clock.now(), started, rendered.digest)


def cut_off(command: AskModel, now: float) -> ModelFailed:
    """The event for a question in shadow that another process took with it."""
    return ModelFailed(now, command.number, "cut_off", "the process that asked is gone", model=command.model)


def unaskable(command: AskModel, now: float, code: str, said: str) -> ModelFailed:
    """The event for a question that came to nothing before a model could fail at it."""
    return ModelFailed(now, command.number, code, said, model=command.model)


def _request(command: AskModel, rendered: Rendered, attached: Attached, model: str, now: float) -> ModelRequest:
    left_s = NO_DEADLINE_S if command.deadline is None else max(0.001, command.deadline - now)
    return ModelRequest(
        model=model,
        system=rendered.system,
        prompt=rendered.prompt,
        attachments=tuple(attached.sent.values()),
        schema=rendered.schema,
        strict=rendered.strict,
        deadline_s=left_s,
    )


def _answered(
    command: AskModel, reply: ModelReply, usage: Usage, now: float, started: float, prompt: str
) -> ModelAnswered:
    return ModelAnswered(
        now,
        command.number,
        reply.text,
        reply.provider,
        reply.model,
        reply.finish,
        prompt,
        usage,
        now - started,
    )


def _failed(command: AskModel, now: float, started: float, error: ModelError, usage: Usage) -> ModelFailed:
    return ModelFailed(now, command.number, error.code, str(error), error.provider, error.model, usage, now - started)
