"""check, explain, schema, diagram."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from stepladder.workflow.yaml_text import read_yaml
from tests.cli.desk import Desk
from tests.example_workflows import PAYMENT, REVIEW, TEXT_TO_SQL, TRIAGE

FILE = "text_to_sql.yaml"
CHECKED = {
    "nothing wrong": (TEXT_TO_SQL, 0, 0, ()),
    "an error of the build": (TEXT_TO_SQL.replace("start: new_query", "start: nowhere"), 1, 1, ("start", "definition")),
    "an error of meaning": (
        TEXT_TO_SQL.replace("last.status == answerable], do", "last.status == anserable], do"),
        1,
        1,
        ("rules.planning.run_plan.when.0", "unknown-word"),
    ),
    "not YAML": ("a: [", 1, 1, ("", "yaml")),
}  # fmt: skip


@pytest.mark.parametrize(("text", "code", "errors", "problem"), CHECKED.values(), ids=CHECKED)
def test_check(sql: Desk, text: str, code: int, errors: int, problem: tuple[str, str]) -> None:
    sql.write(w__yaml=text)
    told = sql("check", "w.yaml")
    assert told.code == code
    assert f"1 file: {errors} error" in told.out.splitlines()[-1]
    said = sql.json("check", "w.yaml")
    assert said["errors"] == errors
    if problem:
        (found,) = [each for each in said["files"][0]["problems"] if each["level"] == "error"]
        assert (found["where"], found["code"]) == problem
        assert told.out.startswith(f"w.yaml:{found['line']}: error {found['where'] or 'top level'}: found ")


def test_warnings_do_not_fail_unless_strict(sql: Desk) -> None:
    sql.write(w__yaml=TEXT_TO_SQL.replace("ends:\n", "ends:\n  nobody_gets_here: {success: true}\n"))
    told = sql("check", "w.yaml")
    assert told.code == 0
    assert "warning ends.nobody_gets_here" in told.out
    assert sql("check", "w.yaml", "--strict").code == 1


def test_several_files_are_counted_together(sql: Desk) -> None:
    sql.write(w__yaml="a: [")
    told = sql("check", FILE, "w.yaml", "missing.yaml")
    assert told.code == 1
    assert told.out.splitlines()[-1].startswith("3 files: 2 errors")


def test_explain_says_whom_a_step_judges(sql: Desk) -> None:
    sql.write(r__yaml=REVIEW.replace("checking: {agent: validator,", "checking: {agent: validator, judges: writing,"))
    assert sql.json("explain", "r.yaml", "--at", "checking")["judges"] == ["writing"]
    assert "judges     the newest decision that led into writing" in sql("explain", "r.yaml", "--at", "checking").out
    assert sql.json("explain", "r.yaml", "--at", "writing")["judges"] == []


def test_a_provider_that_nobody_knows(sql: Desk) -> None:
    sql.write(w__yaml=TEXT_TO_SQL.replace("google:b", "own:b"))
    problem, *prices = sql.json("check", "w.yaml")["files"][0]["problems"]
    assert {each["code"] for each in prices} == {"unpriced-model"}
    assert (problem["level"], problem["code"]) == ("error", "unknown-provider")
    assert (problem["where"], problem["found"]) == ("policy.rungs.panel.models.1", "provider 'own'")
    assert problem["expected"] == "one of: google, openai, vertex"
    (sql.folder / "lone").mkdir()
    sql.write(**{"lone/w__yaml": (sql.folder / "w.yaml").read_text()})
    (problem, *_) = [
        each for each in sql.json("check", "lone/w.yaml")["files"][0]["problems"] if each["code"] == "unknown-provider"
    ]
    assert problem["level"] == "warning"
    text = "from stepladder import ScriptedProvider\nPROVIDERS = {'own': ScriptedProvider([])}\n"
    sql.write(agents__py=text)
    assert sql("check", "w.yaml").code == 0


def test_a_model_without_a_price_under_a_cap(sql: Desk) -> None:
    def problems(money: str) -> list[tuple[str, str, str]]:
        sql.write(w__yaml=TEXT_TO_SQL.replace("\npolicy:\n", f"\npolicy:\n{money}", 1))
        found = sql.json("check", "w.yaml")["files"][0]["problems"]
        return [(each["where"], each["level"], each["code"]) for each in found]

    panel = "policy.rungs.panel"
    assert problems("") == [(panel, "warning", "unpriced-model")] * 3
    assert problems("  money: {day_usd: 5}\n") == [(panel, "error", "unpriced-model")] * 3
    prices = "{'openai:a': [1, 2], 'openai:c': [1, 2]}"
    assert problems(f"  money: {{day_usd: 5, prices: {prices}}}\n") == [(panel, "error", "unpriced-model")]
    assert problems("  money: {allow_unpriced: true}\n") == []


EXPLAINED = {
    "a rule": (["--set", "last.status=answerable"], "CALL_EXECUTOR", "run_plan", "standard"),
    "what blocks": (
        ["--set", "taken.ASK_CLARIFICATION=3", "--set", "last.status=needs_clarification"],
        "GIVE_UP",
        "no_plan",
        "standard",
    ),
    "a failure": (["--returned", "failed"], "RETRY_PLANNING", "plan_again", "standard"),
    "hybrid asks": (
        ["--returned", "failed", "--set", "consecutive_errors=1"],
        "RETRY_PLANNING",
        "plan_again",
        "hybrid",
    ),
    "complex asks": (["--set", "error_count=3"], "GIVE_UP", "no_plan", "complex"),
    "a limit": (["--set", "decisions=10"], "STOP", "", "standard"),
    "a circle": (["--set", "no_progress=2"], "GIVE_UP", "no_plan", "complex"),
    "a circle once more": (["--set", "no_progress=3"], "STOP", "", "standard"),
    "a budget that is spent": (["--set", "error_count=3", "--set", "budget_used=1.5"], "GIVE_UP", "no_plan", "complex"),
    "a flag": (["--set", "human_intervention_required=true"], "GIVE_UP", "no_plan", "complex"),
    "text with spaces": (["--set", "last.sql=SELECT 1 FROM t"], "GIVE_UP", "no_plan", "standard"),
}


@pytest.mark.parametrize(("facts", "action", "rule", "route"), EXPLAINED.values(), ids=EXPLAINED)
def test_explain(sql: Desk, facts: list[str], action: str, rule: str, route: str) -> None:
    told = sql("explain", FILE, "--at", "planning", *facts)
    assert told.code == 0
    assert action in told.out
    said = sql.json("explain", FILE, "--at", "planning", *facts)["opened"]
    assert (said["verdict"]["action"], said.get("rule", ""), said.get("route", "standard")) == (action, rule, route)
    assert sql.run_ids() == []


def test_explain_tells_what_blocks_and_what_fired(sql: Desk) -> None:
    out = sql("explain", FILE, "--at", "planning", "--returned", "failed", "--set", "error_count=3").out
    assert "asks supervisor (google:gemini-2.5-flash-lite); the rule says RETRY_PLANNING" in out
    assert "failing: error_count > 2 (was 3)" in out
    assert "blocked    ASK_CLARIFICATION: returned == ok (was failed)" in out


def test_explain_passed_over_rules(sql: Desk) -> None:
    out = sql("explain", FILE, "--at", "executing", "--returned", "failed", "--set", "taken.RETRY_PLANNING=2").out
    assert "GIVE_UP -> given_up   rule irreparable" in out
    assert "passed     repair held, but its action is not legal here" in out


MADE_UP = {
    "a step": (["--at", "planing"], "did you mean planning?"),
    "a field": (["--set", "last.statu=x"], "did you mean status?"),
    "a signal": (["--set", "eror_count=3"], "did you mean error_count?"),
    "an action": (["--set", "taken.ASK=3"], "one of: ASK_CLARIFICATION"),
    "a word": (["--set", "last.status=answerabel"], "did you mean answerable?"),
    "a returned": (["--returned", "fine"], "one of: failed, in_doubt, late, ok"),
    "a kind": (["--set", "error_count=many"], "found 'many', a word; expected a number"),
    "below": (["--set", "error_count=-1"], "expected a number from 0 to inf"),
    "inside a word": (["--set", "last.status.x=1"], "no field: there is nothing inside"),
    "no pair": (["--set", "error_count"], "expected name=value"),
}


@pytest.mark.parametrize(("args", "said"), MADE_UP.values(), ids=MADE_UP)
def test_explain_knows_what_there_is(sql: Desk, args: list[str], said: str) -> None:
    at = [] if "--at" in args else ["--at", "planning"]
    told = sql("explain", FILE, *at, *args)
    assert told.code == 2
    assert said in told.err


def test_explain_scores(desk: Desk) -> None:
    desk.write(w__yaml=REVIEW)
    good = ["--set", "score.alignment_score=9.5", "--set", "score.standardization_score=8.5"]
    assert desk.json("explain", "w.yaml", "--at", "checking", *good)["settled"]["action"] == "COOL"
    assert desk.json("explain", "w.yaml", "--at", "checking")["settled"]["action"] == "REVISE"
    told = desk("explain", "w.yaml", "--at", "checking", "--set", "score.alignment_score=11")
    assert "expected a number from 0 to 10" in told.err


@pytest.mark.parametrize("text", [TEXT_TO_SQL, PAYMENT, REVIEW, TRIAGE], ids=["sql", "payment", "review", "triage"])
def test_the_schema_fits_workflow_files(desk: Desk, text: str) -> None:
    schema = json.loads(desk("schema").out)
    data, _ = read_yaml(text)
    jsonschema_rs.validator_for(schema).validate(data)
    assert not jsonschema_rs.validator_for(schema).is_valid({**data, "polcy": {}})


def test_the_schema_in_a_file(desk: Desk) -> None:
    told = desk("schema", "-o", "w.schema.json")
    assert "# yaml-language-server: $schema=w.schema.json" in told.out
    assert json.loads((desk.folder / "w.schema.json").read_text())["title"] == "stepladder workflow"
    assert desk.json("schema", "-o", "w.schema.json") == {"file": "w.schema.json"}


def test_diagrams(sql: Desk) -> None:
    assert sql("diagram", FILE).out.startswith("flowchart TD")
    assert "<svg" in sql("diagram", FILE, "--format", "svg").out
    assert sql("diagram", FILE, "-o", "w.svg").out == "wrote w.svg\n"
    assert "<svg" in (sql.folder / "w.svg").read_text()
    said = sql.json("diagram", FILE)
    assert (said["workflow"], said["format"]) == ("text_to_sql", "mermaid")
    assert said["text"].startswith("flowchart TD")


def test_a_diagram_with_the_path_of_a_run(sql: Desk) -> None:
    sql("run", FILE, "-i", "question=How many?", "--id", "r")
    plain, marked = sql("diagram", FILE).out, sql("diagram", FILE, "--run", "r").out
    assert plain != marked
    assert sql("diagram", "--run", "last").out == marked
    sql.write(w__yaml=PAYMENT)
    assert "is pinned to workflow" in sql("diagram", "w.yaml", "--run", "r").err
