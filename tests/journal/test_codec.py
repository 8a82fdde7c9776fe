"""Every event and every entry comes back from its bytes as what it was."""

from __future__ import annotations

import types
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.clauses import Fired, Reading
from stepladder.events import AnyEvent, Event, Usage
from stepladder.journal import decode_turn, encode_turn
from stepladder.record import AnyEntry, Entry, Opened, Settled, Verdict

EVENTS: tuple[type[Event], ...] = typing.get_args(AnyEvent)
ENTRIES: tuple[type[Entry], ...] = typing.get_args(AnyEntry)

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | FLOATS | TEXT
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return PLAIN
    if origin is typing.Literal:
        return st.sampled_from(inside)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(values(each) for each in inside))
    if origin is dict:
        return st.dictionaries(values(inside[0]), values(inside[1]), max_size=3)
    if origin is tuple:
        return st.lists(values(inside[0]), max_size=3).map(tuple)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return structs(kind)
    return {
        str: TEXT,
        int: st.integers(0, 2**53),
        float: FLOATS,
        bool: st.booleans(),
        type(None): st.none(),
    }[kind]


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any struct of this kind."""
    hints = typing.get_type_hints(kind)
    fields = {name: values(hints[name]) for name in kind.__struct_fields__}
    if kind is Settled:  # which always says what, and where to
        fields |= {"action": TEXT.filter(bool), "to": TEXT.filter(bool)}
    return st.builds(kind, **fields)


def test_the_list_of_kinds_is_whole() -> None:
    assert set(EVENTS) == set(Event.__subclasses__())
    assert set(ENTRIES) == set(Entry.__subclasses__())
    tags = [kind.__struct_config__.tag for kind in (*EVENTS, *ENTRIES)]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("kind", [*EVENTS, *ENTRIES], ids=lambda kind: kind.__name__)
def test_each_kind_comes_back(kind: type[msgspec.Struct]) -> None:
    @given(st.lists(structs(kind), min_size=1, max_size=2))
    def comes_back(entries: list[Any]) -> None:
        again = decode_turn(encode_turn(entries))
        assert again == tuple(entries)
        assert [type(entry) for entry in again] == [type(entry) for entry in entries]
        assert encode_turn(again) == encode_turn(entries)

    comes_back()


@given(st.lists(st.one_of(*map(structs, (*EVENTS, *ENTRIES))), min_size=1, max_size=4))
def test_any_turn_comes_back(entries: list[Any]) -> None:
    assert decode_turn(encode_turn(entries)) == tuple(entries)


@given(st.dictionaries(TEXT, PLAIN, max_size=4))
def test_plain_values_keep_their_kinds(output: dict[str, Any]) -> None:
    """1 stays 1, 1.0 stays 1.0, True stays True: what a rule compares is what is read back."""
    kind = next(kind for kind in EVENTS if kind.__name__ == "AgentReturned")
    (again,) = decode_turn(encode_turn([kind(1.0, 1, output)]))
    assert repr(again.output) == repr(output)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"[1]",
        b'[{"at":1}]',
        b'[{"kind":"opened"}]',
        b'[{"kind":"unknown","at":1}]',
        b'[{"kind":"time_passed","at":"1"}]',
        b'[{"kind":"time_passed","at":1}',
        b'[{"kind":"time_passed","at":1}]x',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_bytes_that_are_no_turn_are_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_turn(body)


def decided(old: bytes, new: bytes) -> bytes:
    """The turn of a decision by the rule, changed afterwards."""
    return encode_turn([OPENED, Settled(3, "GO", "there", "it is time", {"to": "x"})]).replace(old, new)


OPENED = Opened(3, "here", ("GO", "STAY"), Verdict("GO", {"to": "x"}, "it is time"), "go")


def test_what_the_rule_said_is_written_once() -> None:
    settled = Settled(3, "GO", "there", "it is time", {"to": "x"})
    body = encode_turn([OPENED, settled])
    assert body.endswith(b'{"kind":"settled","n":3,"to":"there"}]')
    assert decode_turn(body) == (OPENED, settled)


@pytest.mark.parametrize(
    "settled",
    [
        Settled(3, "STAY", "here", "it is time", {"to": "x"}),
        Settled(3, "GO", "there", "another reason", {"to": "x"}),
        Settled(3, "GO", "there", "it is time", {"to": "y"}),
        Settled(4, "GO", "there", "it is time", {"to": "x"}),
    ],
    ids=["action", "reason", "parameters", "decision"],
)
def test_what_differs_from_the_rule_is_written_whole(settled: Settled) -> None:
    assert decode_turn(encode_turn([OPENED, settled])) == (OPENED, settled)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"kind":"settled","n":3,"to":"there"}]',
        b'[{"kind":"time_passed","at":1},{"kind":"settled","n":3,"to":"there"}]',
        decided(b'"to":"there"', b'"to":""'),
        decided(b'settled","n":3', b'settled","n":4'),
    ],
)
def test_a_decision_that_says_nothing_is_no_turn(body: bytes) -> None:
    with pytest.raises(ValueError, match="says neither"):
        decode_turn(body)


def test_a_default_is_not_written() -> None:
    assert encode_turn([next(kind for kind in EVENTS if kind.__name__ == "TimePassed")(1.5)]) == (
        b'[{"kind":"time_passed","at":1.5}]'
    )


def test_unknown_fields_of_a_newer_writer_are_passed_over() -> None:
    (entry,) = decode_turn(b'[{"kind":"time_passed","at":1.5,"colour":"red"}]')
    assert entry.at == 1.5


_ = (Fired, Reading, Usage, Verdict)  # the kinds inside, which `structs` reaches by their types
