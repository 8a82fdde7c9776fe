"""What a run is worked on with: what the command line says, before what was said when it was started."""

from __future__ import annotations

import msgspec

from stepladder.cli.failures import UsageError
from stepladder.cli.memory import Setup, kept_in, recall
from stepladder.cli.options import Place, Said
from stepladder.cli.pairs import pairs


def setup_for(journal: Place, run_id: str, said: Said) -> Setup:
    """The setup. Raises UsageError where the workflow file is neither named nor remembered."""
    return setup_from(recall(journal, run_id), journal, run_id, said)


def setup_from(kept: Setup | None, journal: Place, run_id: str, said: Said) -> Setup:
    """The same, from what is remembered. Raises UsageError."""
    own = pairs(said.option, "--option")
    if kept is None:
        if said.workflow is None:
            known = f"{kept_in(journal).name} does not know it"
            raise UsageError(f"run {run_id!r}: its workflow file is not known ({known}); use --workflow FILE")
        return Setup(said.workflow, said.agents, own, said.base_url or "", said.on_changed, said.policy)
    if said.workflow is not None:
        kept = msgspec.structs.replace(kept, workflow=said.workflow, agents=said.agents, policy=None)
    return msgspec.structs.replace(
        kept,
        agents=said.agents or kept.agents,
        options={**kept.options, **own},
        base_url=kept.base_url if said.base_url is None else said.base_url,
        on_changed=said.on_changed,
        policy=said.policy or kept.policy,
    )
