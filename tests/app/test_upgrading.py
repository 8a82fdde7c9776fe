"""Runs that meet another workflow than their own: refused with the difference, pinned, or migrated."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepladder import InputError, MemoryJournal, signal
from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import ManualClock
from stepladder.errors import RunNotWaiting, WrongDefinition
from stepladder.events import PolicyChanged, Renames, RunResumed, WorkflowChanged
from stepladder.journal import Redactor, entries_in
from stepladder.orchestrator import fold
from stepladder.record import Settled
from tests.app.cast import OWLS, Cast
from tests.app.versions import ADDED, OLD, RENAMED, RENAMES, STRICTER, WITHOUT_ASK, edited, loaded, migrating
from tests.drivers.desk import TALK, go, of, path, until

NEW = migrating(RENAMED, RENAMES)


class Office:
    """One journal, and a new process for every workflow that is opened on it."""

    def __init__(self, journal: Any = None) -> None:
        self.journal = MemoryJournal() if journal is None else journal
        self.cast, self.clock = Cast(), ManualClock()

    def open(self, workflow: Workflow, on_changed: Any = "refuse", **agents: Any) -> Orchestrator:
        return Orchestrator(
            workflow,
            agents={**self.cast.agents, **agents},
            journal=self.journal,
            clock=self.clock,
            on_changed=on_changed,
        )

    async def begun(self, answers: int = 1) -> Run:
        """A run of TALK: it waits for notes, or (after one answer) for a message."""
        async with self.open(OLD) as talk:
            run = await talk.run(OWLS, run_id="r")
            for _ in range(answers):
                run = await talk.answer("r", {"text": "eyes"})
            _ = run.entries  # read while the journal is open
            return run

    async def ended(self, orchestrator: Orchestrator, *, answer: Any = None) -> Run:
        """Send the message, let it cool, and answer what comes then."""
        working = asyncio.create_task(orchestrator.send("r", "released", {"note": "now"}))
        await until(working.done, self.clock, 61)
        run = await working
        return run if answer is None else await orchestrator.answer("r", answer)


def same_everywhere(orchestrator: Orchestrator, run: Run) -> None:
    """The run is the fold of its journal read anew, and replays."""
    entries = entries_in(orchestrator.journal.turns(run.id))
    assert fold(run.machine, entries) == run.state == orchestrator.get(run.id).state
    assert orchestrator.replay(run.id).divergence is None


# --- refuse


@pytest.mark.parametrize(
    ("text", "differences"),
    [
        (STRICTER, ["action REVISE from asking, guard: was taken.REVISE < 2, is taken.REVISE < 0"]),
        (ADDED, ["step proofing: added", "action PROOF: added"]),
    ],
    ids=["guard", "step"],
)
def test_a_refusal_says_what_differs_and_what_can_be_done(text: str, differences: list[str]) -> None:
    async def body() -> None:
        office = Office()
        await office.begun()
        async with office.open(loaded(text)) as other:
            for verb in (other.resume, other.retry, other.cancel, other.wait):
                with pytest.raises(WrongDefinition) as caught:
                    await verb("r")
                assert list(caught.value.differences) == differences
            for said in (*differences, "pin", "migrate", OLD.hash, other.workflow.hash):
                assert said in str(caught.value)
            for look in (other.get, other.replay):
                with pytest.raises(WrongDefinition):
                    look("r")

    go(body())


def test_a_long_list_of_differences_is_cut() -> None:
    error = WrongDefinition("r", "a", "b", "cause", [f"step s{number}: added" for number in range(20)])
    assert str(error).splitlines()[-1] == "  and 8 more differences"
    assert len(error.differences) == 20


def test_what_becomes_of_it_is_one_of_three_words() -> None:
    with pytest.raises(InputError, match="expected refuse, pin or migrate"):
        Office().open(OLD, "ask")


# --- pin


def test_a_pinned_run_goes_on_under_its_own_workflow_while_new_ones_take_the_new() -> None:
    async def body() -> None:
        office = Office()
        await office.begun(answers=0)
        async with office.open(loaded(RENAMED), "pin") as both:
            assert both.get("r").step == "asking"
            run = await both.answer("r", {"text": "eyes"})
            other = await both.run(OWLS, run_id="new")
            assert (run.step, other.step) == ("embargo", "reviewing")
            run = await office.ended(both)
            assert (run.end, run.output) == ("printed", {"sheets": 2, "text": "on owls, eyes", "notes": ["eyes"]})
            assert of(run, PolicyChanged) == []
            assert of(run, WorkflowChanged) == []
            for each in ("r", "new"):
                same_everywhere(both, both.get(each))
        async with office.open(OLD) as talk:
            assert talk.get("r").end == "printed"

    go(body())


def test_the_same_id_and_input_is_the_same_pinned_run() -> None:
    async def body() -> None:
        office = Office()
        await office.begun(answers=0)
        other = edited(("input: {topic: string}", "input: {topic: string, tone: {type: string, default: dry}}"))
        async with office.open(loaded(other), "pin") as both:
            run = await both.run(OWLS, run_id="r")
            assert (run.step, run.state.input) == ("asking", OWLS)
            await both.cancel("r")
            assert (await both.retry("r")).step == "asking"
            same_everywhere(both, both.get("r"))

    go(body())


def test_a_pinned_run_needs_its_agents() -> None:
    text = edited(("printer: {", "press: {"), ("agent: printer", "agent: press"))

    async def body() -> None:
        office = Office()
        await office.begun()

        def press(text: str, note: str) -> dict[str, int]:
            return {"sheets": 1}

        agents = {"writer": office.cast.writer, "press": press}
        async with Orchestrator(loaded(text), agents=agents, journal=office.journal, on_changed="pin") as without:
            assert without.get("r").step == "embargo", "looking needs no agents"
            with pytest.raises(WrongDefinition, match=r"agents that are not here: \['printer'\]"):
                await without.resume("r")
        with pytest.raises(InputError, match="printer"):
            office.open(loaded(text), press=press)
        async with office.open(loaded(text), "pin", press=press) as both:
            assert (await office.ended(both)).end == "printed"

    go(body())


LOUD = edited(("asking], to: embargo}", "asking], to: embargo, guard: [loud < 9]}"))


@pytest.mark.parametrize(
    ("version", "said"),
    [(1, ""), (2, "signals: found loud in version 2; expected loud in version 1"), (None, "signal 'loud'")],
)
def test_a_pinned_run_needs_its_own_signals_in_their_versions(version: int | None, said: str) -> None:
    def loud(version: int) -> Any:
        return signal("loud", start=0, version=version)(lambda memory, _: memory + 1)

    async def body() -> None:
        office = Office()
        async with office.open(loaded(LOUD, loud(1))) as first:
            await first.run(OWLS, run_id="r")
        signals = () if version is None else (loud(version),)
        async with office.open(loaded(TALK, *signals), "pin") as other:
            if not said:
                assert (await other.answer("r", {"text": "x"})).step == "embargo"
                return
            with pytest.raises(WrongDefinition) as caught:
                await other.answer("r", {"text": "x"})
            assert said in str(caught.value)

    go(body())


# --- migrate


def test_renamed_steps_actions_and_ends(tmp_path: Path) -> None:
    async def body() -> None:
        office = Office(tmp_path / "runs.db")
        before = await office.begun(answers=0)
        async with office.open(NEW, "migrate") as new:
            assert new.get("r").step == "asking", "looking changes nothing"
            run = await new.answer("r", {"text": "eyes"}, by="ann")
            (changed,) = of(run, WorkflowChanged)
            assert (changed.workflow_hash, changed.policy_hash) == (NEW.hash, NEW.machine.policy.hash)
            assert run.state.visits == {"outlining": 2, "reviewing": 1, "embargo": 1, "cooling": 0, "printing": 0}
            assert run.state.taken["INQUIRE"] == 1
            same_everywhere(new, run)
            row = new.journal.row("r")
            assert row is not None
            assert row.workflow_hash == NEW.hash
        async with office.open(loaded(RENAMED)) as later:  # pinned to it, from any process, without the section
            run = await office.ended(later)
            assert (run.end, path(run)) == ("out", ["ASK", "REVISE", "HOLD", "COOL", "PRINT", "FINISH"])
            assert run.output == {"sheets": 2, "text": "on owls, eyes", "notes": ["eyes"]}
            assert len(of(run, WorkflowChanged)) == 1
            assert run.entries[: len(before.entries)] == before.entries, "what was written stays"
            assert next(entry.action for entry in run.retold if isinstance(entry, Settled)) == "INQUIRE"
            same_everywhere(later, run)
        async with office.open(OLD) as old:
            with pytest.raises(WrongDefinition):
                old.get("r")

    go(body())


def test_an_added_step_is_taken_by_a_run_that_is_not_there_yet() -> None:
    async def body() -> None:
        office = Office()
        await office.begun()
        async with office.open(migrating(ADDED), "migrate") as new:
            run = await office.ended(new, answer={"good": True})
            assert path(run)[-3:] == ["PROOF", "PRINT", "FINISH"]
            same_everywhere(new, run)

    go(body())


@pytest.mark.parametrize(
    ("workflow", "decision", "said"),
    [
        (migrating(WITHOUT_ASK), 1, "action ASK is gone (decision 1 in drafting)"),
        (migrating(STRICTER), 2, "decision 2 in asking: was REVISE -> drafting, would be HOLD -> embargo"),
        (migrating(RENAMED), 1, "step drafting is gone"),
        (migrating(edited(("topic: string", "topic: integer"))), 0, "its input does not fit"),
        (loaded(STRICTER), 0, "no `migrates` section from it"),
        (migrating(STRICTER, "\nmigrates: {from: 7}\n"), 0, "no `migrates` section from it"),
    ],
    ids=["removed action", "guard", "not mapped", "input", "no section", "another version"],
)
def test_a_past_that_does_not_fit_is_refused_where_it_would_go_another_way(
    workflow: Workflow, decision: int, said: str
) -> None:
    async def body() -> None:
        office = Office()
        before = await office.begun()
        async with office.open(workflow, "migrate") as new:
            for verb in (new.resume, new.cancel, lambda run_id: new.send(run_id, "released")):
                with pytest.raises(WrongDefinition) as caught:
                    await verb("r")
                assert said in str(caught.value)
                assert caught.value.decision == decision
                assert caught.value.differences
            assert new.get("r").entries == before.entries, "nothing was written"
            assert not office.journal.inbox("r"), "nothing waits to be done to it"
        async with office.open(workflow, "pin") as pinned:
            assert (await office.ended(pinned)).end == "printed", "it is never wedged"

    go(body())


def test_from_a_version_means_the_workflow_of_that_name() -> None:
    async def body() -> None:
        office = Office()
        await office.begun()
        second = edited(("workflow: talk\n", "workflow: talk\nversion: 2\n"), text=RENAMED)
        section = RENAMES.replace(OLD.hash, "1")
        async with office.open(loaded(second + section), "migrate") as new:
            assert (await new.resume("r")).state.visits["reviewing"] == 1
            same_everywhere(new, new.get("r"))

    go(body())


def test_an_ended_run_is_migrated_only_where_it_is_taken_up_again() -> None:
    async def body() -> None:
        office = Office()
        await office.begun()
        async with office.open(OLD) as talk:
            before = await talk.cancel("r")
        async with office.open(NEW, "migrate") as new:
            assert (await new.resume("r")).entries == before.entries
            said = await new.outcome("r", success=False)
            assert (said.end, of(said, WorkflowChanged)) == ("cancelled", [])
            run = await new.retry("r")
            assert (run.step, len(of(run, WorkflowChanged))) == ("embargo", 1)
            same_everywhere(new, run)
            assert (await office.ended(new)).end == "out"

    go(body())


def test_two_migrations_one_after_the_other() -> None:
    again = edited(("outlining", "sketching"), ("INQUIRE", "ASK"), text=RENAMED)
    section = f"\nmigrates:\n  - {{from: {NEW.hash}, steps: {{outlining: sketching}}, actions: {{INQUIRE: ASK}}}}\n"

    async def body() -> None:
        office = Office()
        await office.begun(answers=0)
        async with office.open(NEW, "migrate") as new:
            await new.resume("r")
        async with office.open(loaded(again + section), "migrate") as newest:
            run = await newest.answer("r", {"text": "eyes"})
            assert run.state.visits["sketching"] == 2
            assert run.state.first_known["sketching"] == "drafting"
            same_everywhere(newest, run)
            assert (await office.ended(newest)).end == "out"

    go(body())


def test_names_are_no_secrets() -> None:
    change = WorkflowChanged(1.0, "w", "p", Renames({"token": "api_key", "sk-abcdefgh12345678": "password"}))
    assert Redactor().event(change) == change


# --- migrate: what is in flight


async def cut_off(office: Office, step: str) -> str:
    """A run whose process is gone while this step's agent is called; the key of that call."""
    answers = 0 if step == "drafting" else 1
    if answers:
        await office.begun(answers)
    office.cast.let_go.clear()
    first = office.open(OLD)
    work = first.run(OWLS, run_id="r") if not answers else first.send("r", "released", {"note": "now"})
    task = asyncio.create_task(work)
    agent = {"drafting": "writer", "printing": "printer"}[step]
    calls = office.cast.count(agent)
    await until(lambda: office.cast.count(agent) > calls, office.clock, 61)
    (command,) = first.get("r").state.outstanding.values()
    await first.close()
    await asyncio.gather(task, return_exceptions=True)
    office.cast.let_go.set()
    assert hasattr(command, "key")
    return str(command.key)


