"""Magentic-One's logs with the orchestrator's ledger: as the Who&When data set publishes them (one run a document), or
as the system itself writes them (an event a line, one run a file; a list of events is the same).

    {"question_ID": ..., "history": [{"role": "Orchestrator (-> WebSurfer)", "content": "..."}, ...],
     "mistake_step": "12", "mistake_agent": "WebSurfer", ...}
    {"timestamp": ..., "source": "Orchestrator (-> WebSurfer)", "message": "...", "type": "OrchestrationEvent"}

Roles of the orchestrator: `(thought)` is what it says to itself, ledgers among them; `(-> NAME)` hands over to an
agent, whose next words are the result of that. AutoGen 0.4 (its results, kept states and events, and Magentic-UI's
sessions) does not say whom it asks: there everybody's words are messages, and tools of an agent's own are calls and
results. A ledger is the JSON after `Updated Ledger:`, or a message that is one; its flags
is_request_satisfied, is_in_loop and is_progress_being_made go with the step. Events of other types (calls of models,
clicks of the browser) are no steps. Logs of CaptainAgent have `name` beside
the role; there every message is an agent's, and those of Computer_terminal are results of code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from stepladder.scenarios.importers.documents import Document, documents, parsed
from stepladder.scenarios.importers.writer import Writer, mapping, moment, text_of, whole, word
from stepladder.scenarios.recording import Afterwards, Failure, Identity, Outcome, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem

FLAGS: Final = ("is_request_satisfied", "is_in_loop", "is_progress_being_made")
TERMINAL: Final = "Computer_terminal"
PEOPLE: Final = ("human", "user", "UserProxy")
ORCHESTRATORS: Final = ("Orchestrator", "MagenticOneOrchestrator")
TOLD: Final = ("OrchestrationEvent", "AgentEvent", "TextMessage", "MultiModalMessage", "StopMessage", "HandoffMessage")
"""Events in which somebody says something; those of older logs have no type."""
CALLS: Final = "ToolCallRequestEvent"
RESULTS: Final = "ToolCallExecutionEvent"
SILENT: Final = ("Message", "MessageDropped", "LLMCall", "LLMStreamStart", "LLMStreamEnd", "ToolCall")
"""What AutoGen's core logs beside them."""
_ROLE: Final = re.compile(r"(?P<agent>\w[^()]*?)\s*\((?P<aside>[^)]*)\)")
_HANDS: Final = re.compile(r"->\s*(?P<to>\w.*?)\s*$")
_EXIT: Final = re.compile(r"exitcode:\s*(\d+)")


def read_magentic_one(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Recording]:
    """The runs in logs of Magentic-One. Raises InputError: a file cannot be opened."""
    events: list[Document] = []
    for document in documents(files, told, on_bytes):
        if events and events[0].file != document.file:
            yield from _of_log(events)
            events = []
        if _is_event(document.value):
            events.append(document)
            continue
        found = _recording(mapping(document.value), document)
        if isinstance(found, str):
            told(document.problem(found, "a run with a history of messages that have role and content"))
        else:
            yield found
    yield from _of_log(events)


def _is_event(value: Any) -> bool:
    """Whether it is a line of a log: something that a source said, or an event of any type."""
    line = mapping(value)
    said = isinstance(line.get("source"), str) and ("message" in line or "content" in line)
    kind = word(line.get("type"))
    return "history" not in line and (said or kind.endswith("Event") or kind in SILENT)


def _of_log(events: list[Document]) -> Iterator[Recording]:
    """The run that the events of one file are; none where nobody said anything."""
    said = [each.value for each in events if _tells(each.value)]
    if said:
        parts = events[0].file.absolute().parts[-3:]
        run = {"history": said, "task_id": parts[0] if parts[1].isdigit() else "/".join(parts)}
        found = _recording(run, events[0])
        if not isinstance(found, str):
            yield replace(found, run_id="/".join(parts))


def _tells(event: Mapping[str, Any]) -> bool:
    return word(event.get("type"), TOLD[0]) in (*TOLD, CALLS, RESULTS) and "source" in event


