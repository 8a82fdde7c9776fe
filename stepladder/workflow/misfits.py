"""What pydantic finds wrong with a file's shape, in our words: one problem for one mistake."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stepladder.errors import DefinitionError
from stepladder.workflow.file import WorkflowFile
from stepladder.workflow.problems import Problems, one_of, shown

Loc = tuple[str | int, ...]

KEY: Final = "[key]"
"""How pydantic marks that a mapping's key is meant, not its value."""
NAME: Final = "a name: letters, digits and _, not beginning with a digit, at most 100 long"
CLAUSES: Final = "a list of clauses, such as [returned == ok]"
LISTS: Final = {
    "agent": "a name or a list of names",
    "from": "a step, a list of steps, or '*'",
    "ask": "a list of rungs",
    "models": "a list of models",
    "types": "a list of media types",
    "significant": "a list of parameters",
    "migrates": "a mapping with from, or a list of such mappings",
}
KINDS: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "string_pattern_mismatch": NAME,
    "string_too_long": NAME,
    "invalid_key": "a key that is text",
}


def from_pydantic(error: ValidationError, problems: Problems, root: type[BaseModel] = WorkflowFile) -> DefinitionError:
    """The same problems, in our words; `root` is the shape of the whole file."""
    misfits = error.errors(include_url=False)
    misspelt = set(_misspelt(misfits))
    for each in misfits:
        loc: Loc = tuple(each["loc"])
        if each["type"] == "missing" and loc in misspelt:
            continue
        found, expected = _say(root, each["type"], loc, each.get("input"), each.get("ctx", {}))
        problems.add(tuple(part for part in loc if part != KEY), found, expected)
    return DefinitionError(problems.in_order())


def _misspelt(misfits: Sequence[Any]) -> Iterator[Loc]:
    """The missing keys that stand there under nearly their name: one mistake, reported where it stands."""
    missing = [tuple(each["loc"]) for each in misfits if each["type"] == "missing"]
    for each in misfits:
        if each["type"] == "extra_forbidden":
            *above, key = each["loc"]
            beside = [str(loc[-1]) for loc in missing if loc[:-1] == tuple(above)]
            for name in get_close_matches(str(key), beside, n=1):
                yield (*above, name)


def _say(root: type[BaseModel], kind: str, loc: Loc, value: object, context: dict[str, Any]) -> tuple[str, str]:
    if kind in KINDS:
        return shown(value), KINDS[kind]
    match kind:
        case "extra_forbidden":
            return f"key {loc[-1]!r}", one_of(str(loc[-1]), _keys(root, loc[:-1]))
        case "missing":
            return "nothing", f"the key {loc[-1]!r}"
        case "literal_error":
            return shown(value), one_of(str(value), re.findall(r"'([^']*)'", context["expected"]))
        case "model_type" | "dict_type":
            return shown(value), _mapping_at(root, loc)
        case "list_type":
            return shown(value), _list_at(loc) if root is WorkflowFile else "a list"
        case "too_short":
            return shown(value), f"at least {_entries(context['min_length'])}"
        case "too_long":
            return shown(value), f"at most {_entries(context['max_length'])}"
        case _:
            return shown(value), _bound(context)


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _bound(context: dict[str, Any]) -> str:
    words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    return " and ".join(f"{words[key]} {context[key]:g}" for key in words if key in context) or "another value"


def _list_at(loc: Loc) -> str:
    if len(loc) == 2 and loc[0] == "actions":
        return "a mapping with from and to, or a list of such mappings"
    names = [part for part in loc if isinstance(part, str)]
    if "scores" in names:
        return "a range [low, high]"
    return LISTS.get(names[-1], CLAUSES)


def _mapping_at(root: type[BaseModel], loc: Loc) -> str:
    keys = _keys(root, loc)
    return f"a mapping with the keys {', '.join(keys)}" if keys else "a mapping"


def _keys(root: type[BaseModel], loc: Loc) -> list[str]:
    """The keys of the section at this place; none where it is not a section."""
    kind: Any = root
    for part in loc:
        kind = _inside(_bare(kind), part)
    kind = _bare(kind)
    return [field.alias or name for name, field in kind.model_fields.items()] if _is_section(kind) else []


def _inside(kind: Any, part: str | int) -> Any:
    if _is_section(kind):
        fields = kind.model_fields.items()
        return next((field.annotation for name, field in fields if (field.alias or name) == part), None)
    return get_args(kind)[-1] if get_args(kind) else None


def _bare(kind: Any) -> Any:
    """The type itself, without its constraints and without `| None`."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    inner = [each for each in get_args(kind) if each is not type(None)]
    return _bare(inner[0]) if type(None) in get_args(kind) else kind


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
