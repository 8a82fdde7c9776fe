"""Recorded runs: played again from their cassette, kept as recordings, and missed loudly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.cli.commands import app
from stepladder.evaluation.steps import steps_of
from stepladder.scenarios import load_scenario, play
from stepladder.scenarios.cassette_text import cassette_text
from stepladder.scenarios.observing import observations
from stepladder.scenarios.recording_files import read_recordings
from stepladder.workflow.yaml_text import read_yaml
from tests.cli.desk import Desk

ROOT = Path(__file__).parents[2]
EVERY = sorted((ROOT / "scenarios").glob("*.yaml"))
QUICK = ("text_to_sql", "ml_pipeline_no_such_file")
SCENARIOS = [each for each in EVERY if "STEPLADDER_TORTURE" in os.environ or each.stem.startswith(QUICK)]

WORKFLOW = """
workflow: w
input: {topic: string}
start: idle
agents:
  worker: {idempotent: true, output: {ok: boolean, note: string}, fails: [ok == false]}
phases:
  main:
    steps:
      idle: {}
      working: {agent: worker, with: {topic: input.topic, turn: visits.working}}
      asking: {ask: person, as: answer, output: {text: string}}
ends: {good: {success: true}, bad: {success: false}}
actions:
  WORK: {from: [idle, working, asking], to: working}
  ASK: {from: working, to: asking}
  DONE: {from: working, to: good}
  QUIT: {from: [working, asking], to: bad}
rules:
  idle: {begin: {do: WORK}}
  working:
    done: {when: [returned == ok], do: DONE}
    ask: {when: [visits.working == 2], do: ASK}
    again: {when: [visits.working < 4], do: WORK}
    quit: {do: QUIT}
  asking:
    again: {when: [returned == ok], do: WORK}
    quit: {do: QUIT}
"""
SCRIPT = """
scenario: first
workflow: workflow.yaml
input: {topic: "no"}
script:
  worker: [{ok: false, note: "010"}, {$raise: it broke}, {ok: true, note: "12:30"}]
  person: [{text: go on}]
expect: {end: good}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("STEPLADDER_JOURNAL", "STEPLADDER_DEBUG", "STEPLADDER_BY"):
        monkeypatch.delenv(name, raising=False)
    return Desk(tmp_path)


def folder(path: Path) -> Path:
    (path / "scenarios").mkdir(parents=True, exist_ok=True)
    (path / "workflow.yaml").write_text(WORKFLOW)
    (path / "first.yaml").write_text(SCRIPT)
    return path


def recorded(path: Path, desk: Desk) -> Path:
    """The first scenario, played, and recorded as a second one."""
    folder(path)
    journal = str(path / "j.db")
    assert desk("play", str(path / "first.yaml"), "--journal", journal).code == 0
    out = path / "scenarios" / "again.yaml"
    told = desk("record", "last", "-o", str(out), "--journal", journal)
    assert told.code == 0, told.err
    text = out.read_text().replace("workflow: w\n", "workflow: ../workflow.yaml\n")
    out.write_text(text)
    return out


def test_a_recorded_run_plays_again(tmp_path: Path, desk: Desk) -> None:
    out = recorded(tmp_path, desk)
    scenario = load_scenario(out)
    assert scenario.expect.path == ["WORK", "WORK", "ASK", "WORK", "DONE"]
    assert scenario.script["worker"][0] == {"ok": False, "note": "010", "$with": {"topic": "no", "turn": 1}}
    played = play(scenario)
    assert played.passed, played.failures


TYPED = """
workflow: w
input: {topic: string}
start: idle
agents: {worker: {idempotent: true, output: {ok: boolean}}}
phases: {main: {steps: {idle: {}, working: {agent: worker, with: {topic: input.topic}}}}}
ends: {good: {success: true}, hopeless: {success: false}, bad: {success: false}}
actions:
  WORK: {from: [idle, working], to: working}
  LEAVE: {from: working, to: hopeless}
  QUIT: {from: working, to: bad}
policy: {limits: {then: bad}}
rules:
  idle: {begin: {do: WORK}}
  working:
    hopeless: {when: [last.error_type == KeyError], do: LEAVE}
    broken: {when: [last.error_type == invalid], do: QUIT}
    again: {do: WORK}
"""


@pytest.mark.parametrize(("fails", "end"), [("raise KeyError('topic')", "hopeless"), ("return {'ok': 1}", "bad")])
def test_a_failure_keeps_the_kind_that_rules_read(tmp_path: Path, desk: Desk, fails: str, end: str) -> None:
    (tmp_path / "workflow.yaml").write_text(TYPED)
    (tmp_path / "agents.py").write_text(f"def worker(topic):\n    {fails}\n\nAGENTS = {{'worker': worker}}\n")
    journal, out = str(tmp_path / "j.db"), tmp_path / "failed.yaml"
    told = desk.json("run", str(tmp_path / "workflow.yaml"), "-i", "topic=x", "--id", "f", "--journal", journal)
    assert told["end"] == end
    assert desk("record", "f", "-o", str(out), "--journal", journal).code == 0
    out.write_text(out.read_text().replace("workflow: w\n", "workflow: workflow.yaml\n"))
    played = play(load_scenario(out))
    assert played.passed, played.failures
    assert played.run.end == end


