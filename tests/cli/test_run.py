from __future__ import annotations

import json

import pytest

from tests.cli.desk import Desk
from tests.example_workflows import TEXT_TO_SQL
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import KEY, OPENAI_OK, changed

FILE = "text_to_sql.yaml"

ENDS = {
    "succeeds": (("--input", "question=How many?"), 0, "ended", "done"),
    "fails": (("--input", "question=unanswerable"), 1, "ended", "given_up"),
    "waits for a person": (("--input", "question=best"), 3, "waiting", ""),
    "recovers from a failure, by a retry": (
        ("--input", "question=How many?", "--option", "fail=1"),
        0,
        "ended",
        "done",
    ),
}


@pytest.mark.parametrize(("args", "code", "status", "end"), ENDS.values(), ids=ENDS)
def test_how_a_run_ends_is_its_exit_code(sql: Desk, args: tuple[str, ...], code: int, status: str, end: str) -> None:
    told = sql("run", FILE, *args, "--id", "r1", "--json")
    assert told.code == code
    assert (told.json["run"], told.json["status"], told.json["end"]) == ("r1", status, end)
    assert sql("run", FILE, *args, "--id", "r2").code == code


def test_the_json_form_is_stable(sql: Desk) -> None:
    said = sql.json("run", FILE, "-i", "question=How many?", "--id", "r")
    assert list(said) == [
        "run", "status", "success", "step", "phase", "end", "reason", "output", "waiting", "decisions", "sources",
        "cached", "fallbacks", "overrides", "usd", "elapsed_s", "working_s", "workflow_hash", "policy_hash",
        "outcomes",
    ]  # fmt: skip
    assert said["output"]["response"] == "There are 42 customers."
    assert said["sources"] == {"rule": 4}


def test_the_log_says_run_count_step_clarifications_who_why_and_what_came_of_it(sql: Desk) -> None:
    out = sql("run", FILE, "-i", "question=How many?", "--id", "ticket-17").out
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == " run       ticket-17 of text_to_sql"
    assert lines[1] == " question  How many?"
    assert lines[2].split() == ["1/10", "new_query", "clarifications", "0/3", "ticket-17"]
    assert lines[3].strip() == "CALL_PLANNER -> planning   rule plan_first"
    assert lines[4].strip() == "because a question needs a plan"
    assert lines[5].split()[:2] == ["ok", "planner"]
    assert " done   ticket-17 in done: the answer is phrased" in lines
    assert any(line.endswith("4 decisions (4 by rule)") for line in lines)


def test_failures_are_told_with_their_next_attempt(sql: Desk) -> None:
    out = sql("run", FILE, "-i", "question=How many?", "--option", "fail=1").out
    assert "failed  planner" in out
    failed = sql("run", FILE, "-i", "question=unanswerable", "--id", "r").out
    assert " failed r in given_up: the database cannot answer it" in failed
    assert "RuntimeError: no connection" in out
    assert "again   attempt 2 in 0.50 s, under the same key" in out


def test_a_rung_that_cannot_be_asked_is_told_with_its_cause(sql: Desk) -> None:
    told = sql(
        "run", FILE, "-i", "question=How many?", "--option", "fail=2", env={"GEMINI_API_KEY": "", "GOOGLE_API_KEY": ""}
    )
    assert told.code == 0
    assert "hybrid: just_failed" in told.out
    assert "supervisor failed: " in told.out
    assert "rule plan_again" in told.out
    assert "instead of a model: supervisor" in told.out
    assert "1 fallback)" in told.out


def test_a_waiting_run_says_exactly_how_to_answer_it(sql: Desk) -> None:
    told = sql("run", FILE, "-i", "question=best", "--id", "r", "--journal", "my runs.db")
    assert told.code == 3
    assert "by revenue or by count?" in told.out
    assert "stepladder answer r --text '...' --journal 'my runs.db'" in told.out
    assert sql.json("show", "r", "--journal", "my runs.db")["go_on"].startswith("stepladder answer r --text")


def test_the_input_comes_from_a_file_or_stdin_and_options_come_after(sql: Desk) -> None:
    sql.write(input__json='{"question": "unanswerable"}')
    assert sql("run", FILE, "--input-json", "input.json").code == 1
    assert sql("run", FILE, "--input-json", "input.json", "-i", "question=How many?").code == 0
    assert sql("run", FILE, "--input-json", "-", given='{"question": "How many?"}').code == 0


