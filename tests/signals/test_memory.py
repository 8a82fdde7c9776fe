"""Memories read back as they were: a long run is taken up from its newest kept state, whatever its signals remember."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.signals import AGENTS, BUILTIN, Fold, Observation
from stepladder.signals.habits import HABITS
from stepladder.signals.memory import memory_of, plain_memory
from stepladder.signals.tally import Tally

EVERY: Final = {each.name: each for each in (*BUILTIN.values(), *AGENTS.values(), *HABITS)}
KEYS: Final = st.text("a$", max_size=3)
OUTPUTS: Final = st.dictionaries(KEYS, st.none() | st.integers(0, 2) | st.text("ab ", max_size=4), max_size=2)
SEEN: Final = st.builds(
    Observation,
    st.sampled_from(["result", "answer", "decision"]),
    st.sampled_from(["look", "write"]),
    st.sampled_from(["look", "write", "MESSAGE"]),
    st.sampled_from(["", "c1", "c2"]),
    st.sampled_from(["ok", "failed"]),
    OUTPUTS,
    st.just({"score": 3}),
    st.just({"score": (0.0, 10.0)}),
    st.floats(0, 100),
)


def through_json(memory: Any) -> Any:
    return memory_of(json.loads(json.dumps(plain_memory(memory))))


@pytest.mark.parametrize("name", EVERY)
@given(seen=st.lists(SEEN, max_size=8))
def test_every_signal_that_is_shipped_remembers_the_same_after_a_rest(name: str, seen: list[Observation]) -> None:
    fold = Fold([EVERY[name]])
    memory = fold.start()
    for each in seen:
        memory, _ = fold.update(memory, {}, each)
    back = through_json(memory[name])
    assert back == memory[name]
    assert type(back) is type(memory[name])


PLAIN: Final = st.none() | st.booleans() | st.integers() | st.text("a$", max_size=4)
MEMORIES: Final = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.frozensets(PLAIN, max_size=3)
        | st.dictionaries(KEYS | st.sampled_from(["$tuple", "$items", "$set", "$tally"]), inner, max_size=3)
        | st.dictionaries(st.tuples(KEYS, st.integers()), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(MEMORIES)
def test_any_memory_of_tuples_sets_and_mappings_reads_back(memory: Any) -> None:
    assert through_json(memory) == memory


def test_keys_that_look_like_marks_are_keys() -> None:
    assert through_json({"$tuple": [1]}) == {"$tuple": [1]}
    assert through_json(Tally().add(("a", 1))) == Tally({("a", 1): 1}, 1, 1, 0)
