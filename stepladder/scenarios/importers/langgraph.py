"""LangGraph: logs of `stream` and checkpoints (state snapshots), as JSON or as SqliteSaver keeps them.

    {"agent": {"messages": [...]}}                       an update, as `stream_mode="updates"` gives it
    ["updates", {"agent": {"messages": [...]}}]          the same with its mode, as several modes give it
    {"values": {"messages": [...]}, "config": {"configurable": {"thread_id": ...}}, "created_at": ...}   a snapshot
    {"thread_id": ..., "update" or "values": {...}}      any of them with the thread beside it
    [["graph:1"], "updates", {...}]    {"type": "updates", "ns": [], "data": {...}}    as other versions give them
    {"type": "checkpoint", "payload": {"values": ...}}   {"checkpoint": {"channel_values": ...}, "config": ...}
    {"type": "task_result", "payload": {"name": "agent", "result": {"messages": [...]}}}

A run is a thread; a file without threads is one run, and what names no thread belongs to the one that its file named
last. Messages are LangChain's, in any of the forms that its dumps have. A message comes once, however often later
states repeat it: by its id, else by its place. An update or event of a graph that holds no message is no step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stepladder.errors import Problem
from stepladder.scenarios.importers.documents import Document, documents, labelled
from stepladder.scenarios.importers.langgraph_sqlite import is_sqlite, kept_checkpoints
from stepladder.scenarios.importers.writer import Writer, mapping, text_of, whole, word
from stepladder.scenarios.recording import Identity, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem
from stepladder.values import digest

TYPES: Final = {
    "HumanMessage": "human",
    "AIMessage": "ai",
    "AIMessageChunk": "ai",
    "ToolMessage": "tool",
    "SystemMessage": "system",
    "user": "human",
    "assistant": "ai",
}


class _Thread:
    """One run while its messages come in."""

    def __init__(self) -> None:
        self.writer, self.known, self.count = Writer(), set[str](), 0
        self.model = ""

    def take(self, messages: Any, node: str, *, whole_state: bool) -> bool:
        """Take what is new; whether there were messages at all."""
        listed = messages if isinstance(messages, list) else [messages]
        found = [message for each in listed if (message := _message(each)) is not None]
        for place, message in enumerate(found):
            key = word(message.get("id")) or (str(place) if whole_state else f"update {self.count}") + digest(message)
            self.count += 1
            if key not in self.known:
                self.known.add(key)
                self._write(message, node)
        return bool(found)

    def _write(self, message: Mapping[str, Any], node: str) -> None:
        text, kind = text_of(message.get("content")), message["type"]
        if kind == "human":
            self.writer.asked(text)
        elif kind == "tool":
            error = message.get("status") == "error"
            call_id, tool = word(message.get("tool_call_id")), word(message.get("name"))
            self.writer.returned(text, error=error, call_id=call_id, tool=tool)
        elif kind == "ai":
            agent = word(message.get("name")) or node or "assistant"
            usage = mapping(message.get("usage_metadata"))
            self.model = self.model or word(mapping(message.get("response_metadata")).get("model_name"))
            self.writer.said(agent, text, tokens=whole(usage.get("output_tokens")))
            calls = message.get("tool_calls")
            for call in map(mapping, calls if isinstance(calls, list) else []):
                arguments = call.get("args")
                self.writer.called(agent, word(call.get("name"), "unnamed"), arguments, word(call.get("id")))


def read_langgraph(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Recording]:
    """The runs in LangGraph's logs and checkpoints. Raises InputError: a file cannot be opened."""
    threads: dict[str, _Thread] = {}
    for file, label in labelled(files):
        if is_sqlite(file):
            for thread_id, state in kept_checkpoints(file, told, on_bytes):
                _take(threads.setdefault(thread_id, _Thread()), state)
        elif not _read(documents([file], told, on_bytes), label, threads, told):
            found, expected = "no messages", "updates or snapshots of a state with messages"
            told(Problem("", found, expected, str(file), level="warning", code="import"))
    for name, thread in threads.items():
        if thread.writer.steps:
            identity = Identity(thread.model or None, agent_system="LangGraph")
            yield Recording(name, "langgraph", "langgraph", "langgraph", name, tuple(thread.writer.steps), identity)


def _read(listed: Iterable[Document], label: str, threads: dict[str, _Thread], told: OnProblem) -> bool:
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
            took |= _take(threads.setdefault(current, _Thread()), value)
    return took or not any_


def _inside(value: Any) -> Mapping[str, Any]:
    """The update or the state in what a stream gives: with its mode or the path of its subgraph before it, as a part
    with type and data, as an event for debugging, or as a kept checkpoint."""
    while isinstance(value, list) and value and isinstance(value[-1], Mapping | list):
        value = value[-1]
    found = mapping(value)
    if isinstance(found.get("data"), Mapping) and isinstance(found.get("type"), str):
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


def _take(thread: _Thread, value: Mapping[str, Any]) -> bool:
    state = mapping(value.get("values")) or mapping(value.get("channel_values"))
    if "messages" in state:
        return thread.take(state["messages"], "", whole_state=True)
    if "messages" in value:
        return thread.take(value["messages"], "", whole_state=True)
    updates = mapping(value.get("update")) or value
    took = [
        thread.take(update["messages"], node, whole_state=False)
        for node, update in updates.items()
        if isinstance(update, Mapping) and "messages" in update
    ]
    return any(took)


def _message(value: Any) -> Mapping[str, Any] | None:
    """A message with its type under `type`, from any of LangChain's forms; None where it is none."""
    if not isinstance(value, Mapping):
        return None
    if value.get("lc") and isinstance(value.get("id"), list) and value["id"]:  # a serialised constructor
        return _typed(word(value["id"][-1]), mapping(value.get("kwargs")))
    if isinstance(value.get("data"), Mapping):  # messages_to_dict
        return _typed(word(value.get("type")), value["data"])
    return _typed(word(value.get("type")) or word(value.get("role")), value)


def _typed(kind: str, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    named = TYPES.get(kind, kind)
    return {**message, "type": named} if named in ("human", "ai", "tool", "system") else None
