"""What to do next. Commands are numbered, several may be outstanding, and they are a function of the state: never
journaled. A driver performs each and answers with an event that carries its number.

`deadline` and `not_before` are times in seconds since 1970; None means no limit.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Command(msgspec.Struct, frozen=True, gc=False, tag_field="kind"):
    """Something a driver has to do."""

    number: int


class CallAgent(Command, frozen=True, gc=False, tag="call_agent"):
    """Call an agent with these arguments. The same call made again keeps its `key`, with `attempt` counted up."""

    step: str
    agent: str
    arguments: dict[str, Any]
    call: str
    key: str
    attempt: int = 1
    not_before: float = 0.0
    deadline: float | None = None


class AskPerson(Command, frozen=True, gc=False, tag="ask_person"):
    """Wait for a person.

    `about`: question (a step that asks), decision (a rung of the ladder), approval (of a settled action) or effect
    (what became of a call whose outcome is unknown).
    """

    about: Literal["question", "decision", "approval", "effect"]
    step: str
    question: str = ""
    options: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}
    call: CallAgent | None = None
    deadline: float | None = None


class AskModel(Command, frozen=True, gc=False, tag="ask_model"):
    """Ask a model (`provider:name`) for its verdict on decision `decision`. `shadow`: nobody waits for the answer."""

    decision: int
    rung: str
    model: str
    deadline: float | None = None
    shadow: bool = False


class Wait(Command, frozen=True, gc=False, tag="wait"):
    """Wait for a message of this name, or until a time (`deadline`)."""

    step: str
    message: str = ""
    deadline: float | None = None


AnyCommand = CallAgent | AskPerson | AskModel | Wait
