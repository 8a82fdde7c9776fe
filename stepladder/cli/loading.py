"""Loading workflow and agents, with errors for whoever wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stepladder.errors import DefinitionError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepladder.app.loading import Workflow
    from stepladder.cli.memory import Setup
    from stepladder.llm import Provider


class Loaded(NamedTuple):
    """What runs are worked on with; of the agents that a file offers, those that the workflow declares."""

    workflow: Workflow
    agents: dict[str, Any]
    providers: dict[str, Provider]


def loaded(setup: Setup) -> Loaded:
    """The workflow under its policy file, where there is one, and what its agents file offers.

    Raises:
        DefinitionError, InputError: one of the files cannot be used.
    """
    from stepladder.app.loading import Workflow, load_agents, load_providers

    file = setup.agents_file
    there = setup.agents is not None or file.is_file()
    if there:
        _there(setup.workflow)
    agents, signals = load_agents(file, setup.options) if there else ({}, ())
    workflow = Workflow.load(setup.workflow, signals=signals)
    wanted = ", ".join(sorted(workflow.definition.agents))
    if wanted and not there:
        expected = f"a Python file with the agents {wanted}, or --agents FILE.py"
        raise InputError("agents", "", f"no file {file}", expected)
    if setup.policy:
        workflow = workflow.under(setup.policy)
    declared = {name: agent for name, agent in agents.items() if name in workflow.definition.agents}
    return Loaded(workflow, declared, load_providers(file) if there else {})


def _there(path: Path) -> None:
    """A workflow file that is missing is told of before the agents are looked for."""
    if not path.is_file():
        from stepladder.app.loading import Workflow

        Workflow.load(path)


def looked_at(path: Path, agents: Path | None = None, options: Mapping[str, str] | None = None) -> Workflow:
    """The workflow, for looking at it: the agents file is loaded only where the workflow needs its signals.

    Raises:
        DefinitionError: with all problems of the file.
    """
    from stepladder.app.loading import Workflow, load_agents

    signals = load_agents(agents, options or {})[1] if agents else ()
    try:
        return Workflow.load(path, signals=signals)
    except DefinitionError as error:
        beside = path.parent / "agents.py"
        wanting = any(problem.code in ("unknown-signal", "reference") for problem in error.problems)
        if agents is not None or not wanting or not beside.is_file():
            raise
        own = load_agents(beside, options or {})[1]
        if not own:
            raise
    return Workflow.load(path, signals=own)
