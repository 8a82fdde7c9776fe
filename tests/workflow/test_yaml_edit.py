"""One place changes; every other character stays, and the file reads as it should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import DefinitionError
from stepladder.workflow.yaml_edit import added, flow, removed, replaced
from stepladder.workflow.yaml_text import read_yaml

BLOCK = """\
# what tuning may change
policy:
  routes:   # by route
    hybrid:
      ask: [first]
      rollout: {share: 0.1, reconcile: model_wins}  # since May
    complex:
      ask: [first]
      rollout:
        share: 0.5   # half
        reconcile: rule_wins

rules:
  planning:
    run: {when: [last.status == ok], do: RUN, because: it runs}   # keep

    last: {do: GIVE_UP}
  new: {first: {do: PLAN}}
  empty:
# the end
"""


@pytest.mark.parametrize(
    ("place", "value", "was", "now"),
    [
        (["policy", "routes", "hybrid", "rollout", "share"], 0.5, "share: 0.1,", "share: 0.5,"),
        (["policy", "routes", "complex", "rollout", "share"], 0, "share: 0.5   # half", "share: 0   # half"),
        (["rules", "planning", "run", "because"], "a, b: c", "because: it runs", 'because: "a, b: c"'),
        (["rules", "planning", "last"], {"do": "X"}, "last: {do: GIVE_UP}", "last: {do: X}"),
    ],
)
def test_replaced(place: list[str], value: Any, was: str, now: str) -> None:
    text = replaced(BLOCK, place, value)
    assert text == BLOCK.replace(was, now)


RULE = {"when": ["a.b >= 3", "word == x"], "do": "GO", "shadow": True}
SPELT = "mined: {when: [a.b >= 3, word == x], do: GO, shadow: true}"


@pytest.mark.parametrize(
    ("place", "was", "now"),
    [
        (["rules", "planning"], "    last: {do: GIVE_UP}\n", f"    last: {{do: GIVE_UP}}\n    {SPELT}\n"),
        (["rules", "new"], "{first: {do: PLAN}}", f"{{first: {{do: PLAN}}, {SPELT}}}"),
        (["rules", "empty"], "  empty:\n", f"  empty: {{{SPELT}}}\n"),
        (["rules", "other"], "  empty:\n", f"  empty:\n  other:\n    {SPELT}\n"),
        (["select_agent", "s"], "  empty:\n", f"  empty:\nselect_agent:\n  s:\n    {SPELT}\n"),
    ],
)
def test_added(place: list[str], was: str, now: str) -> None:
    text = added(BLOCK, place, "mined", RULE)
    found, _ = read_yaml(text)
    for part in place:
        found = found[part]
    assert found["mined"] == RULE
    assert text == BLOCK.replace(was, now)


@pytest.mark.parametrize(
    ("place", "was", "now"),
    [
        (["rules", "planning", "last"], "    last: {do: GIVE_UP}\n", ""),
        (["rules", "new", "first"], "{first: {do: PLAN}}", "{}"),
        (["policy", "routes", "hybrid", "rollout", "reconcile"], ", reconcile: model_wins", ""),
        (["policy", "routes", "hybrid", "rollout", "share"], "share: 0.1, ", ""),
    ],
)
def test_removed(place: list[str], was: str, now: str) -> None:
    assert removed(BLOCK, place) == BLOCK.replace(was, now)


def test_what_is_not_there_or_there_already() -> None:
    with pytest.raises(DefinitionError, match=r"policy\.limits: found nothing"):
        replaced(BLOCK, ["policy", "limits", "usd"], 1)
    with pytest.raises(DefinitionError, match="found it already"):
        added(BLOCK, ["rules", "planning"], "run", {})
    with pytest.raises(DefinitionError, match=r"rules\.new\.second: found nothing"):
        removed(BLOCK, ["rules", "new", "second"])


names = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("C",)))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_what_is_written_reads_back(value: Any) -> None:
    assert read_yaml(f"key: {flow(value)}")[0] == {"key": value}
    assert read_yaml(added("a: 1\n", [], "key", value))[0] == {"a": 1, "key": value}
