from __future__ import annotations

import asyncio
import json

import pytest

from tests.cli.desk import Desk
from tests.cli.workflows import DECISION, agents

FILE = "text_to_sql.yaml"


@pytest.fixture
def runs(sql: Desk) -> Desk:
    """Three runs: one well, one failed, one that waits."""
    sql("run", FILE, "-i", "question=How many?", "--id", "good", "--option", "fail=2")
    sql("run", FILE, "-i", "question=unanswerable", "--id", "bad")
    sql("run", FILE, "-i", "question=best", "--id", "open")
    return sql


LISTED = {
    "all, newest first": ((), ["open", "bad", "good"]),
    "by status": (("--status", "ended"), ["bad", "good"]),
    "by workflow": (("--workflow", "other"), []),
    "the newest one": (("--limit", "1"), ["open"]),
}


@pytest.mark.parametrize(("args", "found"), LISTED.values(), ids=LISTED)
def test_runs(runs: Desk, args: tuple[str, ...], found: list[str]) -> None:
    said = runs.json("runs", *args)
    assert [each["run"] for each in said["runs"]] == found
    told = runs("runs", *args)
    assert told.code == 0
    assert [line.split()[0] for line in told.out.splitlines()[2:]] == found or told.out == "no such runs\n"


def test_runs_say_where_they_stand(runs: Desk) -> None:
    out = runs("runs").out
    assert "waiting (clarifying: question)" in out
    assert "given_up" in out
    assert list(runs.json("runs")["runs"][0]) == [
        "run", "workflow", "workflow_hash", "started_at", "updated_at", "status", "step", "waiting", "end", "success",
        "decisions", "usd", "pruned",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["good", "go", "g", "ood", "od"])
def test_a_run_may_be_named_by_how_its_id_begins_or_ends(runs: Desk, name: str) -> None:
    assert runs.json("show", name)["run"] == "good"


def test_last_is_the_newest(runs: Desk) -> None:
    assert runs.json("show", "last")["run"] == "open"


def test_last_of_nothing_is_nothing(sql: Desk) -> None:
    sql("run", FILE, "-i", "question=x", "--id", "a b ")  # refused after the journal was opened
    assert sql("show", "last").code == 4


def test_the_overview(runs: Desk) -> None:
    out = runs("show", "good").out
    assert " run       good of text_to_sql, started " in out
    for row in ("rule plan_first", "planning hybrid", "(fallback)", "rows are there", " done   good in done"):
        assert row in out
    said = runs.json("show", "good")
    assert len(said["records"]) == said["decisions"] == 5
    assert said["input"] == {"question": "How many?"}


def test_a_run_that_waits_says_how_to_answer(runs: Desk) -> None:
    out = runs("show", "open").out
    assert "by revenue or by count?" in out
    assert "stepladder answer open --text '...'" in out


def test_why_a_decision_was_made(runs: Desk) -> None:
    out = runs("show", "good", "--decision", "2").out
    for told in (
        " decision 2 in planning: RETRY_PLANNING -> planning   rule plan_again",
        "just_failed: consecutive_errors > 0 (was 1)",
        "legal      RETRY_PLANNING, GIVE_UP",
        "blocked    ASK_CLARIFICATION: returned == ok (was failed)",
        "CALL_EXECUTOR: last.status == answerable (was missing)",
        "rule       plan_again: RETRY_PLANNING (the planner failed)",
        "mode       model_wins",
        "answer     supervisor failed",
        "fallback   supervisor",
        "signals    error_count 1",
        "took ",
        "policy ",
    ):
        assert told in out
    said = runs.json("show", "good", "--decision", "2")
    assert said["opened"]["rule"] == "plan_again"
    assert said["decision_source"] == "fallback"


def test_a_decision_of_a_person_over_the_rule(desk: Desk) -> None:
    desk.write(w__yaml=DECISION, agents__py=agents("worker"))
    assert desk("run", "w.yaml", "--id", "r").code == 3
    desk("answer", "r", "--action", "CLOSE", "--reason", "no use", "--by", "ada")
    out = desk("show", "r", "-d", "1").out
    assert "CLOSE -> closed   person, over rule first" in out
    assert "by         ada" in out
    assert "overruled  TRY (trying costs nothing)" in out
    assert "person, over rule first" in desk("show", "r").out


def test_entries(runs: Desk) -> None:
    said = runs.json("show", "bad", "--entries")["entries"]
    assert said[0]["kind"] == "run_started"
    out = runs("show", "bad", "--entries").out
    assert out.count("\n") >= len(said)
    assert "run_started" in out


