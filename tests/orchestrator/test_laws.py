"""Laws of the machine, under random stories: right, wrong, late, doubled and senseless events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.commands import AnyCommand, AskModel, AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    AnyEvent,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    OutcomeAttached,
    PersonAnswered,
    RunCancelled,
    RunResumed,
    RunRetried,
    RunStarted,
    TimePassed,
    Usage,
)
from stepladder.orchestrator import Machine, advance, due, evolve, fold, wake_at
from stepladder.orchestrator.progress import REMEMBERED
from stepladder.record import STOP, AnyEntry, Entry, Judged, Opened, Settled
from stepladder.signals import BUILTIN
from stepladder.state import RunState
from stepladder.workflow.build import build
from tests.example_workflows import PAYMENT, REVIEW, TEXT_TO_SQL, TRIAGE, merged, source
from tests.orchestrator.oracle import Oracle

# --- the definitions

APPROVED: Final = {
    "eyes": {"entering": "trying", "when": ["taken.TRY >= 1"], "deadline_s": 20},
    "last": {"entering": "closed"},
}
EVERY_SIGNAL: Final = {f"sees_{name}": [f"{name} == 'never'"] for name in BUILTIN}
SOURCES: Final = {
    "text_to_sql": source(TEXT_TO_SQL),
    "text_to_sql, llm": source(TEXT_TO_SQL, {"policy": {"mode": "llm", "on_invalid": "next_rung"}}),
    "payment": source(PAYMENT),
    "review": source(REVIEW, {"policy": {"classifier": {"hybrid": EVERY_SIGNAL}}}),
    "review, default classifier": source(
        REVIEW,
        {
            "policy": {
                "classifier": None,
                "rungs": {"panel": {"models": ["x:a", "x:b", "x:c"], "deadline_s": 5}, "person": {"deadline_s": 60}},
                "routes": {"hybrid": {"ask": ["panel"]}, "complex": {"ask": ["panel", "person"]}},
                "limits": {"decisions": 15, "usd": 0.3, "working_s": 500},
                "approvals": {"publish": {"entering": "publishing"}},
            }
        },
    ),
    "review, judged": source(
        REVIEW,
        {
            "phases": {
                "drafting": {
                    "steps": {
                        "checking": {"judges": ["writing", "checking"]},
                        "again": {"agent": "validator", "judges": "writing"},
                    }
                }
            },
            "actions": {
                "AGAIN": {"from": ["checking", "again"], "to": "again"},
                "REVISE": {"from": ["checking", "again"]},
            },
            "rules": {"again": {"revise": {"do": "REVISE"}}},
            "policy": {
                "mode": "llm",
                "rungs": {"first": {"model": "x:a", "deadline_s": 5}},
                "routes": {"hybrid": {"ask": ["first"]}},
                "approvals": {"eyes": {"entering": "writing", "deadline_s": 9}},
            },
        },
    ),
    "triage": source(TRIAGE, {"policy": {"routes": {"complex": {"ask": ["first", "panel", "person"]}}}}),
    "triage, person on conflict": source(
        TRIAGE, {"policy": {"routes": {"complex": {"ask": ["panel"], "reconcile": "person_on_conflict"}}}}
    ),
    "triage, shadow": source(
        TRIAGE,
        {
            "policy": {
                "routes": {
                    "complex": {
                        "ask": ["panel"],
                        "reconcile": "shadow",
                        "rollout": {"share": 0.5, "reconcile": "confident_model"},
                    }
                },
                "on_invalid": "give_up",
            }
        },
    ),
    "triage, approved": source(TRIAGE, {"policy": {"approvals": APPROVED, "on_low_confidence": "person"}}),
}
MACHINES: Final = {name: Machine(build(data)) for name, data in SOURCES.items()}
NAMES: Final = st.sampled_from(list(MACHINES))

# --- what may happen

JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS: Final = {
    "status": st.sampled_from(["answerable", "needs_clarification", "unanswerable", "else", 1]),
    "sql": JSON,
    "question": JSON,
    "success": st.booleans() | JSON,
    "ok": st.booleans(),
    "done": st.booleans(),
    "alignment_score": st.sampled_from([9.5, 10, 9.0]) | st.floats(-1, 11) | JSON | st.just(10**400),
    "standardization_score": st.sampled_from([8.0, 9, 10]) | JSON,
    "human_intervention_required": st.booleans(),
    "text": JSON,
}
OUTPUTS: Final = st.fixed_dictionaries({}, optional=FIELDS) | st.dictionaries(st.text(max_size=4), JSON, max_size=3)
GOOD: Final[dict[str, list[dict[str, Any]]]] = {
    "planner": [
        {"status": "answerable", "sql": "select 1"},
        {"status": "needs_clarification", "question": "which?"},
        {"status": "unanswerable"},
    ],
    "executor": [{"success": True, "rows": [1]}, {"success": False, "error": "no"}],
    "bank": [{"ok": True}, {"ok": False}],
    "worker": [{"done": False}, {"done": True}, {"done": False}],
    "validator": [
        {"alignment_score": 9.5, "standardization_score": 9},
        {"alignment_score": 5, "standardization_score": 9},
    ],
}
TEXTS: Final = (
    st.text(max_size=30)
    | JSON.map(json.dumps)
    | st.fixed_dictionaries(
        {}, optional={"action": JSON, "confidence": JSON, "parameters": JSON, "reason": JSON, "next_state": JSON}
    ).map(json.dumps)
)
POOLS: Final = st.tuples(
    st.lists(OUTPUTS, min_size=1, max_size=4),
    st.lists(TEXTS, min_size=1, max_size=4),
    st.lists(JSON, min_size=1, max_size=3),
)


class Seeds(msgspec.Struct, frozen=True):
    """A story in short: the shorter one is the beginning of the longer one."""

    number: int
    count: int

    def told(self, salt: object) -> list[tuple[int, int, int]]:
        """For each event: what kind, about which command, and how."""
        random = Random(f"{self.number} {salt}")
        return [(random.randrange(16), random.randrange(8), random.randrange(4096)) for _ in range(self.count)]


SEEDS: Final = st.builds(Seeds, st.integers(0, 2**32), st.integers(15, 60))
CONFIDENCES: Final = [None, 0.1, 0.7, 0.95, 1, 0.8, 0.9, 95, "high"]

Journal = list[Event | Entry]


class Story:
    """A run that seeds tell: which command is answered, and how."""

    def __init__(self, name: str, pools: Any) -> None:
        self.name, self.machine, self.pools = name, MACHINES[name], pools
        self.state, self.journal, self.at = RunState(), list[Event | Entry](), 1_700_000_000.0
        self.chunks: list[int] = []

    def event(self, kind: int, which: int, how: int) -> Event:
        self.at += (0.0, 0.25, 1.0, 7.0)[how % 4]
        commands = list(self.state.outstanding.values())
        if not self.journal:
            definition = self.machine.definition
            hashes = definition.hash, definition.policy.hash
            return RunStarted(self.at, "run", definition.name, *hashes, {"question": self.pools[2][0], "amount": 5})
        if kind <= 10 and commands:
            return self.answer(commands[which % len(commands)], how)
        match kind:
            case 11:
                told = [entry for entry in self.journal if isinstance(entry, Event)]
                return told[how % len(told)]
            case 12:
                return self.answer(_anything(which, how), how)
            case 13:
                return TimePassed(self.at, which)
            case 14:
                return RunResumed(self.at)
        return (RunCancelled(self.at), RunRetried(self.at), OutcomeAttached(self.at, which), RunRetried(self.at))[
            how % 4
        ]

    def answer(self, command: AnyCommand, how: int) -> Event:
        number, spent = command.number, Usage(cost_usd=(0.0, 0.01, None, 0.05)[how % 4])
        if command.deadline is not None and how % 8 == 7:
            self.at = max(self.at, command.deadline)
            return TimePassed(self.at, number, getattr(command, "attempt", 1))
        outputs, texts, _ = self.pools
        match command:
            case CallAgent():
                if how % 8 == 6:
                    reason = ("raised", "invalid", "late", "cut_off")[how // 8 % 4]
                    return AgentFailed(self.at, number, reason, "boom", attempt=command.attempt, usage=spent)
                good = GOOD.get(command.agent, [{}])
                likely = [*good, {**good[0], **outputs[how % len(outputs)]}]
                output = likely[how // 8 % len(likely)] if how // 64 % 8 else outputs[how % len(outputs)]
                return AgentReturned(self.at, number, output, command.attempt, spent)
            case AskPerson():
                return PersonAnswered(self.at, number, self.words(command, how // 8), "ada")
            case AskModel():
                if how % 8 == 6:
                    return ModelFailed(self.at, number, "unavailable", usage=spent)
                return ModelAnswered(
                    self.at, number, self.text(how // 8) if how // 64 % 8 else texts[how % len(texts)], usage=spent
                )
            case Wait():
                name = command.message if how % 4 else "something"
                return MessageReceived(self.at, number, name, outputs[how % len(outputs)])

    def words(self, command: AskPerson, how: int) -> dict[str, Any]:
        output = self.pools[0][how % len(self.pools[0])]
        match command.about:
            case "question":
                return {"text": "by revenue"} if how % 4 else output
            case "approval":
                return ({"approve": True}, {"approve": False, "reason": "no"}, {}, {"approve": True})[how % 4]
            case "effect":
                return ({"effect": "redo"}, {"effect": "done", "output": output}, {"effect": "done"}, output)[how % 4]
            case _:
                return {"action": self.action(how // 4)} if how % 4 else output

    def action(self, how: int) -> str:
        opened = next((entry for entry in reversed(self.journal) if isinstance(entry, Opened)), None)
        legal = opened.legal if opened and how % 8 else ()
        known = legal or [*self.machine.definition.actions, STOP]
        return known[how // 8 % len(known)]

    def text(self, how: int) -> str:
        answer = {"action": self.action(how), "reason": "so", "confidence": CONFIDENCES[how // 4 % len(CONFIDENCES)]}
        if how % 4 == 0:
            answer["parameters"] = ({}, {"question": "which?"}, {"how": "hard"}, None)[how // 4 % 4]
        return json.dumps({key: value for key, value in answer.items() if value is not None})

    def tell(self, event: Event) -> None:
        advanced = advance(self.machine, self.state, event)
        self.state = advanced.state
        self.journal += advanced.entries
        self.chunks.append(len(self.journal))

    def run(self, seeds: Seeds) -> Story:
        for event in self.events(seeds):
            self.tell(event)
        return self

    def events(self, seeds: Seeds) -> Iterator[Event]:
        """Each is made for the state that the one before led to; a run that succeeded is left alone soon."""
        yield self.event(0, 0, 0)
        idle = 0
        for seed in seeds.told(self.pools):
            idle += (
                self.state.end in self.machine.definition.ends and self.machine.definition.ends[self.state.end].success
            )
            if idle > 4:
                return
            yield self.event(*seed)


def _anything(which: int, how: int) -> AnyCommand:
    number = how % 20
    return (
        CallAgent(number, "planning", "planner", {}, "c", "k"),
        AskPerson(number, "question", "clarifying"),
        AskPerson(number, "decision", "planning"),
        AskPerson(number, "approval", "planning"),
        AskPerson(number, "effect", "planning"),
        AskModel(number, 1, "first", "x:y"),
        Wait(number, "embargo", "released"),
        Wait(number, "cooling"),
    )[which]


STORIES: Final = st.builds(lambda name, pools, seeds: Story(name, pools).run(seeds), NAMES, POOLS, SEEDS)

JUDGED_STORIES: Final = st.builds(lambda pools, seeds: Story("review, judged", pools).run(seeds), POOLS, SEEDS)

# --- (a) what is legal, by an oracle that knows only the source


@given(STORIES)
def test_nothing_illegal_is_ever_done(story: Story) -> None:
    oracle, state = Oracle(SOURCES[story.name]), RunState()
    open_legal: dict[int, set[str]] = {}
    steps = SOURCES[story.name]["phases"]
    for entry in story.journal:
        after = evolve(story.machine, state, entry)
        if isinstance(entry, Opened) and entry.point == "next_action":
            open_legal[entry.n] = oracle.legal(state)
            assert set(entry.legal) == open_legal[entry.n]
            assert set(entry.blocked).isdisjoint(entry.legal)
            assert entry.verdict.action in (*entry.legal, STOP)
        elif isinstance(entry, Opened):
            candidates = steps[oracle.phase[state.step]]["steps"][state.step]["agent"]
            open_legal[entry.n] = set(candidates)
            assert list(entry.legal) == candidates
        elif isinstance(entry, Settled):
            point = state.asking.opened.point if state.asking else ""
            assert entry.action in open_legal[entry.n] or (entry.action == STOP and point == "next_action")
            if point == "next_action":
                assert entry.to == oracle.leads_to(state.step, entry.action)
        oracle.see(state, entry, after)
        assert {name: count for name, count in after.taken.items() if count} == {
            name: count for name, count in oracle.taken.items() if count
        }
        state = after
    assert state == story.state


@given(STORIES)
def test_what_is_opened_is_settled_once_at_most(story: Story) -> None:
    opened = [entry.n for entry in story.journal if isinstance(entry, Opened)]
    settled = [entry.n for entry in story.journal if isinstance(entry, Settled)]
    assert opened == list(range(1, len(opened) + 1))
    assert len(settled) == len(set(settled))
    assert set(settled) <= set(opened)


# --- judging


@given(JUDGED_STORIES)
def test_each_step_judges_the_newest_decision_that_led_there_once(story: Story) -> None:
    state, before, decided = RunState(), None, (0, 0.0)
    led: dict[str, tuple[int, float]] = {}
    for entry in story.journal:
        after = evolve(story.machine, state, entry)
        if isinstance(entry, Settled) and state.asking and state.asking.opened.point == "next_action":
            decided = entry.n, after.now
        for step in story.machine.definition.steps.values():
            if state.visits and any(after.visits[name] > state.visits[name] for name in step.judges):
                led[step.name] = decided
        if isinstance(entry, Judged):
            n, decided_at = led.pop(entry.by)
            assert isinstance(before, (AgentReturned, PersonAnswered))
            assert (entry.n, entry.elapsed_s) == (n, after.now - decided_at)
            assert after.returned == "ok"
            assert entry.by == after.step
            assert entry.quality is None or 0 <= entry.quality <= 1
            assert (entry.success is True) <= (entry.quality is not None)
        state, before = after, entry


# --- (c) every run ends, or rests


def assert_rests(story: Story) -> None:
    """It has ended, or a person or the world is waited for by name."""
    assert story.state.status == "ended" or story.state.waiting is not None or story.state.outstanding


@given(STORIES)
def test_a_run_that_works_awaits_something(story: Story) -> None:
    assert_rests(story)
    if story.state.status == "ended":
        assert story.state.end in {*story.machine.definition.ends, "cancelled"}
        assert all(isinstance(command, AskModel) and command.shadow for command in story.state.outstanding.values())


@given(NAMES, POOLS, SEEDS, st.booleans())
def test_a_driver_that_always_answers_comes_to_an_end(name: str, pools: Any, seeds: Seeds, people: bool) -> None:
    """Agents, models and timers are always answered, somehow; persons and messages too, or left alone for ever.

    A person may be asked without end, and each answer allows as many decisions again: so persons' answers are counted.
    """
    story, hows = Story(name, pools), [how for _, _, how in seeds.told(pools)]
    story.tell(story.event(0, 0, 0))
    definition = story.machine.definition
    decisions, rungs = definition.policy.limits.decisions, 8
    most = min(decisions, 30) * (rungs + 4)
    told = 0
    for asked in range(1, 6):
        told = 0
        while command := _answerable(story.state):
            story.tell(story.answer(command, hows[told % len(hows)]))
            told += 1
            assert told <= most * 2, f"{told} answers, and no end"
        assert_rests(story)
        if story.state.status == "ended" or not people:
            break
        waiting = story.state.waiting
        assert waiting is not None
        assert waiting.number in story.state.outstanding
        story.tell(story.answer(waiting, hows[-asked]))


def _answerable(state: RunState) -> AnyCommand | None:
    """The first command that the world answers by itself."""
    if state.status == "ended":
        return None
    for command in state.outstanding.values():
        if isinstance(command, (CallAgent, AskModel)):
            return command
    return None


@given(NAMES, POOLS, SEEDS, st.floats(0, 1))
def test_time_alone_moves_every_run_to_its_end_or_to_a_person(
    name: str, pools: Any, seeds: Seeds, offset: float
) -> None:
    """A driver that only sleeps until `wake_at` and tells what is `due` never turns on the spot."""
    story = Story(name, pools)
    story.at += offset
    story.run(seeds)
    for _ in range(400):
        at = wake_at(story.machine, story.state)
        if at is None:
            break
        events = due(story.machine, story.state, at)
        assert events, "it wakes for something"
        before = story.state
        for event in events:
            story.tell(event)
        assert story.state != before
    else:
        raise AssertionError("time passes, and it never rests")


# --- nobody goes in circles


class Circles:
    """Counts what was tried, from the journal alone: news is what was not tried before; the world's word clears all."""

    def __init__(self) -> None:
        self.tried: list[Any] = []

    def see(self, before: RunState, entry: Event | Entry, after: RunState) -> None:
        """Remember what was taken where, until the world says something or the run is taken up again."""
        if isinstance(entry, Settled) and before.asking and before.asking.opened.point == "next_action":
            self.tried.append(self._try(before, entry.action))
        if self._heard(before, entry, after):
            self.tried = []

    def times(self, state: RunState, action: str) -> int:
        """How often this was taken here since the news, and the last time before."""
        this, news = self._try(state, action), 0
        for index, each in enumerate(self.tried):
            news = news if each in self.tried[:index] else index
        return self.tried[news:].count(this) + (this in self.tried[:news])

    def _try(self, state: RunState, action: str) -> list[Any]:
        return [state.called, state.returned, state.last, action]

    def _heard(self, before: RunState, entry: Event | Entry, after: RunState) -> bool:
        if isinstance(entry, RunRetried):
            return before.status != after.status
        command = before.outstanding.get(getattr(entry, "command", 0))
        if isinstance(entry, PersonAnswered):
            return isinstance(command, AskPerson)
        over = command is not None and command.number not in after.outstanding
        question = isinstance(command, AskPerson) and command.about == "question"
        return isinstance(entry, Event) and over and (isinstance(command, Wait) or question)


