"""Prompts: versioned templates in a sandbox, the supervisor's prompt, and the schema of its answer.

`supervisor_prompt` puts an open decision to a model, `answer_schema` says exactly what it may answer, and
`agent_prompt` renders a step's own prompt. Templates are in `template`, how run data stands in a prompt in `data`.
"""

from stepladder.prompts.again import asked_again
from stepladder.prompts.answer import AnswerSchema, answer_schema
from stepladder.prompts.data import data_block
from stepladder.prompts.decision import DECISION_PROMPT, decision_prompt
from stepladder.prompts.supervisor import supervisor_prompt
from stepladder.prompts.template import (
    Rendered,
    Template,
    agent_prompt,
    find_template,
    parse_name,
    render,
    render_parts,
    shipped,
    variables_of,
)
from stepladder.values import to_json

__all__ = [
    "DECISION_PROMPT",
    "AnswerSchema",
    "Rendered",
    "Template",
    "agent_prompt",
    "answer_schema",
    "asked_again",
    "data_block",
    "decision_prompt",
    "find_template",
    "parse_name",
    "render",
    "render_parts",
    "shipped",
    "supervisor_prompt",
    "to_json",
    "variables_of",
]
