"""Any facts, clauses, conditions, classifiers and rules: what columns must agree about with one row at a time."""

from __future__ import annotations

import math
from typing import Any, Final

from hypothesis import strategies as st

from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf, Clause, Condition
from stepladder.rules import Rule

EDGES: Final[tuple[float, ...]] = (
    *(0, -0.0, 1, 1.0, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, float(2**63), 2**64 - 1, -(2**63), 0.1, 1e308),
)
ODD: Final[tuple[Any, ...]] = (10**400, -(10**400), math.inf, -math.inf, math.nan, 2**64, 2**64 + 1)
WORDS: Final = ("", "a", "b", "true", "1", "é", "ok\x00")

numbers = st.sampled_from(EDGES) | st.integers(-3, 3) | st.floats(-3, 3, width=16)
scalars = st.none() | st.booleans() | st.sampled_from(WORDS) | numbers | st.sampled_from(ODD)
json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abn"), inner, max_size=3)
)
NAMES: Final = ("a", "b", "a.b", "a.n", "b.a.n", "n", "c")
facts = st.dictionaries(st.sampled_from("abn"), json, max_size=3)
literals = st.booleans() | st.sampled_from(WORDS) | numbers
ordered = st.builds(Clause, st.sampled_from(NAMES), st.sampled_from(["<", "<=", ">", ">="]), numbers)
clauses = ordered | st.builds(Clause, st.sampled_from(NAMES), st.sampled_from(["==", "!="]), literals)
conditions = st.builds(Condition, st.lists(clauses, max_size=3))
any_ofs = st.builds(AnyOf, st.dictionaries(st.sampled_from("xyz"), conditions, max_size=3))
classifiers = st.builds(Classifier, any_ofs, any_ofs)
ACTIONS: Final = ("GO", "WAIT", "QUIT")
rules = st.lists(st.builds(Rule, st.sampled_from("rstu"), st.sampled_from(ACTIONS), conditions), max_size=4)
