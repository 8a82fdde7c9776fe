"""Providers that a project brings along."""

from __future__ import annotations

from tests.cli.desk import Desk

FILE = "text_to_sql.yaml"
SCRIPTED = """
from stepladder import ScriptedProvider
PROVIDERS = {"google": ScriptedProvider([{"action": "GIVE_UP", "reason": "enough", "confidence": 0.9}])}
"""


def test_models_are_asked_of_the_projects_own_provider(sql: Desk) -> None:
    sql.write(agents__py=(sql.folder / "agents.py").read_text() + SCRIPTED)
    said = sql.json("run", FILE, "-i", "question=How many?", "--option", "fail=2")
    assert (said["end"], said["reason"], said["sources"]) == ("given_up", "enough", {"rule": 1, "model": 1})


def test_resume_asks_it_too(sql: Desk) -> None:
    sql.write(agents__py=(sql.folder / "agents.py").read_text() + SCRIPTED)
    assert sql("run", FILE, "-i", "question=best", "--id", "r").code == 3
    said = sql.json("answer", "r", "--text", "by revenue", "--option", "fail=2")
    assert said["reason"] == "enough"
