"""Which workflow file and agents a run was started with.

The journal holds what was decided, never where files lie. So that `stepladder answer RUN ...` needs no further options,
each run started here leaves a line in the file `<journal>.started.jsonl`: the run's id, the paths of workflow, agents
and policy file relative to the journal, and the options. An option that looks like a secret is left out. The file may
be deleted; then `--workflow` and `--agents` have to be given. Where the journal is no file, the file is
`stepladder.started.jsonl` in the current folder, and its lines name the journal: paths mean something to whoever has
them, not to everybody who shares a database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from stepladder.cli.journals import shown_place
from stepladder.cli.options import Place

SUFFIX: Final = ".started.jsonl"


class Setup(msgspec.Struct, frozen=True):
    """What a run is worked on with.

    Paths are as seen from here; `agents` is None for agents.py beside the workflow, `policy` for the workflow's own.
    `on_changed` is said each time, and not remembered.
    """

    workflow: Path
    agents: Path | None = None
    options: dict[str, str] = {}
    base_url: str = ""
    on_changed: str = "refuse"
    policy: Path | None = None

    @property
    def agents_file(self) -> Path:
        """The file of the agents."""
        return self.agents or self.workflow.parent / "agents.py"


def remember(journal: Place, run_id: str, setup: Setup) -> list[str]:
    """Note the setup of a run; the options that were left out because they look like secrets."""
    kept = without_secrets(setup.options)
    if recall(journal, run_id) != msgspec.structs.replace(setup, options=kept, on_changed="refuse"):
        said = {
            **_mark(journal),
            "run": run_id,
            "workflow": _from(journal, setup.workflow),
            "agents": _from(journal, setup.agents) if setup.agents else None,
            "options": kept,
            "base_url": setup.base_url,
            "policy": _from(journal, setup.policy) if setup.policy else None,
        }
        with kept_in(journal).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(said, ensure_ascii=False) + "\n")
    return sorted(set(setup.options) - set(kept))


def recall(journal: Place, run_id: str) -> Setup | None:
    """The setup that was noted last for the run, or None."""
    mark = json.dumps(run_id, ensure_ascii=False)
    for line in reversed(_noted(journal)):
        if mark in line and (found := _setup(journal, line)) is not None and found[0] == run_id:
            return found[1]
    return None


def recall_all(journal: Place) -> dict[str, Setup]:
    """The setups that were noted last, by run."""
    return dict(found for line in _noted(journal) if (found := _setup(journal, line)) is not None)


def _noted(journal: Place) -> list[str]:
    try:
        return kept_in(journal).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _setup(journal: Place, line: str) -> tuple[str, Setup] | None:
    try:
        said = json.loads(line)
        if not _mark(journal).items() <= said.items():
            return None
        agents = _to(journal, said["agents"]) if said["agents"] else None
        policy = _to(journal, said["policy"]) if said.get("policy") else None
        options = {str(name): str(value) for name, value in said["options"].items()}
        setup = Setup(_to(journal, said["workflow"]), agents, options, str(said["base_url"]), policy=policy)
        return str(said["run"]), setup
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def kept_in(journal: Place) -> Path:
    """The file of what is remembered."""
    return journal.with_name(journal.name + SUFFIX) if isinstance(journal, Path) else Path("stepladder" + SUFFIX)


def _mark(journal: Place) -> dict[str, str]:
    return {} if isinstance(journal, Path) else {"journal": shown_place(journal)}


def _folder(journal: Place) -> Path:
    return journal.resolve().parent if isinstance(journal, Path) else Path.cwd()


def _from(journal: Place, path: Path) -> str:
    return Path(os.path.relpath(path.resolve(), _folder(journal))).as_posix()


def _to(journal: Place, path: str) -> Path:
    found = Path(os.path.normpath(_folder(journal) / path))
    return Path(os.path.relpath(found)) if found.is_relative_to(Path.cwd()) else found


def without_secrets(options: Mapping[str, str]) -> dict[str, str]:
    """The options that may be noted and shown: none that looks like a secret."""
    from stepladder.journal import Redactor

    redactor = Redactor()
    return {name: value for name, value in options.items() if redactor.value({name: value}) == {name: value}}
