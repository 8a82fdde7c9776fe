"""Plain values: what is taken in, as what, and what is refused with its path."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import InputError
from stepladder.values import canonical, digest, plain


class Colour(enum.Enum):
    RED = "red"


class Word(enum.StrEnum):
    YES = "yes"


class Level(enum.IntEnum):
    HIGH = 3


class Pair(NamedTuple):
    left: int
    right: int


@dataclass
class Point:
    x: int
    inside: list[Colour] = field(default_factory=lambda: [Colour.RED])


class Model(pydantic.BaseModel):
    x: Any = 1


class Struct(msgspec.Struct):
    x: Any = 1


def nested(depth: int, inside: Any = 1) -> Any:
    value = inside
    for _ in range(depth):
        value = [value]
    return value


def circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


TAKEN = [
    (None, None),
    (True, True),
    (0, 0),
    (-0.0, -0.0),
    (1e308, 1e308),
    (2**64, 2**64),
    ("é\u0000\U0001f600", "é\u0000\U0001f600"),
    ({}, {}),
    ((1, (2,)), [1, [2]]),
    ({"a": (1,)}, {"a": [1]}),
    (Pair(1, 2), [1, 2]),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (Colour.RED, "red"),
    ({"a": Colour.RED, "b": Word.YES, "c": Level.HIGH}, {"a": "red", "b": "yes", "c": 3}),
    (Point(1), {"x": 1, "inside": ["red"]}),
    (Model(x=[1]), {"x": [1]}),
    (Struct({"y": None}), {"x": {"y": None}}),
    ([Struct(), Model(), Point(2)], [{"x": 1}, {"x": 1}, {"x": 2, "inside": ["red"]}]),
    (nested(64), nested(64)),
    ([[each] for each in range(200)], [[each] for each in range(200)]),
    ("[" * 500, "[" * 500),
]


@pytest.mark.parametrize(("value", "expected"), TAKEN, ids=lambda value: repr(value)[:40])
def test_taken_in(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert plain(found) == found
    assert msgspec.json.decode(canonical(found)) == found


REFUSED = [
    (math.nan, ""),
    ({"a": [1.0, math.inf]}, ".a[1]"),
    ({1: "a"}, ""),
    ({"a": {None: 1}}, ".a"),
    ({"a": b"x"}, ".a"),
    ({"a": {1}}, ".a"),
    ([datetime(2024, 1, 1, tzinfo=UTC)], "[0]"),
    (Decimal("1.5"), ""),
    ({"a": object()}, ".a"),
    ({"a": int}, ".a"),
    ({"a": Model}, ".a"),
    ({"a": len}, ".a"),
    ("\ud800", ""),
    ({"\udfff": 1}, ""),
    ({"a": 10**5000}, ".a"),
    ((-(10**5000),), "[0]"),
    (Model(x=object()), ""),
    (Struct(object()), ""),
    ({"a": Point(Lock())}, ".a"),
    (nested(65), "[0]" * 65),
    (nested(900), "[0]" * 65),
    (nested(5000), "[0]" * 65),
    (circle(), "[0]" * 65),
]


@pytest.mark.parametrize(("value", "where"), REFUSED, ids=lambda value: type(value).__name__)
def test_refused_with_its_path(value: Any, where: str) -> None:
    with pytest.raises(InputError) as caught:
        plain(value, "output of planner")
    assert (caught.value.what, caught.value.where) == ("output of planner", where)


def test_numpy_scalars() -> None:
    numpy = pytest.importorskip("numpy")
    found = plain({"a": numpy.float64(1.5), "b": numpy.int32(2), "c": numpy.bool_(True)})
    assert found == {"a": 1.5, "b": 2, "c": True}
    assert [type(each) for each in found.values()] == [float, int, bool]
    with pytest.raises(InputError):
        plain({"a": numpy.array([1, 2])})


def test_the_copy_is_independent() -> None:
    value: dict[str, Any] = {"a": [1, {"b": 2}]}
    copy = plain(value)
    value["a"][1]["b"] = 3
    assert copy == {"a": [1, {"b": 2}]}


def test_digests_name_parts() -> None:
    assert digest("a", "b") != digest("ab")
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(1) != digest("1")
    assert len(digest()) == 16


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    assert plain(value) == value
    assert canonical(plain(value)) == canonical(value)
    assert msgspec.json.decode(canonical(value)) == value


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=6), st.randoms(use_true_random=False))
def test_equal_mappings_have_one_digest(value: dict[str, Any], random: Any) -> None:
    names = list(value)
    random.shuffle(names)
    assert digest({name: value[name] for name in names}) == digest(value)


ANYTHING = st.recursive(
    JSON | st.binary() | st.floats() | st.complex_numbers() | st.dates() | st.decimals() | st.just(len),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.builds(Model, x=inner)
        | st.builds(Struct, x=inner)
    ),
    max_leaves=10,
)


@given(ANYTHING)
def test_anything_is_plain_or_refused(value: Any) -> None:
    try:
        found = plain(value)
    except InputError:
        return
    assert plain(found) == found
    assert msgspec.json.decode(canonical(found)) == found
