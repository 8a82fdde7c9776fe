"""The two hashes of a definition, over what it resolves to: every default filled in, every clause in one spelling.

The order of keys counts where it decides something (rules, named conditions, actions), and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from stepladder.clauses import AnyOf, Condition
from stepladder.signals import BUILTIN
from stepladder.values import digest
from stepladder.workflow.arguments import Arguments
from stepladder.workflow.definition import CORE, Action, Definition, Policy

NOT_HASHED: Final = frozenset({"check", "hash", "description", "use_when", "example"})
"""Fields that are made of others, and texts: those belong to the policy, which holds all that prompts are made of."""
ADDED: Final = frozenset(
    {
        ("Step", "judges"),
        ("Approval", "deadline_s"),
        ("Rung", "links"),
        ("Rung", "retry"),
        ("Rung", "reorder"),
        ("Retry", "after"),
        ("Rung", "max_output_tokens"),
        ("Rung", "caching"),
        ("Ladder", "budget"),
        ("Ladder", "targets"),
        ("Rule", "settles"),
        ("Rule", "shadow"),
    }
)
"""Fields that came later. Where one says nothing it is not hashed, so that runs of before keep their definition."""


def workflow_hash(definition: Definition, read: Iterable[str]) -> str:
    """Names phases, steps, effects, agents' contracts, actions, guards and schemas, and the versions of own signals
    among the paths that these `read`."""
    parts = [
        definition.agents,
        {name: [sorted(phase.steps), phase.converged] for name, phase in definition.phases.items()},
        definition.steps,
        definition.ends,
        definition.actions,
        definition.moves,
    ]
    head = [definition.name, definition.version, definition.input, definition.start]
    return digest("workflow", CORE, head, resolved(parts), _versions(definition, read))


def policy_hash(policy: Policy, definition: Definition, read: Iterable[str]) -> str:
    """Names rules, classifier, rungs, routes, limits, approvals, prompts and the texts that prompts are made of, and
    the versions of own signals among the paths that these `read`."""
    rules = [
        resolved({step: each for step, each in rules.items() if each}) for rules in (policy.rules, policy.select_agent)
    ]
    rest = [policy.limits, policy.ladder, policy.approvals]
    return digest(
        "policy", CORE, rules, resolved(rest), _texts(definition), definition.prompts, _versions(definition, read)
    )


def resolved(value: Any) -> Any:
    """The value as plain JSON; struct by struct, without what is not hashed."""
    match value:
        case Condition():
            return [str(clause) for clause in value.clauses]
        case AnyOf():
            return [[name, resolved(condition)] for name, condition in value.named.items()]
        case Arguments():
            return value.source
        case msgspec.Struct():
            kind = type(value).__name__
            fields = {name: getattr(value, name) for name in value.__struct_fields__ if name not in NOT_HASHED}
            return [kind, {name: resolved(each) for name, each in fields.items() if each or (kind, name) not in ADDED}]
        case dict():
            return {str(key): resolved(item) for key, item in value.items()}
        case list() | tuple():
            return [resolved(item) for item in value]
        case _:
            return value


def _texts(definition: Definition) -> dict[str, Any]:
    return {
        "workflow": definition.source.get("description", ""),
        "agents": {name: each.description for name, each in definition.agents.items()},
        "steps": {name: each.description for name, each in definition.steps.items()},
        "actions": {name: _action_texts(each) for name, each in definition.actions.items()},
    }


def _action_texts(action: Action) -> list[str]:
    return [action.description, action.use_when, action.example]


def _versions(definition: Definition, read: Iterable[str]) -> dict[str, int]:
    roots = {path.split(".")[0] for path in read}
    own = (each for each in definition.fold.signals if BUILTIN.get(each.name) is not each)
    return {each.name: each.version for each in own if each.name in roots}
