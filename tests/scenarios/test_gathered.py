"""Spans may stand anywhere: what comes of them is the same, and memory stays small however many there are."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import InputError
from stepladder.scenarios.importers import gathered as module
from stepladder.scenarios.importers.gathered import Part, gathered
from stepladder.scenarios.recording import Recording
from tests.scenarios.test_importers import otlp, read, span

MEASURED = """
import resource, sys
from pathlib import Path
from stepladder.scenarios.importers import FORMATS
runs = FORMATS["otlp"]([Path(sys.argv[1])], print, lambda _: None)
count = sum(len(run.steps) for run in runs)
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@given(st.lists(st.tuples(st.text(), st.text(st.characters(max_codepoint=127)))))
def test_gathered_as_a_mapping_would(named: list[tuple[str, str]]) -> None:
    wanted: dict[str, list[str]] = {}
    for name, text in named:
        wanted.setdefault(name, []).append(text)
    assert list(gathered(Part(text, name) for name, text in named)) == list(wanted.items())


def test_names_that_are_no_text_are_told_apart() -> None:
    assert list(gathered([Part("a", "\ud800"), Part("b", "\udfff"), Part("c", "\ud800")])) == [
        ("\ud800", ["a", "c"]),
        ("\udfff", ["b"]),
    ]


def test_no_room_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SCHEMA", module._SCHEMA.replace("BEGIN;", "PRAGMA max_page_count = 20; BEGIN;"))
    with pytest.raises(InputError, match=r"the folder for temporary files: found .*full; expected room"):
        list(gathered(Part("x" * 5000, f"run {number}") for number in range(100)))


def traces(count: int) -> list[list[dict[str, Any]]]:
    """Runs of some spans each, with huge numbers and odd characters among what they say."""
    found = []
    for number in range(count):
        told = json.dumps([{"role": "assistant", "content": f"said \ud83d {number}"}])
        spans = [
            span("chat", 1, output__messages=told),
            span("execute_tool", 2, tool__name="find", tool__call__id=f"c{number}", used=10**30),
            span("chat", 10**12, output__messages=json.dumps([{"role": "assistant", "content": "done"}])),
        ]
        found.append([{**each, "traceId": f"t{number}"} for each in spans])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_spans_of_a_run_may_stand_anywhere(tmp_path: Path, seed: int) -> None:
    runs = traces(30)
    mixed = [(number, each) for number, spans in enumerate(runs) for each in spans]
    random.Random(seed).shuffle(mixed)

    def imported(spans: list[dict[str, Any]]) -> list[Recording]:
        found, problems = read("otlp", tmp_path, "\n".join(otlp(each) for each in spans), "in.jsonl")
        assert not problems
        return found

    together = imported([each for spans in runs for each in spans])
    apart = imported([each for _, each in mixed])
    assert [each.run_id for each in together] == [f"t{number}" for number in range(30)]
    first = dict.fromkeys(f"t{number}" for number, _ in mixed)
    assert [each.run_id for each in apart] == list(first), "in the order in which they began to come"
    assert sorted(together, key=lambda each: each.run_id) == sorted(apart, key=lambda each: each.run_id)


def test_no_depth_of_nesting_ends_the_import(tmp_path: Path) -> None:
    whole = otlp(traces(1)[0][0])
    lines = [whole.replace('"traceId"', f'"x": {"[" * depth}{"]" * depth}, "traceId"') for depth in range(500, 1000, 3)]
    deep = {"key": "x", "value": {"other": "DEEP"}}
    said = otlp({**span("chat", 1), "attributes": [*span("chat", 1)["attributes"], deep]})
    lines += [said.replace('"DEEP"', "[" * depth + "]" * depth) for depth in range(500, 1000, 3)]
    runs, problems = read("otlp", tmp_path, "\n".join([*lines, whole]), "in.jsonl")
    assert "t0" in [each.run_id for each in runs]
    assert len(problems) > 10


def _written(file: Path, runs: int) -> Path:
    """A file of spans of 4 KB, of which those of one run stand 200 others apart."""
    filler = json.dumps([{"role": "assistant", "content": "x" * 4000}])
    with file.open("w") as out:
        for begun in range(0, runs, 200):
            for began in (1, 2, 3):
                for number in range(begun, begun + 200):
                    text = filler.replace("xx", f"{number} {began}", 1)
                    out.write(otlp({**span("chat", began, output__messages=text), "traceId": f"t{number}"}) + "\n")
    return file


def test_memory_is_bounded_however_much_there_is(tmp_path: Path) -> None:
    """40 MB of spans take at most 20 MB more than 3 MB of them do."""
    found = []
    for runs in (200, 3_000):
        file = _written(tmp_path / f"{runs}.jsonl", runs)
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(file)], capture_output=True, text=True, check=True, timeout=120
        )
        steps, most = map(int, done.stdout.split())
        assert steps == 3 * runs
        found.append(most / 1024)
        if runs == 3_000:
            assert file.stat().st_size > 38e6
    assert found[1] - found[0] < 20
