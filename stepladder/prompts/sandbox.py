"""Jinja at the edge: one sandboxed environment, compiled templates by text, one table of its errors.

Deterministic (no random filter, no clock) and bounded (no huge powers or repetitions, a cap on what is written).
Imported only when something is rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, UndefinedError, meta, nodes
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stepladder.errors import DefinitionError, InputError, Problem, StepladderError
from stepladder.prompts.data import data_block, one_line
from stepladder.values import to_json

MAX_OUTPUT: Final = 2_000_000
"""Characters that a prompt may have."""
_FILE: Final = "<template>"
_LOADING: Final = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)
_PADDING: Final = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs"})
_WITHOUT: Final = ("random", "pprint", "xmlattr", "urlize", "center", "indent", "format", "batch", "slice")
"""Filters that draw numbers, write markup or pad to any length."""


def written(value: Any) -> Any:
    """How a value stands in the text: text as it is, everything else as JSON."""
    return value if isinstance(value, (str, Undefined)) else to_json(value)


def _data(value: Any, name: str = "value", budget: int | None = None) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises, naming the variable
    return data_block(name, value, budget).text


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of every prompt."""

    intercepted_binops = frozenset({"**", "*", "%"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Also refuse the methods that pad a text to any length."""
        return not (isinstance(obj, str) and attr in _PADDING) and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse the operations with which a short template makes a huge value."""
        sized = isinstance(left, (str, list, tuple)) or isinstance(right, (str, list, tuple))
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"operator {operator} is not safe here")
        if operator == "*" and sized:
            raise SecurityError("repeating a text or list is not safe here")
        return super().call_binop(context, operator, left, right)


@lru_cache(maxsize=1)
def _environment() -> Sandbox:
    sandbox = Sandbox(
        undefined=StrictUndefined,
        autoescape=False,
        finalize=written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    sandbox.globals = {"range": sandbox.globals["range"]}
    for name in _WITHOUT:
        sandbox.filters.pop(name, None)
    sandbox.filters.update({"json": to_json, "tojson": to_json, "data": _data, "one_line": one_line})
    return sandbox


class _LoadingError(ValueError):
    def __init__(self, node: nodes.Node) -> None:
        self.kind, self.line = type(node).__name__.lower(), node.lineno
        super().__init__(self.kind)


@lru_cache(maxsize=512)
def _compile(text: str) -> Compiled:
    tree = _environment().parse(text)
    for node in tree.find_all(_LOADING):
        raise _LoadingError(node)
    return _environment().from_string(tree)


def undeclared(text: str, name: str) -> tuple[str, ...]:
    """The names that the template reads and does not set."""
    _compiled(text, name)
    tree = _environment().parse(text)
    return tuple(sorted(meta.find_undeclared_variables(tree) - set(_environment().globals)))


def run(text: str, variables: Mapping[str, Any], name: str) -> dict[str, str]:
    """The rendered blocks of a template by name; under "" the whole of it where it has no blocks."""
    template = _compiled(text, name)
    try:
        if not template.blocks:
            return {"": _joined(template.generate(**variables))}
        context = template.new_context(dict(variables))
        return {block: _joined(body(context)) for block, body in template.blocks.items()}
    except Exception as error:  # the edge: filters and operators of a template raise anything
        raise _ours(error, name, variables) from None


def _compiled(text: str, name: str) -> Compiled:
    try:
        return _compile(text)
    except TemplateSyntaxError as error:
        raise _refused(name, error.lineno, error.message or "a syntax error", "a Jinja template") from None
    except _LoadingError as error:
        raise _refused(name, error.line, f"`{error.kind}`", "one text that stands alone; no other is read") from None
    except (RecursionError, MemoryError, OverflowError, ValueError, SyntaxError) as error:
        found = f"a template that cannot be compiled ({type(error).__name__})"
        raise _refused(name, 0, found, "a plainer one") from None


def _joined(parts: Iterator[str]) -> str:
    found: list[str] = []
    length = 0
    for part in parts:
        found.append(part)
        length += len(part)
        if length > MAX_OUTPUT:
            raise OverflowError(f"more than {MAX_OUTPUT:,} characters")
    return "".join(found)


def _ours(error: Exception, name: str, variables: Mapping[str, Any]) -> StepladderError:
    line = _line(error)
    where = f"line {line}" if line else ""
    if isinstance(error, SecurityError):
        return _refused(name, line, f"what the sandbox refuses: {error}", "values, filters, if and for")
    if isinstance(error, UndefinedError):
        known = ", ".join(sorted(variables)) or "none"
        return InputError(f"prompt {name}", where, str(error.message), f"its variables; there are: {known}")
    found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return InputError(f"prompt {name}", where, found, "values that fit what the template does with them")


def _line(error: BaseException) -> int:
    """The template's line where the error arose, from the innermost frame that is the template's."""
    found, frame = 0, error.__traceback__
    while frame is not None:
        template = frame.tb_frame.f_globals.get("__jinja_template__")
        if frame.tb_frame.f_code.co_filename == _FILE:
            found = template.get_corresponding_lineno(frame.tb_lineno) if template is not None else frame.tb_lineno
        frame = frame.tb_next
    return found


def _refused(name: str, line: int, found: str, expected: str) -> DefinitionError:
    return DefinitionError([Problem(f"prompt {name}", " ".join(found.split()), expected, line=line, code="prompt")])