PRINTS = migrating(
    edited(("printing", "pressing")), f"\nmigrates: {{from: {OLD.hash}, steps: {{printing: pressing}}}}\n"
)


def test_a_call_in_flight_keeps_its_key_under_the_new_name() -> None:
    async def body() -> None:
        office = Office()
        key = await cut_off(office, "drafting")
        async with office.open(NEW, "migrate") as new:
            keys: list[str] = []
            new._runs._listeners.append(
                lambda run, _: keys.extend(getattr(each, "key", "") for each in run.state.outstanding.values())
            )
            run = await new.resume("r")
            assert (run.step, set(filter(None, keys))) == ("reviewing", {key})
            assert [type(entry) for entry in run.entries if isinstance(entry, (WorkflowChanged, RunResumed))] == [
                WorkflowChanged,
                RunResumed,
            ]
            assert office.cast.count("writer") == 2
            same_everywhere(new, run)

    go(body())


def test_a_call_in_flight_that_must_not_be_made_twice_is_in_doubt() -> None:
    async def body() -> None:
        office = Office()
        key = await cut_off(office, "printing")
        async with office.open(PRINTS, "migrate") as new:
            run = await new.resume("r")
            assert run.waiting is not None
            assert (run.waiting.about, run.waiting.step, office.cast.count("printer")) == ("effect", "pressing", 1)
            (doubt,) = run.state.outstanding.values()
            assert getattr(doubt, "call").key == key  # noqa: B009
            run = await new.answer("r", {"effect": "done", "output": {"sheets": 2}})
            assert (run.end, office.cast.count("printer")) == ("printed", 1)
            same_everywhere(new, run)

    go(body())


