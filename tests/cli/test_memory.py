from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.cli.memory import Setup, recall, remember


def lines(journal: Path) -> list[str]:
    return journal.with_name(journal.name + ".started.jsonl").read_text().splitlines()


def test_a_setup_comes_back_as_paths_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "journals").mkdir()
    (tmp_path / "flows").mkdir()
    journal = Path("journals/j.db")
    setup = Setup(Path("flows/w.yaml"), Path("flows/a.py"), {"size": "3"}, "http://localhost:8000")
    assert remember(journal, "r", setup) == []
    assert recall(journal, "r") == setup
    assert str(tmp_path) not in lines(journal)[0]
    monkeypatch.chdir(tmp_path / "flows")
    found = recall(Path("../journals/j.db"), "r")
    assert found is not None
    assert (found.workflow, found.agents) == (Path("w.yaml"), Path("a.py"))


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    journal, one, two = tmp_path / "j.db", Setup(tmp_path / "w.yaml"), Setup(tmp_path / "v.yaml")
    for setup in (one, one, two):
        remember(journal, "r", setup)
    remember(journal, "other", one)
    assert len(lines(journal)) == 3
    found = recall(journal, "r")
    assert found is not None
    assert found.workflow.name == "v.yaml", "the last one counts"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense\n",
        '{"run": "r"}\n',
        "[]\n",
        '{"run": "r", "workflow": 1, "agents": null, "options": {}, "base_url": ""}\n',
    ],
)
def test_a_damaged_memory_is_no_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / "j.db.started.jsonl").write_text(text)
    assert recall(tmp_path / "j.db", "r") is None


def test_secrets_are_left_out(tmp_path: Path) -> None:
    options = {"api_key": "abcdefgh", "size": "3", "token": "t", "dsn": "postgres://ada:lovelace@db/x"}
    assert remember(tmp_path / "j.db", "r", Setup(tmp_path / "w.yaml", None, options)) == ["api_key", "dsn", "token"]
    found = recall(tmp_path / "j.db", "r")
    assert found is not None
    assert found.options == {"size": "3"}
