"""Spans with the log records that belong to them, and spans made of records that belong to none.

A record belongs to the span that it names. Where that span is not there (it was not sampled, or is of another kind), or
is an agent's (then the calls of models had no spans), the records make up for it: each `gen_ai.client.inference
.operation.details` is one call of a model, and so are other records up to its last choice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from msgspec.structs import replace

from stepladder.scenarios.importers.otlp_messages import CHOICE, DETAILS
from stepladder.scenarios.importers.otlp_parts import KNOWN, Event, Span, operation_of

AGENT: Final = "invoke_agent"


def joined(spans: Iterable[Span], events: Iterable[Event]) -> list[Span]:
    """The spans of a run with the events that came apart from them, in the order in which they began."""
    apart = defaultdict[tuple[str, str], list[Event]](list)
    for event in sorted(events, key=lambda each: (each.at, each.name == CHOICE)):
        apart[event.trace, event.span].append(event)
    found = [_with(span, apart) for span in spans]
    agents = {(span.trace, span.id) for span in found if span.operation == AGENT}
    alone = (made for key, listed in apart.items() for made in _made(listed, AGENT if key in agents else "chat"))
    return sorted([*found, *alone], key=lambda each: (each.began, -each.ended, each.id))


def _with(span: Span, apart: dict[tuple[str, str], list[Event]]) -> Span:
    """The span with its events, which are then no longer apart."""
    if not span.id or span.operation == AGENT:
        return span
    return replace(span, logs=tuple((each.name, each.said) for each in apart.pop((span.trace, span.id), ())))


def _made(events: list[Event], otherwise: str) -> Iterator[Span]:
    """Spans for events whose own is not there; of this operation where they name none."""
    for _, group in groupby(zip(_numbers(events), events, strict=True), itemgetter(0)):
        listed = [event for _, event in group]
        said = {key: value for each in listed for key, value in each.said.items() if key != "body"}
        operation = operation_of(said)
        yield Span(
            listed[0].trace,
            "",
            "",
            listed[0].at,
            listed[-1].at,
            "error.type" in said,
            said,
            listed[0].service,
            operation if operation in KNOWN and "gen_ai.operation.name" in said else otherwise,
            logs=tuple((each.name, each.said) for each in listed),
        )


def _numbers(events: list[Event]) -> Iterator[int]:
    """The number of the call that each event is of."""
    number, before = 0, ""
    for event in events:
        ended = before == DETAILS or (before == CHOICE and event.name != CHOICE)
        number += bool(before) and (ended or event.name == DETAILS)
        before = event.name
        yield number