def test_the_log_reads_as_it_did_live(runs: Desk) -> None:
    live = runs("run", FILE, "-i", "question=How many?", "--id", "again").out
    shown = runs("show", "again", "--log").out
    assert live.startswith(shown)


def test_reading_needs_neither_workflow_nor_agents(runs: Desk) -> None:
    for name in (FILE, "agents.py", "stepladder.db.started.jsonl"):
        (runs.folder / name).unlink()
    for args in (("show", "good"), ("replay", "--all"), ("export", "good"), ("outcome", "good", "--success")):
        assert runs(*args).code == 0
    assert runs("diagram", "--run", "good").code == 0


def test_own_signals_come_from_the_agents_file(sql: Desk) -> None:
    own = """
from stepladder import signal

@signal("long_answers", start=0)
def long_answers(total, seen):
    return total + (len(str(seen.output)) > 30)

SIGNALS = [long_answers]
"""
    text = (sql.folder / FILE).read_text().replace("just_failed: [consecutive_errors > 0]", "long: [long_answers > 5]")
    sql.write(w__yaml=text, agents__py=own + (sql.folder / "agents.py").read_text())
    assert sql("run", "w.yaml", "-i", "question=How many?", "--id", "r").code == 0
    told = sql("show", "r")
    assert told.code == 2
    assert "found signal 'long_answers'; expected its own signals, from its agents file (--agents)" in told.err
    assert sql("show", "r", "--agents", "agents.py").code == 0
    assert sql("replay", "r", "--agents", "agents.py").code == 0
    assert sql("check", "w.yaml").code == 0, "the file beside it has the signal"


OUTCOMES = {
    "of the run": ((), 0),
    "of a decision": (("--decision", "2"), 2),
}


@pytest.mark.parametrize(("args", "decision"), OUTCOMES.values(), ids=OUTCOMES)
def test_outcome(runs: Desk, args: tuple[str, ...], decision: int) -> None:
    said = runs.json(
        "outcome", "good", *args, "--failure", "--quality", "0.25", "--elapsed", "3", "--note", "late", "--by", "ada"
    )
    (kept,) = said["outcomes"]
    assert (kept.pop("at") > 0, kept.pop("kind")) == (True, "outcome")
    wanted = {"success": False, "quality": 0.25, "elapsed_s": 3.0, "note": "late", "by": "ada"}
    assert kept == ({"decision": decision} if decision else {}) | wanted
    if decision:
        assert "outcome    success false, quality 0.25, elapsed_s 3.0, note late" in runs("show", "good", "-d", "2").out
    assert runs("replay", "good").code == 0


def test_an_outcome_can_be_noted_while_the_run_waits(runs: Desk) -> None:
    assert runs("outcome", "open", "-d", "1", "--success").code == 0
    assert runs("answer", "open", "--text", "by revenue").code == 0


def test_export_holds_everything(runs: Desk) -> None:
    said = json.loads(runs("export", "good").out)
    assert list(said) == ["format", "stepladder", "run", "workflow", "policies", "intact", "entries", "decisions"]
    assert said["workflow"]["hash"] == said["run"]["workflow_hash"]
    (kept,) = said["policies"].values()
    assert kept["source"]["workflow"] == "text_to_sql"
    assert said["intact"] is True
    assert [entry["seq"] for entry in said["entries"]] == list(range(1, len(said["entries"]) + 1))
    assert len(said["decisions"]) == 5


def test_export_to_a_file(runs: Desk) -> None:
    told = runs("export", "good", "-o", "good.json")
    assert told.out.startswith("wrote good to good.json: ")
    assert json.loads((runs.folder / "good.json").read_text())["run"]["run"] == "good"
    assert runs.json("export", "good", "-o", "good.json")["file"] == "good.json"
    assert not list(runs.folder.glob(".*.part"))


def test_a_lone_decision_is_shown_too(desk: Desk) -> None:
    from stepladder import DecisionPoint, rule

    async def decide() -> None:
        rules = [
            rule("RETRY", when=["error_count <= 2"], because="errors often pass"),
            rule("GIVE_UP", because="too many errors"),
        ]
        async with DecisionPoint("next", signals={"error_count": int}, rules=rules, journal="stepladder.db") as point:
            await point.decide({"error_count": 3}, legal=["RETRY", "GIVE_UP"], decision_id="alone")

    asyncio.run(decide())
    assert desk.json("runs")["runs"][0]["run"] == "alone"
    out = desk("show", "last").out
    assert "GIVE_UP" in out
    assert "too many errors" in out
    assert "error_count 3" in out
    assert desk.json("show", "alone")["facts"] == {"error_count": 3}
    assert desk("replay", "--all").out == "0 runs: 0 decisions, 0 divergences\n"
    assert "is a lone decision" in desk("export", "alone").err
