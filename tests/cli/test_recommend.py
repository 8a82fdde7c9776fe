"""`recommend` and `forecast`."""

from __future__ import annotations

import shlex

import pytest
from msgspec.structs import replace

from stepladder.llm import ModelReply, ModelRequest, ScriptedProvider
from tests.cli import trials
from tests.cli.desk import Desk, Told
from tests.cli.trials import WORKFLOW, filled
from tests.cli.workflows import FORM


def test_a_rule_that_is_overruled(desk: Desk) -> None:
    text = WORKFLOW.replace("reconcile: rule_wins", "reconcile: model_wins")
    desk.write(workflow__yaml=text)
    filled(desk.folder / "stepladder.db", ["metal", "paper", "wood", "plain"] * 12, text)
    (said,) = desk.json("recommend")["recommendations"]
    assert (said["about"], said["name"], said["command"]) == (
        "rule",
        "looking.throw",
        "stepladder mine --workflow workflow.yaml",
    )
    assert said["evidence"].startswith("overruled in 36 of 36 decisions")
    told = desk("recommend", "workflow.yaml")
    assert (told.code, "overruled more often than not, mostly by KEEP" in told.out) == (0, True)


CALM = WORKFLOW.replace("{do: THROW, because: it is worth", "{do: KEEP, because: it is worth").replace(
    "reconcile: rule_wins", "reconcile: model_wins"
)
BROKEN = CALM.replace('model: "scripted:first"', 'model: "scripted:first", prompt: short@1') + (
    "prompts:\n  short@1: '{% for block in context %}{{ block.text }}{% endfor %}'\n"
    "  long@1: 'Choose. {% for block in context %}{{ block.text }}{% endfor %}'\n"
)


def nonsense(_: object) -> str:
    """An answer that is none."""
    return "perhaps"


def run_as_told(desk: Desk, command: str) -> Told:
    """The suggested command, word for word; what follows a # is for people."""
    name, *words = shlex.split(command, comments=True)
    assert name == "stepladder"
    return desk(*words)


def test_every_suggested_command_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """History that says all there is to say, and then each command as it stands."""
    overruled = WORKFLOW.replace("reconcile: rule_wins", "reconcile: model_wins")
    desk.write(workflow__yaml=overruled)
    journal = desk.folder / "stepladder.db"
    filled(journal, ["metal", "paper", "wood", "glass"] * 40, overruled)
    (rule,) = desk.json("recommend", "workflow.yaml")["recommendations"]
    assert rule["about"] == "rule"
    told = run_as_told(desk, rule["command"])
    assert (told.code, "do KEEP in looking" in told.out) == (0, True), told.err
    journal.unlink()

    desk.write(workflow__yaml=CALM)
    filled(journal, ["metal", "paper", "wood", "metal"] * 25, CALM)
    (classifier,) = desk.json("recommend", "workflow.yaml")["recommendations"]
    assert (classifier["about"], classifier["name"]) == ("classifier", "odd")
    applied, _, looked = classifier["command"].partition("   # look first: ")
    told = run_as_told(desk, looked)
    assert told.out.startswith("100 runs"), told.err
    told = run_as_told(desk, applied)
    assert told.out == "classifier.hybrid.odd  [last.odd == true] -> not set\nwrote workflow.yaml\n", told.err
    journal.unlink()

    desk.write(workflow__yaml=BROKEN)
    sensible = trials.answer
    monkeypatch.setattr(trials, "answer", nonsense)
    filled(journal, ["metal"] * 30, BROKEN)
    (rung,) = desk.json("recommend", "workflow.yaml")["recommendations"]
    assert (rung["about"], rung["name"]) == ("rung", "first")
    told = run_as_told(desk, rung["command"])  # as it stands, before anything was changed
    assert (told.code, "r0029" in told.out) == (0, True), told.err
    assert rung["evidence"].endswith("30 times")
    monkeypatch.setattr(trials, "answer", sensible)
    filled(journal, ["metal"] * 30, BROKEN.replace("prompt: short@1", "prompt: long@1"), "after")
    assert "`ab --by prompt`" in rung["command"]
    told = desk("ab", "--by", "prompt")
    assert "a first@1" not in told.out
    assert told.out.startswith("split trial: a short@1 (30 runs), b long@1 (30 runs)"), told.err
    assert desk.json("recommend", "workflow.yaml")["recommendations"] == [], "the newest prompt is sound"
    monkeypatch.setattr(trials, "answer", nonsense)
    filled(journal, ["metal"] * 30, BROKEN, "again")
    (rung,) = desk.json("recommend", "workflow.yaml")["recommendations"]
    assert rung["command"].startswith("stepladder set workflow.yaml rungs.first.prompt=long@1   # look first: ")
    assert rung["evidence"].endswith("under long@1 it were 0 of 30")
    assert run_as_told(desk, rung["command"]).code == 0
    assert 'prompt: "long@1"' in (desk.folder / "workflow.yaml").read_text()


SHORT = (
    WORKFLOW.replace("limits: {then: thrown}", "limits: {decisions: 3, then: thrown}")
    .replace(
        "KEEP: {from: looking, to: kept}", "KEEP: {from: looking, to: kept}\n  AGAIN: {from: looking, to: looking}"
    )
    .replace("throw:  {do: THROW", "throw:  {do: AGAIN")
)


class Dear(ScriptedProvider):
    """Every answer costs two cents."""

    async def ask(self, request: ModelRequest) -> ModelReply:
        return replace(await super().ask(request), cost_usd=0.02)


