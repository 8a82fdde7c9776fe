"""The grammar of one clause.

    clause  = signal op literal
    signal  = name ("." name)*                     name = letter or _, then letters, digits, _
    op      = "==" | "!=" | "<" | "<=" | ">" | ">="
    literal = number | "true" | "false" | word | "'" text "'"

A grammar of our own, because YAML's scalars would read `no`, `010` and `12:30` as false, 8 and 750. A quote in a text
is doubled ('it''s'). Order is for numbers only. `null` is refused: a missing value never satisfies a clause, so a
comparison with it would look as if it did something.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

Literal = float | int | bool | str

OPS: Final = ("==", "!=", "<=", ">=", "<", ">")
_SHAPE: Final = re.compile(r"\s*(?P<signal>[^\s=!<>]+)\s*(?P<op>==|!=|<=|>=|<|>)\s*(?P<literal>.*?)\s*", re.DOTALL)
_SIGNAL: Final = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*", re.ASCII)
_TEXT: Final = re.compile(r"'((?:[^']|'')*)'", re.DOTALL)
_NOTHING: Final = frozenset({"null", "none", "nil"})


class ClauseError(ValueError):
    """A clause that is not one: the `text`, what was `found` in it, and what was `expected`."""

    def __init__(self, text: str, found: str, expected: str) -> None:
        self.text, self.found, self.expected = text, found, expected
        super().__init__(f"{text!r}: found {found}; expected {expected}")


class Clause(msgspec.Struct, frozen=True):
    """`signal op literal`, parsed. `str()` gives the canonical spelling, which parses back to the same clause."""

    signal: str
    op: str
    literal: Literal

    def __str__(self) -> str:
        return f"{self.signal} {self.op} {spell(self.literal)}"


def parse_clause(text: object) -> Clause:
    """The clause that `text` spells.

    Raises:
        ClauseError: it spells none; the error says what was found and what was expected.
    """
    if not isinstance(text, str):
        raise ClauseError(str(text), f"{text!r}", "a clause such as `error_count > 2`, as text")
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ClauseError(text, repr(text), "`signal op literal` with one of " + " ".join(OPS) + _comma_hint(text))
    signal, op, literal = shape["signal"], shape["op"], shape["literal"]
    if not _SIGNAL.fullmatch(signal):
        raise ClauseError(text, f"signal {signal!r}", "names joined by dots, such as last.status")
    value = parse_literal(literal, text)
    if op not in ("==", "!=") and (isinstance(value, (bool, str))):
        raise ClauseError(text, f"{op} with {literal}", "a number after an order sign, or == / != with a word")
    return Clause(signal, op, value)


def parse_literal(text: str, whole: str = "") -> Literal:
    """The number, flag or word that `text` spells; raises ClauseError (naming `whole`) where it spells none."""
    whole = whole or text
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return _finite(text, whole) if any(mark in text for mark in ".eE") else _whole(text, whole)
    if text.lower() in _NOTHING:
        raise ClauseError(whole, text, f"a value: a missing one satisfies no clause (quote '{text}' to mean that word)")
    if _WORD.fullmatch(text):
        return text
    if quoted := _TEXT.fullmatch(text):
        return quoted[1].replace("''", "'")
    raise ClauseError(
        whole, f"literal {text!r}", "a number, true, false, a word or 'text in quotes'" + _comma_hint(whole)
    )


def spell(value: Literal) -> str:
    """The literal as the grammar writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        bare = _WORD.fullmatch(value) and value not in ("true", "false") and value.lower() not in _NOTHING
        return value if bare else "'" + value.replace("'", "''") + "'"
    return repr(value)


def _whole(text: str, whole: str) -> int:
    value = int(text) if len(text) <= 20 else 2**64
    if not -(2**63) <= value < 2**64:
        raise ClauseError(whole, f"literal {text[:40]}", "a number of at most 64 bits")
    return value


def _finite(text: str, whole: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ClauseError(whole, f"literal {text!r}", "a number that a 64-bit float can hold")
    return value


def _comma_hint(text: str) -> str:
    torn = text.count("'") == 1 or not re.search(r"[=<>]", text)
    return " (a clause with a comma must be quoted in YAML)" if torn else ""
