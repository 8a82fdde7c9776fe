from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.cli.workflows import APPROVAL, DECISION, DOUBT, FORM, MESSAGE, agents
from tests.example_workflows import TEXT_TO_SQL

QUESTION, FORMS, CHOICE, CONSENT, CHARGE = "question", "form", "decision", "approval", "doubt"
STARTED = {
    QUESTION: (TEXT_TO_SQL, None, ["-i", "question=best"]),
    FORMS: (FORM, agents(), []),
    CHOICE: (DECISION, agents("worker"), []),
    CONSENT: (APPROVAL, agents("worker"), []),
    CHARGE: (DOUBT, agents("bank"), []),
}

ANSWERS = {
    "a text": (QUESTION, ["--text", "by revenue"], 0, "done"),
    "a text, as JSON": (QUESTION, ["--json-value", '{"text": "by revenue"}'], 0, "done"),
    "a text, as a field": (QUESTION, ["--field", "text=by revenue"], 0, "done"),
    "fields of their own kinds": (FORMS, ["--field", "name=7", "--field", "age=36"], 0, "in"),
    "an action, and the rest by rules": (CHOICE, ["--action", "CLOSE", "--reason", "no use"], 1, "closed"),
    "an action with a parameter": (CHOICE, ["--action", "TRY", "--parameter", "how=hard"], 3, ""),
    "approved": (CONSENT, ["--approve", "--reason", "looks right"], 0, "solved"),
    "refused: done again, and asked again": (CONSENT, ["--refuse"], 3, ""),
    "it was done": (CHARGE, ["--effect", "done"], 0, "paid"),
    "it was done, and gave this": (CHARGE, ["--effect", "done", "--output", '{"ok": true}'], 0, "paid"),
    "nobody knows: the rules go on": (CHARGE, ["--effect", "unknown"], 3, ""),
    "redo it: in doubt again": (CHARGE, ["--effect", "redo"], 3, ""),
}


def started(desk: Desk, kind: str) -> None:
    text, code, more = STARTED[kind]
    desk.write(w__yaml=text)
    if code is not None:
        desk.write(agents__py=code)
    told = desk("run", "w.yaml", "--id", "r", *more)
    assert told.code == 3, told
    assert "stepladder answer r --" in told.out


@pytest.mark.parametrize(("kind", "answer", "code", "end"), ANSWERS.values(), ids=ANSWERS)
def test_answers(sql: Desk, kind: str, answer: list[str], code: int, end: str) -> None:
    started(sql, kind)
    told = sql("answer", "r", *answer, "--by", "ada", "--json")
    assert (told.code, told.json["end"] if told.out else told.err) == (code, end)
    event = next(each for each in sql.json("show", "r", "--entries")["entries"] if each["kind"] == "person_answered")
    assert event["by"] == "ada"


def test_the_same_folder_and_journal_are_enough_to_go_on(sql: Desk) -> None:
    started(sql, QUESTION)
    told = sql("answer", "last", "--text", "by revenue")
    assert told.code == 0
    assert "There are 42 customers." in told.out
    assert "plan_first" not in told.out, "what was told before is not told again"


def test_agents_and_options_of_the_start_are_remembered(sql: Desk, tmp_path: Path) -> None:
    (sql.folder / "agents.py").rename(sql.folder / "my_agents.py")
    sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "r", "--agents", "my_agents.py", "--option", "loud=x")
    told = sql("answer", "r", "--text", "by revenue")
    assert told.code == 0
    assert "the planner speaks" in told.out
    kept = (tmp_path / "stepladder.db.started.jsonl").read_text()
    assert str(tmp_path) not in kept, "no machine's paths"


def test_secret_options_are_not_written_down(sql: Desk, tmp_path: Path) -> None:
    sql.write(agents__py=(sql.folder / "agents.py").read_text().replace("loud=", 'api_key="", loud='))
    told = sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "r", "--option", "api_key=sesame-open-1234")
    assert "option api_key looks like a secret and is not remembered" in told.err
    assert "sesame" not in (tmp_path / "stepladder.db.started.jsonl").read_text()


def test_without_the_memory_the_files_are_named(sql: Desk, tmp_path: Path) -> None:
    started(sql, QUESTION)
    (tmp_path / "stepladder.db.started.jsonl").unlink()
    told = sql("answer", "r", "--text", "by revenue")
    assert told.code == 2
    assert "use --workflow FILE" in told.err
    assert sql("answer", "r", "--text", "by revenue", "--workflow", "w.yaml").code == 0


def test_answer_without_an_answer_asks(sql: Desk) -> None:
    started(sql, QUESTION)
    assert sql("answer", "r", "--interactive", given="by revenue\n").code == 0


INTERACTIVE = {
    "a form, field by field": (FORMS, "Ada\n36\n\n", 0),
    "a wrong kind is asked again": (FORMS, "Ada\nold\n\nAda\n36\nfalse\n", 0),
    "a decision, by the beginning of its name": (CHOICE, "nothing\nCLO\nno use\n", 1),
    "an approval": (CONSENT, "maybe\ny\nlooks right\n", 0),
    "a doubt": (CHARGE, "perhaps\ndone\n", 0),
}


@pytest.mark.parametrize(("kind", "typed", "code"), INTERACTIVE.values(), ids=INTERACTIVE)
def test_every_kind_of_question_can_be_answered_here(sql: Desk, kind: str, typed: str, code: int) -> None:
    started(sql, kind)
    told = sql("resume", "r", "--interactive", given=typed)
    assert told.code == code, told


def test_a_message_is_sent(desk: Desk) -> None:
    desk.write(w__yaml=MESSAGE, agents__py=agents("quick", "careful", "validator", "press"))
    waits = desk("run", "w.yaml", "--id", "r")
    assert waits.code == 3
    assert "stepladder send r released --payload '{}'" in waits.out
    assert desk("send", "r", "other").code == 2, "it would lie there for ever"
    told = desk("send", "r", "released", "--payload", '{"note": "go"}', "--json")
    assert (told.code, told.json["end"]) == (0, "published")


def test_cancel_then_retry(sql: Desk) -> None:
    started(sql, QUESTION)
    told = sql("cancel", "r", "--reason", "not needed", "--by", "ada", "--json")
    assert (told.code, told.json["end"], told.json["reason"]) == (0, "cancelled", "not needed")
    assert sql("retry", "r").code == 3, "it is where it was: waiting for an answer"
    assert sql("answer", "r", "--text", "by revenue").code == 0


def test_resume_all_takes_up_what_has_not_ended(sql: Desk) -> None:
    started(sql, QUESTION)
    sql("run", "text_to_sql.yaml", "-i", "question=How many?", "--id", "ended")
    told = sql("resume", "--all", "--json")
    assert told.code == 3
    assert [each["run"] for each in told.json["runs"]] == ["r"]
    assert "waits" in sql("resume", "--all").out
    sql("answer", "r", "--text", "x")
    assert sql("resume", "--all").out.strip() == "every run has ended"


def test_resume_all_goes_on_past_an_error(sql: Desk, tmp_path: Path) -> None:
    sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "a")
    (tmp_path / "stepladder.db.started.jsonl").unlink()
    sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "b")
    told = sql("resume", "--all", "--json")
    assert told.code == 2
    assert [("error" in each, each["run"]) for each in told.json["runs"]] == [(True, "a"), (False, "b")]
