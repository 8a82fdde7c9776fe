"""Playing scenarios: scripted actors, scripted time, and what a script that does not fit comes to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from stepladder import MemoryJournal, SqliteJournal, Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.errors import DefinitionError, InputError
from stepladder.llm import errors as failures
from stepladder.scenarios import load_scenario, play
from stepladder.scenarios.script import CODES
from tests.drivers.desk import LADDER, ONE, TALK
from tests.scenarios.stage import OWLS, X, played, scenario, script_of, written

WHOLE = (
    "script:",
    "  writer: [{text: a}, {text: b}]",
    "  printer: [{sheets: 2}]",
    "  person: [{text: more}]",
    "  messages: {released: [{note: x}]}",
)
"""A script that brings TALK to its end."""


def test_agents_a_person_a_message_and_time(tmp_path: Path) -> None:
    before = time.monotonic()
    result = played(
        *(tmp_path, "talk", OWLS, *WHOLE),
        "expect:",
        "  end: printed",
        "  path: [ASK, REVISE, HOLD, COOL, PRINT, FINISH]",
        "  output: {sheets: 2, text: b, notes: [more]}",
    )
    assert [str(check) for check in result.failures] == []
    assert result.passed
    assert result.run.state.now - result.run.state.started_at >= 60, "it cooled for a minute"
    assert time.monotonic() - before < 10, "which nobody waited for"


def test_play_needs_no_loop(tmp_path: Path) -> None:
    file = scenario(tmp_path, "talk", OWLS, *WHOLE, "expect: {end: printed}")
    assert play(load_scenario(file)).passed


def test_a_scenario_without_a_script_or_expectations(tmp_path: Path) -> None:
    written(tmp_path, {"agents.py": "AGENTS = {'worker': lambda x: {'y': x}}"})
    result = played(tmp_path, "one", X)
    assert (result.passed, result.run.end) == (True, "done")


# --- agents


@pytest.mark.parametrize(
    ("line", "end", "error"),
    [
        ("{y: 1}", "done", None),
        ("{}", "done", None),
        ("{$raise: no ink}", "failed", "no ink"),
        ("{$raise: 5}", "failed", "5"),
        ("{$raise: null}", "failed", "None"),
    ],
)
def test_an_agents_lines(tmp_path: Path, line: str, end: str, error: str | None) -> None:
    expected = f"{{error: '{error}', error_type: ScriptedAgentError}}" if error else "{}"
    result = played(tmp_path, "one", X, f"script: {{worker: [{line}]}}", f"expect: {{end: {end}, output: {expected}}}")
    assert [str(check) for check in result.failures] == []


def test_an_agent_that_is_late_takes_no_time(tmp_path: Path) -> None:
    before = time.monotonic()
    text = ONE.replace("as: made,", "as: made, timeout_s: 3600, retry: {attempts: 2, backoff_s: 60},")
    late = "script: {worker: [{$late: true}, {$late: true}]}"
    result = played(tmp_path, text, X, late, "expect: {end: failed, output: {returned: late}}")
    assert [str(check) for check in result.failures] == []
    assert result.run.state.now - result.run.state.started_at == pytest.approx(7260)
    assert time.monotonic() - before < 10


def test_a_late_call_that_must_not_be_repeated_is_put_to_the_person(tmp_path: Path) -> None:
    script = [line.replace("{sheets: 2}", "{$late: true}") for line in WHOLE]
    asked = played(tmp_path, "talk", OWLS, *script, "expect: {waiting: effect}")
    assert asked.passed
    script[3] = "  person: [{text: more}, {effect: done, output: {sheets: 3}}]"
    answered = played(tmp_path, "talk", OWLS, *script, "expect: {end: printed, output: {sheets: 3}}")
    assert [str(check) for check in answered.failures] == []


def test_a_late_agent_that_nobody_times_is_told_of_and_not_waited_for(tmp_path: Path) -> None:
    result = played(tmp_path, "one", X, "script: {worker: [{$late: true}]}", "expect: {end: done}")
    assert not result.passed
    assert "somebody is late" in script_of(result)
    assert result.run.status == "working"


# --- models

RULE_WINS_NOTHING = "{end: closed, decisions: {1: {source: model, relation: override}}}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{action: CLOSE, confidence: 0.9}", RULE_WINS_NOTHING),
        ('\'{"action": "CLOSE", "confidence": 0.9}\'', RULE_WINS_NOTHING),
        ("{action: SOLVE}", "{end: solved, decisions: {1: {source: rule, relation: agreement, fallback: false}}}"),
        ("text", "{end: solved, decisions: {1: {fallback: true}}}"),
        ("[1, 2]", "{end: solved, decisions: {1: {fallback: true}}}"),
        ("3", "{end: solved, decisions: {1: {fallback: true}}}"),
        ("null", "{end: solved, decisions: {1: {fallback: true}}}"),
        ("{}", "{end: solved, decisions: {1: {fallback: true}}}"),
    ],
)
def test_a_models_lines(tmp_path: Path, line: str, expected: str) -> None:
    script = f"script: {{worker: [{{y: 1}}], models: {{'scripted:first': [{line}]}}}}"
    result = played(tmp_path, "ladder", X, script, f"expect: {expected}")
    assert [str(check) for check in result.failures] == []
    assert [call.failure for call in result.run.decisions[0].calls] == [""], "the model answered"


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_model_that_fails(tmp_path: Path, code: str) -> None:
    script = f"script: {{worker: [{{y: 1}}], models: {{'scripted:first': [{{$fail: {code}}}]}}}}"
    result = played(tmp_path, "ladder", X, script, "expect: {end: solved, asked: 1, decisions: {1: {fallback: true}}}")
    assert [str(check) for check in result.failures] == []
    assert result.run.decisions[0].calls[0].failure == code


def test_every_failure_of_a_model_can_be_scripted() -> None:
    kinds = {kind.code for kind in failures.ModelError.__subclasses__()}
    assert set(CODES) == kinds


def test_a_panel_and_a_person(tmp_path: Path) -> None:
    routes = LADDER.replace("{ask: [first]}", "{ask: [panel, person]}")
    models = "'scripted:a': [{action: CLOSE}], 'scripted:b': [{action: SOLVE}], 'scripted:c': [{action: AGAIN}]"
    result = played(
        *(tmp_path, routes, X),
        f"script: {{worker: [{{y: 1}}], models: {{{models}}}, person: [{{action: CLOSE, reason: enough}}]}}",
        "expect: {end: closed, asked: 3, decisions: {1: {action: CLOSE, source: person}}}",
    )
    assert [str(check) for check in result.failures] == []


SHADOW = LADDER.replace("{ask: [first]}", "{ask: [first], reconcile: shadow}")


def test_a_model_in_shadow_counts(tmp_path: Path) -> None:
    script = "script: {worker: [{y: 1}], models: {'scripted:first': [{action: CLOSE, confidence: 0.9}]}}"
    result = played(tmp_path, SHADOW, X, script, "expect: {end: solved, asked: 1}")
    assert [str(check) for check in result.failures] == []
    assert [shadow.outcome for shadow in result.run.decisions[0].shadows] == ["differs"]


# --- a script that does not fit

DONE = "expect: {end: done}"
MISFITS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "an agent runs dry": ("one", (X, "script: {worker: []}"), "ran dry: worker was called 1 times"),
    "an agent has results left": (
        *("one", (X, "script: {worker: [{y: 1}, {y: 2}]}", DONE)),
        "left over: 1 results of worker",
    ),
    "a model runs dry": (
        *("ladder", (X, "script: {worker: [{y: 1}], models: {'scripted:first': []}}")),
        "ran dry: scripted:first was asked 1 times",
    ),
    "a model later runs dry": (
        "ladder",
        (
            *(X, "script: {worker: [{y: 1}, {y: 2}]"),
            "  , models: {'scripted:first': [{action: AGAIN, confidence: 0.9}]}}",
        ),
        "ran dry: scripted:first was asked 2 times",
    ),
    "a model without a script": (
        *("ladder", (X, "script: {worker: [{y: 1}]}")),
        "ran dry: scripted:first was asked 1 times",
    ),
    "a model in shadow runs dry": (
        *(SHADOW, (X, "script: {worker: [{y: 1}]}", "expect: {end: solved}")),
        "ran dry: scripted:first was asked 1 times",
    ),
    "a model has answers left": (
        "ladder",
        (
            *(X, "script: {worker: [{y: 1}]"),
            "  , models: {'scripted:first': [{action: SOLVE}, {action: SOLVE}]}}",
        ),
        "left over: 1 answers of scripted:first",
    ),
    "a model that no rung names": (
        *("one", (X, "script: {worker: [{y: 1}], models: {'openai:frist': [{action: SOLVE}]}}", DONE)),
        "left over: 1 answers of openai:frist",
    ),
    "nobody answers": ("talk", (OWLS, "script: {writer: [{text: a}]}"), "nobody answers: it waits for question"),
    "no message comes": (
        *("talk", (OWLS, *WHOLE[:2], *WHOLE[3:4])),
        "nobody answers: it waits for message",
    ),
    "it waits for something else than expected": (
        *("talk", (OWLS, "script: {writer: [{text: a}]}", "expect: {waiting: message}")),
        "nobody answers: it waits for question",
    ),
    "a person has answers left": (
        *("one", (X, "script: {worker: [{y: 1}], person: [{text: a}, {text: b}]}", DONE)),
        "left over: 2 answers of the person",
    ),
    "a message is left": (
        *("talk", (OWLS, *WHOLE[:-1], "  messages: {released: [{note: x}, {note: y}]}")),
        "left over: 1 messages released",
    ),
    "a message that nobody waits for": (
        *("one", (X, "script: {worker: [{y: 1}], messages: {relaesed: [{}]}}", DONE)),
        "left over: 1 messages relaesed",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_script_left_over_or_run_dry_fails(tmp_path: Path, case: str) -> None:
    workflow, lines, found = MISFITS[case]
    if workflow == "talk" and "printer" not in " ".join(lines):
        written(tmp_path, {"agents.py": "AGENTS = {'printer': lambda text, note: {'sheets': 1}}"})
    result = played(tmp_path, workflow, *lines)
    assert not result.passed
    assert found in script_of(result)


def test_everything_that_is_left_is_told(tmp_path: Path) -> None:
    said = "script: {worker: [{y: 1}, {y: 2}], person: [{a: 1}], messages: {m: [{}]}, models: {'openai:a': [b, c]}}"
    assert script_of(played(tmp_path, "one", X, said)).split("; ") == [
        "left over: 1 results of worker",
        "left over: 2 answers of openai:a",
        "left over: 1 answers of the person",
        "left over: 1 messages m",
    ]


@pytest.mark.parametrize("script", ["{wroker: [{y: 1}]}", "{worker: [{y: 1}], wroker: []}"])
def test_an_agent_that_the_workflow_does_not_know(tmp_path: Path, script: str) -> None:
    with pytest.raises(InputError) as caught:
        played(tmp_path, "one", X, f"script: {script}")
    assert str(caught.value) == "script: wroker: found an agent that one does not name; expected worker"


def test_the_nearest_agent_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of: printer, writer \(did you mean writer\?\)"):
        played(tmp_path, "talk", OWLS, "script: {wirter: []}")


ERRORS: dict[str, tuple[tuple[str, ...], type[Exception], str]] = {
    "no agents": ((X,), InputError, "worker"),
    "an input that does not fit": (("input: {y: 1}", "script: {worker: []}"), InputError, "input of one"),
    "agents that are not there": ((X, "agents: ours.py"), InputError, "no such file"),
    "agents that are not there, all scripted": (
        (X, "agents: ours.py", "script: {worker: [{y: 1}]}"),
        *(InputError, "no such file"),
    ),
    "agents that are no Python": ((X, "agents: w.yaml"), InputError, "a .yaml file"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_played(tmp_path: Path, case: str) -> None:
    lines, error, said = ERRORS[case]
    with pytest.raises(error, match=said):
        played(tmp_path, "one", *lines)


def test_an_answer_that_does_not_fit_the_question(tmp_path: Path) -> None:
    script = [line.replace("{text: more}", "{txt: more}") for line in WHOLE]
    with pytest.raises(InputError, match="'txt' was unexpected"):
        played(tmp_path, "talk", OWLS, *script)


def test_a_workflow_that_is_not_there_or_broken(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no such file"):
        played(tmp_path, "one", X, workflow=tmp_path / "nobody.yaml")
    with pytest.raises(DefinitionError, match="found step 'wroking'"):
        played(tmp_path, ONE.replace("start: working", "start: wroking"), X)


# --- real agents

REAL = """
from stepladder import signal

