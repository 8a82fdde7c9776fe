"""YAML read strictly: JSON's scalars, no duplicate keys, no aliases or tags, and the line of every key.

YAML 1.1 would read `no`, `010` and `12:30` as false, 8 and 750. Here a plain scalar is true, false, null, a decimal
number or text, and nothing else.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

from stepladder.errors import DefinitionError, Problem

Path = tuple[str | int, ...]
Lines = dict[Path, int]

_INT: Final = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_FLOAT: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_CHARACTERS: Final = 2_000_000
_MAX_DEPTH: Final = 60
_QUOTE: Final = "YAML text (quote a value with a comma, colon or brace in it)"
_FLOW: Final = {"mapping": ("{", "}"), "sequence": ("[", "]")}


def read_yaml(text: str, file: str = "") -> tuple[dict[str, Any], Lines]:
    """The mapping in `text`, and the line (from 1) of each key and list entry by its path.

    Raises:
        DefinitionError: it is not YAML, not a mapping, or uses what is refused here; with the line.
    """
    if len(text) > _MAX_CHARACTERS:
        raise _refused(file, 0, f"{len(text)} characters", f"at most {_MAX_CHARACTERS}")
    try:
        _refuse_events(text, file)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text, file) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        sign = chr(error.character) if isinstance(error.character, int) else error.character
        raise _refused(file, line, f"the character {sign!r}", "text without control characters") from None
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise _refused(file, line, "a lone surrogate", "text that UTF-8 can hold") from None
    if not isinstance(node, yaml.MappingNode):
        found = "nothing" if node is None else f"a {_kind(node)}"
        raise _refused(file, 1, found, "a mapping of keys, such as `workflow: name`")
    lines: Lines = {}
    return _mapping(node, (), lines, file), lines


def _refuse_events(text: str, file: str) -> None:
    """Refuse what the tree of nodes no longer shows, or could not be built of."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            raise _refused(file, line, f"alias *{event.anchor}", "the value itself, written out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise _refused(file, line, f"tag {tag}", "a plain value")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise _refused(file, line, f"nesting deeper than {_MAX_DEPTH}", "a flatter file")


def _value(node: yaml.Node, path: Path, lines: Lines, file: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, file)
    if isinstance(node, yaml.SequenceNode):
        return [_item(item, (*path, index), lines, file) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode), "a node is a mapping, a sequence or a scalar"
    return node.value if node.style else _scalar(node.value, path, _line(node), file)


def _item(node: yaml.Node, path: Path, lines: Lines, file: str) -> Any:
    lines[path] = _line(node)
    return _value(node, path, lines, file)


def _mapping(node: yaml.MappingNode, path: Path, lines: Lines, file: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            raise _refused(file, line, f"a {_kind(key_node)} as a key", "a name", path)
        key = str(key_node.value)
        if key == "<<" and not key_node.style:
            raise _refused(file, line, "a merge key", "the values themselves, written out", path)
        if key in found:
            raise _refused(file, line, f"key {key!r} a second time", "each key once", path)
        lines[(*path, key)] = line
        found[key] = _value(value_node, (*path, key), lines, file)
    return found


def _scalar(text: str, path: Path, line: int, file: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "null", "~"):
        return None
    if _INT.fullmatch(text):
        whole = int(text) if len(text) <= 20 else 2**64
        if not -(2**63) <= whole < 2**64:
            raise _refused(file, line, text[:40], "a number of at most 64 bits, or 'text in quotes'", path)
        return whole
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise _refused(file, line, text[:40], "a number that a 64-bit float can hold, or 'text in quotes'", path)
        return number
    return text


def _line(node: yaml.Node | yaml.Event) -> int:
    return node.start_mark.line + 1 if node.start_mark else 0


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "list"
    return "mapping" if isinstance(node, yaml.MappingNode) else "single value"


def _refused(file: str, line: int, found: str, expected: str, path: Path = ()) -> DefinitionError:
    where = ".".join(str(part) for part in path)
    return DefinitionError([Problem(where, found, expected, file, line, code="yaml")])


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> DefinitionError:
    """The parser's complaint in our words, at the line where the mistake begins rather than where it was noticed."""
    mark, began, context = error.problem_mark or error.context_mark, error.context_mark, str(error.context or "")
    if mark is None:
        return _refused(file, 0, str(error.problem or error), _QUOTE)
    for kind, (opening, closing) in _FLOW.items():
        if began is not None and context.endswith(f"flow {kind}"):
            found = f"{opening!r} that is not closed before line {mark.line + 1}"
            return _refused(file, began.line + 1, found, f"{closing!r}, or a comma (quote a value with a colon in it)")
    if began is not None and "quoted" in context and "end of stream" in str(error.problem):
        return _refused(file, began.line + 1, "a quote that is not closed", "the same quote at the end of the text")
    if "\t" in _indentation(text, mark.line):
        return _refused(file, mark.line + 1, "a tab", "spaces; YAML is not indented by tabs")
    found = " ".join(part for part in (str(error.problem or ""), context) if part)
    return _refused(file, mark.line + 1, found, _QUOTE)


def _indentation(text: str, line: int) -> str:
    rows = text.split("\n")
    row = rows[line] if line < len(rows) else ""
    return row[: len(row) - len(row.lstrip())]