@given(STORIES)
def test_nothing_is_tried_too_often(story: Story) -> None:
    circles, state, most = Circles(), RunState(), story.machine.limits.no_progress.end
    assert most is not None
    for entry in story.journal:
        if isinstance(entry, Settled) and state.asking and state.asking.opened.point == "next_action":
            stopped = re.fullmatch(r"no progress: (\w+) -> (\w+) taken (\d+) times in the same situation", entry.reason)
            if stopped:
                assert (entry.action, entry.source, stopped[1]) == (STOP, "limit", state.step)
                assert most <= int(stopped[3]) == circles.times(state, stopped[2])
            else:
                assert entry.action == STOP or circles.times(state, entry.action) < most
        after = evolve(story.machine, state, entry)
        circles.see(state, entry, after)
        assert len(after.tries) <= REMEMBERED
        state = after


PATIENT: Final = {"policy": {"limits": {"decisions": 1000, "usd": None, "working_s": None}}}
PATIENT_MACHINES: Final = {name: Machine(build(merged(data, PATIENT))) for name, data in SOURCES.items()}


@given(NAMES, POOLS, SEEDS)
def test_who_always_gives_the_same_is_stopped_long_before_the_limit(name: str, pools: Any, seeds: Seeds) -> None:
    """Each agent has one answer, models have any: the run ends by itself or in circles, or waits for the world."""
    story, hows = Story(name, pools), [how for _, _, how in seeds.told(pools)]
    story.machine = PATIENT_MACHINES[name]
    story.tell(story.event(0, 0, 0))
    while command := _answerable(story.state):
        same = len(command.agent) if isinstance(command, CallAgent) else story.state.next_command
        story.tell(story.answer(command, hows[same % len(hows)]))
        assert story.state.decisions <= 60
    assert_rests(story)


