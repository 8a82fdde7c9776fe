"""Bugs to plant in the real code, of kinds that orchestrators really have had: the simulation has to find each."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from msgspec.structs import replace
from pytest import MonkeyPatch

from stepladder.app.at_work import AtWork
from stepladder.commands import CallAgent
from stepladder.drivers import Runner, local, turns
from stepladder.drivers.committer import Committer
from stepladder.drivers.ownership import Ownership
from stepladder.drivers.turns import Turns
from stepladder.events import AgentFailed, RunResumed
from stepladder.journal import NO_DIGEST, MemoryJournal
from stepladder.orchestrator import advance, effects, results
from stepladder.orchestrator.evolve import TURNS

DECIDE: Final = import_module("stepladder.orchestrator.decide")  # a function of that name hides it in its package
Plant = Callable[[MonkeyPatch], None]


def effect_before_intent(plant: MonkeyPatch) -> None:
    """Commands are performed as soon as they are known, while the turn that asks for them is being written."""
    take = Runner._take

    def early(self: Runner, post: Any) -> bool:
        before = self.turns.state
        self.turns.state = advance(self.machine, before, self.resources.redactor.event(post.event)).state
        self._performing.begin(self.resources.clock.now(), self._landed)
        self.turns.state = before
        return take(self, post)

    plant.setattr(Runner, "_take", early)


def acknowledged_before_commit(plant: MonkeyPatch) -> None:
    """A turn that waits to be written counts as written."""
    append = Committer.append

    def early(self: Committer, turn: Any, _: Any) -> bool:
        append(self, turn, lambda _: None)
        return True

    plant.setattr(Committer, "append", early)


def error_taken_for_success(plant: MonkeyPatch) -> None:
    """What the disk says about a group is not listened to."""
    later = Runner._written_later
    plant.setattr(Runner, "_written_later", lambda self, _: later(self, None))


def counter_reset_at_resume(plant: MonkeyPatch) -> None:
    """Whoever takes a run up gives it its decisions anew."""
    resumed = TURNS[RunResumed]
    plant.setitem(TURNS, RunResumed, lambda *given: replace(resumed(*given), decisions=0))


def time_away_is_work(plant: MonkeyPatch) -> None:
    """The time in which nobody worked on a run counts as working time."""
    resumed = TURNS[RunResumed]

    def counted(machine: Any, state: Any, event: Any) -> Any:
        return replace(resumed(machine, state, event), working_s=state.working_s + max(0.0, event.at - state.now))

    plant.setitem(TURNS, RunResumed, counted)


def no_doubt_at_resume(plant: MonkeyPatch) -> None:
    """A call that may have happened is made again, whatever it does."""
    plant.setitem(TURNS, RunResumed, lambda _, state, event: replace(state, now=max(state.now, event.at)))


def key_from_position(plant: MonkeyPatch) -> None:
    """A call's key is its place in the run."""
    call = effects.call

    def positioned(machine: Any, state: Any, effect: Any, agent: str) -> Any:
        after, number = call(machine, state, effect, agent), state.next_command
        command = replace(after.outstanding[number], key=f"{number}")
        return replace(after, outstanding={**after.outstanding, number: command})

    plant.setattr(effects, "call", positioned)


def retry_forgets_attempt(plant: MonkeyPatch) -> None:
    """Every attempt is the first."""
    again = results._again

    def first(machine: Any, state: Any, command: CallAgent, pause_s: float) -> Any:
        after = again(machine, state, command, pause_s)
        same = replace(after.outstanding[command.number], attempt=command.attempt)
        return replace(after, outstanding={**after.outstanding, command.number: same})

    plant.setattr(results, "_again", first)


def late_failure_counts(plant: MonkeyPatch) -> None:
    """What an earlier attempt comes to is taken for what this one came to."""
    failed = TURNS[AgentFailed]

    def counted(machine: Any, state: Any, event: AgentFailed) -> Any:
        command = state.outstanding.get(event.command)
        return failed(machine, state, replace(event, attempt=getattr(command, "attempt", event.attempt)))

    plant.setitem(TURNS, AgentFailed, counted)


def guard_ignored_for_models(plant: MonkeyPatch) -> None:
    """A model may choose whatever leads out of the step."""

    def all_of(machine: Any, opened: Any) -> Any:
        return {move.option.action: move.option for move in machine.moves[opened.step]}

    plant.setattr(DECIDE, "options_of", all_of)
    plant.setattr("stepladder.drivers.perform.options_of", all_of)


def budget_ignored(plant: MonkeyPatch) -> None:
    """Models are asked however much was spent."""
    plant.setattr(DECIDE, "_models_closed", lambda *_: "")


def answer_consumed_early(plant: MonkeyPatch) -> None:
    """An inbox item is taken out before the turn that consumes it is durable."""
    next_item = AtWork._next_item

    def taken_out(self: AtWork, machine: Any, state: Any) -> Any:
        found = next_item(self, machine, state)
        if found is not None:
            self.resources.journal.drop(state.run_id, found[1])
        return found and (found[0], 0)

    plant.setattr(AtWork, "_next_item", taken_out)


def answer_left_in_the_inbox(plant: MonkeyPatch) -> None:
    """A turn does not say which item it consumes."""
    append = Turns.append
    plant.setattr(Turns, "append", lambda self, post, done: append(self, replace(post, taken=0), done))


def fence_ignored(plant: MonkeyPatch) -> None:
    """A journal takes turns from anybody."""
    refused = MemoryJournal._refused

    def lenient(self: MemoryJournal, turn: Any) -> Any:
        found = refused(self, turn)
        return None if "taken it over" in str(found) else found

    plant.setattr(MemoryJournal, "_refused", lenient)


def no_signs_of_life(plant: MonkeyPatch) -> None:
    """An owner says once that it lives."""
    plant.setattr(Ownership, "_ticked", lambda self: None)


def chain_not_linked(plant: MonkeyPatch) -> None:
    """A turn's digest covers itself only."""
    chain = turns.chain
    plant.setattr(turns, "chain", lambda _, body: chain(NO_DIGEST, body))


def deadlines_forgotten(plant: MonkeyPatch) -> None:
    """Nobody comes back for a deadline."""
    plant.setattr(local, "wake_at", lambda *_: None)


BUGS: Final[tuple[Plant, ...]] = (
    effect_before_intent,
    acknowledged_before_commit,
    error_taken_for_success,
    counter_reset_at_resume,
    time_away_is_work,
    no_doubt_at_resume,
    key_from_position,
    retry_forgets_attempt,
    late_failure_counts,
    guard_ignored_for_models,
    budget_ignored,
    answer_consumed_early,
    answer_left_in_the_inbox,
    fence_ignored,
    no_signs_of_life,
    chain_not_linked,
    deadlines_forgotten,
)
