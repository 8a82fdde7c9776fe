"""The JSON schema of an answer: exactly the legal actions, and what they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from stepladder.prompts.strict import NotStrictError, Schema, either, nullable, strict


class Leads(Protocol):
    """A legal action, as far as an answer knows it."""

    @property
    def to(self) -> str:
        """Where it leads."""
        ...


class AnswerSchema(msgspec.Struct, frozen=True):
    """A schema for answers. `strict`: a provider's strict mode takes it; `loose`: which parameters prevent that."""

    schema: dict[str, Any]
    strict: bool = True
    loose: tuple[str, ...] = ()


def answer_schema(options: Mapping[str, Leads], parameters: Mapping[str, Mapping[str, Any]]) -> AnswerSchema:
    """The schema of the answer to a question with these legal actions; `parameters` holds each one's schema.

    The reason comes first, so that a model thinks before it chooses. Every parameter of any legal action may be null,
    and null means that it is not given. Where no legal action takes any, the key `parameters` is left out: an object
    without properties is refused by Gemini. What a schema cannot say (that next_state and the parameters belong to the
    action chosen) the judge checks.
    """
    targets = sorted({option.to for option in options.values()})
    properties: Schema = {
        "reason": {"type": "string", "description": "Why this action, from the data, in at most three sentences."},
        "action": {"type": "string", "enum": list(options), "description": "One legal action, to the letter."},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "How sure you are, from 0 to 1."},
        "next_state": nullable({"type": "string", "enum": targets, "description": "Where the action leads, or null."}),
    }
    taken, loose = _parameters(options, parameters)
    if taken:
        properties["parameters"] = _closed(taken)
    return AnswerSchema(_closed(properties), not loose, loose)


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _parameters(
    options: Mapping[str, Leads], parameters: Mapping[str, Mapping[str, Any]]
) -> tuple[Schema, tuple[str, ...]]:
    """The union of what the legal actions take, each nullable, and the names that have no strict form."""
    forms: dict[str, list[Schema]] = {}
    loose: dict[str, str] = {}
    for action in options:
        for name, schema in parameters.get(action, {}).get("properties", {}).items():
            try:
                form = strict(schema)
            except NotStrictError as error:
                loose.setdefault(name, str(error))
                form = _loosened(schema)
            forms.setdefault(name, []).append(form)
    taken = {name: either([*listed, {"type": "null"}]) for name, listed in forms.items()}
    return taken, tuple(f"{name}: {why}" for name, why in loose.items())


def _loosened(schema: Mapping[str, Any]) -> Schema:
    """The schema as it is; one that points elsewhere would dangle here, so it becomes any value."""
    return {} if "$ref" in repr(schema) or "$dynamicRef" in repr(schema) else dict(schema)
