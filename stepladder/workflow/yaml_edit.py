"""Changing one place of a YAML file and leaving the rest, comments and layout, as somebody wrote it.

Where a value stands is asked of PyYAML's tree of nodes; only those characters are replaced. A key that is added to a
mapping in block style gets lines of its own behind the last one; in flow style it is put before the closing brace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from stepladder.clauses.grammar import ClauseError, parse_clause, parse_literal
from stepladder.errors import DefinitionError, Problem

Place = Sequence[str]
_STEP: Final = 2
"""Spaces that a new level is indented by."""


def replaced(text: str, place: Place, value: Any, file: str = "") -> str:
    """The text with the value at the place replaced. Raises DefinitionError where there is none."""
    node = _node(text, place, file)
    start = node.start_mark.index
    gap = " " if text[start - 1 : start] == ":" else ""  # a key without a value
    return text[:start] + gap + flow(value) + text[_end(text, node) :]


def added(
    text: str, place: Place, key: str, value: Any, file: str = "", *, first: bool = False, after: str = ""
) -> str:
    """The text with `key: value` as the last of the mapping at the place (or `first`, or `after` another); mappings on
    the way are made.

    Raises:
        DefinitionError: the key is there already, or something on the way is not a mapping.
    """
    root = _root(text, file)
    there, node = 0, root
    for part in place:
        found = _child(node, part)
        if found is None:
            break
        there, node = there + 1, found
    missing = list(place[there:])
    if isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~") and there:  # a key without a value
        return added(replaced(text, place[:there], {}, file), place, key, value, file, first=first)
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(place, "no mapping", "a mapping", file)
    if not missing and _child(node, key) is not None:
        raise _wrong([*place, key], "it already", "a name that is free", file)
    for part in reversed([*missing[1:], key] if missing else []):
        value = {part: value}
    name = missing[0] if missing else key
    return _joined(text, node, name, value, first=first, after=after)


def removed(text: str, place: Place, file: str = "") -> str:
    """The text without the key at the place and its value. Raises DefinitionError where there is none."""
    *parents, name = place
    parent = _node(text, parents, file)
    if not isinstance(parent, yaml.MappingNode):
        raise _wrong(place, "nothing", "a key that is there", file)
    pairs = parent.value
    at = next((index for index, (key, _) in enumerate(pairs) if key.value == name), None)
    if at is None:
        raise _wrong(place, "nothing", "a key that is there", file)
    if parent.flow_style:
        start = pairs[at][0].start_mark.index if at == 0 else _end(text, pairs[at - 1][1])
        end = _end(text, pairs[at][1])
        if at == 0 and len(pairs) > 1:
            end = pairs[1][0].start_mark.index
        return text[:start] + text[end:]
    if len(pairs) == 1:
        return text[: pairs[0][0].start_mark.index] + "{}" + text[_end(text, pairs[0][1]) :]
    start = text.rfind("\n", 0, pairs[at][0].start_mark.index) + 1
    end = text.find("\n", _end(text, pairs[at][1]))
    return text[:start] + (text[end + 1 :] if end >= 0 else "")


def flow(value: Any) -> str:
    """The value on one line, as `read_yaml` reads it back."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return value if _plain(value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _plain(text: str) -> bool:
    """Whether the text may stand without quotes: a word, or a clause of names, words and numbers."""
    if re.search(r"[^\w.<>=! -]", text, re.ASCII):
        return False
    try:
        return isinstance(parse_literal(text), str)
    except ClauseError:
        pass
    try:
        return str(parse_clause(text)) == text
    except ClauseError:
        return False


def _joined(text: str, node: yaml.MappingNode, key: str, value: Any, *, first: bool, after: str) -> str:
    if first and node.value:
        begin = node.value[0][0].start_mark
        lines = [f"{key}: {flow(value)}, "] if node.flow_style else _block(key, value, begin.column)
        at = begin.index if node.flow_style else begin.index - begin.column
        return text[:at] + "\n".join(lines) + ("" if node.flow_style else "\n") + text[at:]
    last = _child(node, after) or (node.value[-1][1] if node.value else None)
    if node.flow_style:
        at = _end(text, last) if last else _end(text, node) - 1
        comma = ", " if last else ""
        return text[:at].rstrip() + comma + f"{key}: {flow(value)}" + text[at:]
    assert last is not None, "a mapping in block style has a key"
    column = node.value[0][0].start_mark.column
    end = text.find("\n", _end(text, last))
    end = len(text) if end < 0 else end
    return text[:end] + "\n" + "\n".join(_block(key, value, column)) + text[end:]


def _block(key: str, value: Any, column: int) -> list[str]:
    """A key in lines of its own; the innermost mapping whose values are plain stands on one line."""
    pad = " " * column
    if isinstance(value, Mapping) and value and all(isinstance(item, Mapping) for item in value.values()):
        inner = [line for name, item in value.items() for line in _block(name, item, column + _STEP)]
        return [f"{pad}{key}:", *inner]
    return [f"{pad}{key}: {flow(value)}"]


def _root(text: str, file: str) -> yaml.Node:
    node = yaml.compose(text, Loader=yaml.SafeLoader)  # its marks count characters
    if not isinstance(node, yaml.MappingNode):
        raise _wrong((), "no mapping", "a mapping of keys", file)
    return node


def _node(text: str, place: Place, file: str) -> yaml.Node:
    node = _root(text, file)
    for depth, part in enumerate(place, 1):
        found = _child(node, part)
        if found is None:
            raise _wrong(place[:depth], "nothing", "a key that is there", file)
        node = found
    return node


def _child(node: yaml.Node, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if getattr(key, "value", None) == name), None)


def _end(text: str, node: yaml.Node) -> int:
    """Behind its last character; the end of a mapping in block style is told as the beginning of what follows."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return len(text[:end].rstrip()) if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") else end


def _wrong(place: Place, found: str, expected: str, file: str) -> DefinitionError:
    return DefinitionError([Problem(".".join(place), found, expected, file, code="edit")])
