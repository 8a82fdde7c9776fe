"""Where the messages of a run stand, and items of OpenAI's Responses API as messages.

    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "..."}]}
    {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"}
    {"type": "function_call_output", "call_id": "c1", "output": "..."}
    {"type": "web_search_call", ...}      a call that the provider makes itself; its result, where it is told, in it
    {"type": "reasoning", ...}            no step: what nobody else saw

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from stepladder.scenarios.importers.blocks import plain
from stepladder.scenarios.importers.writer import mapping, word

LISTS: Final = ("messages", "traj", "items", "history")
CALLED: Final = "_call"
RETURNED: Final = "_call_output"
_ARGUMENTS: Final = ("arguments", "input", "action", "operation", "queries", "code")
_OUTPUTS: Final = ("output", "outputs", "results")


def messages_of(run: Mapping[str, Any]) -> list[Any]:
    """The messages or items of a run: a list of them, or what was asked (`request`, `body`) and what came."""
    for name in LISTS:
        if isinstance(listed := run.get(name), list):
            answered = listed and mapping(listed[-1]).get("role") == "assistant"
            return [*listed, *(() if answered else _answer(run))]
    for name in ("body", "request"):
        if isinstance(run.get(name), Mapping):
            return [*messages_of(run[name]), *_answer(run)]
    asked = run.get("input")
    asked = [{"role": "user", "content": asked}] if isinstance(asked, str) and asked else asked
    return [*(asked if isinstance(asked, list) else []), *_answer(run)]


def model_of(run: Mapping[str, Any]) -> str:
    """The model that a run names, or what was asked or came in it."""
    response = mapping(run.get("response"))
    places = (run, mapping(run.get("body")), mapping(run.get("request")), response, mapping(response.get("body")))
    return next(filter(None, (word(each.get("model")) for each in places)), "")


def _answer(run: Mapping[str, Any]) -> list[Any]:
    """What came back, where it stands beside what was asked: a response or a completion."""
    response = mapping(run.get("response"))
    response = mapping(response.get("body")) or response or run
    if isinstance(response.get("output"), list):
        return list(response["output"])
    choices = response.get("choices")
    first = mapping(choices[0]) if isinstance(choices, list) and choices else {}
    message = mapping(first.get("message"))
    return [{"usage": response.get("usage"), "created": response.get("created"), **message}] if message else []


def as_messages(items: Iterable[Any]) -> list[Mapping[str, Any]]:
    """Items as messages; messages stand as they are, and what is neither has no role."""
    return [message for item in items for message in _as_message(mapping(item))]


def _as_message(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    kind, role = word(item.get("type")), item.get("role")
    call_id = word(item.get("call_id")) or word(item.get("id"))
    if isinstance(role, str) or not kind:
        yield item
    elif kind.endswith(RETURNED):
        yield {"role": "tool", "tool_call_id": call_id, "content": plain(item.get("output"))}
    elif kind.endswith(CALLED):
        name = word(item.get("name")) or kind.removesuffix(CALLED)
        arguments = next((item[each] for each in _ARGUMENTS if item.get(each) is not None), None)
        yield {"role": "assistant", "tool_calls": [{"id": call_id, "name": name, "arguments": arguments}]}
        output = next((item[each] for each in _OUTPUTS if item.get(each)), None)
        error = item.get("error") or item.get("status") == "failed"
        if output is not None or error:
            said = plain(item.get("error") if item.get("error") else output)
            yield {"role": "tool", "tool_call_id": call_id, "content": said, "error": bool(error)}
