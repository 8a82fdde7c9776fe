"""Which artifacts go with a question, in which order, and what is said of the others."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.decision import Attachments
from stepladder.drivers.artifacts import Artifact, digest_of, noted, references, taken_in
from stepladder.drivers.attachments import attach, attach_to_run
from stepladder.errors import InputError
from stepladder.state import RunState

BYTES: dict[str, bytes] = {}


def kept(data: bytes, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    """A reference to bytes that are kept."""
    return {**taken_in(Artifact(data, media_type), "artifact", BYTES), **more}


def gone(data: bytes) -> dict[str, Any]:
    return dict(taken_in(Artifact(data, "image/png"), "artifact", {}))


IMAGES = Attachments(("image/*", "text/plain"), 10)
TYPES = {
    "the very type": (("image/png",), "image/png", True),
    "another one": (("image/png",), "image/jpeg", False),
    "every image": (("image/*",), "image/webp", True),
    "an image is no document": (("image/*",), "application/pdf", False),
    "no type": (("image/*",), "", False),
    "half a type": (("image/*",), "image", False),
    "nothing is taken": ((), "image/png", False),
}


@pytest.mark.parametrize(("types", "media_type", "taken"), TYPES.values(), ids=TYPES)
def test_what_a_rung_takes(types: tuple[str, ...], media_type: str, taken: bool) -> None:
    assert Attachments(types).take(media_type) is taken


CASES: dict[str, tuple[list[Any], list[str], list[str]]] = {
    "nothing": ([{}, [], None, 1, "x"], [], []),
    "in the order of the facts": ([{"b": kept(b"1"), "a": [kept(b"2")]}, {"c": kept(b"3")}], ["1", "2", "3"], []),
    "each once": ([kept(b"1"), {"again": [kept(b"1"), kept(b"2")]}], ["1", "2"], []),
    "a type that is not taken": ([kept(b"z", "application/zip"), kept(b"1")], ["1"], ["application/zip is not taken"]),
    "spelt otherwise": ([kept(b"1", "Image/PNG; q=1")], ["1"], []),
    "no type at all": ([kept(b"1", "")], [], ["no media type is not taken"]),
    "a type that is none": ([kept(b"1", media_type=7)], [], ["7 is not taken"]),
    "just as much as fits": ([kept(b"0123456789")], ["0123456789"], []),
    "too large, a smaller one fits": (
        [kept(b"1234567"), kept(b"abcd"), kept(b"xyz")],
        ["1234567", "xyz"],
        ["too large: 4 bytes where 3 are left"],
    ),
    "larger than it says": ([kept(b"12345678901", bytes=1)], [], ["too large: 11 bytes where 10 are left"]),
    "no size": ([kept(b"1", bytes=None)], ["1"], []),
    "gone": ([gone(b"long gone")], [], ["its bytes are not there any more"]),
    "a digest that is none": ([{"$artifact": "../etc"}, {"$artifact": 3}, {"$artifact": "f" * 63}], [], []),
}


@pytest.mark.parametrize(("facts", "sent", "left_out"), CASES.values(), ids=CASES)
def test_what_is_attached(facts: list[Any], sent: list[str], left_out: list[str]) -> None:
    found = attach(IMAGES, facts, BYTES.get)
    assert [each.data.decode() for each in found.sent.values()] == sent
    assert [each.name for each in found.sent.values()] == [f"attachment-{index + 1}" for index in range(len(sent))]
    assert {sha256(each.data).hexdigest(): each for each in found.sent.values()} == found.sent
    assert list(found.left_out.values()) == left_out
    assert found == attach(IMAGES, facts, BYTES.get)


def test_what_cannot_fit_is_not_loaded() -> None:
    attach(IMAGES, [kept(b"12345678901")], lambda _: pytest.fail("it was loaded"))


def test_by_default_nothing_is_attached_and_nothing_noted() -> None:
    state = RunState(input={"photo": kept(b"1")})
    found, shown = attach_to_run(Attachments(), state, lambda _: pytest.fail("it was loaded"))
    assert (found.sent, found.left_out) == ({}, {})
    assert shown is state


def test_the_prompt_says_what_became_of_each() -> None:
    last = {"scan": kept(b"1", left_out="a lie"), "n": 1}
    state = RunState(
        input={"photo": kept(b"2"), "zip": kept(b"z", "application/zip")},
        last=last,
        returned="ok",
        results={"old": {"page": kept(b"3")}, "plain": {"n": 1}, "new": last},
    )
    found, shown = attach_to_run(IMAGES, state, BYTES.get)
    assert [each.data for each in found.sent.values()] == [b"1", b"2", b"3"]
    assert shown.last["scan"] == {**kept(b"1"), "attached": "attachment-1", "left_out": "a lie"}
    assert list(shown.last["scan"])[:2] == ["$artifact", "attached"], "a cut takes what comes last"
    assert shown.input["photo"]["attached"] == "attachment-2"
    assert shown.input["zip"]["left_out"] == "application/zip is not taken"
    assert shown.results["new"] is shown.last, "what was just returned is not told twice"
    assert shown.results["plain"] is state.results["plain"]
    assert state.last is last
    assert "attached" not in last["scan"]


def test_what_the_step_before_gave_is_not_shown_and_not_attached() -> None:
    found, _ = attach_to_run(IMAGES, RunState(last={"scan": kept(b"1")}, returned=None), BYTES.get)
    assert not found.sent


plain_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from([kept(b"1"), kept(b"22"), gone(b"3")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(plain_values, st.integers(1, 4))
def test_every_reference_is_noted_and_nothing_else_is_changed(value: Any, room: int) -> None:
    found = attach(Attachments(("image/png",), room), [value], BYTES.get)
    assert sum(len(each.data) for each in found.sent.values()) <= room
    assert {digest_of(each) for each in references(value)} == {*found.sent, *found.left_out}
    shown = noted(value, found.notes)
    assert all(("attached" in each) != ("left_out" in each) for each in references(shown))
    assert _without_notes(shown) == value
    assert noted(value, {}) is value


def _without_notes(value: Any) -> Any:
    if isinstance(value, dict):
        hidden = ("attached", "left_out") if digest_of(value) else ()
        return {key: _without_notes(item) for key, item in value.items() if key not in hidden}
    return [_without_notes(item) for item in value] if isinstance(value, list) else value


def test_an_artifact_that_is_not_bytes() -> None:
    with pytest.raises(InputError, match="artifact: data: found a str; expected bytes"):
        taken_in({"photo": Artifact("text")}, "input", {})  # type: ignore[arg-type]