@signal("calls_made", start=0)
def calls_made(memory, seen):
    return memory + 1

SIGNALS = [calls_made]

def agents(mood="calm"):
    def writer(topic, notes):
        return {"text": f"{topic}, {mood}"}

    async def printer(text, note):
        return {"sheets": len(text)}

    return {"writer": writer, "printer": printer}
"""


def test_real_agents_beside_the_workflow(tmp_path: Path) -> None:
    written(tmp_path, {"agents.py": REAL})
    text = TALK.replace("classifier: {}", "classifier: {complex: {busy: [calls_made > 99]}}").replace("60}", "0.01}")
    lines = ("script: {person: [{text: more}], messages: {released: [{note: x}]}}", "expect: {end: printed}")
    result = played(tmp_path, text, OWLS, *lines)
    assert [str(check) for check in result.failures] == []
    assert result.run.output == {"sheets": 10, "text": "owls, calm", "notes": ["more"]}
    angry = played(tmp_path, text, OWLS, *lines, options={"mood": "angry"})
    assert (angry.run.output or {})["text"] == "owls, angry"
    with pytest.raises(InputError, match="unexpected keyword argument 'modo'"):
        played(tmp_path, text, OWLS, *lines, options={"modo": "angry"})


def test_real_agents_of_another_file_with_a_scripted_one(tmp_path: Path) -> None:
    written(tmp_path, {"ours.py": REAL, "agents.py": "raise RuntimeError('not this one')"})
    quick = TALK.replace("seconds: 60", "seconds: 0.01")
    result = played(tmp_path, quick, OWLS, "agents: ours.py", *WHOLE[:2], *WHOLE[3:])
    assert result.passed
    assert (result.run.output or {})["text"] == "b", "the writer is scripted"
    assert (result.run.output or {})["sheets"] == 1, "the printer is not"


def test_agents_that_cannot_be_loaded(tmp_path: Path) -> None:
    written(tmp_path, {"agents.py": "raise RuntimeError('no licence')"})
    with pytest.raises(InputError, match=r"RuntimeError: no licence \(line 1\)"):
        played(tmp_path, "one", X, "script: {worker: [{y: 1}]}")


# --- the journal


@pytest.mark.parametrize("kind", ["a path", "a journal", "memory"])
def test_the_run_is_kept_and_decides_the_same_again(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "runs.db"
    journal: Any = {"a path": file, "a journal": SqliteJournal(file), "memory": MemoryJournal()}[kind]
    result = played(tmp_path, "talk", OWLS, *WHOLE, journal=journal, run_id="owls")
    assert (result.run.id, result.run.end) == ("owls", "printed")
    assert len(result.run.decisions) == 6
    kept = SqliteJournal(file) if kind == "a path" else journal
    nobody = dict.fromkeys(("writer", "printer"), print)
    again = Orchestrator(Workflow.load(tmp_path / "w.yaml"), agents=nobody, journal=kept).replay("owls")
    assert (again.divergence, again.decisions) == (None, 6)
    kept.close()


def test_the_listener_sees_every_entry(tmp_path: Path) -> None:
    seen: list[Any] = []
    result = played(tmp_path, "one", X, "script: {worker: [{y: 1}]}", listen=lambda _, entries: seen.extend(entries))
    assert tuple(seen) == result.run.entries
