"""YAML read strictly: JSON's scalars, no duplicate keys, no aliases or tags, and the line of every key.

YAML 1.1 would read `no`, `010` and `12:30` as false, 8 and 750. Here a plain scalar is true, false, null, a decimal number
or text, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, Final

import yaml

from stepladder.errors import DefinitionError, Problem

Path = tuple[str | int, ...]
Lines = dict[Path, int]

_INT: Final = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_FLOAT: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_CHARACTERS: Final = 2_000_000


def read_yaml(text: str, file: str = "") -> tuple[dict[str, Any], Lines]:
    """The mapping in `text`, and the line (from 1) of each key by its path.

    Raises:
        DefinitionError: it is not YAML, not a mapping, or uses what is refused here; with the line.
    """
    if len(text) > _MAX_CHARACTERS:
        raise _refused(file, 0, f"{len(text)} characters", f"at most {_MAX_CHARACTERS}")
    try:
        _refuse_aliases(text, file)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, file) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise _refused(file, 0, str(error).replace("\n", " "), "YAML text") from None
    if not isinstance(node, yaml.MappingNode):
        raise _refused(file, 1, "nothing" if node is None else f"a {node.id}", "a mapping of keys")
    lines: Lines = {}
    return _mapping(node, (), lines, file), lines


def _refuse_aliases(text: str, file: str) -> None:
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise _refused(file, event.start_mark.line + 1, f"alias *{event.anchor}", "the value itself, written out")


def _value(node: yaml.Node, path: Path, lines: Lines, file: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, file)
    if isinstance(node, yaml.SequenceNode):
        return [_item(item, (*path, index), lines, file) for index, item in enumerate(node.value)]
    if node.tag.startswith("!"):
        raise _refused(file, node.start_mark.line + 1, f"tag {node.tag}", "a plain value")
    return node.value if node.style else _scalar(node.value)


def _item(node: yaml.Node, path: Path, lines: Lines, file: str) -> Any:
    lines[path] = node.start_mark.line + 1
    return _value(node, path, lines, file)


def _mapping(node: yaml.MappingNode, path: Path, lines: Lines, file: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise _refused(file, line, f"a {key_node.id} as a key", "a name", path)
        key: Hashable = key_node.value
        if key in found:
            raise _refused(file, line, f"key {key!r} a second time", "each key once", path)
        if key == "<<":
            raise _refused(file, line, "a merge key", "the values themselves, written out", path)
        lines[(*path, str(key))] = line
        found[str(key)] = _value(value_node, (*path, str(key)), lines, file)
    return found


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "null", "~"):
        return None
    if _INT.fullmatch(text):
        return int(text) if len(text) < 20 else text
    return float(text) if _FLOAT.fullmatch(text) else text


def _refused(file: str, line: int, found: str, expected: str, path: Path = ()) -> DefinitionError:
    where = ".".join(str(part) for part in path)
    return DefinitionError([Problem(where, found, expected, file, line, code="yaml")])


def _syntax(error: yaml.MarkedYAMLError, file: str) -> DefinitionError:
    mark = error.problem_mark or error.context_mark
    found = " ".join(str(part) for part in (error.problem, error.context) if part)
    return _refused(file, mark.line + 1 if mark else 0, found, "YAML text (quote a value with a comma, colon or brace in it)")
