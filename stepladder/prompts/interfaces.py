"""A workflow described to a model, from its own texts: who can be called, and which actions are legal.

Missing descriptions leave names and schemas. Texts of the definition stand on one line each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from stepladder.prompts.data import one_line
from stepladder.values import to_json
from stepladder.workflow.definition import (
    Action,
    CallEffect,
    Definition,
    Effect,
    PersonEffect,
    WaitEffect,
)

SAMPLE_REASON: Final = "what the data shows and why this action follows from it"
_TYPES: Final[dict[str, Any]] = {
    "string": "...",
    "number": 0.0,
    "integer": 0,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


class Interface(msgspec.Struct, frozen=True):
    """Somebody who can be called: purpose, inputs and outputs, each line ready to print."""

    name: str
    purpose: str
    steps: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class LegalAction(msgspec.Struct, frozen=True):
    """A legal action; `leads` says what happens there, `example` is a whole answer as JSON, `taken` counts."""

    name: str
    to: str
    leads: str
    description: str
    use_when: str
    parameters: tuple[str, ...]
    example: str
    note: str
    taken: int


def interfaces(definition: Definition) -> tuple[Interface, ...]:
    """Every agent of the workflow, then the steps that ask a person or wait for a message."""
    agents = tuple(_agent(definition, name) for name in definition.agents)
    return *agents, *_others(definition)


def _agent(definition: Definition, name: str) -> Interface:
    agent = definition.agents[name]
    calls = {step.name: step.effect for step in definition.steps.values() if _calls(step.effect, name)}
    inputs = {line: None for effect in calls.values() for line in _inputs(effect)}
    purpose = one_line(agent.description) or f"(no description; see the steps: {', '.join(calls) or 'none'})"
    return Interface(name, purpose, tuple(calls), tuple(inputs), _fields(agent.output))


def _calls(effect: Effect | None, agent: str) -> bool:
    return isinstance(effect, CallEffect) and agent in effect.agents


def _others(definition: Definition) -> Iterator[Interface]:
    for step in definition.steps.values():
        match step.effect:
            case PersonEffect() as effect:
                purpose = one_line(step.description) or "Answers a question; the run rests until then."
                yield Interface(
                    f"a person, in step {step.name}", purpose, (step.name,), _inputs(effect), _fields(effect.output)
                )
            case WaitEffect(message=message) if message:
                purpose = one_line(step.description) or "Comes from outside; the run rests until then."
                yield Interface(f"the message {message}", purpose, (step.name,), (), ())
            case _:
                pass


def _inputs(effect: Effect | None) -> tuple[str, ...]:
    if not isinstance(effect, (CallEffect, PersonEffect)):
        return ()
    return tuple(f"{name}: {_origin(source)}" for name, source in effect.arguments.source.items())


def _origin(source: Any) -> str:
    if isinstance(source, str):
        return "a secret" if source.startswith("secret.") else one_line(source)
    return "put together from several values" if isinstance(source, (dict, list)) else to_json(source)


def _fields(schema: Mapping[str, Any]) -> tuple[str, ...]:
    required = set(schema.get("required", ()))
    properties: Mapping[str, Any] = schema.get("properties", {})
    return tuple(field_line(name, each, required=name in required) for name, each in properties.items())


def field_line(name: str, schema: Mapping[str, Any], *, required: bool = False) -> str:
    """A field of a schema in words: `status: one of "ok", "bad" (required) - what came of it`."""
    said = one_line(str(schema.get("description") or ""))
    return f"{name}: {_kind(schema)}{' (required)' if required else ''}{f' - {said}' if said else ''}"


def _kind(schema: Mapping[str, Any]) -> str:
    words = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if words:
        return "one of " + ", ".join(to_json(word) for word in words)
    kind = schema.get("type")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"array of {_kind(schema['items'])}"
    if kind == "object" and schema.get("properties"):
        return "object {" + ", ".join(f"{key}: {_kind(each)}" for key, each in schema["properties"].items()) + "}"
    if isinstance(kind, list):
        return " or ".join(kind)
    return str(kind) if kind else ("a value that fits " + to_json(schema) if schema else "any value")


# --- actions


def legal_actions(
    definition: Definition, step: str, options: Mapping[str, str], taken: Mapping[str, int]
) -> tuple[LegalAction, ...]:
    """The legal actions of this step; `options` says where each leads."""
    union = {name for action in options for name in _parameters(definition, action)}
    return tuple(_legal(definition, step, name, to, union, taken) for name, to in options.items())


def _parameters(definition: Definition, action: str) -> Mapping[str, Any]:
    found = definition.actions.get(action)
    return {} if found is None else found.parameters.get("properties", {})


def _legal(
    definition: Definition, step: str, name: str, to: str, union: set[str], taken: Mapping[str, int]
) -> LegalAction:
    action = definition.actions.get(name, Action(name))
    answer = action.answer
    return LegalAction(
        name=name,
        to=to,
        leads=what_happens(definition, to, step),
        description=one_line(action.description) or f"Go on to {to}, which {what_happens(definition, to, step)}.",
        use_when=one_line(action.use_when) or "going on there is what the state asks for.",
        parameters=_fields(action.parameters),
        example=to_json(_example(action, to, union, answer or {})),
        note=one_line(action.example) if answer is None else "",
        taken=taken.get(name, 0),
    )


def what_happens(definition: Definition, to: str, here: str = "") -> str:
    """What entering this step or end does."""
    if to in definition.ends:
        return "ends the run with success" if definition.ends[to].success else "ends the run without success"
    step = definition.steps.get(to)
    again = " again" if to == here else ""
    match step.effect if step else None:
        case CallEffect(agents=agents):
            return f"calls {' or '.join(agents)}{again}"
        case PersonEffect():
            return f"asks a person{again}"
        case WaitEffect(message=message, seconds=seconds):
            return f"waits for the message {message}" if message else f"waits {seconds:g} s"
        case _:
            return f"calls nobody{again}"


def _example(action: Action, to: str, union: set[str], given: Mapping[str, Any]) -> dict[str, Any]:
    own = action.parameters.get("properties", {})
    stated = given.get("parameters")
    values = stated if isinstance(stated, dict) else {}
    parameters = {name: values.get(name, sample(own[name]) if name in own else None) for name in sorted(union)}
    answer = {
        "reason": given.get("reason") or one_line(action.use_when) or SAMPLE_REASON,
        "action": action.name,
        "confidence": given.get("confidence", 0.8),
        "next_state": to,
    }
    return {**answer, "parameters": parameters} if union else answer


def sample(schema: Mapping[str, Any]) -> Any:
    """A value that shows what a schema asks for."""
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("anyOf"):
        return sample(schema["anyOf"][0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: sample(each) for name, each in schema.get("properties", {}).items()}
    if kind == "array" and isinstance(schema.get("items"), dict):
        return [sample(schema["items"])]
    if kind in ("number", "integer") and "minimum" in schema:
        return schema["minimum"]
    return _TYPES.get(str(kind), "...")