def test_the_same_id_and_input_is_the_same_run(sql: Desk) -> None:
    assert sql("run", FILE, "-i", "question=How many?", "--id", "r").code == 0
    again = sql("run", FILE, "-i", "question=How many?", "--id", "r")
    assert again.code == 0
    assert "CALL_PLANNER" not in again.out, "nothing is done again"
    assert sql.run_ids() == ["r"]


def test_without_an_id_each_run_has_a_short_one_of_its_own(sql: Desk) -> None:
    names = {sql.json("run", FILE, "-i", "question=How many?")["run"] for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) == 8 for name in names)


def test_what_agents_print_is_not_on_stdout_with_json(sql: Desk) -> None:
    told = sql("run", FILE, "-i", "question=How many?", "--option", "loud=yes", "--json")
    assert json.loads(told.out)["status"] == "ended"
    assert "the planner speaks" in told.err


def test_the_journal_comes_from_the_environment(sql: Desk) -> None:
    sql("run", FILE, "-i", "question=How many?", "--id", "r", env={"STEPLADDER_JOURNAL": "other.db"})
    assert sql.run_ids("other.db") == ["r"]
    assert not (sql.folder / "stepladder.db").exists()


def test_interactive_asks_here_and_goes_on(sql: Desk) -> None:
    told = sql("run", FILE, "-i", "question=best", "--interactive", given="by revenue\n")
    assert told.code == 0
    assert "question? by revenue or by count?" in told.out
    assert "answer  text by revenue" in told.out


def test_end_of_input_leaves_the_question_open(sql: Desk) -> None:
    told = sql("run", FILE, "-i", "question=best", "--interactive", given="")
    assert told.code == 3
    assert "stepladder answer" in told.out


def test_json_never_asks(sql: Desk) -> None:
    assert sql("run", FILE, "-i", "question=best", "--interactive", "--json", given="yes\n").code == 3


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal(sql: Desk, columns: int) -> None:
    question = "question=" + "a very long question indeed " * 8
    told = sql("run", FILE, "-i", question, "--id", "r", "--option", "fail=3", columns=columns)
    shown = sql("show", "r", columns=columns)
    why = sql("show", "r", "-d", "2", columns=columns)
    entries = sql("show", "r", "--entries", columns=columns)
    for each in (told, shown, why, entries):
        assert max(map(len, each.out.splitlines())) <= columns


def test_text_from_runs_is_data(sql: Desk) -> None:
    nasty = "question=\x1b]0;title\x07\x1b[31mred[/red] [bold]x[/bold] \x9b2J\u202eevil :smile:"
    for out in (
        sql("run", FILE, "-i", nasty, "--id", "r").out,
        sql("show", "r").out,
        sql("show", "r", "--entries").out,
        sql("show", "r", "--json").out,
        sql("export", "r").out,
    ):
        assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e"}
        assert "[bold]x[/bold]" in out
        assert ":smile:" in out
    assert json.loads(sql("show", "r", "--json").out)["input"]["question"] == nasty.partition("=")[2]


def test_a_compatible_server_is_asked_over_base_url(sql: Desk) -> None:
    said = {"action": "GIVE_UP", "reason": "it will not come back", "confidence": 0.9, "parameters": None}
    reply = changed(OPENAI_OK, "choices.0.message.content", json.dumps(said))
    sql.write(w__yaml=TEXT_TO_SQL.replace("google:gemini-2.5-flash-lite", "openai:local"))
    with Loopback(answer(200, reply)) as server:
        args = ("-i", "question=How many?", "--option", "fail=2", "--base-url", f"{server.url}/v1", "--id", "r")
        told = sql("run", "w.yaml", *args, env={"OPENAI_API_KEY": KEY})
        assert len(server.requests) == 1
    assert told.code == 1
    assert "says    supervisor accepted GIVE_UP, confidence 0.9" in told.out
    assert "GIVE_UP -> given_up   model, over rule plan_again" in told.out
    assert "(1 by rule, 1 by model, 1 over the rule)" in told.out
    why = sql("show", "r", "-d", "2").out
    assert "call       openai:local served by gpt-5-mini-2025-08-07: 412 + 31 tokens" in why
    assert "overruled  RETRY_PLANNING (the planner failed)" in why
    assert KEY not in (sql.folder / "stepladder.db").read_bytes().decode("latin-1")
