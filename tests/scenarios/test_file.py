# ruff: noqa: E501 - a row of the table is a line
"""The scenario file: what is wrong with it, at which line, and where its workflow is looked for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from stepladder.errors import DefinitionError
from stepladder.scenarios import Scenario, load_scenario, parse_scenario
from tests.drivers.desk import ONE
from tests.scenarios.stage import written

GOOD = """\
# a comment
scenario: a name
workflow: one
agents: ours.py
input: {x: 1}
script:
  worker: [{y: 1}, {$raise: no}, {$late: true}]
  person: [{approve: true}]
  models:
    "openai:a": [text, {action: GO}, {$fail: late}, [1], 3]
  messages: {released: [{note: x}]}
expect:
  end: done
  success: true
  path: [FINISH]
  decisions:
    1: {action: FINISH, rule: finish}
    12: {fallback: false, fired: [many]}
  never: [GIVE_UP]
  asked: 0
  output: {made: 1}
  waiting: message
  usd_at_most: 0.5
"""


class Row(NamedTuple):
    """A name, what is changed in GOOD, the line, the key, what was found and what was expected."""

    name: str
    old: str
    new: str
    line: int
    where: str
    found: str
    expected: str


BAD = [
    Row("no name", "scenario: a name\n", "", 1, "scenario", "nothing", "the key 'scenario'"),
    Row("an empty name", "scenario: a name", "scenario: ''", 2, "scenario", "''", ""),
    Row("a name that is a list", "scenario: a name", "scenario: [a]", 2, "scenario", "a list of 1", "text"),
    Row("no workflow", "workflow: one\n", "", 1, "workflow", "nothing", "the key 'workflow'"),
    Row("a workflow that is a number", "workflow: one", "workflow: 1", 3, "workflow", "1", "text"),
    Row("agents that are a list", "agents: ours.py", "agents: [ours.py]", 4, "agents", "a list of 1", "text"),
    Row("an input that is a list", "input: {x: 1}", "input: [1]", 5, "input", "a list of 1", "a mapping"),
    Row("nothing under input", "input: {x: 1}", "input:", 5, "input", "nothing (null)", "a mapping"),
    Row("a script that is a list", "  worker: [{y: 1}, {$raise: no}, {$late: true}]\n  person: [{approve: true}]\n  models:\n    \"openai:a\": [text, {action: GO}, {$fail: late}, [1], 3]\n  messages: {released: [{note: x}]}\n", "  - worker\n", 6, "script", "a list of 1", "a mapping"),
    Row("results that are no list", "worker: [{y: 1}, {$raise: no}, {$late: true}]", "worker: {y: 1}", 7, "script.worker", "a mapping of y", "a list of results, each a mapping"),
    Row("a result that is text", "{y: 1}, {$raise", "done, {$raise", 7, "script.worker", "a list of 3", "a list of results, each a mapping"),
    Row("a sign for agents that there is not", "{$raise: no}", "{$rais: no}", 7, "script.worker.1.$rais", "key '$rais'", "one of: $late, $raise, $type, $with (did you mean $raise?)"),
    Row("a model's sign for an agent", "{$raise: no}", "{$fail: late}", 7, "script.worker.1.$fail", "key '$fail'", "one of: $late, $raise"),
    Row("a person who is no list", "[{approve: true}]", "{approve: true}", 8, "script.person", "a mapping of approve", "a list"),
    Row("an answer that is text", "[{approve: true}]", "[approve]", 8, "script.person.0", "'approve'", "a mapping"),
    Row("models that are a list", "  models:\n    \"openai:a\": [text, {action: GO}, {$fail: late}, [1], 3]\n", "  models: [text]\n", 9, "script.models", "a list of 1", "a mapping"),
    Row("a model's answers that are no list", "[text, {action: GO}, {$fail: late}, [1], 3]", "text", 10, "script.models.openai:a", "'text'", "a list"),
    Row("a model without a provider", '"openai:a"', "gpt-5-mini", 10, "script.models.gpt-5-mini", "'gpt-5-mini'", "provider:model, such as openai:gpt-5-mini"),
    Row("a provider without a model", '"openai:a"', '"openai:"', 10, "script.models.openai:", "'openai:'", "provider:model, such as openai:gpt-5-mini"),
    Row("a failure there is not", "{$fail: late}", "{$fail: lat}", 10, "script.models.openai:a.2.$fail", "code 'lat'", "(did you mean late?)"),
    Row("a sign for models that there is not", "{$fail: late}", "{$late: true}", 10, "script.models.openai:a.2.$late", "key '$late'", "$fail"),
    Row("a message with a blank in its name", "{released: [", "{is released: [", 11, "script.messages.is released", "'is released'", "a name: letters, digits and _"),
    Row("a message that is no list", "{released: [{note: x}]}", "{released: {note: x}}", 11, "script.messages.released", "a mapping of note", "a list"),
    Row("an end that is a list", "end: done", "end: [done]", 13, "expect.end", "a list of 1", "text"),
    Row("a success that is text", "success: true", "success: yes", 14, "expect.success", "'yes'", "true or false"),
    Row("a path that is text", "path: [FINISH]", "path: FINISH", 15, "expect.path", "'FINISH'", "a list"),
    Row("an action that is a number", "path: [FINISH]", "path: [1]", 15, "expect.path.0", "1", "text"),
    Row("decisions that are a list", "  decisions:\n    1: {action: FINISH, rule: finish}\n    12: {fallback: false, fired: [many]}\n", "  decisions: [FINISH]\n", 16, "expect.decisions", "a list of 1", "a mapping"),
    Row("a decision by name", "    1: {action", "    first: {action", 17, "expect.decisions.first", "'first'", "the number of a decision, from 1"),
    Row("decision 0", "    1: {action", "    0: {action", 17, "expect.decisions.0", "'0'", "the number of a decision, from 1"),
    Row("decision 00", "    1: {action", "    00: {action", 17, "expect.decisions.00", "'00'", "the number of a decision, from 1"),
    Row("decision -1", "    1: {action", "    -1: {action", 17, "expect.decisions.-1", "'-1'", "the number of a decision, from 1"),
    Row("a digit that is no number", "    1: {action", "    ²: {action", 17, "expect.decisions.²", "'²'", "the number of a decision, from 1"),
    Row("a decision that is text", "{action: FINISH, rule: finish}", "FINISH", 17, "expect.decisions.1", "'FINISH'", "a mapping"),
    Row("a fallback that is text", "fallback: false", "fallback: none", 18, "expect.decisions.12.fallback", "'none'", "true or false"),
    Row("fired that is text", "fired: [many]", "fired: many", 18, "expect.decisions.12.fired", "'many'", "a list"),
    Row("asked as text", "asked: 0", "asked: none", 20, "expect.asked", "'none'", "a whole number"),
    Row("half a question", "asked: 0", "asked: 0.5", 20, "expect.asked", "0.5", "a whole number"),
    Row("an output that is text", "output: {made: 1}", "output: made", 21, "expect.output", "'made'", "a mapping"),
    Row("waiting for what there is not", "waiting: message", "waiting: person", 22, "expect.waiting", "'person'", "one of: approval, decision, effect, message, question, time"),
    Row("money as text", "usd_at_most: 0.5", "usd_at_most: half", 23, "expect.usd_at_most", "'half'", "a number"),
    Row("an unknown key", "expect:", "expct:", 12, "expct", "key 'expct'", ""),
    Row("a key of ours", "expect:", "folder: /\nexpect:", 12, "folder", "key 'folder'", ""),
    Row("an unknown expectation", "end: done", "ends: done", 13, "expect.ends", "key 'ends'", ""),
    Row("an unknown field of a decision", "{action: FINISH,", "{acton: FINISH,", 17, "expect.decisions.1.acton", "key 'acton'", ""),
    Row("a key twice", "end: done", "end: done\n  end: done", 14, "expect", "key 'end' a second time", "each key once"),
    Row("an alias", "end: done", "end: *done", 13, "", "alias *done", "the value itself, written out"),
    Row("not YAML", "input: {x: 1}", "input: {x: 1", 5, "", "'{' that is not closed", "'}'"),
]  # fmt: skip


@pytest.mark.parametrize("row", BAD, ids=lambda row: row.name)
def test_what_is_wrong_with_it(row: Row) -> None:
    assert GOOD.count(row.old) == 1, row.old
    with pytest.raises(DefinitionError) as caught:
        parse_scenario(GOOD.replace(row.old, row.new), "s.yaml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.where) == ("s.yaml", row.line, row.where)
    assert row.found in problem.found
    assert row.expected in problem.expected


KEYS = [
    ("expect:", "expct:", "did you mean expect?"),
    ("end: done", "ends: done", "did you mean end?"),
    ("{action: FINISH,", "{acton: FINISH,", "did you mean action?"),
]


@pytest.mark.parametrize(("old", "new", "expected"), KEYS)
def test_an_unknown_key_is_told_the_keys_of_a_scenario(old: str, new: str, expected: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_scenario(GOOD.replace(old, new))
    assert expected in caught.value.problems[0].expected


@pytest.mark.parametrize(("old", "new"), [("[{approve: true}]", "yes"), ("path: [FINISH]", "path: FINISH")])
def test_what_should_be_a_list_is_not_told_of_clauses(old: str, new: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_scenario(GOOD.replace(old, new))
    assert "clauses" not in caught.value.problems[0].expected


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_scenario(GOOD.replace("end: done", "end: 1").replace("asked: 0", "asked: no"), "s.yaml")
    assert [problem.where for problem in caught.value.problems] == ["expect.end", "expect.asked"]


def test_a_good_one() -> None:
    read = parse_scenario(GOOD, "s.yaml", Path("there"))
    assert (read.scenario, read.workflow, read.agents, read.input) == ("a name", "one", "ours.py", {"x": 1})
    assert list(read.agents_said) == ["worker"]
    assert read.said.person == [{"approve": True}]
    assert read.said.models["openai:a"][:2] == ["text", {"action": "GO"}]
    assert read.said.messages == {"released": [{"note": "x"}]}
    assert read.expect.decisions["12"].fired == ["many"]
    assert read.folder == Path("there")


@pytest.mark.parametrize("script", ["", "script:", "script: {}"])
def test_the_least_there_can_be(script: str) -> None:
    read = parse_scenario(f"scenario: s\nworkflow: w.yaml\n{script}")
    assert (read.agents_said, read.said.person, read.input) == ({}, [], {})
    assert (read.expect.end, read.expect.never, read.folder) == (None, [], Path())


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "no such file or directory"), (b"scenario: \xff", "bytes that are not UTF-8 at 10"), (b"", "nothing")],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, found: str) -> None:
    if content is not None:
        (tmp_path / "s.yaml").write_bytes(content)
    with pytest.raises(DefinitionError) as caught:
        load_scenario(tmp_path / "s.yaml")
    (problem,) = caught.value.problems
    assert problem.file == str(tmp_path / "s.yaml")
    assert found in problem.found


# --- the workflow it names


def named(folder: Path, workflow: str) -> Scenario:
    return parse_scenario(f"scenario: s\nworkflow: {workflow}", folder=folder)


@pytest.mark.parametrize(
    ("case", "place"),
    [
        ("beside it", "scenarios/one.yaml"),
        ("in a folder beside it", "scenarios/one/workflow.yaml"),
        ("among the examples beside it", "scenarios/examples/one/workflow.yaml"),
        ("the workflow beside it, by its name", "scenarios/workflow.yaml"),
        ("above it", "one.yaml"),
        ("in a folder above it", "one/workflow.yaml"),
        ("among the examples above it", "examples/one/workflow.yaml"),
        ("the workflow above it, by its name", "workflow.yaml"),
    ],
)
def test_a_workflow_by_name(tmp_path: Path, case: str, place: str) -> None:
    written(tmp_path, {place: ONE, "scenarios/s.yaml": ""})
    found = named(tmp_path / "scenarios", "one").workflow_file()
    assert found.resolve() == (tmp_path / place).resolve(), case


def test_the_nearest_comes_first(tmp_path: Path) -> None:
    written(tmp_path, {"one.yaml": ONE, "scenarios/one/workflow.yaml": ONE})
    assert named(tmp_path / "scenarios", "one").workflow_file() == tmp_path / "scenarios" / "one" / "workflow.yaml"


def test_up_to_three_folders_above(tmp_path: Path) -> None:
    written(tmp_path, {"one.yaml": ONE, "a/b/c/d/s.yaml": ""})
    assert named(tmp_path / "a" / "b" / "c", "one").workflow_file() == tmp_path / "one.yaml"
    with pytest.raises(DefinitionError, match=r"found workflow 'one'; expected one\.yaml or one/workflow\.yaml near"):
        named(tmp_path / "a" / "b" / "c" / "d", "one").workflow_file()


def test_a_workflow_of_another_name_is_not_taken(tmp_path: Path) -> None:
    written(tmp_path, {"workflow.yaml": ONE.replace("workflow: one", "workflow: two")})
    with pytest.raises(DefinitionError, match="workflow 'one'"):
        named(tmp_path, "one").workflow_file()


def test_a_file_nearby_that_is_no_text_is_passed_by(tmp_path: Path) -> None:
    written(tmp_path, {"one.yaml": ONE, "scenarios/s.yaml": ""})
    (tmp_path / "scenarios" / "workflow.yaml").write_bytes(b"\xff\xfe\x00")
    assert named(tmp_path / "scenarios", "one").workflow_file() == tmp_path / "one.yaml"


@pytest.mark.parametrize("path", ["w.yaml", "../w.yml", "deep/er.yaml"])
def test_a_workflow_by_path(tmp_path: Path, path: str) -> None:
    assert named(tmp_path / "scenarios", path).workflow_file() == tmp_path / "scenarios" / path
