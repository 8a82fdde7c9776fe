"""The prompt of a decision point that stands alone: facts, context and actions, without a workflow around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stepladder.decision import Option
from stepladder.prompts.answer import answer_schema
from stepladder.prompts.data import data_block, one_line
from stepladder.prompts.supervisor import DATA_RULE
from stepladder.prompts.template import Rendered, find_template, render_parts
from stepladder.values import digest, to_json
from stepladder.workflow.schemas import object_schema

DECISION_PROMPT: Final = "decision@1"
"""The prompt that ships for decision points."""
TEXTS: Final = ("description", "use_when", "example")
BUDGET: Final = 12_000


def decision_prompt(
    point: str,
    facts: Mapping[str, Any],
    context: Any,
    options: Mapping[str, Option],
    actions: Mapping[str, Mapping[str, Any]],
    *,
    name: str = DECISION_PROMPT,
    prompts: Mapping[str, str] | None = None,
    budget: int = BUDGET,
) -> Rendered:
    """The prompt that puts a lone decision to a model; `context` is any plain value, `budget` its characters.

    Raises:
        DefinitionError: there is no template of this name, or it is not one.
    """
    parameters = {
        action: object_schema(actions.get(action, {}).get("parameters", {}), required=True, closed=True)
        for action in options
    }
    answer = answer_schema(options, parameters)
    blocks = [data_block("facts", dict(facts), budget // 3)]
    if context is not None:
        blocks.append(data_block("context", context, budget))
    variables = {
        "point": one_line(point),
        "context": blocks,
        "actions": [_described(action, actions.get(action, {})) for action in options],
        "schema": answer.schema,
        "schema_text": to_json(answer.schema),
        "data_rule": DATA_RULE,
    }
    system, prompt = render_parts(find_template(name, prompts or {}).text, variables, name)
    cut = tuple(block.name for block in blocks if block.cut)
    return Rendered(system, prompt, digest(system, prompt, answer.schema), name, answer.schema, answer.strict, cut)


def _described(action: str, described: Mapping[str, Any]) -> dict[str, str]:
    return {"name": action, **{text: one_line(str(described.get(text) or "")) for text in TEXTS}}
