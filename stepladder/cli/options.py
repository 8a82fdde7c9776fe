"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

Json = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON document on stdout; errors are JSON on stderr.")
]

Place = Path | str
"""Where a journal is: a file, or the address of a database."""


def placed(said: Place) -> Place:
    """The journal that somebody names."""
    from stepladder.journal.address import is_address

    return said if is_address(said) else Path(said)


JournalFile = Annotated[
    Any,  # a Place; typer knows no unions
    typer.Option(
        "--journal",
        "-j",
        envvar="STEPLADDER_JOURNAL",
        metavar="FILE|URL",
        help="The journal of runs: a file, or postgresql://...",
        show_default=True,
        parser=placed,
    ),
]
AgentsFile = Annotated[
    Path | None,
    typer.Option(
        "--agents", metavar="FILE.py", help="The Python file of the agents. Default: agents.py beside the workflow."
    ),
]
WorkflowOption = Annotated[
    Path | None,
    typer.Option(
        "--workflow", metavar="FILE", help="The workflow file. Default: the one that the run was started with."
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="Decide by this policy file instead of the workflow's own policy."),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="Handed to the `agents` function of the agents file; repeatable."
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Where openai: models are asked, for compatible servers."),
]
Interactive = Annotated[
    bool | None,
    typer.Option(
        "--interactive/--no-interactive",
        metavar="",
        help="Ask here when the run waits for a person. Default: on a terminal.",
    ),
]
OnChanged = Annotated[
    str,
    typer.Option(
        "--on-changed",
        envvar="STEPLADDER_ON_CHANGED",
        metavar="refuse|pin|migrate",
        help="What becomes of a run of another workflow than the file's: pin keeps it under its own, from the journal.",
    ),
]
_RUN = "A run's id, how one begins or ends, or `last`."
RunName = Annotated[str, typer.Argument(metavar="RUN", help=_RUN)]
MaybeRunName = Annotated[str, typer.Argument(metavar="[RUN]", help=_RUN)]
By = Annotated[
    str, typer.Option("--by", envvar="STEPLADDER_BY", metavar="NAME", help="Who says so; kept in the journal.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
]

DEFAULT_JOURNAL = Path("stepladder.db")


class Said(NamedTuple):
    """What the command line says about what a run is worked on with."""

    workflow: Path | None
    agents: Path | None
    option: list[str] | None
    base_url: str | None
    on_changed: str
    policy: Path | None = None


def breakers_place() -> str | None:
    """Where the breakers of models are kept, as the environment says: `memory`, a file or redis://..."""
    return os.environ.get("STEPLADDER_BREAKERS") or None
