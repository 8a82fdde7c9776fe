"""LangGraph's streams in every mode: real ones where LangGraph is installed, else as it writes them."""

from __future__ import annotations

import json
import operator
from pathlib import Path
from typing import Annotated, Any

import pytest

from stepladder.scenarios.recording import Recording
from tests.scenarios.test_importers import read, told

ABOUT = {"langgraph_node": "agent", "thread_id": "7", "langgraph_step": 1}
FOUND = {"type": "tool", "content": "page 1", "id": "t", "tool_call_id": "c", "name": "look"}


def piece(content: Any = "", name: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": "AIMessageChunk", "content": content, "id": name, "tool_calls": [], **more}


def called(args: str, name: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"name": name, "args": args, "id": "c" if name else None, "index": index, "type": "tool_call_chunk"}


TOKENS = [
    {"type": "human", "content": "find it", "id": "h"},
    piece(tool_call_chunks=[called("", "look")]),
    piece(tool_call_chunks=[called('{"pa')]),
    piece(tool_call_chunks=[called('ge": 1}')]),
    FOUND,
    piece("It ", "b"),
    piece([{"type": "text", "text": "is "}], "b"),
    piece("lost.", "b", usage_metadata={"output_tokens": 3}),
]
STEPS = [
    ("user", "user_message", None, "find it", None),
    ("agent", "tool_call", "look", "", None),
    ("environment", "tool_result", "look", "page 1", False),
    ("agent", "message", None, "It is lost.", None),
]


@pytest.mark.parametrize("form", ["alone", "with the mode", "below", "as a part"])
@pytest.mark.parametrize("more", [False, True], ids=["tokens", "tokens and updates"])
def test_tokens_are_one_message(tmp_path: Path, form: str, more: bool) -> None:
    def written(part: dict[str, Any]) -> Any:
        pair = [part, ABOUT]
        forms = {"with the mode": ["messages", pair], "below": [["g:1"], "messages", pair]}
        return {"type": "messages", "ns": [], "data": pair} if form == "as a part" else forms.get(form, pair)

    lines = list(map(written, TOKENS))
    if more:  # the whole messages come too, each after its tokens
        call = {"name": "look", "args": {"page": 1}, "id": "c"}
        lines.insert(4, ["updates", {"agent": {"messages": [{"type": "ai", "id": "a", "tool_calls": [call]}]}}])
        lines.append(["updates", {"agent": {"messages": [{"type": "ai", "id": "b", "content": "It is lost."}]}}])
    (run,), problems = read("langgraph", tmp_path, "\n".join(map(json.dumps, lines)))
    assert not problems
    assert told(run) == STEPS
    assert (run.run_id, run.steps[1].args) == ("7", '{"page":1}')


def test_a_result_without_an_id_comes_again_with_one(tmp_path: Path) -> None:
    """A node gives it none, the state does; what is really said twice stays."""
    nameless = {key: value for key, value in FOUND.items() if key != "id"}
    again = {"type": "human", "content": "again"}
    lines = [
        {"type": "task_result", "payload": {"id": "1", "name": "tools", "result": {"messages": [nameless]}}},
        {"tools": {"messages": [nameless]}},
        {"values": {"messages": [FOUND]}},
        {"person": {"messages": [again]}},
        {"values": {"messages": [FOUND, {**again, "id": "1"}]}},
        {"person": [{"messages": [again]}, {"messages": [again]}]},
        {"values": {"messages": [FOUND, *({**again, "id": str(number)} for number in (1, 2, 3))]}},
    ]
    (run,), _ = read("langgraph", tmp_path, "\n".join(map(json.dumps, lines)))
    assert [each.text for each in run.steps] == ["page 1", "again", "again", "again"]


def test_a_question_that_is_told_last_stands_first(tmp_path: Path) -> None:
    """Updates do not tell what was given; a subgraph's update repeats all."""
    asks = {"type": "ai", "id": "a", "tool_calls": [{"name": "look", "args": {}, "id": "c"}]}
    lines: list[Any] = [{"agent": {"messages": [asks]}}, {"tools": {"messages": [FOUND]}}]
    lines += [{"team": {"messages": [TOKENS[0], asks, FOUND, {"type": "ai", "id": "z", "content": "Sent."}]}}]
    (run,), _ = read("langgraph", tmp_path, "\n".join(map(json.dumps, lines)))
    assert [(each.i, each.text or each.tool, each.ref) for each in run.steps] == [
        (0, "find it", None),
        (1, "look", None),
        (2, "page 1", 1),
        (3, "Sent.", None),
    ]


MODES: list[Any] = ["values", "updates", "messages", "debug", "tasks", "checkpoints"]
MODES += [["updates", "messages", "custom"], ["values", "debug"]]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("below", [False, True], ids=["", "subgraphs"])
def test_each_mode_of_langgraph_itself_gives_one_run(tmp_path: Path, mode: Any, below: bool) -> None:
    """Parallel calls by Send, a person who is asked by an interrupt, and a subgraph; nobody gives ids."""
    app = graph()
    from langchain_core.messages import BaseMessage, HumanMessage
    from langgraph.types import Command

    def plain(value: Any) -> Any:
        return value.model_dump() if isinstance(value, BaseMessage) else repr(value)

    config = {"configurable": {"thread_id": "th"}}
    lines = [
        json.dumps(part, default=plain)
        for given in ({"messages": [HumanMessage("find it")]}, Command(resume="yes"))
        for part in app.stream(given, config, stream_mode=mode, subgraphs=below)
    ]
    (run,), problems = read("langgraph", tmp_path, "\n".join(lines), "log.jsonl")
    assert not problems
    said = [each.text or f"{each.tool} {each.args}" for each in run.steps]
    assert sorted(said[-7:-3]) == ['look {"page":1}', 'look {"page":2}', "page 1", "page 2"]
    assert [*said[:-7], *said[-3:]] in (["find it", "It is there.", "yes", "Sent."], ["It is there.", "yes", "Sent."])
    assert all(_answers(run, each.ref, each.text) for each in run.steps if each.kind == "tool_result")


def _answers(run: Recording, ref: int | None, text: str) -> bool:
    return ref is not None and f'{{"page":{text[-1]}}}' == run.steps[ref].args


def graph() -> Any:
    pytest.importorskip("langgraph.graph", reason="LangGraph is a peer of the benchmarks")
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.types import Send, interrupt

    class State(MessagesState):
        seen: Annotated[list[int], operator.add]

    calls = [{"name": "look", "args": {"page": page}, "id": f"c{page}", "type": "tool_call"} for page in (1, 2)]
    model = GenericFakeChatModel(messages=iter([AIMessage("It is there.")]))

    def agent(state: Any) -> Any:
        looked = any(isinstance(each, ToolMessage) for each in state["messages"])
        return {"messages": [model.invoke(state["messages"]) if looked else AIMessage("", tool_calls=calls)]}

    def then(state: Any) -> Any:
        wanted = state["messages"][-1].tool_calls
        return [Send("look", {"call": each}) for each in wanted] if wanted else "ask"

    def look(given: Any) -> Any:
        call = given["call"]
        found = ToolMessage(f"page {call['args']['page']}", tool_call_id=call["id"], name="look")
        return {"messages": [found], "seen": [1]}

    team = StateGraph(State)
    team.add_node("writer", lambda _: {"messages": [AIMessage("Sent.")]})
    team.add_edge(START, "writer")
    team.add_edge("writer", END)
    whole = StateGraph(State)
    whole.add_node("agent", agent)
    whole.add_node("look", look)
    whole.add_node("ask", lambda _: {"messages": [HumanMessage(interrupt("send it?"))]})
    whole.add_node("team", team.compile())
    whole.add_conditional_edges("agent", then, ["look", "ask"])
    for one, two in ((START, "agent"), ("look", "agent"), ("ask", "team"), ("team", END)):
        whole.add_edge(one, two)
    return whole.compile(checkpointer=InMemorySaver())
