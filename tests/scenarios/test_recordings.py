"""The recording format: what is read, what is skipped, and that what was known afterwards stays apart."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import InputError, Problem
from stepladder.scenarios.observing import observations
from stepladder.scenarios.recording import Afterwards, Outcome, Recording, Step
from stepladder.scenarios.recording_files import read_recordings, write_recordings
from stepladder.scenarios.recording_line import NotARecording, cut, new_step, parse_line, to_line
from stepladder.signals.builtin import repeated_calls

DATA = Path(__file__).parents[3] / "shared" / "data" / "recordings"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no recordings in ../shared/data/recordings")

LINE: dict[str, Any] = {
    "run_id": "r1",
    "source": "tau",
    "family": "tau/retail",
    "domain": "retail",
    "split_key": "k",
    "model": "m",
    "outcome": {"success": False, "score": 0.0, "termination": "user_stop"},
    "n_steps": 3,
    "steps": [
        {"i": 0, "agent": "user", "kind": "user_message", "text": "hello"},
        {"i": 1, "agent": "assistant", "kind": "tool_call", "tool": "find", "args": "{}", "args_sha": "a"},
        {"i": 2, "agent": "env", "kind": "tool_result", "tool": "find", "ref": 1, "text": "no", "is_error": True}
        | {"score": 0.25},
    ],
}


def line(**changes: Any) -> bytes:
    return json.dumps({**LINE, **changes}).encode()


def step(**changes: Any) -> list[dict[str, Any]]:
    return [*LINE["steps"][:2], {**LINE["steps"][2], **changes}]


def test_what_a_line_says() -> None:
    read = parse_line(line())
    assert (read.run_id, read.domain, read.split_key, read.identity.model) == ("r1", "retail", "k", "m")
    assert read.after.failed is True
    assert read.after.rewards == {2: 0.25}
    assert [each.kind for each in read.steps] == ["user_message", "tool_call", "tool_result"]


def test_a_short_line_is_enough() -> None:
    read = parse_line(b'{"run_id": "x", "steps": [{"i": 0, "agent": "a", "kind": "message", "text": "hi"}]}')
    assert (read.source, read.family, read.domain, read.split_key) == ("imported", "imported", "imported", "x")
    assert read.after.failed is None
    assert read.steps[0].text_len == 2
    assert read.steps[0].text_sha


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        (b"{", ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (line(steps=[]), "steps"),
        (line(format=2), "format"),
        (line(run_id=7), "run_id"),
        (line(steps=step(kind="thought")), "steps[2].kind"),
        (line(steps=step(i=1)), "steps[2].i"),
        (line(steps=step(ref=2)), "steps[2].ref"),
        (line(steps=step(ref=9)), "steps[2].ref"),
        (line(steps=step(signals={"outcome": True})), "steps[2].signals"),
        (line(steps=step(signals={"model": True})), "steps[2].signals"),
    ],
)
def test_what_is_no_recording(broken: bytes, where: str) -> None:
    with pytest.raises(NotARecording) as caught:
        parse_line(broken)
    assert caught.value.where == where


def test_a_broken_line_is_told_of_and_skipped(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_bytes(b"\n".join([line(), b"{oops", b"", line(run_id="r2"), line()]))
    problems: list[Problem] = []
    assert [each.run_id for each in read_recordings([tmp_path], problems.append)] == ["r1", "r2"]
    assert [(each.line, each.where) for each in problems] == [(2, ""), (5, "run_id")]


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_a_file_that_breaks_off(tmp_path: Path, kept: float) -> None:
    packed = gzip.compress(b"".join(line(run_id=str(number)) + b"\n" for number in range(500)))
    file = tmp_path / "runs.jsonl.gz"
    file.write_bytes(packed[: int(len(packed) * kept)])
    problems: list[Problem] = []
    count = len(list(read_recordings([file], problems.append)))
    assert 0 <= count < 500
    assert any("break off" in each.found for each in problems)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_nothing_to_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        list(read_recordings([tmp_path / name]))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=800)


@given(st.lists(st.tuples(st.sampled_from(["message", "tool_call", "user_message"]), TEXTS), min_size=1, max_size=5))
def test_writing_and_reading(parts: list[tuple[str, str]]) -> None:
    steps = tuple(new_step(i, "agent", kind, text, args={"q": text}) for i, (kind, text) in enumerate(parts))
    written = Recording("r", "s", "f", "d", "k", steps, after=Afterwards(Outcome(True, 1.0), rewards={0: 0.5}))
    assert parse_line(to_line(written)) == written
    assert all(len(cut(text)) < 640 for _, text in parts)


def test_a_result_is_of_the_call_it_answers() -> None:
    seen = list(observations(parse_line(line()).steps))
    assert [(each.kind, each.name, each.returned) for each in seen] == [
        ("answer", "person", "ok"),
        ("decision", "find", "ok"),
        ("result", "find", "failed"),
    ]
    assert seen[1].call == seen[2].call != ""


def test_equal_calls_are_equal() -> None:
    steps = [new_step(0, "a", "tool_call", tool="t", args={"x": 1, "y": 2})]
    steps += [new_step(1, "a", "tool_call", tool="t", args={"y": 2, "x": 1})]
    steps += [new_step(2, "a", "tool_call", tool="t", args={"x": 1})]
    first, second, third = (each.call for each in observations(steps))
    assert first == second != third


def test_results_of_unknown_calls_repeat_no_call() -> None:
    """Equal texts are equal results, and say nothing of what was called; a known call between them keeps its own."""
    steps = [new_step(i, "environment", "tool_result", "ok", tool=tool) for i, tool in enumerate(["t", "t", None])]
    steps += [new_step(3, "a", "tool_call", tool="t", args={}), new_step(4, "environment", "tool_result", "ok", ref=3)]
    steps += [new_step(5, "environment", "tool_result", "ok", tool="t", ref=4)]
    seen = [each for each in observations(steps) if each.kind == "result"]
    assert len({each.call for each in seen}) == len(seen)
    assert all(each.call for each in seen), "each counts as a call"
    counted = repeated_calls.start
    for each in seen:
        counted = repeated_calls.update(counted, each)
        assert repeated_calls.value(counted) == 1
    assert {each.output["sha"] for each in seen} == {steps[0].text_sha}


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": {"success": True, "score": 1.0}},
        {"n_steps": 99, "agent_seconds": 5.0, "judges": {"x": "pass"}, "failure": {"step": 1, "agent": "a"}},
        {"model": "other", "agent_system": "other", "task_id": "t", "split_key": "z", "run_id": "r9"},
        {"steps": step(score=1.0)},
    ],
)
def test_what_was_known_afterwards_is_not_observed(changed: dict[str, Any]) -> None:
    assert list(observations(parse_line(line(**changed)).steps)) == list(observations(parse_line(line()).steps))


def test_what_comes_later_does_not_change_what_was_seen() -> None:
    steps = parse_line(line()).steps
    for length in range(len(steps)):
        assert list(observations(steps[:length])) == list(observations(steps))[:length]


@needs_data
def test_the_development_data(tmp_path: Path) -> None:
    problems: list[Problem] = []
    runs = list(read_recordings([DATA], problems.append))
    assert not problems
    assert {source: sum(each.source == source for each in runs) for source in ("tau", "intercode", "whowhen")} == {
        "tau": 833,
        "intercode": 3823,
        "whowhen": 102,
    }
    copy = tmp_path / "copy.jsonl.gz"
    write_recordings(runs[:200], copy)
    assert list(read_recordings([copy])) == runs[:200]


def test_a_step_has_no_field_for_what_came_afterwards() -> None:
    assert not set(Step.__struct_fields__) & {"score", "outcome", "success", "n_steps", "failure", "judges"}
    assert isinstance(msgspec.structs.asdict(Step(0, "a", "message")), dict)


def test_a_mark_before_the_first_line_is_no_part_of_it(tmp_path: Path) -> None:
    """Editors of some systems put one there, and end lines otherwise."""
    file = tmp_path / "runs.jsonl"
    line = b'{"run_id": "%s", "steps": [{"i": 0, "agent": "a", "kind": "message"}]}\r\n'
    file.write_bytes(b"\xef\xbb\xbf" + line % b"a" + line % b"b" + line % b"")
    problems: list[Problem] = []
    assert [each.run_id for each in read_recordings([file], problems.append)] == ["a", "b"]
    assert [(each.line, each.where) for each in problems] == [(3, "run_id")]
