"""A desk to work at: a folder with workflow, agents and journal, and the real command line in-process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from stepladder.cli import app
from stepladder.journal.sqlite import SqliteJournal

AGENTS = '''
"""Agents of the tests. What they do is steered by options."""
import time

calls = []

def agents(fail="0", slow="0", loud=""):
    left = {"fail": int(fail)}

    def planner(question, clarifications=None, error=None):
        if loud:
            print("the planner speaks")
        time.sleep(float(slow))
        if left["fail"] > 0:
            left["fail"] -= 1
            raise RuntimeError("no connection")
        if question == "unanswerable":
            return {"status": "unanswerable"}
        if question == "best" and not clarifications:
            return {"status": "needs_clarification", "question": "by revenue or by count?"}
        return {"status": "answerable", "sql": "SELECT count(*) FROM customers"}

    def executor(sql):
        return {"success": True, "rows": [[42]]}

    def responder(question, rows):
        return {"text": f"There are {rows[0][0]} customers."}

    return {"planner": planner, "executor": executor, "responder": responder}
'''


class Told(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        return dict(json.loads(self.err)["error"])


class Desk:
    """A folder that is the working directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = CliRunner()

    def write(self, **files: str) -> None:
        """Write files; `__` in a name stands for a dot."""
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text)

    def __call__(self, *args: str, given: str = "", env: dict[str, str] | None = None, columns: int = 100) -> Told:
        for name in [name for name in sys.modules if name.startswith("stepladder_agents_")]:
            del sys.modules[name]  # a new process would read the file anew
        result = self.runner.invoke(app, list(args), input=given, env={"COLUMNS": str(columns), **(env or {})})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Told(result.exit_code, result.stdout, result.stderr)

    def json(self, *args: str, **more: Any) -> Any:
        """What the command prints with --json; nothing else may be on stdout."""
        return self(*args, "--json", **more).json

    def run_ids(self, journal: str = "stepladder.db") -> list[str]:
        path = self.folder / journal
        if not path.exists():
            return []
        opened = SqliteJournal(path)
        try:
            return [row.run_id for row in opened.rows(1000)]
        finally:
            opened.close()
