"""Chat-message trajectories: messages in the form of OpenAI's chat completions.

One document is one run, in any of these shapes, which are told apart by their keys:

    [{"role": ...}, ...]                                   the messages themselves
    {"messages": [...], "id": ..., "model": ..., ...}      with what is known beside them
    {"task_id": 3, "trial": 0, "reward": 1.0, "traj": [...], "info": {...}}      tau-bench's results
    {"simulations": [{"messages": [...], "reward_info": {"reward": 1.0}, ...}], "info": {...}}   tau2-bench's
    {"input": [...], "output": [...], ...}                 items of OpenAI's Responses API (`responses`)
    {"custom_id": ..., "response": {"body": ...}}          a line of a batch: what was asked, or what came

A system message is no step. A tool's message failed where it says so (`error: true`), or where its text begins with
`Error`, as tau-bench's tools write it. Agents of tau-bench that are given no tools say what they call (strategies
`react` and `act`: `Action:` and a call as JSON), and are answered in the user's name (`API output: `); these are calls
and results too, and an action `respond` is a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stepladder.scenarios.importers.blocks import Result, calls_in, results_in, text_in
from stepladder.scenarios.importers.documents import Document, documents, parsed
from stepladder.scenarios.importers.responses import as_messages, messages_of, model_of
from stepladder.scenarios.importers.writer import Writer, mapping, moment, number, text_of, whole, word
from stepladder.scenarios.recording import Afterwards, Identity, Outcome, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem

SOLVED: Final = 1 - 1e-6
"""From this reward on tau-bench counts a run as a success."""

ERROR: Final = "Error"
TIMES: Final = ("timestamp", "created_at", "created", "ts")
ACTION: Final = "Action:"
OUTPUT: Final = "API output: "
RESPOND: Final = "respond"
WORDS: Final = "the call in words"
"""What the newest call of such an agent is known by: each is answered at once."""


def read_chat(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Recording]:
    """The runs in files of chat messages. Raises InputError: a file cannot be opened."""
    for document in documents(files, told, on_bytes):
        for place, (run, about) in enumerate(_runs(document.value)):
            found = _recording(run, about, document, place)
            if isinstance(found, str):
                told(document.problem(found, "a run with messages that have a role"))
            else:
                yield found


def _runs(value: Any) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The runs of a document, and what is said of all of them."""
    if isinstance(value, list):
        return [({"messages": value}, {})]
    if isinstance(value, Mapping) and isinstance(value.get("simulations"), list):
        return [(mapping(each), mapping(value.get("info"))) for each in value["simulations"]]
    return [(mapping(value), {})]


def _recording(run: Mapping[str, Any], about: Mapping[str, Any], document: Document, place: int) -> Recording | str:
    messages = as_messages(messages_of(run))
    if not messages:
        return "no messages"
    if not all(isinstance(each.get("role"), str) for each in messages):
        return "a message without a role"
    writer = Writer()
    write = write_in_words if any(map(_is_output, messages)) else write_message
    for message in messages:
        write(writer, message)
    if not writer.steps:
        return "no message but the system's"
    task, trial = word(run.get("task_id")), whole(run.get("trial"))
    domain = word(mapping(about.get("environment_info")).get("domain_name")) or word(run.get("domain"), "chat")
    name = word(run.get("id")) or word(run.get("custom_id")) or f"{document.name}:{document.number}:{place}"
    reward = number(mapping(run.get("reward_info")).get("reward", run.get("reward")))
    model = word(mapping(about.get("agent_info")).get("llm")) or model_of(run)
    outcome = Outcome(_success(run, reward), reward, word(run.get("termination_reason")) or None)
    return Recording(
        name,
        word(run.get("source"), "chat"),
        f"chat/{domain}",
        domain,
        f"{domain}:{task}" if task else name,
        tuple(writer.steps),
        Identity(
            model or None, word(mapping(about.get("user_info")).get("llm")) or None, task_id=task or None, trial=trial
        ),
        Afterwards(outcome),
    )


def _success(run: Mapping[str, Any], reward: float | None) -> bool | None:
    said = run.get("success")
    if isinstance(said, bool):
        return said
    return None if reward is None else reward >= SOLVED


def write_message(writer: Writer, message: Mapping[str, Any]) -> None:
    """One message as steps: what was returned and what is said first, then each call."""
    role, text = message["role"], text_in(message) or text_of(message.get("refusal"))
    usage = mapping(message.get("usage"))
    more: dict[str, Any] = {
        "tokens": whole(usage.get("completion_tokens", usage.get("output_tokens"))),
        "prompt_tokens": whole(usage.get("prompt_tokens", usage.get("input_tokens"))),
        "cost": number(message.get("cost")),
        "ts": next(filter(None, (moment(message.get(name)) for name in TIMES)), None),
    }
    results, calls = results_in(message), calls_in(message)
    if role in ("system", "developer"):
        return
    if role in ("tool", "function"):
        _write_result(writer, message, text, results, more["ts"])
        return
    for call_id, returned, tool, failed in results:  # as Anthropic has them, in the user's name
        error = failed if failed is not None else returned.startswith(ERROR)
        writer.returned(returned, error=error, call_id=call_id, tool=tool, ts=more["ts"])
    agent = "user" if role == "user" else word(message.get("name")) or "assistant"
    if role == "user" and (text or not (calls or results)):
        writer.asked(text, **more)
    elif role != "user":
        writer.said(agent, text, **more)
    for call in calls:
        writer.called(agent, call.name, call.arguments, call.id, ts=more["ts"])


def _write_result(
    writer: Writer, message: Mapping[str, Any], text: str, results: tuple[Result, ...], ts: str | None
) -> None:
    """A tool's message; one that holds several messages (tau2-bench) or results gives as many."""
    several = message.get("tool_messages")
    for each in several if isinstance(several, list) else []:
        if isinstance(each, Mapping):
            write_message(writer, {"timestamp": ts, **each, "role": "tool"})
    said = message.get("error")
    call_id = word(message.get("tool_call_id")) or word(message.get("id"))
    alone = Result(call_id, text, word(message.get("name")), said if isinstance(said, bool) else None)
    for one in results or (() if isinstance(several, list) else (alone,)):
        error = one.failed if one.failed is not None else one.text.startswith(ERROR)
        writer.returned(one.text, error=error, call_id=one.id, tool=one.tool, ts=ts)


def _is_output(message: Mapping[str, Any]) -> bool:
    return message["role"] == "user" and text_of(message.get("content")).startswith(OUTPUT)


def write_in_words(writer: Writer, message: Mapping[str, Any]) -> None:
    """One message of an agent that says its calls, and of who answers it."""
    role, text = message["role"], text_of(message.get("content"))
    if _is_output(message):
        output = text.removeprefix(OUTPUT)
        writer.returned(output, error=output.startswith("Error"), call_id=WORDS)
        return
    thought, _, said = text.rpartition(ACTION)
    action = mapping(parsed(said.strip()))
    name, arguments = word(action.get("name")), action.get("arguments")
    if role != "assistant" or not name:
        write_message(writer, message)
    elif name == RESPOND:
        writer.said(role, text_of(mapping(arguments).get("content")))
    else:
        writer.called(role, name, {} if arguments is None else arguments, WORDS, text=thought.strip())
