"""What a run is worked on with: what the command line says, before what was said when it was started."""

from __future__ import annotations

from pathlib import Path

import msgspec

from stepladder.cli.failures import UsageError
from stepladder.cli.memory import Setup, kept_in, recall
from stepladder.cli.options import Place
from stepladder.cli.pairs import pairs


def setup_for(
    journal: Place,
    run_id: str,
    workflow: Path | None,
    agents: Path | None,
    option: list[str] | None,
    base_url: str | None,
    on_changed: str,
    policy: Path | None = None,
) -> Setup:
    """The setup. Raises UsageError where the workflow file is neither named nor remembered."""
    kept = recall(journal, run_id)
    return setup_from(kept, journal, run_id, workflow, agents, option, base_url, on_changed, policy)


def setup_from(
    kept: Setup | None,
    journal: Place,
    run_id: str,
    workflow: Path | None,
    agents: Path | None,
    option: list[str] | None,
    base_url: str | None,
    on_changed: str,
    policy: Path | None = None,
) -> Setup:
    """The same, from what is remembered. Raises UsageError."""
    own = pairs(option, "--option")
    if kept is None:
        if workflow is None:
            known = f"{kept_in(journal).name} does not know it"
            raise UsageError(f"run {run_id!r}: its workflow file is not known ({known}); use --workflow FILE")
        return Setup(workflow, agents, own, base_url or "", on_changed, policy)
    if workflow is not None:
        kept = msgspec.structs.replace(kept, workflow=workflow, agents=agents, policy=None)
    return msgspec.structs.replace(
        kept,
        agents=agents or kept.agents,
        options={**kept.options, **own},
        base_url=kept.base_url if base_url is None else base_url,
        on_changed=on_changed,
        policy=policy or kept.policy,
    )
