"""One thread of LangGraph while its messages come in, from whatever its streams and checkpoints say of it.

A message comes once, however often it is told. It is known by its id, else by its place in the state. Where nodes
return messages without ids, the state gives them some: so a message is also counted by what it says, apart for each
way in which it is told (`way`), and is new only if that way has told it more often than all others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Final

from stepladder.scenarios.importers.documents import parsed
from stepladder.scenarios.importers.writer import Writer, mapping, text_of, whole, word
from stepladder.values import digest

TYPES: Final = {
    "HumanMessage": "human",
    "HumanMessageChunk": "human",
    "AIMessage": "ai",
    "AIMessageChunk": "ai",
    "ToolMessage": "tool",
    "ToolMessageChunk": "tool",
    "SystemMessage": "system",
    "user": "human",
    "assistant": "ai",
}
CHUNK: Final = "AIMessageChunk"
STATE: Final = "state"


class Thread:
    """One run while its messages come in."""

    def __init__(self) -> None:
        self.writer, self.model = Writer(), ""
        self._known = set[str]()
        self._told = defaultdict[str, Counter[str]](Counter)
        self._written = Counter[str]()
        self._pieces: dict[str, _Pieces] = {}

    def take(self, messages: Any, node: str, way: str) -> bool:
        """Take what is new; whether there were messages at all. `way`: where they stood; `STATE` is the whole state."""
        listed = messages if isinstance(messages, list) else [messages]
        found = [message for each in listed if (message := message_of(each)) is not None]
        keys = [self._key(message, place, way) for place, message in enumerate(found)]
        past = max((place for place, key in enumerate(keys) if key in self._known), default=-1)
        for place, (key, message) in enumerate(zip(keys, found, strict=True)):
            if self._is_new(key, message, way):
                if place < past and way != STATE:
                    self._write_late(message, first=place == 0)
                else:
                    self._write(message, node)
        return bool(found)

    def take_piece(self, message: Any, about: Mapping[str, Any]) -> bool:
        """Take a message, or a piece of one, as a stream of tokens gives it."""
        found, node = message_of(message), word(about.get("langgraph_node"))
        if found is None:
            return False
        name = word(found.get("id"))
        if found["said"] != CHUNK or not name:
            self.end()
            return self.take([found], node, "pieces")
        if name not in self._known:
            self._pieces.setdefault(name, _Pieces(node)).add(found)
        return True

    def end(self) -> None:
        """Write what came only in pieces."""
        pieces, self._pieces = self._pieces, {}
        for name, each in pieces.items():
            if name not in self._known:
                self.take([each.message(name)], each.node, "pieces")

    def _key(self, message: Mapping[str, Any], place: int, way: str) -> str:
        name = word(message.get("id"))
        return name or (f"{place} {_saying(message)}" if way == STATE else "")

    def _is_new(self, key: str, message: Mapping[str, Any], way: str) -> bool:
        if key and key in self._known:
            return False
        if key:
            self._known.add(key)
        saying, told = _saying(message), self._told["named" if key else way]
        told[saying] += 1
        if told[saying] <= self._written[saying]:
            return False
        self._written[saying] = told[saying]
        return True

    def _write_late(self, message: Mapping[str, Any], *, first: bool) -> None:
        """Write what is told with what came after it: only how the talk began has a place of its own."""
        steps = self.writer.steps
        if first and message["type"] == "human" and steps and steps[0].kind != "user_message":
            self.writer.began(text_of(message.get("content")))

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
            for call in _calls(message):
                self.writer.called(agent, word(call.get("name"), "unnamed"), call.get("args"), word(call.get("id")))


class _Pieces:
    """A message while its pieces come in."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.text = list[str]()
        self.calls: dict[str, dict[str, str]] = {}
        self.more: dict[str, Any] = {}

    def add(self, piece: Mapping[str, Any]) -> None:
        self.text.append(text_of(piece.get("content")))
        self.more.update({name: piece[name] for name in ("usage_metadata", "response_metadata") if piece.get(name)})
        listed = piece.get("tool_call_chunks")
        for chunk in map(mapping, listed if isinstance(listed, list) else []):
            call = self.calls.setdefault(word(chunk.get("index"), word(chunk.get("id"))), {})
            call["args"] = call.get("args", "") + word(chunk.get("args"))
            call.update({name: word(chunk[name]) for name in ("name", "id") if chunk.get(name)})

    def message(self, name: str) -> dict[str, Any]:
        calls = [{**call, "args": parsed(call.get("args") or "{}")} for call in self.calls.values()]
        return {"type": "ai", "id": name, "content": "".join(self.text), "tool_calls": calls, **self.more}


def _calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    return list(map(mapping, calls if isinstance(calls, list) else []))


def _saying(message: Mapping[str, Any]) -> str:
    calls = [(word(call.get("name")), word(call.get("id")), call.get("args")) for call in _calls(message)]
    return digest(message["type"], text_of(message.get("content")), word(message.get("tool_call_id")), repr(calls))


def message_of(value: Any) -> Mapping[str, Any] | None:
    """A message with its type under `type`, and under `said` as it was named, from any of LangChain's forms; None where
    it is none."""
    if not isinstance(value, Mapping):
        return None
    if value.get("lc") and isinstance(value.get("id"), list) and value["id"]:  # a serialised constructor
        return _typed(word(value["id"][-1]), mapping(value.get("kwargs")))
    if isinstance(value.get("data"), Mapping):  # messages_to_dict
        return _typed(word(value.get("type")), value["data"])
    return _typed(word(value.get("type")) or word(value.get("role")), value)


def _typed(kind: str, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    named = TYPES.get(kind, kind)
    return {**message, "type": named, "said": kind} if named in ("human", "ai", "tool", "system") else None
