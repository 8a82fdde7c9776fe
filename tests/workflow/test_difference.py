# ruff: noqa: E501 - a row of the table is a line
"""What differs between two definitions: each kind of change, and nothing that does not pin a run."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder import DefinitionError, signal
from stepladder.workflow.build import build
from stepladder.workflow.difference import LONGEST, difference
from stepladder.workflow.yaml_text import read_yaml
from tests.workflow.small import SMALL, built, edited, paths, replaced, values

DATA: Final[dict[str, Any]] = read_yaml(SMALL)[0]

ROWS: Final[dict[str, tuple[tuple[str, str], list[str]]]] = {
    "version": (("version: 1", "version: 2"), ["workflow, version: was 1, is 2"]),
    "start": (("start: idle", "start: waiting"), ["workflow, start: was idle, is waiting"]),
    "input": (("pages: integer", "pages: number"), ['input, pages: was {"type": "integer"}, is {"type": "number"}']),
    "input, new": (("pages: integer", "pages: integer, tone: string"), ['input, tone: was nothing, is {"type": "string"}']),
    "agent's promise": (("idempotent: true", "idempotent: false"), ["agent writer, idempotent: was true, is false"]),
    "agent's output": (("enum: [good, bad]", "enum: [good, poor]"), ['agent writer, output.status: was {"enum": ["good", "bad"]}, is {"enum": ["good", "poor"]}']),
    "agent's failing": (("fails: [done == false]", "fails: [done != true]"), ["agent writer, fails: was done == false, is done != true"]),
    "agent, new": (("  editor: {", "  reader: {}\n  editor: {"), ["agent reader: added"]),
    "step, new": (("      idle: {}", "      idle: {}\n      asleep: {}"), ["step asleep: added"]),
    "step's time": (("timeout_s: 20", "timeout_s: 30"), ["step writing, timeout_s: was 20.0, is 30.0"]),
    "step's arguments": (("with: {topic: input.topic}", "with: {topic: input.topic, n: input.pages}"), ['step writing, with: was {"topic": "input.topic"}, is {"topic": "input.topic", "n": "input.pages"}']),
    "step's name of results": (("as: verdict", "as: word"), ["step asking, as: was verdict, is word"]),
    "step's answer": (("output: {word: {enum: [yes, no]}}", "output: {word: {enum: [yes, no, so]}}"), ['step asking, output.word: was {"enum": ["yes", "no"]}, is {"enum": ["yes", "no", "so"]}']),
    "convergence": (("converged: [returned == ok]", "converged: [returned != failed]"), [
        "phase drafting, converged: was returned == ok, is returned != failed",
        "action ASK from writing, guard: was taken.ASK < 3, returned == ok, is taken.ASK < 3, returned != failed",
    ]),
    "end": (("output: {text: result.draft.text}}", "output: {}}"), ['end done, output: was {"text": "result.draft.text"}, is nothing']),
    "guard": (("guard: [taken.ASK < 3]", "guard: [taken.ASK < 4]"), ["action ASK from writing, guard: was taken.ASK < 3, returned == ok, is taken.ASK < 4, returned == ok"]),
    "where an action leads": (("to: waiting,", "to: idle,"), ["action WAIT from asking, to: was waiting, is idle"]),
    "where an action comes from": (("WRITE: {from: [idle, waiting]", "WRITE: {from: [idle, waiting, asking]"), ["action WRITE from asking: added"]),
    "an action's parameters": (("parameters: {question: string}", "parameters: {question: any}"), ['action ASK, parameters.question: was {"type": "string"}, is nothing']),
    "an action, new": (("  WAIT: {", "  SLEEP: {from: [idle, asking], to: idle}\n  WAIT: {"), ["action SLEEP: added"]),
}  # fmt: skip
"""A change, and what is said of it."""


@pytest.mark.parametrize("name", ROWS)
def test_a_change(name: str) -> None:
    edit, expected = ROWS[name]
    old, new = built(), built(edited(edit))
    assert [str(each) for each in difference(old, new)] == expected
    back = {str(each) for each in difference(new, old)}
    assert len(back) == len(expected)
    assert {each.replace(": added", ": removed") for each in expected if each.endswith("added")} <= back


def test_the_order_of_actions() -> None:
    actions = dict(reversed(DATA["actions"].items()))
    found = [str(each) for each in difference(built(), build({**DATA, "actions": actions}))]
    assert found == [
        "order of the actions from writing: was ASK, GIVE_UP, is GIVE_UP, ASK",
        "order of the actions from asking: was WAIT, FINISH, GIVE_UP, is GIVE_UP, FINISH, WAIT",
        "order of the actions from waiting: was WRITE, GIVE_UP, is GIVE_UP, WRITE",
    ]


def test_the_version_of_an_own_signal() -> None:
    def reading(version: int) -> Any:
        loud = signal("loud", start=0, version=version)(lambda memory, _: memory)
        return build({**DATA, "actions": {**DATA["actions"], **action}}, signals=[loud])

    action = {"WAIT": {"from": "asking", "to": "waiting", "guard": ["loud < 3"]}}
    assert [str(each) for each in difference(reading(1), reading(2))] == ["signal loud, version: was 1, is 2"]


@pytest.mark.parametrize(
    "edit",
    [
        ("when: [last.word == yes], do", "when: [last.word == no], do"),
        ("usd: 0.5", "usd: 0.6"),
        ("write@1: Write", "write@1: Do write"),
        ("workflow: small", "description: Writes.\nworkflow: small"),
        ("start: idle", "start: idle\nmigrates: {from: 7, steps: {asleep: idle}}"),
    ],
)
def test_what_does_not_pin_a_run_is_no_difference(edit: tuple[str, str]) -> None:
    old, new = built(), built(edited(edit))
    assert difference(old, new) == ()
    assert old.hash == new.hash


@given(st.sampled_from(paths(DATA)), values)
def test_there_is_a_difference_exactly_where_the_hash_is_another(path: tuple[Any, ...], value: object) -> None:
    try:
        other = build(replaced(DATA, path, value)) if path else built()
    except DefinitionError:
        return
    found = difference(built(), other)
    assert bool(found) is (other.hash != built().hash), found
    assert all(len(str(each)) < 3 * LONGEST for each in found)
