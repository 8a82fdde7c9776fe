"""`mine`: from recordings and journals; what is accepted stands in shadow until later runs speak for or against it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from stepladder import Workflow
from stepladder.evaluation.accepted import mined_in
from stepladder.evaluation.journal_choices import ended_runs
from stepladder.journal.sqlite import SqliteJournal
from tests.cli.desk import Desk
from tests.cli.trials import WORKFLOW, filled

KINDS = ["metal", "paper", "glass", "wood"]


@pytest.fixture
def sorting(desk: Desk) -> Desk:
    """240 runs in which the model keeps all but glass, and the rule would throw."""
    text = WORKFLOW.replace("reconcile: rule_wins", "reconcile: model_wins")
    desk.write(workflow__yaml=text)
    filled(desk.folder / "stepladder.db", KINDS * 60, text)
    return desk


def test_what_the_model_does_is_found_and_told(sorting: Desk) -> None:
    said = sorting.json("mine")
    assert said["choices"] == 240
    kept = [each for each in said["proposals"] if each["action"] == "KEEP"]
    thrown = [each for each in said["proposals"] if each["action"] == "THROW"]
    assert sum(each["support"] for each in kept) == 180
    assert [each["support"] for each in thrown] == [60]
    assert all(each["agreement"] == 1.0 and each["step"] == "looking" for each in said["proposals"])
    assert all(each["success"] == 1.0 for each in kept)
    told = sorting("mine", "--partitions", "2")
    assert told.code == 0
    assert "do THROW in looking" in told.out
    assert "agreement 100.0%" in told.out


def accepted(sorting: Desk) -> str:
    numbers = ",".join(str(each["number"]) for each in sorting.json("mine")["proposals"])
    told = sorting("mine", "--accept", numbers, "--into", "workflow.yaml")
    assert told.code == 0, told.err
    return (sorting.folder / "workflow.yaml").read_text()


def test_accepted_rules_are_in_shadow_and_decide_nothing(sorting: Desk) -> None:
    before = (sorting.folder / "workflow.yaml").read_text()
    text = accepted(sorting)
    rules = mined_in(text)
    assert rules
    assert all(each.shadow for each in rules)
    left = [line for line in text.splitlines() if "mined_" not in line]
    assert left == before.splitlines(), "every other line stays, with its comments"
    workflow = Workflow.parse(text)
    assert [rule.name for rule in workflow.machine.rules["looking"]] == ["broken", "throw"]
    assert workflow.hash == Workflow.parse(before).hash
    assert sorting("check", "workflow.yaml").code == 0
    assert sorting("mine", "--accept", "1", "--into", "workflow.yaml").code == 2, "it is there already"


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("looking", "watching", "found step 'looking'; expected watching"),
        ("THROW", "TOSS", "found action 'THROW'"),
        ("workflow: sorting", "workflow: other", "other.yaml of 'other'; expected the file of sorting"),
    ],
)
def test_rules_go_into_no_file_that_they_do_not_fit(sorting: Desk, was: str, now: str, said: str) -> None:
    text = (sorting.folder / "workflow.yaml").read_text().replace(was, now)
    sorting.write(other__yaml=text)
    told = sorting("mine", "--accept", "1", "--into", "other.yaml")
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert ".part" not in told.err
    assert (sorting.folder / "other.yaml").read_text() == text
    assert not list(sorting.folder.glob(".*.part"))


def test_a_read_only_file_stays_and_a_link_goes_on_leading_there(sorting: Desk) -> None:
    file, link = sorting.folder / "workflow.yaml", sorting.folder / "link.yaml"
    link.symlink_to(file.name)
    file.chmod(0o444)
    told = sorting("mine", "--accept", "1", "--into", "link.yaml")
    assert (told.code, "found is read-only" in told.err, "mined_" in file.read_text()) == (2, True, False)
    file.chmod(0o600)
    assert sorting("mine", "--accept", "1", "--into", "link.yaml").code == 0
    assert (link.is_symlink(), file.stat().st_mode & 0o777, "mined_" in file.read_text()) == (True, 0o600, True)


def test_later_runs_promote_and_the_model_is_asked_no_more(sorting: Desk) -> None:
    text = accepted(sorting)
    assert {each["fate"] for each in sorting.json("mine", "--review", "workflow.yaml")["rules"]} == {"wait"}
    filled(sorting.folder / "stepladder.db", KINDS * 60, text, "later")
    told = sorting("mine", "--review", "workflow.yaml", "--apply")
    assert told.code == 0
    assert "promote" in told.out
    promoted = (sorting.folder / "workflow.yaml").read_text()
    assert not any(each.shadow for each in mined_in(promoted))
    filled(sorting.folder / "third.db", KINDS * 60, promoted, "third")
    ended = sorting.json("runs", "--limit", "500", "--journal", "third.db")["runs"]
    assert sorted({each["end"] for each in ended}) == ["kept", "thrown"]
    assert sum(each["end"] == "thrown" for each in ended) == 60, "as the model did"
    asked = _asked(sorting.folder / "third.db")
    assert 0 < len(asked) < 30, "about 5% are asked all the same"
    told = sorting("show", next(e["run"] for e in ended if e["run"] not in asked), "-d", "1", "--journal", "third.db")
    assert "the rule settles hybrid" in told.out
    review = sorting.json("mine", "--review", "workflow.yaml", "--journal", "third.db")["rules"]
    assert {each["fate"] for each in review} == {"keep"}
    assert sum(each["fired"] for each in review) == len(asked)
    assert sorting("replay", "--all", "--journal", "third.db").code == 0


def _asked(file: Path) -> list[str]:
    """The runs in which somebody was asked."""
    journal = SqliteJournal(file)
    try:
        return [run.id for run in ended_runs(journal) if any(record.asked for record in run.decisions)]
    finally:
        journal.close()


def test_a_rule_that_the_model_leaves_is_retired(sorting: Desk) -> None:
    text = accepted(sorting)
    wrong = text.replace("last.kind == glass", "last.kind == paper").replace(
        "input.kind == glass", "input.kind == paper"
    )
    (sorting.folder / "workflow.yaml").write_text(wrong)
    filled(sorting.folder / "later.db", KINDS * 30, wrong, "later")
    fates = sorting.json("mine", "--review", "workflow.yaml", "--apply", "--journal", "later.db")["rules"]
    assert [each["agreed"] for each in fates if each["fate"] == "retire"] == [0]
    left = mined_in((sorting.folder / "workflow.yaml").read_text())
    assert len(left) == len(fates) - 1


RECORDINGS = Path(__file__).parents[3] / "shared" / "data" / "recordings"


def test_recordings(desk: Desk) -> None:
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recordings in {RECORDINGS}")
    with gzip.open(RECORDINGS / "tau.dev.jsonl.gz", "rt") as file, gzip.open("some.jsonl.gz", "wt") as some:
        some.writelines(line for number, line in enumerate(file) if number % 8 == 0)
    told = desk.json("mine", "some.jsonl.gz")
    assert told["choices"] > 1_000
    for each in told["proposals"]:
        assert each["agreement"] >= 0.93
        assert not any(word in " ".join(each["when"]) for word in ("model", "task_id", "split"))


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("mine",), 4, "no journal"),
        (("mine", "nothing.jsonl"), 2, "nothing.jsonl"),
        (("mine", "--accept", "1"), 2, "go together"),
        (("mine", "--review", "w.yaml", "--accept", "1", "--into", "w.yaml"), 2, "nothing else"),
        (("mine", "--min-agreement", "2"), 2, "min-agreement"),
    ],
)
def test_what_cannot_be_mined(desk: Desk, args: tuple[str, ...], code: int, said: str) -> None:
    told = desk(*args)
    assert (told.code, told.out) == (code, "")
    assert said in told.err
