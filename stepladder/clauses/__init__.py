"""Clauses: `signal op literal`, the only language in which guards, rules and the classifier speak."""

from stepladder.clauses.condition import ALWAYS, AnyOf, Condition, Fired, Reading
from stepladder.clauses.facts import MISSING, Facts, reader
from stepladder.clauses.grammar import Clause, ClauseError, parse_clause

__all__ = [
    "ALWAYS",
    "MISSING",
    "AnyOf",
    "Clause",
    "ClauseError",
    "Condition",
    "Facts",
    "Fired",
    "Reading",
    "parse_clause",
    "reader",
]
