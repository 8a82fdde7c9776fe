"""LangGraph: logs of `stream` and checkpoints (state snapshots), as JSON or as SqliteSaver keeps them.

    {"agent": {"messages": [...]}}                       an update, as `stream_mode="updates"` gives it
    ["updates", {"agent": {"messages": [...]}}]          the same with its mode, as several modes give it
    {"values": {"messages": [...]}, "config": {"configurable": {"thread_id": ...}}, "created_at": ...}   a snapshot
    {"thread_id": ..., "update" or "values": {...}}      any of them with the thread beside it
    [["graph:1"], "updates", {...}]    {"type": "updates", "ns": [], "data": {...}}    as other versions give them
    {"type": "checkpoint", "payload": {"values": ...}}   {"checkpoint": {"channel_values": ...}, "config": ...}
    {"type": "task_result", "payload": {"name": "agent", "result": {"messages": [...]}}}
    [{"type": "AIMessageChunk", "content": "It"}, {"langgraph_node": "agent", ...}]      a token, or a whole message

A run is a thread; a file without threads is one run, and what names no thread belongs to the one that its file named
last. Messages are LangChain's, in any of the forms that its dumps have. A message comes once, however often and in
whatever way it is told (`langgraph_thread`). An update or event of a graph that holds no message is no step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stepladder.errors import Problem
from stepladder.scenarios.importers.documents import Document, documents, labelled
from stepladder.scenarios.importers.langgraph_sqlite import is_sqlite, kept_checkpoints
from stepladder.scenarios.importers.langgraph_thread import STATE, Thread
from stepladder.scenarios.importers.writer import mapping, word
from stepladder.scenarios.recording import Identity, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem


def read_langgraph(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Recording]:
    """The runs in LangGraph's logs and checkpoints. Raises InputError: a file cannot be opened."""
    threads: dict[str, Thread] = {}
    for file, label in labelled(files):
        if is_sqlite(file):
            for thread_id, state in kept_checkpoints(file, told, on_bytes):
                _take(threads.setdefault(thread_id, Thread()), state)
        elif not _read(documents([file], told, on_bytes), label, threads, told):
            found, expected = "no messages", "updates or snapshots of a state with messages"
            told(Problem("", found, expected, str(file), level="warning", code="import"))
    for name, thread in threads.items():
        thread.end()
        if thread.writer.steps:
            identity = Identity(thread.model or None, agent_system="LangGraph")
            yield Recording(name, "langgraph", "langgraph", "langgraph", name, tuple(thread.writer.steps), identity)


def _read(listed: Iterable[Document], label: str, threads: dict[str, Thread], told: OnProblem) -> bool:
    """Take what one file says; False where it has something to say, and no message."""
    current, took, any_ = label, False, False
    for document in listed:
        any_, value = True, _inside(document.value)
        named = _thread_of(mapping(document.value)) or _thread_of(value)
        if named and named not in threads and current == label and label in threads:
            threads[named] = threads.pop(label)  # what came before belongs to it
        current = named or current
        if not value:
            told(document.problem("no messages", "an update or a snapshot of a state with messages"))
        else:
            took |= _take(threads.setdefault(current, Thread()), value)
    return took or not any_


def _inside(value: Any) -> Mapping[str, Any]:
    """The update or the state in what a stream gives: with its mode or the path of its subgraph before it, as a part
    with type and data, as an event for debugging, or as a kept checkpoint."""
    while isinstance(value, list) and value and isinstance(value[-1], Mapping | list):
        if len(value) == 2 and "langgraph_node" in mapping(value[1]):  # a message or a token, and where it is from
            return {"piece": value[0], "metadata": value[1], "thread_id": value[1].get("thread_id")}
        value = value[-1]
    found = mapping(value)
    if isinstance(found.get("data"), Mapping | list) and isinstance(found.get("type"), str):
        return _inside(found["data"])
    for name in ("payload", "checkpoint"):
        if isinstance(found.get(name), Mapping):
            return _inside({"config": found.get("config"), **found[name]})
    if isinstance(found.get("name"), str) and "triggers" in found and "input" in found:  # a task that begins
        return {"values": found["input"]}
    if isinstance(found.get("name"), str) and "result" in found and "id" in found:  # one that has ended
        result = found["result"]
        pairs = isinstance(result, list) and all(isinstance(each, list) and len(each) == 2 for each in result)
        return {"update": {found["name"]: {word(key): each for key, each in result} if pairs else result}}
    return found


def _thread_of(value: Mapping[str, Any]) -> str:
    configured = mapping(mapping(value.get("config")).get("configurable")).get("thread_id")
    return word(configured) or word(value.get("thread_id"))


def _take(thread: Thread, value: Mapping[str, Any]) -> bool:
    state = mapping(value.get("values")) or mapping(value.get("channel_values"))
    if "messages" in state:
        return thread.take(state["messages"], "", STATE)
    if "messages" in value:
        return thread.take(value["messages"], "", STATE)
    if "piece" in value:
        return thread.take_piece(value["piece"], mapping(value.get("metadata")))
    updates, way = mapping(value.get("update")) or value, "results" if "update" in value else "updates"
    took = [
        thread.take(each["messages"], node, way)
        for node, update in updates.items()
        for each in (update if isinstance(update, list) else [update])
        if isinstance(each, Mapping) and "messages" in each
    ]
    return any(took)
