"""Counting: what a tally says is what counting all of the keys would say."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.signals import Observation
from stepladder.signals.tally import Tally, count_calls, count_results, count_tools


def tally(keys: str) -> Tally:
    found = Tally()
    for key in keys:
        found = found.add(key)
    return found


@pytest.mark.parametrize(
    ("keys", "times", "most", "again"),
    [("", 0, 0, 0), ("a", 1, 1, 0), ("ab", 1, 1, 0), ("aab", 1, 2, 1), ("aba", 2, 2, 1), ("aabb", 2, 2, 2)],
)
def test_a_tally_says_of_the_newest_the_most_frequent_and_those_that_came_again(
    keys: str, times: int, most: int, again: int
) -> None:
    found = tally(keys)
    assert (found.times, found.most, found.again) == (times, most, again)


@given(st.text("abc", min_size=1, max_size=30))
def test_it_is_what_counting_all_of_them_says(keys: str) -> None:
    counted, found = Counter(keys), tally(keys)
    assert (found.counts, found.times) == (counted, counted[keys[-1]])
    assert (found.most, found.again) == (max(counted.values()), len(keys) - len(counted))


def test_adding_changes_nothing_that_was_there() -> None:
    before = tally("ab")
    before.add("a")
    assert before == tally("ab")


def test_a_wait_is_no_call_a_message_no_tool_and_a_digest_stands_for_a_text() -> None:
    assert count_calls(Tally(), Observation("result", "s")) == Tally()
    assert count_calls(Tally(), Observation("result", "s", call="c")).times == 1
    assert count_tools({"look": 1}, Observation("decision", "s", "MESSAGE")) == {"look": 1}
    assert count_tools({"look": 1}, Observation("decision", "s", "look")) == {"look": 2}
    cut = count_results(Tally(), Observation("result", "s", "a", output={"text": "long", "sha": "1"}))
    assert count_results(cut, Observation("result", "s", "a", output={"text": "lo", "sha": "1"})).again == 1
    assert count_results(cut, Observation("result", "s", "b", output={"text": "long", "sha": "1"})).again == 0
