"""The desk, empty or with the design's workflow on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.desk import AGENTS, Desk
from tests.example_workflows import TEXT_TO_SQL


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("STEPLADDER_JOURNAL", "STEPLADDER_DEBUG", "STEPLADDER_BY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


@pytest.fixture
def sql(desk: Desk) -> Desk:
    """With text_to_sql.yaml, agents.py and a prompt."""
    desk.write(text_to_sql__yaml=TEXT_TO_SQL, agents__py=AGENTS)
    (desk.folder / "prompts").mkdir()
    (desk.folder / "prompts" / "plan_query@1.md").write_text("Write SQL for {{ question }}")
    return desk
