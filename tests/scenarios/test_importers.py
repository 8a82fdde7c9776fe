"""Importers: each format as its own system writes it, and whatever else is in a file is told of and skipped."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepladder.errors import InputError, Problem
from stepladder.scenarios.importers import FORMATS
from stepladder.scenarios.importers.documents import _stands_alone, documents
from stepladder.scenarios.importers.magentic_one import flags_of
from stepladder.scenarios.recording import Recording
from stepladder.scenarios.recording_line import parse_line, to_line

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"b": 1, "a": 2}'}}
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "Error: nothing found"},
    {"role": "assistant", "content": [{"type": "text", "text": "Sorry"}]},
]
CHAT_STEPS = [
    ("user", "user_message", None, "hello", None),
    ("assistant", "tool_call", "find", "", None),
    ("environment", "tool_result", "find", "Error: nothing found", True),
    ("assistant", "message", None, "Sorry", None),
]


def read(form: str, path: Path, content: str | bytes, name: str = "in.json") -> tuple[list[Recording], list[Problem]]:
    file = path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    problems: list[Problem] = []
    found = list(FORMATS[form]([file], problems.append, lambda _: None))
    for each in found:
        assert parse_line(to_line(each)) == each
    return found, problems


def told(run: Recording) -> list[tuple[Any, ...]]:
    return [(each.agent, each.kind, each.tool, each.text, each.is_error) for each in run.steps]


# --- chat


@pytest.mark.parametrize(
    ("content", "success"),
    [
        (json.dumps({"messages": CHAT}), None),
        (json.dumps({"messages": CHAT, "success": True}), True),
        (json.dumps([{"task_id": 3, "trial": 1, "reward": 1.0, "traj": CHAT, "info": {}}]), True),
        (json.dumps([{"task_id": 3, "trial": 1, "reward": 0.0, "traj": CHAT, "info": {}}], indent=2), False),
        (
            json.dumps({"info": {}, "simulations": [{"id": "x", "messages": CHAT, "reward_info": {"reward": 0.5}}]}),
            False,
        ),
    ],
)
def test_chat(tmp_path: Path, content: str, success: bool | None) -> None:
    (run,), problems = read("chat", tmp_path, content)
    assert not problems
    assert told(run) == CHAT_STEPS
    assert run.steps[1].args == '{"a":2,"b":1}'
    assert run.steps[2].ref == 1
    assert run.after.outcome.success is success


def test_the_messages_alone_one_run_a_line(tmp_path: Path) -> None:
    lines = json.dumps({"messages": CHAT, "id": "one"}) + "\n" + json.dumps({"messages": CHAT, "id": "two"}) + "\n"
    runs, _ = read("chat", tmp_path, lines, "in.jsonl")
    assert [run.run_id for run in runs] == ["one", "two"]


def test_what_tau2_says_beside_the_messages(tmp_path: Path) -> None:
    info = {"environment_info": {"domain_name": "retail"}, "agent_info": {"llm": "m1"}}
    simulation = {"id": "s", "task_id": "7", "trial": 2, "messages": CHAT, "reward_info": {"reward": 1.0}}
    (run,), _ = read("chat", tmp_path, json.dumps({"info": info, "simulations": [simulation]}))
    assert (run.domain, run.split_key, run.identity.model, run.identity.trial) == ("retail", "retail:7", "m1", 2)


def test_a_broken_run_is_skipped(tmp_path: Path) -> None:
    whole = json.dumps({"messages": CHAT, "id": "a"})
    runs, problems = read(
        "chat", tmp_path, "\n".join([whole, "{oops", '{"messages": [{}]}', '{"x": 1}', "7", whole]), "in.jsonl"
    )
    assert [run.run_id for run in runs] == ["a", "a"]
    assert [each.line for each in problems] == [2, 3, 4, 5]


# --- Magentic-One

LEDGER = {"is_in_loop": {"answer": True, "reason": "same"}, "is_progress_being_made": {"answer": False}}


def test_magentic_one(tmp_path: Path) -> None:
    history = [
        {"role": "human", "content": "find it"},
        {"role": "Orchestrator (thought)", "content": "Updated Ledger:\n" + json.dumps(LEDGER)},
        {"role": "Orchestrator (-> WebSurfer)", "content": "open it"},
        {"role": "WebSurfer", "content": "Error 404"},
    ]
    run = {
        "question_ID": "q",
        "history": history,
        "mistake_step": "3",
        "mistake_agent": "WebSurfer",
        "is_correct": False,
    }
    (found,), problems = read("magentic-one", tmp_path, json.dumps(run))
    assert not problems
    assert [(each.agent, each.kind, each.tool, each.ref) for each in found.steps] == [
        ("user", "user_message", None, None),
        ("Orchestrator", "message", None, None),
        ("Orchestrator", "handoff", "WebSurfer", None),
        ("WebSurfer", "tool_result", "WebSurfer", 2),
    ]
    assert found.steps[1].signals == {"is_in_loop": True, "is_progress_being_made": False}
    assert found.after.failure is not None
    assert (found.after.failure.step, found.after.failed) == (3, True)


@pytest.mark.parametrize("text", ["", "Updated Ledger: {", "Updated Ledger: []", "Updated Ledger: {}", "no ledger {}"])
def test_a_ledger_that_is_none(text: str) -> None:
    assert flags_of(text) == {}


def test_captain_agent(tmp_path: Path) -> None:
    history = [
        {"role": "assistant", "name": "Expert", "content": "I will run\n```python\nprint(1)\n```"},
        {"role": "user", "name": "Computer_terminal", "content": "exitcode: 1 (execution failed)"},
        {"role": "assistant", "name": "Expert", "content": "TERMINATE"},
    ]
    (found,), _ = read("magentic-one", tmp_path, json.dumps({"history": history, "question_ID": "q"}))
    assert [(each.kind, each.is_error) for each in found.steps] == [
        ("tool_call", None),
        ("tool_result", True),
        ("message", None),
    ]


# --- OTLP


def span(operation: str, began: int, parent: str = "root", failed: bool = False, **said: Any) -> dict[str, Any]:
    attributes = [{"key": "gen_ai.operation.name", "value": {"stringValue": operation}}]
    for name, value in said.items():
        kind = "intValue" if isinstance(value, int) else "stringValue"
        attributes.append({"key": "gen_ai." + name.replace("__", "."), "value": {kind: str(value)}})
    return {
        "traceId": "t1",
        "spanId": f"s{began}",
        "parentSpanId": parent,
        "name": operation,
        "startTimeUnixNano": str(began * 10**9),
        "endTimeUnixNano": str((began + 1) * 10**9),
        "attributes": attributes,
        "status": {"code": 2} if failed else {},
    }


def otlp(*spans: dict[str, Any]) -> str:
    service = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [{"spans": list(spans)}]}]}
    )


def test_otlp(tmp_path: Path) -> None:
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "where is it?"}]}])
    call = {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"id": 7}}
    answered = json.dumps([{"role": "assistant", "parts": [call]}])
    said = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "It is lost."}]}])
    chat = {"input__messages": asked, "request__model": "m", "usage__output_tokens": 5}
    spans = [
        span("chat", 30, output__messages=said, **chat),
        span("invoke_agent", 1, parent=""),
        span("chat", 10, output__messages=answered, **chat),
        span(
            "execute_tool", 20, failed=True, tool__name="find", tool__call__id="c1", tool__call__result="no such parcel"
        ),
    ]
    (run,), problems = read("otlp", tmp_path, otlp(spans[0]) + "\n" + otlp(*spans[1:]), "in.jsonl")
    assert not problems
    assert told(run) == [
        ("user", "user_message", None, "where is it?", None),
        ("assistant", "tool_call", "find", "", None),
        ("environment", "tool_result", "find", "no such parcel", True),
        ("assistant", "message", None, "It is lost.", None),
    ]
    assert run.steps[2].ref == 1
    assert run.steps[3].tokens == 5
    assert (run.run_id, run.domain, run.identity.model, run.after.failed) == ("t1", "shop", "m", None)


def test_otlp_conversations_and_failed_roots(tmp_path: Path) -> None:
    first = span("execute_tool", 1, parent="", failed=True, tool__name="find", conversation__id="one")
    second = span("execute_tool", 2, tool__name="find", tool__call__arguments='{"a": 1}', conversation__id="two")
    runs, _ = read("otlp", tmp_path, otlp(first, second))
    assert [(run.run_id, run.after.failed, len(run.steps)) for run in runs] == [("one", True, 2), ("two", None, 2)]
    assert runs[1].steps[0].args == '{"a":1}'


def test_otlp_without_spans_of_ours(tmp_path: Path) -> None:
    runs, problems = read("otlp", tmp_path, otlp(span("http", 1)) + "\n{}\n[]\n")
    assert not runs
    assert len(problems) >= 2


# --- LangGraph

HUMAN = {"type": "human", "content": "hello", "id": "m1"}
AI = {"type": "ai", "content": "", "id": "m2", "tool_calls": [{"name": "find", "args": {"q": 1}, "id": "c1"}]}
TOOL = {"type": "tool", "content": "broken", "tool_call_id": "c1", "status": "error", "id": "m3"}
LAST = {"type": "ai", "content": "Sorry", "id": "m4"}
GRAPH_STEPS = [
    ("user", "user_message", None, "hello", None),
    ("agent", "tool_call", "find", "", None),
    ("environment", "tool_result", "find", "broken", True),
    ("agent", "message", None, "Sorry", None),
]


def constructor(name: str, message: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in message.items() if key != "type"}
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": kept}


def test_langgraph_updates(tmp_path: Path) -> None:
    lines: list[Any] = [
        {"start": {"messages": [HUMAN]}},
        ["updates", {"agent": {"messages": [constructor("AIMessage", AI)]}}],
        {"tools": {"messages": [{"type": "tool", "data": TOOL}]}},
        {"agent": {"messages": [LAST]}},
    ]
    (run,), problems = read("langgraph", tmp_path, "\n".join(map(json.dumps, lines)), "log.jsonl")
    assert not problems
    assert told(run) == GRAPH_STEPS


def test_langgraph_snapshots_repeat_their_messages(tmp_path: Path) -> None:
    messages = [HUMAN, {**AI, "name": "agent"}, TOOL, {**LAST, "name": "agent"}]
    lines = [
        {"values": {"messages": messages[:end]}, "config": {"configurable": {"thread_id": thread}}}
        for end in (1, 3, 4)
        for thread in ("a", "b")
    ]
    runs, _ = read("langgraph", tmp_path, json.dumps(lines))
    assert [run.run_id for run in runs] == ["a", "b"]
    assert [told(run) for run in runs] == [GRAPH_STEPS, GRAPH_STEPS]


# --- whatever a file holds

WORDS = [
    *("messages", "role", "content", "history", "traj", "resourceSpans", "scopeSpans", "spans", "attributes"),
    *("values", "tool_calls", "type", "id", "simulations", "key", "value", "function", "name", "kwargs", "lc"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.lists(JSON, max_size=4), st.sampled_from([form for form in FORMATS if form != "recordings"]))
def test_no_value_breaks_an_importer(values: list[Any], form: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        read(form, Path(folder), "\n".join(map(json.dumps, values)))


@given(st.binary(max_size=200), st.sampled_from(list(FORMATS)))
def test_no_bytes_break_an_importer(content: bytes, form: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        read(form, Path(folder), content)


@given(st.lists(JSON, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_documents_are_all_there(values: list[Any], indent: int | None, packed: bool) -> None:
    import tempfile

    assume(not _stands_alone(json.dumps(values, indent=indent)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "in.json"
        content = json.dumps(values, indent=indent).encode()
        file.write_bytes(gzip.compress(content) if packed else content)
        problems: list[Problem] = []
        assert [each.value for each in documents([file], problems.append, lambda _: None)] == values
        assert not problems


def test_a_long_list_is_read_piece_by_piece(tmp_path: Path) -> None:
    file = tmp_path / "long.json"
    value = {"text": "x" * 3_000_000}
    file.write_text(json.dumps([value] * 5, indent=1))
    assert [each.value for each in documents([file], lambda _: None, lambda _: None)] == [value] * 5


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        list(FORMATS["chat"]([tmp_path / "missing.json"], lambda _: None, lambda _: None))


HELLO = {"type": "human", "content": "where is it?", "id": "m1"}
ANSWERED = {"type": "ai", "content": "It is lost.", "id": "m2"}
STATE = {"messages": [HELLO, ANSWERED]}
CONFIGURED = {"configurable": {"thread_id": "t-7", "checkpoint_ns": ""}}


@pytest.mark.parametrize(
    "lines",
    [
        [{"agent": STATE, "__interrupt__": []}],
        [["updates", {"agent": STATE}]],
        [[["graph:1"], "updates", {"agent": STATE}], [[], "updates", {"agent": STATE}]],
        [[["graph:1"], {"agent": STATE}], [["graph:1"], {"agent": STATE}]],
        [
            {"type": "updates", "ns": [], "data": {"agent": {"messages": HELLO}}},
            {"type": "values", "ns": [], "data": STATE},
        ],
        [{"type": "checkpoint", "step": 1, "payload": {"values": STATE, "config": CONFIGURED, "next": []}}],
        [{"config": CONFIGURED, "checkpoint": {"v": 1, "id": "c", "channel_values": STATE}, "metadata": {"step": 1}}],
        [{"values": STATE, "config": CONFIGURED}, {"values": STATE, "config": CONFIGURED, "next": ["agent"]}],
    ],
)
def test_langgraph_as_every_version_gives_it(tmp_path: Path, lines: list[Any]) -> None:
    (run,), problems = read("langgraph", tmp_path, "\n".join(map(json.dumps, lines)), "in.jsonl")
    assert not problems
    assert [(each.kind, each.text) for each in run.steps] == [
        ("user_message", "where is it?"),
        ("message", "It is lost."),
    ]
    assert run.run_id == ("t-7" if "thread_id" in json.dumps(lines) else "in.jsonl")


TALK = [{"role": "user", "content": "where is it?"}, {"role": "assistant", "content": "It is lost."}]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        (json.dumps(TALK), 1),
        (json.dumps(TALK) + "\n" + json.dumps(TALK), 2),
        (json.dumps([{"messages": TALK}, {"messages": TALK}]), 2),
        (json.dumps([{"messages": TALK}, {"messages": TALK}], indent=1), 2),
        (json.dumps([TALK, TALK, TALK], indent=1), 3),
        (json.dumps({"messages": TALK}) + "\r\n\r\n" + json.dumps({"messages": TALK}), 2),
    ],
)
def test_lists_of_runs_and_runs_that_are_lists(tmp_path: Path, text: str, runs: int) -> None:
    found, problems = read("chat", tmp_path, text, "in.jsonl")
    assert not problems
    assert [len(each.steps) for each in found] == [2] * runs
    assert len({each.run_id for each in found}) == runs


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"cut \uDE00 here", "cut \ufffd here"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"whole \ud83d\ude00", "whole \U0001f600"),
        (r"a path \\ud83d", r"a path \ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
    ],
)
def test_half_a_character_is_no_reason_to_break_off(tmp_path: Path, written: str, meant: str) -> None:
    arguments = json.dumps(f'{{"where": "{written}"}}')
    call = f'{{"id": "x", "function": {{"name": "find", "arguments": {arguments}}}}}'
    said = (
        f'{{"messages": [{{"role": "user", "content": "{written}"}}, {{"role": "assistant", "tool_calls": [{call}]}}]}}'
    )
    (run,), problems = read("chat", tmp_path, said)
    assert not problems
    assert run.steps[0].text == meant
    assert json.loads(run.steps[1].args or "") == {"where": meant}