@pytest.mark.parametrize(
    "edit",
    [
        ("text: result.draft.text, note: result.release.note}", "text: result.draft.text}"),
        ("agent: printer", "agent: writer"),
        ("printing", "pressing"),
    ],
    ids=["arguments", "agent", "step, unmapped"],
)
def test_a_call_in_flight_that_would_be_another_is_not_migrated(edit: tuple[str, str]) -> None:
    async def body() -> None:
        office = Office()
        await cut_off(office, "printing")
        async with office.open(migrating(edited(edit, text=TALK)), "migrate") as new:
            with pytest.raises(WrongDefinition) as caught:
                await new.resume("r")
            assert "a call whose outcome is not known" in str(caught.value) or "is gone" in str(caught.value)
            assert office.cast.count("printer") == 1

    go(body())


# --- a decision that a person is asked about

ASKED = """
policy:
  classifier: {complex: {always: [taken.ASK < 1]}}
  limits: {then: dropped}
  rungs: {person: {deadline_s: 600}}
  routes: {complex: {ask: [person]}}
"""


def test_a_decision_that_is_open_is_made_anew_and_the_answer_counts_for_it() -> None:
    asked = TALK[: TALK.index("policy:")] + ASKED
    renamed = RENAMED[: RENAMED.index("policy:")] + ASKED.replace("ASK", "INQUIRE")
    old = loaded(asked)

    async def body() -> None:
        office = Office()
        async with office.open(old) as talk:
            run = await talk.run(OWLS, run_id="r")
            assert run.waiting is not None
            assert run.waiting.about == "decision"
        async with office.open(loaded(renamed + RENAMES.replace(OLD.hash, old.hash)), "migrate") as new:
            with pytest.raises(InputError, match="INQUIRE"):
                await new.answer("r", {"action": "ASK"})
            run = await new.answer("r", {"action": "INQUIRE"})
            assert run.step == "reviewing"
            assert [record.settled is not None for record in run.decisions] == [False, True]
            same_everywhere(new, run)

    go(body())


def test_an_answer_to_a_decision_that_another_policy_makes_itself_is_refused() -> None:
    asked = loaded(TALK[: TALK.index("policy:")] + ASKED)
    assert asked.hash == OLD.hash

    async def body() -> None:
        office = Office()
        async with office.open(asked) as talk:
            await talk.run(OWLS, run_id="r")
        async with office.open(OLD) as other:
            with pytest.raises((RunNotWaiting, InputError)):
                await other.answer("r", {"action": "ASK"})
            run = other.get("r")
            assert run.step == "asking"
            same_everywhere(other, run)

    go(body())


def test_a_policy_that_changed_before_a_retry_is_journaled() -> None:
    other = loaded(edited(("because: a person looks at it", "because: somebody looks at it")))
    assert other.hash == OLD.hash

    async def body() -> None:
        office = Office()
        office.cast.failing.append(RuntimeError("no ink"))
        async with office.open(OLD) as talk:
            assert (await talk.run(OWLS, run_id="r")).end == "dropped"
        async with office.open(other) as changed:
            run = await changed.retry("r")
            assert run.decisions[-1].reason == "somebody looks at it"
            assert run.decisions[-1].policy_hash == other.machine.policy.hash
            same_everywhere(changed, run)

    go(body())
