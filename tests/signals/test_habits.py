"""Habits: what was seen before a choice, in words and counts; nothing of what comes after."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stepladder.clauses import Condition
from stepladder.evaluation.choices import chosen_in, flat
from stepladder.scenarios.recording import Afterwards, Decided, Identity, Outcome, Recording, Step
from stepladder.scenarios.recording_line import new_step
from stepladder.signals import Fold, Observation
from stepladder.signals.habits import HABITS

STORY = [
    Observation("answer", "user", "person", output={"text": "Hi! Where is order #W12?", "length": 24, "sha": "a"}),
    Observation("decision", "agent", "MESSAGE", output={"text": "Let me look.\nOne moment?", "length": 24, "sha": "b"}),
    Observation("decision", "agent", "get_order", "c1"),
    Observation("result", "agent", "get_order", "c1", "ok", {"text": '{"id": 12}, {"id": 13}, x', "length": 25}),
    Observation("decision", "agent", "get_order", "c2"),
    Observation("result", "agent", "get_order", "c2", "failed", {"text": "Error: none", "length": 11}),
]


def facts(seen: list[Observation]) -> dict[str, Any]:
    fold = Fold(HABITS)
    memory, broken = fold.start(), dict[str, str]()
    for each in seen:
        memory, broken = fold.update(memory, broken, each)
    values, broken = fold.values(memory, broken)
    assert not broken
    return flat(values)


def test_a_story_step_by_step() -> None:
    start = facts([])
    assert (start["rhythm.steps"], start.get("recent.1"), start.get("habit.one")) == (0, None, None)
    heard = facts(STORY[:1])
    assert (heard["recent.1"], heard["heard.order"], heard["texts.answer_codes"], heard["texts.answer_asks"]) == (
        "answer",
        True,
        1,
        True,
    )
    called = facts(STORY[:3])
    assert [called[f"rhythm.{name}"] for name in ("messages", "calls", "open_calls", "announced", "unannounced")] == [
        *(1, 1, 1, 1, 0)
    ]
    assert (called["recent.1"], called["recent.2"], called["recent.3"]) == ("get_order", "MESSAGE", "answer")
    end = facts(STORY)
    assert (end["recent.1"], end["texts.shape"], end["rhythm.open_calls"]) == ("failed_get_order", "text", 0)
    assert (end["rhythm.announced"], end["rhythm.unannounced"], end["shown.error"]) == (1, 1, True)
    again = facts([*STORY, STORY[3]])
    assert (again["habit.one"], again["habit.one_times"]) == ("get_order", 1), "as after the first good result"
    assert Condition(["habit.one == get_order", "texts.items >= 1"]).holds(_nested(again))


def _nested(flat_facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in flat_facts.items():
        head, _, rest = name.partition(".")
        found.setdefault(head, {})[rest] = value
    return found


texts = st.text(st.characters(codec="utf-8"), max_size=30)
observation = st.builds(
    Observation,
    kind=st.sampled_from(["result", "answer", "decision"]),
    step=st.sampled_from(["agent", "user"]),
    name=st.sampled_from(["MESSAGE", "look up!", "get_order", ""]),
    call=texts,
    returned=st.sampled_from(["ok", "failed"]),
    output=st.dictionaries(st.sampled_from(["text", "length", "sha"]), texts | st.integers() | st.none()),
)


@given(st.lists(observation, max_size=12))
def test_no_text_breaks_a_signal_and_every_value_is_one_that_clauses_read(seen: list[Observation]) -> None:
    for name, value in facts(seen).items():
        assert isinstance(value, str | int | float)
        assert all(part.replace("_", "").isalnum() and part.isascii() for part in name.split("."))


def recording(steps: list[Step], success: bool = True) -> Recording:
    identity = Identity(model="m-1", agent_system="s", task_id="t")
    return Recording("r", "shop", "f", "d", "k", tuple(steps), identity, Afterwards(Outcome(success)))


def test_choices_are_those_of_agents_on_what_was_before() -> None:
    steps = [
        new_step(0, "user", "user_message", "Hello"),
        new_step(1, "agent", "tool_call", tool="look up", args={"page": 1}),
        new_step(2, "env", "tool_result", "nothing", ref=1, is_error=False),
        new_step(3, "user", "tool_call", tool="restart", args={}),
        new_step(4, "agent", "message", "I do not know"),
    ]
    found = list(chosen_in([recording(steps)]))
    assert [(each.action, each.facts.get("recent.1")) for each in found] == [
        ("look_up", "answer"),
        ("MESSAGE", "restart"),
    ]
    assert found[1].facts["taken.look_up"] == 1
    assert (found[0].group, found[0].success) == ("k", True)
    other = list(chosen_in([recording(steps, success=False)]))
    assert [each.facts for each in other] == [each.facts for each in found], "how it ended is no fact"
    assert not any("m-1" in str(each.facts) for each in found)


def test_our_own_decisions_count_where_a_model_answered() -> None:
    asked = Decided(rule_action="GIVE_UP", model_action="RETRY", route="hybrid")
    late = Decided(rule_action="GIVE_UP", model_action="WAIT", signals={"error_count": 3})
    steps = [
        Step(0, "flow", "decision", "RETRY", decided=asked),
        Step(1, "flow", "decision", "GIVE_UP", decided=Decided(rule_action="GIVE_UP")),
        Step(2, "flow", "decision", "GIVE_UP", decided=late),
    ]
    found = list(chosen_in([recording(steps)]))
    assert [(each.action, each.rule, each.route) for each in found] == [
        ("RETRY", "GIVE_UP", "hybrid"),
        ("WAIT", "GIVE_UP", ""),
    ]
    assert found[1].facts["error_count"] == 3
    assert found[1].facts["taken.GIVE_UP"] == 1
