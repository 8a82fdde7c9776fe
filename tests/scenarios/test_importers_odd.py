"""Importers on what other systems really leave behind: halves of characters, files of one name, calls without ids."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stepladder.errors import Problem
from stepladder.scenarios.importers import FORMATS
from stepladder.scenarios.importers.documents import labelled
from stepladder.scenarios.recording import Recording
from stepladder.scenarios.recording_files import each_once
from stepladder.scenarios.recording_line import parse_line, to_line
from tests.scenarios.test_importers import read, told


def chat(*messages: dict[str, Any], **about: Any) -> str:
    return json.dumps({"messages": [{"role": "user", "content": "hello"}, *messages], **about})


def call(name: str, arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


# --- chat


@pytest.mark.parametrize("text", ["half \ud800 a character", "\ud83d", "\ude00 \ud83d \ud83d\ude00"])
def test_halves_of_characters_are_marked(tmp_path: Path, text: str) -> None:
    arguments = json.dumps({text: text})
    asks = {"role": "assistant", "content": text, "tool_calls": [call("find", arguments)]}
    found, problems = read("chat", tmp_path, chat(asks, id=f"run {text}"))
    assert not problems
    assert "\ufffd" in found[0].run_id
    assert "\ufffd" in found[0].steps[1].text
    assert "\ufffd" in str(found[0].steps[2].args)
    whole, _ = read("chat", tmp_path, chat({"role": "assistant", "content": "\U0001f600 \\ud800"}))
    assert whole[0].steps[1].text == "\U0001f600 \\ud800"


@pytest.mark.parametrize("reward", ["NaN", "Infinity", "-Infinity", "true", '"none"'])
def test_a_reward_that_is_none_says_nothing(tmp_path: Path, reward: str) -> None:
    found, _ = read("chat", tmp_path, chat().replace("{", f'{{"reward": {reward}, ', 1))
    assert (found[0].after.failed, found[0].after.outcome.score) == (None, None)


def test_a_reward_in_words(tmp_path: Path) -> None:
    found, _ = read("chat", tmp_path, chat(reward="0.0"))
    assert (found[0].after.failed, found[0].after.outcome.score) == (True, 0.0)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "refusal": "I cannot do that."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot do that."}]},
    ],
)
def test_a_refusal_is_said(tmp_path: Path, message: dict[str, Any]) -> None:
    found, _ = read("chat", tmp_path, chat(message))
    assert told(found[0])[-1] == ("assistant", "message", None, "I cannot do that.", None)


def test_calls_made_together_without_ids_return_in_order(tmp_path: Path) -> None:
    """And a tool that is called again later answers the newer call."""
    both = {"role": "assistant", "tool_calls": [call("find", '{"n": 1}'), call("find", '{"n": 2}')]}
    again = {"role": "assistant", "function_call": {"name": "find", "arguments": '{"n": 3}'}}
    result = {"role": "function", "name": "find", "content": "found"}
    found, _ = read("chat", tmp_path, chat(both, result, result, again, result, result))
    assert [each.ref for each in found[0].steps if each.kind == "tool_result"] == [1, 2, 5, 5]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "results.json").write_text(chat())
    (tmp_path / "other.json").write_text(chat())
    files = [tmp_path / "one" / "results.json", tmp_path / "two" / "results.json", tmp_path / "other.json"]
    assert [name for _, name in labelled(files)] == ["one/results.json", "two/results.json", "other.json"]
    found = [each.run_id for each in FORMATS["chat"](files, print, lambda _: None)]
    assert found == ["one/results.json:1:0", "two/results.json:1:0", "other.json:1:0"]


def test_a_run_that_comes_again_is_told_of(tmp_path: Path) -> None:
    problems: list[Problem] = []
    runs, _ = read("chat", tmp_path, "\n".join([chat(id="a"), chat(id="b"), chat(id="a")]))
    assert [each.run_id for each in each_once(runs, problems.append)] == ["a", "b"]
    assert [each.found for each in problems] == ["run 'a' again"]


def test_another_domain_is_said_wherever_it_stands(tmp_path: Path) -> None:
    found, _ = read("chat", tmp_path, chat(task_id=3))
    named = found[0].said_to_be("desk", "airline")
    assert (named.source, named.domain, named.family, named.split_key) == (
        "desk",
        "airline",
        "chat/airline",
        "airline:3",
    )
    assert found[0].said_to_be() == found[0]


# --- magentic-one


def test_agents_with_spaces_in_their_names(tmp_path: Path) -> None:
    history = [
        {"role": "human", "content": "Q?"},
        {"role": "Lead Agent (-> Web Surfer)", "content": "search"},
        {"role": "Web Surfer", "content": "found"},
        {"role": "Lead Agent (thought)", "content": "well"},
    ]
    found, _ = read("magentic-one", tmp_path, json.dumps({"history": history}))
    assert [(each.agent, each.kind, each.tool, each.ref) for each in found[0].steps[1:]] == [
        ("Lead Agent", "handoff", "Web Surfer", None),
        ("Web Surfer", "tool_result", "Web Surfer", 1),
        ("Lead Agent", "message", None, None),
    ]


# --- langgraph

HUMAN = {"type": "human", "content": "find it", "id": "h"}
ASKS = {"type": "ai", "content": "", "id": "a", "tool_calls": [{"name": "look", "args": {"page": 1}, "id": "c"}]}
FOUND = {"type": "tool", "content": "page 1", "id": "t", "tool_call_id": "c", "name": "look"}
STEPS = [
    ("user", "user_message", None, "find it", None),
    ("agent", "tool_call", "look", "", None),
    ("environment", "tool_result", "look", "page 1", False),
]
CONFIG = {"configurable": {"thread_id": "7"}}


def debug_events() -> list[Any]:
    """What `stream_mode="debug"` gives: only checkpoints name the thread."""
    return [
        {"type": "checkpoint", "payload": {"config": CONFIG, "values": {}}},
        {
            "type": "task",
            "payload": {"id": "1", "name": "agent", "input": {"messages": [HUMAN]}, "triggers": ["start"]},
        },
        {"type": "task_result", "payload": {"id": "1", "name": "agent", "result": [["messages", [ASKS]]]}},
        {"type": "checkpoint", "payload": {"config": CONFIG, "values": {"messages": [HUMAN, ASKS]}}},
        {"type": "task_result", "payload": {"id": "2", "name": "tools", "result": {"messages": [FOUND]}}},
    ]


@pytest.mark.parametrize("first", [0, 1])
def test_events_for_debugging_are_one_run(tmp_path: Path, first: int) -> None:
    """Also where the first ones come before the thread has been named."""
    found, problems = read("langgraph", tmp_path, "\n".join(map(json.dumps, debug_events()[first:])))
    assert ([each.run_id for each in found], problems) == (["7"], [])
    assert told(found[0]) == STEPS


def test_updates_without_messages_are_no_steps_and_no_mistakes(tmp_path: Path) -> None:
    lines = [{"router": {"next": "agent"}}, {"agent": {"messages": [ASKS]}}, {"tools": {"messages": [FOUND]}}]
    found, problems = read("langgraph", tmp_path, "\n".join(map(json.dumps, lines)))
    assert (told(found[0]), problems) == (STEPS[1:], [])
    nothing, problems = read("langgraph", tmp_path, json.dumps(lines[0]))
    assert (nothing, [each.found for each in problems]) == ([], ["no messages"])


def kept(file: Path, states: list[tuple[str, str, str, bytes]]) -> None:
    """A file as SqliteSaver writes it."""
    with sqlite3.connect(file) as database:
        database.execute(
            "CREATE TABLE checkpoints"
            " (thread_id TEXT, checkpoint_ns TEXT, checkpoint_id TEXT, type TEXT, checkpoint BLOB)"
        )
        database.executemany("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?)", states)
    database.close()


def message(name: str, fields: dict[str, Any]) -> msgspec.msgpack.Ext:
    made = ["langchain_core.messages", name, fields, "model_validate_json"]
    return msgspec.msgpack.Ext(5, msgspec.msgpack.encode(made))


def test_checkpoints_as_sqlite_keeps_them(tmp_path: Path) -> None:
    listed = [message("HumanMessage", HUMAN), message("AIMessage", ASKS), message("ToolMessage", FOUND)]
    packed = [msgspec.msgpack.encode({"channel_values": {"messages": listed[:n]}}) for n in (1, 3)]
    other = json.dumps({"channel_values": {"messages": [HUMAN]}}).encode()
    states = [("1", "", f"{n}", "msgpack", each) for n, each in enumerate(packed)]
    kept(tmp_path / "kept.db", [*states, ("2", "", "0", "json", other), ("3", "", "0", "msgpack", b"\xc1\xff")])
    problems: list[Problem] = []
    found = list(FORMATS["langgraph"]([tmp_path / "kept.db"], problems.append, lambda _: None))
    assert [each.run_id for each in found] == ["1", "2"]
    assert [each.kind for each in found[0].steps] == [each[1] for each in STEPS]
    assert [each.found for each in problems] == ["a checkpoint that cannot be unpacked"]
    for each in found:
        assert parse_line(to_line(each)) == each


def test_another_sqlite_file_is_told_of_once(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    problems: list[Problem] = []
    assert not list(FORMATS["langgraph"]([tmp_path / "other.db"], problems.append, lambda _: None))
    assert len(problems) == 1


def test_checkpoints_of_langgraph_itself(tmp_path: Path) -> None:
    sqlite_saver = pytest.importorskip("langgraph.checkpoint.sqlite", reason="LangGraph is a peer of the benchmarks")
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
    from langgraph.graph import END, START, MessagesState, StateGraph

    def agent(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("", tool_calls=ASKS["tool_calls"], id="a")]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", lambda _: {"messages": [ToolMessage("page 1", tool_call_id="c", name="look", id="t")]})
    for one, two in ((START, "agent"), ("agent", "tools"), ("tools", END)):
        graph.add_edge(one, two)
    with sqlite_saver.SqliteSaver.from_conn_string(str(tmp_path / "kept.db")) as saver:
        app = graph.compile(checkpointer=saver)
        app.invoke({"messages": [HumanMessage("find it", id="h")]}, CONFIG)
    found: list[Recording] = list(FORMATS["langgraph"]([tmp_path / "kept.db"], print, lambda _: None))
    assert [each.run_id for each in found] == ["7"]
    assert [each.text for each in found[0].steps] == ["find it", "", "page 1"]


# --- otlp


def test_a_person_may_say_the_same_twice(tmp_path: Path) -> None:
    """Every span repeats what was said before; what a person says again is more than that."""
    talk, lines = list[dict[str, Any]](), list[str]()
    for place, (asked, answered) in enumerate([("book", "which?"), ("yes", "sure?"), ("yes", "done")]):
        talk.append({"role": "user", "parts": [{"type": "text", "content": asked}]})
        said = [{"role": "assistant", "parts": [{"type": "text", "content": answered}]}]
        given = {
            "gen_ai.operation.name": "chat",
            "gen_ai.conversation.id": "c",
            "gen_ai.input.messages": json.dumps(talk),
            "gen_ai.output.messages": json.dumps(said),
        }
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in given.items()]
        span = {"traceId": f"t{place}", "startTimeUnixNano": str(place + 1), "attributes": attributes}
        lines.append(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
        talk += said
    found, _ = read("otlp", tmp_path, "\n".join(lines))
    assert [each.text for each in found[0].steps] == ["book", "which?", "yes", "sure?", "yes", "done"]