@given(NAMES, POOLS, SEEDS)
def test_who_learns_something_is_never_stopped_for_circles(name: str, pools: Any, seeds: Seeds) -> None:
    """Every result is another one; models choose what they like."""
    story, hows = Story(name, pools), [how for _, _, how in seeds.told(pools)]
    story.tell(story.event(0, 0, 0))
    for told in range(80):
        if not (command := _answerable(story.state)):
            break
        event = story.answer(command, hows[told % len(hows)])
        if isinstance(command, CallAgent):
            event = AgentReturned(event.at, command.number, {**GOOD.get(command.agent, [{}])[-1], "told": told})
        story.tell(event)
    assert not [entry for entry in story.journal if isinstance(entry, Settled) and "no progress" in entry.reason]


# --- (d) and (e): journals


def cuts(story: Story) -> list[int]:
    """Where a journal may end: anywhere, also in the middle of what one event led to."""
    return list(range(1, len(story.journal) + 1))


@given(STORIES)
def test_deciding_again_agrees(story: Story) -> None:
    found = cuts(story)
    assert found[-1] == len(story.journal)
    assert set(story.chunks) <= set(found)
    assert fold(story.machine, story.journal) == story.state


@given(STORIES, st.integers(0, 10_000))
def test_a_run_goes_on_from_any_cut_as_if_nothing_had_happened(story: Story, where: int) -> None:
    places = cuts(story)
    for place in {places[where % len(places)], places[where // 7 % len(places)]}:
        journal = story.journal[:place]
        state = fold(story.machine, journal)
        resumed = advance(story.machine, state, None)
        journal, state = [*journal, *resumed.entries], resumed.state
        for event in [entry for entry in story.journal[place:] if isinstance(entry, Event)]:
            advanced = advance(story.machine, state, event)
            journal += advanced.entries
            state = advanced.state
        assert journal == story.journal
        assert state == story.state


# --- (f), (g), (h)

ENTRY: Final = msgspec.json.Decoder(AnyEvent | AnyEntry)
ENCODER: Final = msgspec.json.Encoder(order="deterministic")


@given(STORIES)
def test_entries_read_back_as_they_were(story: Story) -> None:
    written = [ENCODER.encode(entry) for entry in story.journal]
    read = [ENTRY.decode(line) for line in written]
    assert read == story.journal
    assert [ENCODER.encode(entry) for entry in read] == written
    assert fold(story.machine, read) == story.state


@given(NAMES, POOLS, SEEDS)
def test_nothing_that_was_given_is_changed(name: str, pools: Any, seeds: Seeds) -> None:
    story = Story(name, pools)
    for event in story.events(seeds):
        before = story.state
        told, kept = ENCODER.encode(event), msgspec.json.encode(before)
        story.tell(event)
        assert msgspec.json.encode(before) == kept
        assert ENCODER.encode(event) == told


@given(STORIES)
def test_money_and_time_never_go_down(story: Story) -> None:
    state = RunState()
    for entry in story.journal:
        after = evolve(story.machine, state, entry)
        again = isinstance(entry, RunRetried) and state.status == "ended" and after.status == "working"
        assert after.usd >= state.usd
        assert after.now >= state.now
        assert after.working_s >= state.working_s or again
        assert after.opened >= state.opened
        assert after.next_command >= state.next_command
        state = after


@given(STORIES)
def test_money_is_the_sum_of_all_that_was_spent(story: Story) -> None:
    spent = [entry.usage.cost_usd or 0.0 for entry in story.journal if hasattr(entry, "usage")]
    assert story.state.usd == pytest.approx(sum(spent))
