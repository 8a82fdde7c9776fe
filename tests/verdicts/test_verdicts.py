"""The cache by itself: what is the same situation, how alike two are, where verdicts are kept, and asking once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.decision import Caching, Rung
from stepladder.drivers import ManualClock
from stepladder.errors import JournalError
from stepladder.events import ModelAnswered, ModelFailed
from stepladder.prompts import Rendered
from stepladder.rehearsal import FaultServer, parse_script
from stepladder.verdicts import Kept, MemoryStore, Situation, Store, Verdicts, hit_rate, likeness, situation
from stepladder.verdicts.sqlite import SqliteStore

HOUR = 3600.0
ROOT = Path(__file__).parents[2]


def posed(**changes: Any) -> Situation:
    schema = {"enum": ["A", "B"]}
    rendered = Rendered(
        "s", "p", changes.pop("prompt", "digest"), "supervisor@1", changes.pop("schema", schema), True, ()
    )
    rung = Rung(
        "cache", ("x:m",), prompt=changes.pop("name", "supervisor@1"), caching=changes.pop("caching", Caching())
    )
    if "most" in changes:
        rung = Rung("cache", ("x:m",), prompt="supervisor@1", max_output_tokens=changes.pop("most"), caching=Caching())
    given: dict[str, Any] = {"versions": ("w", "p"), "place": ("next_action", "here"), "legal": ("A", "B"), "facts": {}}
    return situation(rung, changes.pop("model", "x:m"), rendered, **{**given, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"model": "x:other"},
        {"most": 10},
        {"prompt": "another text"},
        {"name": "supervisor@2"},
        {"schema": {"enum": ["B", "A"]}},
        {"legal": ("A",)},
        {"versions": ("w", "q")},
        {"versions": ("v", "p")},
        {"place": ("next_action", "there")},
        {"attached": ("a picture",)},
    ],
    ids=str,
)
def test_whatever_a_verdict_depends_on_makes_another_situation(change: dict[str, Any]) -> None:
    assert posed(**change).exact != posed().exact
    assert posed().exact == posed().exact


def test_features_take_the_place_of_the_prompt() -> None:
    caching = Caching(("last.status", "errors", "nothing.there"))
    facts = {"last": {"status": "bad", "rows": 7}, "errors": 2}
    one = posed(caching=caching, facts=facts)
    assert one.features == {"last.status": "bad", "errors": 2, "nothing.there": None}
    assert posed(caching=caching, facts={**facts, "last": {"status": "bad"}}, prompt="other").exact == one.exact
    assert posed(caching=caching, facts={**facts, "errors": 3}).exact != one.exact
    assert posed(caching=caching, facts={**facts, "errors": 3}).kind == one.kind


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1}, {"a": 1}, 1.0),
        ({"a": 8}, {"a": 10}, 0.8),
        ({"a": -1}, {"a": 1}, 0.0),
        ({"a": 0}, {"a": 0.0}, 1.0),
        ({"a": True}, {"a": 1}, 0.0),
        ({"a": "the plan failed"}, {"a": "The plan FAILED"}, 1.0),
        ({"a": "the plan failed"}, {"a": "the code failed"}, 0.5),
        ({"a": None}, {"a": None}, 1.0),
        ({"a": [1]}, {"a": [1]}, 1.0),
        ({"a": 1, "b": "x"}, {"a": 1, "b": "y"}, 0.5),
        ({"a": 1}, {"b": 1}, 0.0),
        ({}, {}, 0.0),
    ],
)
def test_likeness(one: dict[str, Any], other: dict[str, Any], expected: float) -> None:
    assert likeness(one, other) == pytest.approx(expected)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.text(max_size=9))


@given(st.fixed_dictionaries({"a": VALUES, "b": VALUES}), st.fixed_dictionaries({"a": VALUES, "b": VALUES}))
def test_likeness_is_a_likeness(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert likeness(one, one) == 1.0
    assert likeness(one, other) == likeness(other, one)
    assert 0.0 <= likeness(one, other) <= 1.0


@pytest.fixture(params=["memory", "file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, ManualClock]:
    clock = ManualClock()
    if request.param == "memory":
        return MemoryStore(3, HOUR, clock.now), clock
    return SqliteStore(tmp_path / "v", 3, HOUR, clock.now), clock


def test_a_verdict_lives_for_its_time_by_our_clock(kept: tuple[Store, ManualClock]) -> None:
    store, clock = kept
    said = Kept("{}", "m", clock.now(), {"a": 1})
    store.put(Situation("k", "x"), said)
    assert store.get(Situation("k", "x")) == said
    assert store.get(Situation("k", "y")) is None
    assert list(store.of_kind(Situation("k", "y"))) == [said]
    clock.move(HOUR - 1)
    assert store.get(Situation("k", "x")) == said
    clock.move(2)
    assert store.get(Situation("k", "x")) is None
    assert list(store.of_kind(Situation("k", "x"))) == []
    store.close()


def test_only_so_many_are_kept(kept: tuple[Store, ManualClock]) -> None:
    store, clock = kept
    for n in range(5):
        store.put(Situation("k", str(n)), Kept(str(n), "m", clock.now()))
        clock.move(1)
    assert [store.get(Situation("k", str(n))) is not None for n in range(5)] == [False, False, True, True, True]
    store.close()


def test_processes_share_a_file(tmp_path: Path) -> None:
    clock = ManualClock()
    one, other = (SqliteStore(tmp_path / "v", 9, HOUR, clock.now) for _ in range(2))
    one.put(Situation("k", "x"), Kept("{}", "m", clock.now()))
    assert other.get(Situation("k", "x")) is not None
    one.close()
    other.close()


def test_a_file_that_is_none_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"no database at all, and long enough to be looked at" * 40)
    with pytest.raises(JournalError, match="verdicts that can be read"):
        SqliteStore(tmp_path / "v", 9, HOUR, ManualClock().now)


HERE = Situation("k", "x", {"a": 10})


def test_many_who_look_at_once_ask_once() -> None:
    async def looked() -> None:
        clock = ManualClock()
        verdicts, caching, asked = Verdicts(clock.now), Caching(), 0

        async def one() -> str:
            nonlocal asked
            found = await verdicts.look(HERE, caching, 5.0)
            if found.kept is not None:
                return found.how
            asked += 1
            await asyncio.sleep(0.01)
            verdicts.learn(HERE, caching, Kept("{}", "m", clock.now()))
            return "asked"

        answers = await asyncio.gather(*(one() for _ in range(64)))
        assert (asked, answers.count("exact")) == (1, 63)

    asyncio.run(looked())


def test_two_stores_of_one_file_lease_a_question_to_one_of_them(tmp_path: Path) -> None:
    clock = ManualClock()
    one, other = (SqliteStore(tmp_path / "v", 10, HOUR, clock.now) for _ in range(2))
    asked = posed()
    until = clock.now() + 5
    assert (one.lease(asked, until), one.lease(asked, until), other.lease(asked, until)) == (True, True, False)
    other.release(asked)
    assert not other.lease(asked, until), "it is not theirs to give back"
    assert other.lease(posed(prompt="another"), until)
    clock.move(5.1)
    assert other.lease(asked, clock.now() + 5), "whoever died holds nothing for ever"
    assert not one.lease(asked, clock.now() + 5)
    other.release(asked)
    assert one.lease(asked, clock.now() + 5)
    for store in (one, other):
        store.close()


def test_two_processes_that_want_to_know_the_same_ask_once(tmp_path: Path) -> None:
    script = parse_script("{rehearsal: slow, latency_s: 0.4}")
    with FaultServer(script) as server:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.verdicts.asker", server.openai_url, str(tmp_path / "j.db"), name, "6"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in ("one", "two")
        ]
        for each in processes:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in processes:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        cached = [int(each.communicate(timeout=60)[0]) for each in processes]
        assert len(server.served) == 1, "one of them asked"
        assert sorted(cached) == [5, 6]


def test_where_nothing_came_of_it_the_next_one_asks() -> None:
    async def looked() -> None:
        clock = ManualClock()
        verdicts, caching, order = Verdicts(clock.now), Caching(), []

        async def one(n: int) -> None:
            found = await verdicts.look(HERE, caching, 5.0)
            if found.kept is None:
                order.append(n)
                await asyncio.sleep(0)
                verdicts.learn(HERE, caching, Kept("{}", "m", clock.now()) if n == 2 else None)

        await asyncio.gather(*(one(n) for n in range(6)))
        assert order == [0, 1, 2]

    asyncio.run(looked())


def test_a_question_that_was_never_asked_blocks_nobody_for_ever() -> None:
    async def looked() -> None:
        clock = ManualClock()
        verdicts, caching = Verdicts(clock.now), Caching()
        assert (await verdicts.look(HERE, caching, 5.0)).kept is None  # and then its run is cancelled
        clock.move(6)
        found = await asyncio.wait_for(verdicts.look(HERE, caching, 5.0), 1)
        assert found.kept is None

    asyncio.run(looked())


@pytest.mark.parametrize(
    ("similar", "features", "how"),
    [
        (None, {"a": 10}, "exact"),
        (None, {"a": 9}, ""),
        (0.9, {"a": 9}, "similar 0.90"),
        (0.9, {"a": 8}, ""),
        (0.9, {"b": 10}, ""),
    ],
)
def test_a_similar_situation_counts_only_where_it_may(
    similar: float | None, features: dict[str, Any], how: str
) -> None:
    async def looked() -> None:
        clock = ManualClock()
        verdicts, caching = Verdicts(clock.now), Caching(("a",), similar=similar)
        verdicts.learn(HERE, caching, Kept("{}", "m", clock.now(), {"a": 10}))
        asked = HERE if features == HERE.features else Situation("k", "y", features)
        assert (await verdicts.look(asked, caching, 5.0)).how == how
        other = Situation("another kind", "z", {"a": 10})
        assert (await verdicts.look(other, caching, 5.0)).kept is None

    asyncio.run(looked())


def test_hit_rate() -> None:
    entries = [
        ModelAnswered(0.0, 1, "{}"),
        ModelAnswered(0.0, 1, "{}", cached="exact"),
        ModelAnswered(0.0, 1, "{}", cached="similar 0.90"),
        ModelFailed(0.0, 1, "miss"),
        ModelFailed(0.0, 1, "late"),
    ]
    rate = hit_rate(entries)
    assert (rate.hits, rate.similar, rate.misses, round(rate.share, 3)) == (2, 1, 1, 0.667)
    assert (rate + rate).hits == 4
    assert hit_rate([]).share == 0.0