def test_a_cassette_that_misses_names_the_nearest_call(tmp_path: Path, desk: Desk) -> None:
    out = recorded(tmp_path, desk)
    out.write_text(out.read_text().replace("input:\n  topic: 'no'", "input:\n  topic: other"))
    played = play(load_scenario(out))
    (script,) = [each for each in played.failures if each.what == "script"]
    assert (
        'call 1 of worker is not on the cassette; nearest is its recorded call 1 (topic: recorded "no", now "other")'
        in str(script.found)
    )


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_the_examples_play_again_from_their_cassette(file: Path, tmp_path: Path, desk: Desk) -> None:
    journal = str(tmp_path / "j.db")
    assert desk("play", str(file), "--journal", journal).code == 0
    out = tmp_path / "again.yaml"
    assert desk("record", "last", "-o", str(out), "--journal", journal).code == 0
    example = "ml_pipeline" if file.stem.startswith("ml_pipeline") else "text_to_sql"
    played = play(load_scenario(out), workflow=ROOT / "examples" / example / "workflow.yaml")
    assert played.passed, played.failures


def test_runs_become_recordings(tmp_path: Path, desk: Desk) -> None:
    recorded(tmp_path, desk)
    out = tmp_path / "runs.jsonl.gz"
    told = desk("record", "--all", "-o", str(out), "--journal", str(tmp_path / "j.db"), "--json")
    assert json.loads(told.out) == {"runs": 1, "skipped": 0, "file": str(out)}
    (run,) = read_recordings([out])
    assert [(step.kind, step.tool) for step in run.steps] == [
        ("user_message", None),
        ("decision", "WORK"),
        ("tool_call", "worker"),
        ("tool_result", "worker"),
        ("decision", "WORK"),
        ("tool_call", "worker"),
        ("tool_result", "worker"),
        ("decision", "ASK"),
        ("user_message", None),
        ("decision", "WORK"),
        ("tool_call", "worker"),
        ("tool_result", "worker"),
        ("decision", "DONE"),
    ]
    assert [step.is_error for step in run.steps if step.kind == "tool_result"] == [False, True, False]
    assert run.steps[1].decided is not None
    assert (run.steps[1].decided.rule, run.steps[1].decided.source) == ("begin", "rule")
    assert (run.after.failed, run.domain) == (False, "w")
    assert steps_of([run]).steps.column("error_count")[-1] == 1
    assert len(list(observations(run.steps))) == len(run.steps)


@pytest.mark.parametrize(
    "args",
    [("-o", "x.yaml"), ("last", "--all", "-o", "x.jsonl"), ("--all", "-o", "x.yaml"), ("last", "-o", "x.txt")],
)
def test_what_record_refuses(tmp_path: Path, desk: Desk, args: tuple[str, ...]) -> None:
    assert desk("record", *args, "--journal", str(tmp_path / "j.db")).code == 2


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(["script", "expect", "input"]), st.dictionaries(st.text(min_size=1), VALUES)))
def test_what_is_written_reads_back(scenario: dict[str, Any]) -> None:
    try:
        json.dumps(scenario, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    text = cassette_text({"scenario": "s", **scenario})
    assert read_yaml(text)[0] == {"scenario": "s", **scenario}


# --- the plugin

pytest_plugins = ["pytester"]


def plugin(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Without the one that is installed, if it is: it is the same."""
    ours = ("-p", "no:stepladder", "-p", "stepladder.integrations.pytest_plugin", "-p", "no:cacheprovider")
    return pytester.runpytest(*ours, *args)


def test_the_plugin_plays_scenarios(pytester: pytest.Pytester, desk: Desk) -> None:
    recorded(pytester.path, desk)
    (pytester.path / "scenarios" / "other.yaml").write_text("workflow: no scenario\n")
    result = plugin(pytester)
    result.assert_outcomes(passed=1)


def test_the_plugin_plays_what_was_recorded_as_json(pytester: pytest.Pytester, desk: Desk) -> None:
    out = recorded(pytester.path, desk)
    for indent, name in ((2, "long.yaml"), (None, "short.yaml")):
        (out.parent / name).write_text(json.dumps(read_yaml(out.read_text())[0], indent=indent))
    plugin(pytester).assert_outcomes(passed=3)


def test_the_plugin_fails_loudly(pytester: pytest.Pytester, desk: Desk) -> None:
    out = recorded(pytester.path, desk)
    out.write_text(out.read_text().replace("topic: 'no'\nscript", "topic: other\nscript"))
    (pytester.path / "scenarios" / "broken.yaml").write_text("scenario: b\nworkflow: missing\n")
    result = plugin(pytester)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*nearest is its recorded call 1*", "*missing*"])


def test_the_plugin_leaves_no_scenario_out(pytester: pytest.Pytester, desk: Desk) -> None:
    """Folders below, a misspelt key, bytes that are no text: each is a test, and says what is wrong."""
    out = recorded(pytester.path, desk)
    below = out.parent / "billing"
    below.mkdir()
    (below / "late.yaml").write_text(out.read_text().replace("workflow: ", "workflow: ../"))
    (below / "typo.yaml").write_text("scenaro: b\nworkflow: missing\nexpect: {end: done}\n")
    (below / "bytes.yaml").write_bytes(b"scenario: \xff\xfe\n")
    result = plugin(pytester)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*bytes.yaml*not UTF-8*", "*typo.yaml:1: scenaro: *did you mean scenario*"])


def test_the_command_is_there() -> None:
    assert "record" in {each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands}