def _history(run: Mapping[str, Any]) -> Any:
    """The messages of a run, or of the orchestrator's kept state; those of Magentic-UI each under `config`."""
    states = [mapping(each).get("message_thread") for each in mapping(run.get("agent_states")).values()]
    history = run.get("history", run.get("messages", max(filter(None, states), key=len, default=None)))
    listed = history if isinstance(history, list) else []
    listed = [each["config"] if isinstance(mapping(each).get("config"), Mapping) else each for each in listed]
    return [each for each in listed if not isinstance(each, Mapping) or "source" not in each or _tells(each)]


def _recording(run: Mapping[str, Any], document: Document) -> Recording | str:
    history = _history(run)
    if not history or not all(isinstance(each, Mapping) for each in history):
        return "no history"
    writer = Writer()
    ledger = not any("name" in each for each in history)
    handed = any(_HANDS.search(word(each.get("role")) or word(each.get("source"))) for each in history)
    for message in history:
        _write(writer, message, ledger=ledger, handed=handed)
    if not writer.steps:
        return "no message that says anything"
    task = word(run.get("question_ID")) or word(run.get("task_id")) or document.file.stem
    correct = run.get("is_correct", run.get("is_corrected"))
    step = whole(run.get("mistake_step"))
    failure = Failure(step, word(run.get("mistake_agent")) or None, reason=word(run.get("mistake_reason")) or None)
    success = correct if isinstance(correct, bool) else (False if step is not None else None)
    return Recording(
        f"{document.name}:{document.number}",
        "magentic-one" if ledger else "captain-agent",
        "magentic-one/ledger" if ledger else "magentic-one/chat",
        "magentic-one",
        task,
        tuple(writer.steps),
        Identity(agent_system="Magentic-One" if ledger else "CaptainAgent", task_id=task),
        Afterwards(Outcome(success), failure if step is not None else None),
    )


def _write(writer: Writer, message: Mapping[str, Any], *, ledger: bool, handed: bool) -> None:
    content = message.get("content", message.get("message"))
    text = text_of(mapping(content).get("content", content))
    role = word(message.get("role")) or word(message.get("source"), "agent")
    ts = moment(message.get("timestamp")) or moment(message.get("created_at"))
    name = word(message.get("name")) or role
    if not ledger:
        _write_chat(writer, name, text)
        return
    aside = _ROLE.fullmatch(role)
    if message.get("type") in (CALLS, RESULTS):
        _write_calls(writer, role, content, ts)
    elif role in PEOPLE:
        writer.asked(text, ts=ts)
    elif aside and (hands := _HANDS.search(aside["aside"])):
        writer.called(aside["agent"], hands["to"], text, kind="handoff", text=text, ts=ts)
    elif aside or role in ORCHESTRATORS:
        writer.said(aside["agent"] if aside else role, text or "-", signals=flags_of(text), ts=ts)
    elif handed:
        writer.returned(text, error=None, tool=role, agent=role, ts=ts)
    else:  # AutoGen's own messages do not say who was asked
        writer.said(role, text or "-", ts=ts)


def _write_calls(writer: Writer, agent: str, content: Any, ts: str | None) -> None:
    """The calls of an agent's own tools, or their results, as AutoGen's agents tell of them."""
    for each in map(mapping, content if isinstance(content, list) else []):
        if "call_id" in each:
            error = each.get("is_error")
            said, call_id = text_of(each.get("content")), word(each.get("call_id"))
            writer.returned(said, error=error if isinstance(error, bool) else None, call_id=call_id, ts=ts)
        elif "name" in each:
            writer.called(
                agent, word(each.get("name"), "unnamed"), parsed(each.get("arguments")), word(each.get("id")), ts=ts
            )


def _write_chat(writer: Writer, name: str, text: str) -> None:
    if name == TERMINAL:
        code = _EXIT.search(text[:200])
        writer.returned(text, error=None if code is None else code[1] != "0", tool="code", agent=name)
    elif "```" in text:
        writer.called(name, "code", text.split("```")[1], text=text)
    else:
        writer.said(name, text or "-")


def flags_of(text: str) -> dict[str, bool | None]:
    """The flags of the ledger in a text; none where it holds none."""
    _, found, after = text.partition("Updated Ledger:")
    after = after if found else text
    if not found and not any(name in text for name in FLAGS):
        return {}
    try:
        ledger = json.loads(after[after.index("{") : after.rindex("}") + 1])
    except (ValueError, RecursionError):
        return {}
    answers = {name: mapping(mapping(ledger).get(name)).get("answer") for name in FLAGS}
    return {name: answer for name, answer in answers.items() if isinstance(answer, bool)}
