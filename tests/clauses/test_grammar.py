"""The grammar of clauses: a table of spellings, then that what is spelt reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.clauses import Clause, ClauseError, parse_clause
from stepladder.clauses.grammar import OPS, parse_literal, spell

GOOD = [
    ("error_count > 2", Clause("error_count", ">", 2)),
    ("error_count>2", Clause("error_count", ">", 2)),
    ("  error_count   >=\t2  ", Clause("error_count", ">=", 2)),
    ("last.status == answerable", Clause("last.status", "==", "answerable")),
    ("last.status != not-yet", Clause("last.status", "!=", "not-yet")),
    ("a.b.c <= -1.5", Clause("a.b.c", "<=", -1.5)),
    ("a < 1e3", Clause("a", "<", 1000.0)),
    ("a == +7", Clause("a", "==", 7)),
    ("a == true", Clause("a", "==", True)),
    ("a != false", Clause("a", "!=", False)),
    ("a == True", Clause("a", "==", "True")),
    ("a == no", Clause("a", "==", "no")),
    ("a == 'true'", Clause("a", "==", "true")),
    ("a == '12'", Clause("a", "==", "12")),
    ("a == 'null'", Clause("a", "==", "null")),
    ("a == ''", Clause("a", "==", "")),
    ("a == 'it''s, so'", Clause("a", "==", "it's, so")),
    ("a == 'b == c'", Clause("a", "==", "b == c")),
    ("a == '\n'", Clause("a", "==", "\n")),
    ("items.0.name == x", Clause("items.0.name", "==", "x")),
    ("a == gpt-5.mini", Clause("a", "==", "gpt-5.mini")),
    (f"a < {2**64 - 1}", Clause("a", "<", 2**64 - 1)),
    (f"a > {-(2**63)}", Clause("a", ">", -(2**63))),
]

BAD = [
    ("", "''", "`signal op literal`"),
    ("a", "'a'", "`signal op literal`"),
    ("a = 1", "'a = 1'", "`signal op literal`"),
    ("a =< 1", "'a =< 1'", "`signal op literal`"),
    ("a == ", "literal ''", "a number, true, false"),
    ("a == 010", "literal '010'", "a number"),
    ("a == 12:30", "literal '12:30'", "'text in quotes'"),
    ("a == .5", "literal '.5'", "a number"),
    ("a == 5.", "literal '5.'", "a number"),
    ("a == 0x1F", "literal '0x1F'", "a number"),
    ("a == 1_000", "literal '1_000'", "a number"),
    ("a == two words", "literal 'two words'", "'text in quotes'"),
    ("a == 'open", '''literal "'open"''', "a clause with a comma must be quoted in YAML"),
    ("a == 'it's'", '''literal "'it's'"''', "'text in quotes'"),
    ('a == "b"', """literal '"b"'""", "'text in quotes'"),
    ("a == null", "null", "a missing one satisfies no clause"),
    ("a != None", "None", "quote 'None' to mean that word"),
    ("a < word", "< with word", "a number after an order sign"),
    ("a >= true", ">= with true", "== / !="),
    ("a <= 'x'", "<= with 'x'", "a number"),
    ("1a == 1", "signal '1a'", "names joined by dots"),
    ("a..b == 1", "signal 'a..b'", "names joined by dots"),
    ("a.b. == 1", "signal 'a.b.'", "names joined by dots"),
    ("ä == 1", "signal 'ä'", "names joined by dots"),
    ("a b == 1", "'a b == 1'", "`signal op literal`"),
    (f"a > {2**64}", "literal 18446744073709551616", "at most 64 bits"),
    ("a > " + "9" * 5000, "literal 999", "at most 64 bits"),
    ("a > 1e999", "literal '1e999'", "64-bit float"),
    ("a > ١", "literal '١'", "a number"),
]


@pytest.mark.parametrize(("text", "clause"), GOOD, ids=[text for text, _ in GOOD])
def test_reads(text: str, clause: Clause) -> None:
    found = parse_clause(text)
    assert found == clause
    assert type(found.literal) is type(clause.literal)
    assert parse_clause(str(found)) == found


@pytest.mark.parametrize(("text", "found", "expected"), BAD, ids=[text[:20] or "empty" for text, _, _ in BAD])
def test_refuses(text: str, found: str, expected: str) -> None:
    with pytest.raises(ClauseError) as caught:
        parse_clause(text)
    assert caught.value.text == text
    assert found in caught.value.found
    assert expected in caught.value.expected


@pytest.mark.parametrize("value", [None, 5, True, ["a == 1"], {"a": 1}])
def test_only_text_is_a_clause(value: object) -> None:
    with pytest.raises(ClauseError) as caught:
        parse_clause(value)
    assert "as text" in caught.value.expected


def test_canonical_spelling() -> None:
    assert str(parse_clause("a==  'plain'")) == "a == plain"
    assert str(parse_clause("a != 'two words'")) == "a != 'two words'"
    assert str(parse_clause("a >= 1.50")) == "a >= 1.5"
    assert str(parse_clause("a == 'true'")) == "a == 'true'"


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}(\.[A-Za-z0-9_]{1,8}){0,3}", fullmatch=True)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
clauses = st.builds(Clause, names, st.sampled_from(OPS), numbers) | st.builds(
    Clause, names, st.sampled_from(["==", "!="]), st.booleans() | texts
)


@given(clauses)
def test_what_is_spelt_reads_back(clause: Clause) -> None:
    found = parse_clause(str(clause))
    assert found == clause
    assert type(found.literal) is type(clause.literal)
    assert str(found) == str(clause)


@given(st.booleans() | texts | numbers)
def test_a_literal_reads_back(value: bool | str | float) -> None:
    assert parse_literal(spell(value)) == value


@given(st.text(max_size=40))
def test_any_text_is_a_clause_or_refused_with_reasons(text: str) -> None:
    try:
        clause = parse_clause(text)
    except ClauseError as error:
        assert error.found
        assert error.expected
    else:
        assert parse_clause(str(clause)) == clause


@given(clauses, st.text(" \t", max_size=3), st.text(" \t", max_size=3))
def test_white_space_around_the_sign_means_nothing(clause: Clause, left: str, right: str) -> None:
    spaced = f"{left}{clause.signal}{right}{clause.op}{left}{spell(clause.literal)}{right}"
    assert parse_clause(spaced) == clause
