"""Laws of a change of workflow, under random stories: what only has other names has the same past, state and calls."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec
from hypothesis import example, given
from msgspec.structs import replace

from stepladder.drivers import replay
from stepladder.events import Event, Renames, WorkflowChanged
from stepladder.journal import StoredTurn
from stepladder.journal.codec import decode_turn, encode_turn
from stepladder.orchestrator import Machine, compare, fold, in_flight, retold
from stepladder.workflow.build import build
from tests.orchestrator.test_laws import MACHINES, NAMES, POOLS, SEEDS, SOURCES, Seeds, Story

KEPT: Final = frozenset({"done"})
"""Ends that share their name with a field of an agent's output."""


def renames_of(machine: Machine) -> Renames:
    """Every step, action and end under another name."""
    names = [machine.definition.steps, machine.definition.ends, machine.definition.actions]
    steps, ends, actions = ({name: f"{name}_2" for name in each if name not in KEPT} for each in names)
    return Renames(steps, ends, actions)


def renamed(name: str) -> Machine:
    """The same workflow in these names, taking any input."""
    old, text = MACHINES[name], json.dumps(SOURCES[name])
    renames = renames_of(old)
    for before, after in {**renames.steps, **renames.ends, **renames.actions}.items():
        text = re.sub(rf"\b{before}\b", after, text)
    return Machine(replace(build(json.loads(text)), check_input=None))


AFTER: Final = {name: renamed(name) for name in MACHINES}


def migrated(story: Story) -> WorkflowChanged:
    """The story goes on in other names, as a driver does it."""
    new = AFTER[story.name]
    change = WorkflowChanged(story.at, new.definition.hash, new.policy.hash, renames_of(story.machine))
    story.machine, story.state = new, fold(new, story.journal, then=change)
    story.tell(change)
    return change


@given(NAMES, POOLS, SEEDS)
def test_other_names_alone_go_the_same_way_and_keep_the_keys_of_calls(name: str, pools: Any, seeds: Seeds) -> None:
    story = Story(name, pools).run(seeds)
    before = story.state
    change = WorkflowChanged(story.at, "w", "p", renames_of(story.machine))
    told, _ = retold(story.journal, change)
    assert str(compare(AFTER[name], told)).startswith("same")
    after = fold(AFTER[name], story.journal, then=change)
    assert in_flight(after) == in_flight(before)
    assert (after.calls, after.next_command, after.usd) == (before.calls, before.next_command, before.usd)
    assert list(after.visits.values()) == list(before.visits.values())


@example("review, judged", ([{}], [""], [False, []]), Seeds(0, 15), Seeds(0, 15))  # judged by a step of another name
@given(NAMES, POOLS, SEEDS, SEEDS)
def test_a_migrated_run_is_the_fold_of_its_journal_read_anew_and_replays(
    name: str, pools: Any, first: Seeds, then: Seeds
) -> None:
    story = Story(name, pools).run(first)
    old = story.machine
    migrated(story)
    for seed in then.told("after"):
        if not isinstance(event := story.event(*seed), WorkflowChanged):  # no driver tells it twice
            story.tell(event)
    turns = [story.journal[start:end] for start, end in zip([0, *story.chunks], story.chunks, strict=False)]
    read = [decode_turn(encode_turn(turn)) for turn in turns]
    assert fold(story.machine, [entry for turn in read for entry in turn]) == story.state
    stored = [StoredTurn(start + 1, turn) for start, turn in zip([0, *story.chunks], read, strict=False)]
    found = replay(old, "run", stored, lambda workflow, _: AFTER[name] if workflow != old.definition.hash else old)
    assert found.divergence is None
    assert found.decisions == story.state.opened


@given(NAMES, POOLS, SEEDS)
def test_a_past_under_its_own_definition_is_the_same(name: str, pools: Any, seeds: Seeds) -> None:
    story = Story(name, pools).run(seeds)
    machine = Machine(replace(story.machine.definition, check_input=None))
    assert compare(machine, story.journal).outcome == "same"
    assert isinstance(story.journal[0], Event)
    assert msgspec.to_builtins(compare(machine, story.journal))["decision"] == story.state.opened