def test_the_commands_about_limits_and_cost_run_in_another_folder_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They name the journal, the workflow and the newest run as they were given."""
    (desk.folder / "my runs").mkdir()
    short, journal = desk.folder / "my runs" / "short.yaml", desk.folder / "my runs" / "kept.db"
    short.write_text(SHORT)
    filled(journal, ["plain"] * 30, SHORT)
    (limit,) = desk.json("recommend", "my runs/short.yaml", "--journal", "my runs/kept.db")["recommendations"]
    assert (limit["about"], limit["name"]) == ("limit", "limit of 3 decisions reached")
    assert "r0029" in limit["command"]
    told = run_as_told(desk, limit["command"])
    assert (told.code, "limit of 3" in told.out) == (0, True), told.err
    journal.unlink()

    dear = desk.folder / "dear.yaml"
    dear.write_text(CALM)
    monkeypatch.setattr(trials, "ScriptedProvider", Dear)
    filled(journal, ["metal", "paper", "wood"] * 30, CALM)
    found = desk.json("recommend", "dear.yaml", "--journal", "my runs/kept.db")["recommendations"]
    (cost,) = [each for each in found if each["about"] == "cost"]
    assert cost["saves_usd"] > 0
    for each in found:
        told = run_as_told(desk, each["command"])
        assert told.code == 0, told.err


def test_no_secret_is_in_a_command(desk: Desk) -> None:
    desk.write(
        workflow__yaml=WORKFLOW.replace("reconcile: rule_wins", "reconcile: model_wins"), agents__py="AGENTS = {}"
    )
    filled(
        desk.folder / "stepladder.db",
        ["metal"] * 40,
        WORKFLOW.replace("reconcile: rule_wins", "reconcile: model_wins"),
    )
    options = ("--option", "api_key=sk-proj-abcdefghijklmnopqrstuvwxyz", "--option", "size=3")
    (rule,) = desk.json("recommend", "workflow.yaml", *options)["recommendations"]
    assert rule["command"] == "stepladder mine --workflow workflow.yaml --option size=3"


def test_a_setting_that_no_run_knows_is_refused(desk: Desk) -> None:
    desk.write(workflow__yaml=WORKFLOW)
    filled(desk.folder / "stepladder.db", ["plain"] * 3)
    told = desk("whatif", "--workflow", "workflow.yaml", "--set", "nosuch >= 2")
    assert (told.code, told.out) == (2, "")
    assert "nosuch: found nothing that these runs know" in told.err


def test_files_without_a_choice_and_runs_of_two_workflows_are_not_mined(desk: Desk) -> None:
    desk.write(empty__jsonl="")
    told = desk("mine", "empty.jsonl")
    assert (told.code, "empty.jsonl: found no choice" in told.err) == (2, True)
    text = WORKFLOW.replace("workflow: sorting", "workflow: other")
    desk.write(workflow__yaml=WORKFLOW, other__yaml=text)
    filled(desk.folder / "stepladder.db", ["metal", "glass"] * 20)
    filled(desk.folder / "stepladder.db", ["metal", "glass"] * 20, text, "o")
    told = desk("mine")
    assert (told.code, "the file of one of: other, sorting" in told.err) == (2, True)
    assert desk.json("mine", "--workflow", "other.yaml")["choices"] == 40


def test_nothing_to_say(desk: Desk) -> None:
    desk.write(workflow__yaml=WORKFLOW)
    filled(desk.folder / "stepladder.db", ["plain"] * 12)
    assert desk("recommend").out == "nothing: 12 runs speak for no change, or say too little\n"


def test_what_an_open_run_is_still_to_need(sql: Desk) -> None:
    for number in range(12):
        sql("run", "text_to_sql.yaml", "-i", f"question=How many {number}?", "--id", f"r{number}")
    assert sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "open").code == 3
    said = sql.json("forecast", "open")["forecast"]
    assert (said["alike"], said["runs"]) == ("after 2 decisions, in planning", 12)
    assert said["decisions"] == {"middle": 2.0, "low": 2.0, "high": 2.0}
    assert said["success"] == 1.0
    told = sql("forecast", "open")
    assert (told.code, "  decisions  2 more (2 to 2 in four of five runs)" in told.out) == (0, True)


def test_one_past_run_gives_no_range(desk: Desk) -> None:
    """And a run that waits for a person before its first decision has all of it before it."""
    desk.write(form__yaml=FORM)
    for name in ("past", "open"):
        assert desk("run", "form.yaml", "--id", name).code == 3
    assert desk("answer", "past", "--field", "name=ada", "--field", "age=36").code == 0
    said = desk.json("forecast", "open")["forecast"]
    assert said["decisions"] == {"middle": 1.0, "low": None, "high": None}
    told = desk("forecast", "open")
    assert "  decisions  1 more\n" in told.out
    assert "1 run says too little for a range: that takes 9" in told.out


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("forecast", "good"), 2, "has ended"),
        (("forecast", "nobody"), 4, "nobody"),
        (("recommend", "none.yaml"), 2, "none.yaml"),
    ],
)
def test_what_cannot_be_said(sql: Desk, args: tuple[str, ...], code: int, said: str) -> None:
    sql("run", "text_to_sql.yaml", "-i", "question=How many?", "--id", "good")
    told = sql(*args)
    assert (told.code, told.out) == (code, "")
    assert said in told.err
