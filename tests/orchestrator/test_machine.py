"""The step machine: where actions lead, and what does not lead out of a step."""

from __future__ import annotations

import pytest

from stepladder.errors import IllegalAction
from stepladder.orchestrator import Machine
from stepladder.record import STOP
from tests.example_workflows import PAYMENT, REVIEW, TEXT_TO_SQL, TRIAGE, machine

MACHINES = {text.split()[1]: machine(text) for text in (PAYMENT, REVIEW, TEXT_TO_SQL, TRIAGE)}
STEPS = [(name, step) for name, each in MACHINES.items() for step in each.definition.steps]


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_every_action_leads_where_the_table_says_or_nowhere(name: str, step: str) -> None:
    found = MACHINES[name]
    leads = {move.option.action: move.option.to for move in found.moves[step]} | {STOP: found.limits.then}
    for action in [*found.definition.actions, STOP]:
        if action in leads:
            assert found.take(step, action) == leads[action]
        else:
            with pytest.raises(IllegalAction) as caught:
                found.take(step, action)
            assert (caught.value.step, caught.value.action) == (step, action)


@pytest.mark.parametrize("found", MACHINES.values(), ids=MACHINES)
def test_nothing_leads_out_of_an_end(found: Machine) -> None:
    for end in found.definition.ends:
        for action in [*found.definition.actions, STOP]:
            with pytest.raises(IllegalAction):
                found.take(end, action)


def test_an_unknown_action_is_illegal() -> None:
    for action in ("", "trigger", "to_solved", "GIVE UP"):
        with pytest.raises(IllegalAction):
            MACHINES["triage"].take("arrived", action)
