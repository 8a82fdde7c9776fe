"""A shadow answer joins the record; nothing else follows from it."""

from __future__ import annotations

from collections.abc import Mapping

from stepladder.decision.judge import Invalid, judge_answer
from stepladder.decision.point import Option
from stepladder.decision.reconcile import agrees
from stepladder.events import ModelAnswered, ModelFailed
from stepladder.record import Shadowed
from stepladder.state import Answer, Asking


def join_shadow(asking: Asking, event: Answer, options: Mapping[str, Option]) -> Shadowed:
    """The entry that says what the model would have chosen."""
    assert asking.asked is not None, "a shadow was asked"
    n, rung = asking.opened.n, asking.asked.rung
    if not isinstance(event, ModelAnswered):
        cause = event.code if isinstance(event, ModelFailed) else "late"
        return Shadowed(n, rung, "failed", event.command, cause=cause)
    found = judge_answer(event, options)
    if isinstance(found, Invalid):
        return Shadowed(n, rung, "invalid", event.command, cause=found.cause)
    same = agrees(asking.opened.verdict, found, options.get(found.action))
    return Shadowed(n, rung, "agrees" if same else "differs", event.command, found)
