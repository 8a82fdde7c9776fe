"""What is sent to a chat completions server, and what each of its answers means."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.llm.errors import (
    BadResponse,
    KeyMissing,
    ModelError,
    RateLimited,
    Refused,
    Rejected,
    SetupError,
    Truncated,
)
from stepladder.llm.openai import OpenAIProvider
from stepladder.llm.provider import ModelReply
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import KEY, OPENAI_OK, RESPONSE_OK, SCHEMA, TEXT, WIRES, ask, changed, request

OK = OPENAI_OK
CHOICE = "choices.0"


def test_one_request_says_everything() -> None:
    asked = request("gpt-5-mini", temperature=0.2, max_output_tokens=77)
    with Loopback(answer(200, OK)) as server:
        ask(OpenAIProvider(api_key=f" {KEY}\n", base_url=f"{server.url}/v1", extra_body={"seed": 7}), asked)
        [sent] = server.requests
    assert sent.line.startswith("POST /v1/chat/completions ")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["x-stainless-retry-count"] == "0"
    assert sent.json == {
        "model": "gpt-5-mini",
        "messages": [{"role": "system", "content": "You decide."}, {"role": "user", "content": "What next?"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "decide", "schema": SCHEMA, "strict": True}},
        "max_completion_tokens": 77,
        "temperature": 0.2,
        "seed": 7,
    }


CALLED = {"type": "function", "function": {"name": "decide", "arguments": TEXT}}
CALLING = changed(
    changed(OK, f"{CHOICE}.message", {"role": "assistant", "content": None, "tool_calls": [CALLED]}),
    f"{CHOICE}.finish_reason",
    "tool_calls",
)
RESPONDING = changed(RESPONSE_OK, "output", [{"type": "function_call", "name": "decide", "arguments": TEXT}])
FUNCTION = {"name": "decide", "strict": True, "parameters": SCHEMA}
FORMS: dict[tuple[Any, Any], tuple[dict[str, Any], dict[str, Any]]] = {
    ("chat", "function"): (
        CALLING,
        {
            "tools": [{"type": "function", "function": FUNCTION}],
            "tool_choice": {"type": "function", "function": {"name": "decide"}},
        },
    ),
    ("chat", "object"): (OK, {"response_format": {"type": "json_object"}}),
    ("chat", "text"): (OK, {}),
    ("responses", "function"): (
        RESPONDING,
        {"tools": [{"type": "function", **FUNCTION}], "tool_choice": {"type": "function", "name": "decide"}},
    ),
    ("responses", "object"): (RESPONSE_OK, {"text": {"format": {"type": "json_object"}}}),
    ("responses", "text"): (RESPONSE_OK, {}),
}


@pytest.mark.parametrize(("wire", "form"), list(FORMS))
def test_an_answer_is_asked_for_in_the_form_that_the_server_knows(wire: Any, form: Any) -> None:
    body, asked = FORMS[wire, form]
    with Loopback(answer(200, body)) as server:
        provider = OpenAIProvider(api_key=KEY, base_url=f"{server.url}/v1", wire=wire, form=form)
        got = ask(provider, request("gpt-5-mini"))
        [sent] = server.requests
    assert {key: sent.json[key] for key in ("response_format", "tools", "tool_choice", "text") if key in sent.json} == (
        asked
    )
    assert isinstance(got, ModelReply)
    assert (got.text, got.repaired) == (TEXT, ()), "a call that was asked for is nothing odd"


def test_a_server_that_answers_in_words_though_a_call_was_asked_for_is_understood() -> None:
    with Loopback(answer(200, OK)) as server:
        provider = OpenAIProvider(api_key=KEY, base_url=f"{server.url}/v1", form="function")
        got = ask(provider, request("gpt-5-mini"))
    assert isinstance(got, ModelReply)
    assert got.text == TEXT


def test_a_form_that_is_none_is_refused() -> None:
    with pytest.raises(SetupError, match="form is 'tool', expected one of schema, function, object, text"):
        OpenAIProvider(api_key=KEY, form="tool")  # type: ignore[arg-type]


def test_a_key_goes_to_no_server_that_it_was_not_given_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("MY_CLAUDE_API_KEY", raising=False)
    with pytest.raises(KeyMissing, match="MY_CLAUDE_API_KEY"):
        OpenAIProvider(name="my-claude", base_url="http://127.0.0.1:9/v1")
    monkeypatch.setenv("MY_CLAUDE_API_KEY", "sk-claude-0123456789")
    with Loopback(answer(200, OK)) as server:
        ask(OpenAIProvider(name="my-claude", base_url=f"{server.url}/v1"), request("claude"))
        [sent] = server.requests
    assert sent.headers["authorization"] == "Bearer sk-claude-0123456789"


def test_what_is_not_given_is_not_sent() -> None:
    with Loopback(answer(200, OK)) as server:
        ask(WIRES["openai"].open(server.url), request(system=""))
        [sent] = server.requests
    assert "temperature" not in sent.json
    assert [message["role"] for message in sent.json["messages"]] == ["user"]


ANSWERS: dict[str, tuple[dict[str, Any], type, dict[str, Any]]] = {
    "success": (OK, ModelReply, {"text": TEXT, "finish": "stop"}),
    "no model named": (changed(OK, "model", None), ModelReply, {"model": "gpt-5-mini"}),
    "spaces in the text are kept": (changed(OK, f"{CHOICE}.message.content", " x\n"), ModelReply, {"text": " x\n"}),
    "length": (changed(OK, f"{CHOICE}.finish_reason", "length"), Truncated, {"output_tokens": 31, "retryable": False}),
    "content filter": (
        changed(OK, f"{CHOICE}.finish_reason", "content_filter"),
        Refused,
        {"reason": "content_filter", "input_tokens": 412, "may_be_billed": False},
    ),
    "refusal": (changed(OK, f"{CHOICE}.message.refusal", "I cannot."), Refused, {"detail": "I cannot."}),
    "tool calls": (changed(OK, f"{CHOICE}.finish_reason", "tool_calls"), BadResponse, {"output_tokens": 31}),
    "unknown finish": (changed(OK, f"{CHOICE}.finish_reason", "eos<b>\n"), BadResponse, {}),
    "no finish": (changed(OK, f"{CHOICE}.finish_reason", None), BadResponse, {}),
    "finish is a number": (changed(OK, f"{CHOICE}.finish_reason", 1), BadResponse, {"output_tokens": 31}),
    "null content": (changed(OK, f"{CHOICE}.message.content", None), BadResponse, {"output_tokens": 31}),
    "empty content": (changed(OK, f"{CHOICE}.message.content", ""), BadResponse, {}),
    "content in parts": (changed(OK, f"{CHOICE}.message.content", [{"text": "x"}]), BadResponse, {"output_tokens": 31}),
    "no message": (changed(OK, f"{CHOICE}.message", ...), BadResponse, {}),
    "no choices": (changed(OK, "choices", []), BadResponse, {"input_tokens": 412}),
    "null choices": (changed(OK, "choices", None), BadResponse, {"input_tokens": 412}),
    "choices missing": (changed(OK, "choices", ...), BadResponse, {}),
    "choices is a word": (changed(OK, "choices", "none"), BadResponse, {}),
    "an error beside choices": (changed(OK, "error", {"message": "boom"}), BadResponse, {"input_tokens": 412}),
    "null error": (changed(OK, "error", None), ModelReply, {}),
    "no usage": (changed(OK, "usage", ...), ModelReply, {"usage_known": False, "cost_usd": None, "input_tokens": 0}),
    "null usage": (changed(OK, "usage.prompt_tokens", None), ModelReply, {"usage_known": False, "output_tokens": 0}),
    "usage in strings": (changed(OK, "usage.prompt_tokens", "412"), ModelReply, {"input_tokens": 412}),
    "usage in floats": (changed(OK, "usage.prompt_tokens", 412.0), ModelReply, {"input_tokens": 412}),
    "negative usage": (changed(OK, "usage.prompt_tokens", -1), ModelReply, {"usage_known": False}),
    "hidden thinking": (changed(OK, "usage.total_tokens", 612), ModelReply, {"output_tokens": 200}),
    "no usage, no text": (changed(changed(OK, "usage", ...), "choices", []), BadResponse, {"may_be_billed": True}),
}


@pytest.mark.parametrize("row", ANSWERS.values(), ids=list(ANSWERS))
def test_an_answer_is_a_reply_or_says_why_not(row: tuple[dict[str, Any], type, dict[str, Any]]) -> None:
    body, kind, fields = row
    with Loopback(answer(200, body)) as server:
        got = ask(WIRES["openai"].open(server.url), request("gpt-5-mini"))
        assert len(server.requests) == 1
    assert type(got) is kind, got
    assert {name: getattr(got, name) for name in fields} == fields


NAMED: dict[str, tuple[int, dict[str, Any], type[ModelError], dict[str, Any]]] = {
    "money is gone": (429, {"code": "insufficient_quota"}, Rejected, {"reason": "quota", "retryable": False}),
    "quota by type": (429, {"code": None, "type": "insufficient_quota"}, Rejected, {"reason": "quota"}),
    "a limit": (429, {"code": "rate_limit_exceeded", "type": "tokens"}, RateLimited, {"retryable": True}),
    "prompt too long": (400, {"code": "context_length_exceeded"}, Rejected, {"reason": "too_large"}),
    "prompt filtered": (400, {"code": "content_filter"}, Refused, {"reason": "content_filter"}),
    "no such model": (400, {"code": "model_not_found"}, Rejected, {"reason": "not_found"}),
    "key invalid": (400, {"code": "invalid_api_key"}, Rejected, {"reason": "auth"}),
    "odd types": (400, {"code": ["x"], "type": 7, "message": {}}, Rejected, {"reason": "bad_request"}),
}


@pytest.mark.parametrize("row", NAMED.values(), ids=list(NAMED))
def test_an_error_object_says_more_than_its_status(row: tuple[int, dict[str, Any], type, dict[str, Any]]) -> None:
    status, error, kind, fields = row
    with Loopback(answer(status, {"error": {"message": "m", **error}})) as server:
        got = ask(WIRES["openai"].open(server.url), request())
    assert type(got) is kind, got
    assert {name: getattr(got, name) for name in fields} == fields


def test_models_of_another_server_are_not_priced_as_the_originals() -> None:
    with Loopback(answer(200, OK)) as server:
        url = f"{server.url}/v1"
        plain = ask(OpenAIProvider(api_key=KEY, base_url=url), request("gpt-5-mini"))
        own = {"openai:gpt-5-mini": (10.0, 20.0)}
        priced = ask(OpenAIProvider(api_key=KEY, base_url=url, prices=own), request("gpt-5-mini"))
    assert isinstance(plain, ModelReply)
    assert isinstance(priced, ModelReply)
    assert plain.cost_usd is None
    assert priced.cost_usd == pytest.approx((412 * 10 + 31 * 20) / 1e6)


def test_the_key_and_the_server_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(answer(200, OK)) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        assert isinstance(ask(OpenAIProvider(), request()), ModelReply)
        assert server.requests[0].headers["authorization"] == "Bearer sk-from-environment"


@pytest.mark.parametrize("key", ["", "  ", "sk-söme", "sk-a\nb", "two words"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(KeyMissing, match="OPENAI_API_KEY") as caught:
        OpenAIProvider(api_key=key)
    assert not key.strip() or key not in str(caught.value)
