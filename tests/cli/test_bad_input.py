# ruff: noqa: E501 - a row is a case
"""What cannot be used is refused with one clear error, the right exit code, no traceback, and nothing half-written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.journal.sqlite_file import APPLICATION
from tests.cli.desk import Desk
from tests.example_workflows import TEXT_TO_SQL

RUN = ("run", "text_to_sql.yaml")
GOOD = (*RUN, "-i", "question=How many?")
Before = Callable[[Path], object] | None


def file(name: str, text: str | bytes) -> Callable[[Path], object]:
    data = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / name).write_bytes(data)


def agents(text: str) -> Callable[[Path], object]:
    return file("agents.py", text)


def database(statement: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        with sqlite3.connect(folder / "other.db") as db:
            db.executescript(statement)

    return make


def truncated(folder: Path) -> None:
    body = (folder / "stepladder.db").read_bytes()
    (folder / "other.db").write_bytes(body[:5000])


def read_only(folder: Path) -> None:
    (folder / "other.db").mkdir()


BAD: dict[str, tuple[Before, tuple[str, ...], int, str]] = {
    # the command line
    "no such command": (None, ("rum",), 2, "No such command"),
    "no such option": (None, (*GOOD, "--fast"), 2, "No such option: --fast"),
    "an argument is missing": (None, ("run",), 2, "Missing argument"),
    "a number that is none": (None, ("runs", "--limit", "many"), 2, "should be a valid integer"),
    "a limit below one": (None, ("runs", "-n", "0"), 2, "greater than or equal to 1"),
    "a status there is not": (None, ("runs", "--status", "asleep"), 2, "expected working, waiting or ended"),
    # the workflow file
    "no workflow file": (None, ("run", "missing.yaml"), 2, "missing.yaml: top level: found no such file or directory"),
    "a folder as workflow": (lambda f: (f / "d").mkdir(), ("run", "d"), 2, "found is a directory"),
    "broken YAML": (file("w.yaml", "workflow: [x\n"), ("run", "w.yaml"), 2, "w.yaml:1: top level: found '['"),
    "an empty file": (file("w.yaml", ""), ("run", "w.yaml"), 2, "w.yaml:1: top level: found nothing"),
    "bytes that are not text": (file("w.yaml", b"\xff\xfe"), ("run", "w.yaml"), 2, "bytes that are not UTF-8"),
    "a misspelt action": (
        file("w.yaml", TEXT_TO_SQL.replace("do: CALL_PLANNER,", "do: CALL_PLANER,", 1)),
        ("run", "w.yaml"),
        2,
        "did you mean CALL_PLANNER?",
    ),
    # the agents file
    "no agents file": (lambda f: (f / "agents.py").unlink(), GOOD, 2, "no file agents.py"),
    "no such agents file": (None, (*GOOD, "--agents", "mine.py"), 2, "mine.py: the value: found no such file"),
    "an agents file that raises": (agents("x = 1\ny = x / 0\n"), GOOD, 2, "ZeroDivisionError: division by zero (line 2)"),
    "an agents file that leaves": (agents("import sys\nsys.exit(7)\n"), GOOD, 2, "SystemExit: 7 (line 2)"),
    "an agents file that is not Python": (agents("def agents(:\n"), GOOD, 2, "SyntaxError"),
    "an agents file without agents": (agents("x = 1\n"), GOOD, 2, "no `agents` function and no AGENTS"),
    "agents that are no mapping": (agents("def agents():\n    return 5\n"), GOOD, 2, "a mapping of agents by name"),
    "an agent is missing": (agents("AGENTS = {'planner': print, 'executor': print}\n"), GOOD, 2, "responder"),
    "an agent that cannot be called": (
        agents("AGENTS = {'planner': 1, 'executor': print, 'responder': print}\n"),
        GOOD,
        2,
        "agent 'planner': the value: found a int",
    ),
    "an option not taken": (None, (*GOOD, "--option", "colour=red"), 2, "unexpected keyword argument 'colour'"),
    "an option that is no pair": (None, (*GOOD, "--option", "colour"), 2, "--option: the value: found 'colour'; expected name=value"),
    # the input
    "an input field is missing": (None, RUN, 2, '"question" is a required property'),
    "an input field too many": (None, (*GOOD, "-i", "answer=42"), 2, "'answer' was unexpected"),
    "an input field twice": (None, (*GOOD, "-i", "question=x"), 2, "--input: question: found it a second time"),
    "an input field without a name": (None, (*RUN, "-i", "=x"), 2, "expected name=value"),
    "an input field of the wrong kind": (
        file("w.yaml", TEXT_TO_SQL.replace("input: {question: string}", "input: {question: string, top: integer}")),
        ("run", "w.yaml", "-i", "question=x", "-i", "top=many"),
        2,
        '"many" is not of type "integer"',
    ),
    "input that is not JSON": (file("i.json", "{question: 1}"), (*RUN, "--input-json", "i.json"), 2, "found no JSON"),
    "input that is no object": (file("i.json", "[1]"), (*RUN, "--input-json", "i.json"), 2, "found a list; expected a JSON object"),
    "input with a key twice": (
        file("i.json", '{"question": "a", "question": "b"}'),
        (*RUN, "--input-json", "i.json"),
        2,
        "a key occurs twice",
    ),
    "no input file": (None, (*RUN, "--input-json", "i.json"), 2, "--input-json i.json: the value: found no such file"),
    "a run id with control characters": (None, (*GOOD, "--id", "a\x1b[31m\n"), 2, "printable characters"),
    "a run id that is empty": (None, (*GOOD, "--id", ""), 2, "1 to 200 printable characters"),
    "an id with another input": (None, (*RUN, "-i", "question=other", "--id", "waits"), 2, "another input"),
    # the journal
    "a journal that is not SQLite": (file("other.db", "not a database, " * 100), (*GOOD, "--journal", "other.db"), 2, "file is not a database"),
    "another program's journal": (database("CREATE TABLE t (x)"), (*GOOD, "--journal", "other.db"), 2, "another program's SQLite file"),
    "a newer journal": (
        database(f"CREATE TABLE t (x); PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 99"),
        ("runs", "--journal", "other.db"),
        2,
        "schema version 99",
    ),
    "a truncated journal": (truncated, ("runs", "--journal", "other.db"), 2, "other.db: found DatabaseError"),
    "a folder as journal": (read_only, ("runs", "--journal", "other.db"), 2, "other.db: found"),
    "a journal in no folder": (None, (*GOOD, "--journal", "no/where.db"), 2, "unable to open database file"),
    "no journal": (None, ("runs", "--journal", "other.db"), 4, "no journal other.db"),
    # runs
    "an unknown run": (None, ("show", "nobody"), 4, "run 'nobody': not in stepladder.db"),
    "an unknown run to answer": (None, ("answer", "nobody", "--text", "x"), 4, "run 'nobody': not in stepladder.db"),
    "an ambiguous beginning": (None, ("show", "w"), 2, "2 ids begin so (waits-too, waits ...)"),
    "a shortened id to cancel": (None, ("cancel", "waits-t"), 2, "there is no such run; waits-too begins so, but has to be named in full here"),
    "a shortened id to note": (None, ("outcome", "too", "--success"), 2, "waits-too ends so, but has to be named in full here"),
    "a decision that was not made": (None, ("show", "waits", "-d", "9"), 2, "found 9; expected 1 to 2"),
    "two views at once": (None, ("show", "waits", "-d", "1", "--entries"), 2, "give only one of"),
    # answers
    "no answer": (None, ("answer", "waits"), 2, "no answer was given"),
    "two answers": (None, ("answer", "waits", "--text", "x", "--approve"), 2, "--text and --approve/--refuse; give one answer"),
    "an answer of another form": (None, ("answer", "waits", "--approve"), 2, "it waits for a person's question; answer with --text '...'"),
    "an answer that does not fit": (None, ("answer", "waits", "--field", "txt=x"), 2, "expected an answer that fits"),
    "an answer that is not JSON": (None, ("answer", "waits", "--json-value", "{"), 2, "--json-value: the value: found no JSON"),
    "a reason alone": (None, ("answer", "waits", "--text", "x", "--reason", "y"), 2, "--reason goes with"),
    "an effect there is not": (None, ("answer", "waits", "--effect", "maybe"), 2, "expected done, redo or unknown"),
    "an answer to an ended run": (None, ("answer", "ended", "--text", "x"), 2, "an answer was offered, but it waits for nobody"),
    "a message to an ended run": (None, ("send", "ended", "x"), 2, "has already ended in 'done'"),
    "a message that is not JSON": (None, ("send", "waits", "x", "--payload", "go"), 2, "--payload: the value: found no JSON"),
    "a good run cannot be retried": (None, ("retry", "ended"), 2, "has already ended"),
    "an ended run cannot be cancelled": (None, ("cancel", "ended"), 2, "has already ended"),
    "resume of nothing": (None, ("resume",), 2, "give either a RUN or --all"),
    "another workflow": (
        file("w.yaml", TEXT_TO_SQL.replace("start: new_query", "start: planning")),
        ("resume", "waits", "--workflow", "w.yaml"),
        2,
        "is pinned to workflow",
    ),
    # afterwards
    "an outcome that says nothing": (None, ("outcome", "ended"), 2, "nothing was said"),
    "an outcome of no decision": (None, ("outcome", "ended", "-d", "9", "--success"), 2, "found 9; expected a decision from 1 to 4"),
    "a quality beyond one": (None, ("outcome", "ended", "--quality", "7"), 2, "quality from 0 to 1"),
    "an elapsed time below zero": (None, ("outcome", "ended", "--elapsed", "-1"), 2, "$.elapsed_s"),
    "a form of export there is not": (None, ("export", "ended", "--format", "xml"), 2, "expected json"),
    "an export into no folder": (None, ("export", "ended", "-o", "no/where.json"), 2, "no such file or directory"),
    "a picture there is not": (None, ("diagram", "text_to_sql.yaml", "--format", "png"), 2, "expected mermaid or svg"),
    "a picture of nothing": (None, ("diagram",), 2, "give a FILE, or --run RUN"),
    "explained in no step": (None, ("explain", "text_to_sql.yaml", "--at", "planing"), 2, "did you mean planning?"),
    "a scenario that is none": (file("s.yaml", "scenario: x\n"), ("play", "s.yaml"), 2, "workflow"),
    "no scenario": (None, ("play", "s.yaml"), 2, "found no such file"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "args", "code", "said"), BAD.values(), ids=BAD)
def test_bad_input(sql: Desk, before: Before, args: tuple[str, ...], code: int, said: str) -> None:
    sql("run", "text_to_sql.yaml", "-i", "question=How many?", "--id", "ended")
    sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "waits")
    sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "waits-too")
    entries = {name: sql.json("show", name, "--entries")["entries"] for name in sql.run_ids()}
    if before is not None:
        before(sql.folder)

    told = sql(*args)
    assert told.code == code, told
    assert said in told.err
    assert told.err.startswith("error: ")
    assert "Traceback" not in told.err
    assert "bug in stepladder" not in told.err
    assert told.out == ""

    as_json = sql(*args, "--json")
    assert as_json.code == code
    assert as_json.out == ""
    assert said in as_json.error["message"]
    assert as_json.error["exit"] == code
    assert {name: sql.json("show", name, "--entries")["entries"] for name in sql.run_ids()} == entries, "as it was"


def test_all_problems_of_a_file_are_told_at_once(sql: Desk) -> None:
    sql.write(w__yaml=TEXT_TO_SQL.replace("start: new_query", "start: nowhere").replace("do: GIVE_UP", "do: GIVE", 1))
    told = sql("run", "w.yaml", "-i", "question=x")
    assert told.code == 2
    lines = told.err.splitlines()
    assert lines[0] == "error: 2 problems"
    assert all(line.startswith("  w.yaml:") for line in lines[1:])
    problems = sql("run", "w.yaml", "-i", "question=x", "--json").error["problems"]
    assert [problem["where"] for problem in problems] == ["start", "rules.planning.impossible.do"]
    assert sql.run_ids() == []


def test_bad_input_does_not_even_make_a_journal(sql: Desk) -> None:
    for args in (RUN, (*RUN, "-i", "answer=42"), (*GOOD, "--option", "x=1"), ("run", "missing.yaml")):
        assert sql(*args).code == 2
    assert list(sql.folder.glob("stepladder.db*")) == []


def test_an_error_is_no_place_for_markup_or_escapes(sql: Desk) -> None:
    told = sql("run", "text_to_sql.yaml", "-i", "[bold]\x1b[31m=x")
    assert "\x1b" not in told.err
    assert "[bold]" in told.err


def test_what_nobody_thought_of_is_one_line(sql: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise ValueError("out of\nthe blue")

    monkeypatch.setattr("stepladder.cli.tables.runs_table", breaks)
    sql("run", "text_to_sql.yaml", "-i", "question=How many?")
    told = sql("runs")
    assert told.code == 70
    assert (
        told.err
        == "error: this is a bug in stepladder: ValueError: out of the blue; `stepladder --debug ...` shows where\n"
    )
    assert "Traceback" in sql("--debug", "runs").err
    assert "Traceback" in sql("runs", "--debug").err
