"""What is sent to generateContent, and what each of its answers means."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from stepladder.llm.errors import (
    BadResponse,
    KeyMissing,
    RateLimited,
    Refused,
    Rejected,
    SetupError,
    Truncated,
    Unavailable,
)
from stepladder.llm.google import GoogleProvider
from stepladder.llm.provider import ModelReply
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import GOOGLE_OK, KEY, SCHEMA, TEXT, WIRES, ask, changed, request

OK = GOOGLE_OK
MODEL = "gemini-2.5-flash-lite"
FIRST = "candidates.0"
PARTS = f"{FIRST}.content.parts"


def test_one_request_says_everything() -> None:
    with Loopback(answer(200, OK)) as server:
        ask(WIRES["google"].open(server.url), request(MODEL, temperature=0.2, max_output_tokens=77))
        [sent] = server.requests
    assert sent.line.split()[1].endswith(f"/models/{MODEL}:generateContent")
    assert sent.headers["x-goog-api-key"] == KEY
    assert sent.json["contents"] == [{"parts": [{"text": "What next?"}], "role": "user"}]
    assert sent.json["systemInstruction"]["parts"] == [{"text": "You decide."}]
    assert sent.json["generationConfig"] == {
        "temperature": 0.2,
        "maxOutputTokens": 77,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


ANSWERS: dict[str, tuple[dict[str, Any], type, dict[str, Any]]] = {
    "success": (OK, ModelReply, {"text": TEXT, "finish": "STOP", "request_id": "resp-1"}),
    "parts are joined, thoughts are not": (
        changed(OK, PARTS, [{"text": "hm", "thought": True}, {"text": "a "}, {"text": "b"}]),
        ModelReply,
        {"text": "a b"},
    ),
    "max tokens": (changed(OK, f"{FIRST}.finishReason", "MAX_TOKENS"), Truncated, {"output_tokens": 31}),
    "continuation": (
        changed(changed(OK, f"{FIRST}.finishReason", "CONTINUATION"), f"{FIRST}.continuationToken", "dG9rZW4="),
        Truncated,
        {"output_tokens": 31},
    ),
    "safety": (changed(OK, f"{FIRST}.finishReason", "SAFETY"), Refused, {"reason": "SAFETY", "input_tokens": 412}),
    "recitation": (changed(OK, f"{FIRST}.finishReason", "RECITATION"), Refused, {"reason": "RECITATION"}),
    "malformed call": (changed(OK, f"{FIRST}.finishReason", "MALFORMED_FUNCTION_CALL"), BadResponse, {}),
    "unknown finish": (changed(OK, f"{FIRST}.finishReason", "BORED"), BadResponse, {"output_tokens": 31}),
    "no finish": (changed(OK, f"{FIRST}.finishReason", ...), BadResponse, {}),
    "no parts": (changed(OK, PARTS, ...), BadResponse, {"output_tokens": 31}),
    "null parts": (changed(OK, PARTS, None), BadResponse, {}),
    "only a call": (changed(OK, PARTS, [{"functionCall": {"name": "f"}}]), BadResponse, {"output_tokens": 31}),
    "text is a number": (changed(OK, PARTS, [{"text": 7}]), BadResponse, {"output_tokens": 31}),
    "no content": (changed(OK, f"{FIRST}.content", None), BadResponse, {}),
    "no candidates": (changed(OK, "candidates", []), BadResponse, {"input_tokens": 412}),
    "candidates missing": (changed(OK, "candidates", ...), BadResponse, {}),
    "prompt blocked": (
        {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
        },
        Refused,
        {"reason": "PROHIBITED_CONTENT", "input_tokens": 9},
    ),
    "error in a list in a 200": (changed(OK, "error", {"code": 503, "message": "x"}), Unavailable, {"status": 503}),
    "no usage": (changed(OK, "usageMetadata", ...), ModelReply, {"usage_known": False, "cost_usd": None}),
    "null usage": (changed(OK, "usageMetadata.promptTokenCount", None), ModelReply, {"usage_known": False}),
    "thinking is written": (
        changed(changed(OK, "usageMetadata.thoughtsTokenCount", 100), "usageMetadata.totalTokenCount", 543),
        ModelReply,
        {"output_tokens": 131},
    ),
    "hidden thinking": (changed(OK, "usageMetadata.totalTokenCount", 543), ModelReply, {"output_tokens": 131}),
    "only a total": (
        changed(OK, "usageMetadata", {"promptTokenCount": 412, "totalTokenCount": 443}),
        ModelReply,
        {"output_tokens": 31},
    ),
    "a known price": (OK, ModelReply, {"cost_usd": pytest.approx(412 * 0.1e-6 + 31 * 0.4e-6)}),
}


@pytest.mark.parametrize("row", ANSWERS.values(), ids=list(ANSWERS))
def test_an_answer_is_a_reply_or_says_why_not(row: tuple[dict[str, Any], type, dict[str, Any]]) -> None:
    body, kind, fields = row
    with Loopback(answer(200, body)) as server:
        got = ask(WIRES["google"].open(server.url), request(MODEL))
        assert len(server.requests) == 1
    assert type(got) is kind, got
    assert {name: getattr(got, name) for name in fields} == fields


def error(status: str = "", **details: Any) -> dict[str, Any]:
    return {"error": {"message": "m", "status": status, "details": [details] if details else []}}


NAMED: dict[str, tuple[int, Any, type, dict[str, Any]]] = {
    "invalid key is a 400": (400, error("INVALID_ARGUMENT", reason="API_KEY_INVALID"), Rejected, {"reason": "auth"}),
    "wait from the body": (429, error("RESOURCE_EXHAUSTED", retryDelay="36s"), RateLimited, {"retry_after_s": 36.0}),
    "wait in fractions": (429, error(retryDelay="0.5s"), RateLimited, {"retry_after_s": 0.5}),
    "wait unreadable": (429, error(retryDelay="soon"), RateLimited, {"retry_after_s": None}),
    "per day": (
        429,
        error(violations=[{"quotaId": "GenerateRequestsPerDayPerProject"}], retryDelay="36s"),
        Rejected,
        {"reason": "daily_quota", "retryable": False},
    ),
    "per minute": (429, error(violations=[{"quotaId": "RequestsPerMinute"}]), RateLimited, {"retryable": True}),
    "odd types": (
        400,
        {"error": {"details": [7, {"violations": "x"}], "status": {}}},
        Rejected,
        {"reason": "bad_request"},
    ),
    "wrapped in a list": (400, [error("X", reason="API_KEY_INVALID")], Rejected, {"reason": "auth"}),
}


@pytest.mark.parametrize("row", NAMED.values(), ids=list(NAMED))
def test_an_error_object_says_more_than_its_status(row: tuple[int, Any, type, dict[str, Any]]) -> None:
    status, body, kind, fields = row
    with Loopback(answer(status, body)) as server:
        got = ask(WIRES["google"].open(server.url), request(MODEL))
    assert type(got) is kind, got
    assert {name: getattr(got, name) for name in fields} == fields


def called(*made: tuple[str, Any], **more: Any) -> dict[str, Any]:
    """A good answer of which the parts are calls, by name and arguments (..., for none)."""
    calls = [{"name": name, **({} if args is ... else {"args": args}), **more} for name, args in made]
    return changed(OK, PARTS, [{"functionCall": each} for each in calls])


DECIDED = {"action": "RETRY", "confidence": 0.9, "reason": "größer – 👍"}
CALL = {"functionCall": {"name": "decide", "args": DECIDED}}
TWICE = b'{"name": "decide", "args": {"action": "RETRY", "confidence": 0.9, "confidence": 0.1}}'
FINISH = f"{FIRST}.finishReason"


def twice(stream: bool = False) -> bytes:
    whole = json.dumps(called(("decide", DECIDED))).encode()
    raw = whole.replace(json.dumps(CALL["functionCall"]).encode(), TWICE)
    assert raw != whole
    return b"data: " + raw + b"\n\n" if stream else raw


def streamed(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in chunks)


def chunk(*parts: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **candidate}]}


SNAKE = re.compile(r"_([a-z])(?=[a-z_]*\":)")
"""The SDK spells some names with underscores, which is the same to a server of Google's (ProtoJSON)."""
FORMS: dict[Any, tuple[dict[str, Any], dict[str, Any]]] = {
    "schema": ({"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}, {}),
    "function": (
        {},
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "decide", "description": "Hands in the answer.", "parametersJsonSchema": SCHEMA}
                    ]
                }
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["decide"]}},
        },
    ),
    "object": ({"responseMimeType": "application/json"}, {}),
    "text": ({}, {}),
}


@pytest.mark.parametrize("vertexai", [False, True], ids=["gemini", "vertex"])
@pytest.mark.parametrize("form", list(FORMS))
def test_an_answer_is_asked_for_in_the_form_that_was_chosen(form: Any, vertexai: bool) -> None:
    config, tools = FORMS[form]
    body = called(("decide", DECIDED)) if form == "function" else OK
    with Loopback(answer(200, body)) as server:
        provider = GoogleProvider(api_key=KEY, base_url=server.url, vertexai=vertexai, form=form)
        got = ask(provider, request(MODEL, max_output_tokens=77))
        [sent] = server.requests
    assert sent.json["generationConfig"] == {"maxOutputTokens": 77, **config}
    found = {key: sent.json[key] for key in ("tools", "toolConfig") if key in sent.json}
    assert json.loads(SNAKE.sub(lambda each: each[1].upper(), json.dumps(found))) == tools
    assert isinstance(got, ModelReply), got
    assert got.repaired == (), "a call that was asked for is nothing odd"
    assert json.loads(got.text) == (DECIDED if form == "function" else json.loads(TEXT))


def test_a_form_that_is_none_is_refused() -> None:
    with pytest.raises(SetupError, match="form is 'tool', expected one of schema, function, object, text"):
        GoogleProvider(api_key=KEY, form="tool")  # type: ignore[arg-type]


CALLS: dict[str, tuple[Any, type, str]] = {
    "the call": (called(("decide", DECIDED)), ModelReply, ""),
    "with a signature": (changed(OK, PARTS, [{**CALL, "thoughtSignature": "c2ln"}]), ModelReply, ""),
    "after a thought": (changed(OK, PARTS, [{"text": "hm", "thought": True}, CALL]), ModelReply, ""),
    "beside prose": (changed(OK, PARTS, [{"text": "I would RETRY."}, CALL]), ModelReply, ""),
    "beside the same": (changed(OK, PARTS, [{"text": json.dumps(DECIDED)}, CALL]), ModelReply, ""),
    "the same twice": (called(("decide", DECIDED), ("decide", DECIDED)), ModelReply, ""),
    "in words": (OK, ModelReply, ""),
    "beside another answer": (
        changed(OK, PARTS, [CALL, {"text": 'So: {"action": "STOP"}'}]),
        BadResponse,
        "says something else",
    ),
    "two that differ": (called(("decide", DECIDED), ("decide", {"action": "STOP"})), BadResponse, "2 calls"),
    "another name": (called(("RETRY", DECIDED)), BadResponse, "1 calls (RETRY)"),
    "another name beside": (called(("decide", DECIDED), ("search", {})), BadResponse, "(decide, search)"),
    "no name": (changed(OK, PARTS, [{"functionCall": {"args": DECIDED}}]), BadResponse, "1 calls"),
    "no arguments": (called(("decide", ...)), BadResponse, "without arguments"),
    "null for arguments": (called(("decide", None)), BadResponse, "without arguments"),
    **{
        f"{args!r} for arguments": (called(("decide", args)), BadResponse, "Expected `object | null`")
        for args in (json.dumps(DECIDED), [DECIDED], 7, True)
    },
    "a name that is none": (called((7, DECIDED)), BadResponse, "Expected `str`"),  # type: ignore[arg-type]
    "in a thought": (changed(OK, PARTS, [{**CALL, "thought": True}]), BadResponse, "no text"),
    "not to its end": (called(("decide", DECIDED), willContinue=True), BadResponse, "rest is missing"),
    "only announced": (called(("decide", ...), partialArgs=[{"jsonPath": "$.action"}]), BadResponse, "arguments"),
    "a key twice": (twice(), BadResponse, "a key twice"),
    "a key twice in a stream": (twice(stream=True), BadResponse, "a key twice"),
    **{
        f"and {finish}": (changed(called(("decide", DECIDED)), FINISH, finish), BadResponse, finish)
        for finish in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "OTHER")
    },
    "and SAFETY": (changed(called(("decide", DECIDED)), FINISH, "SAFETY"), Refused, "SAFETY"),
    "and MAX_TOKENS": (changed(called(("decide", DECIDED)), FINISH, "MAX_TOKENS"), Truncated, "MAX_TOKENS"),
    "no finish": (changed(called(("decide", DECIDED)), FINISH, ...), BadResponse, "finish reason None"),
    "streamed": (streamed(chunk({"text": "I "}), chunk(CALL), chunk(finishReason="STOP")), ModelReply, ""),
    "streamed, no finish": (streamed(chunk(CALL)), BadResponse, "no finish reason"),
    "streamed, malformed": (
        streamed(chunk(CALL), chunk(finishReason="MALFORMED_FUNCTION_CALL")),
        BadResponse,
        "MALFORMED_FUNCTION_CALL",
    ),
    "streamed, two that differ": (
        streamed(chunk(CALL), chunk({"functionCall": {"name": "decide", "args": {}}}, finishReason="STOP")),
        BadResponse,
        "2 calls",
    ),
}


@pytest.mark.parametrize("row", CALLS.values(), ids=list(CALLS))
def test_a_call_is_a_reply_or_says_why_not(row: tuple[Any, type, str]) -> None:
    body, kind, said = row
    stream = isinstance(body, bytes) and body.startswith(b"data:")
    headers = {"content_type": "text/event-stream"} if stream else {}
    with Loopback(answer(200, body, **headers)) as server:
        got = ask(GoogleProvider(api_key=KEY, base_url=server.url, form="function"), request(MODEL))
        assert len(server.requests) == 1
    assert type(got) is kind, got
    if isinstance(got, ModelReply):
        assert json.loads(got.text)["action"] == "RETRY"
    else:
        assert said in got.detail, got.detail


def test_aiohttp_being_installed_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.genai._api_client.has_aiohttp", True)
    with Loopback(answer(500, error())) as server:
        got = ask(WIRES["google"].open(server.url), request(MODEL))
        assert len(server.requests) == 1
    assert not isinstance(got, ModelReply)


def test_vertex_sends_the_token_and_the_place() -> None:
    with Loopback(answer(200, OK)) as server:
        provider = GoogleProvider(
            vertexai=True,
            project="p",
            location="europe-west4",
            credentials=Credentials(token="ya29.token-of-a-test"),
            base_url=server.url,
        )
        got = ask(provider, request(MODEL))
        [sent] = server.requests
    assert isinstance(got, ModelReply)
    assert f"/projects/p/locations/europe-west4/publishers/google/models/{MODEL}:generateContent" in sent.line
    assert sent.headers["authorization"] == "Bearer ya29.token-of-a-test"
    assert "x-goog-api-key" not in sent.headers


def test_a_token_that_cannot_be_had_is_rejected_and_nothing_is_sent() -> None:
    with Loopback(answer(200, OK)) as server:
        place = {"project": "p", "location": "europe-west4", "base_url": server.url}
        got = ask(GoogleProvider(vertexai=True, credentials=AnonymousCredentials(), **place), request(MODEL))
        assert server.requests == []
    assert isinstance(got, Rejected)
    assert (got.reason, got.status, got.may_be_billed) == ("auth", None, False)


HOSTS: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "a region": ({"location": "europe-west4"}, {}, "https://europe-west4-aiplatform.googleapis.com"),
    "the region of the environment": (
        {},
        {"GOOGLE_CLOUD_LOCATION": "asia-east1"},
        "https://asia-east1-aiplatform.googleapis.com",
    ),
    "global": ({"location": "global"}, {}, "https://aiplatform.googleapis.com"),
    "no region": ({}, {}, "https://aiplatform.googleapis.com"),
    "a continent": ({"location": "eu"}, {}, "https://aiplatform.eu.rep.googleapis.com"),
    "mutual TLS": (
        {"location": "europe-west4"},
        {"GOOGLE_API_USE_MTLS_ENDPOINT": "always"},
        "https://europe-west4-aiplatform.mtls.googleapis.com",
    ),
    "a gateway": ({"location": "europe-west4", "base_url": "https://gate.test/x"}, {}, "https://gate.test/x"),
    "the environment's gateway": (
        {"location": "europe-west4"},
        {"GOOGLE_VERTEX_BASE_URL": "https://gate.test/x"},
        "https://gate.test/x",
    ),
}
TOKEN = "ya29.token-of-a-test"


def vertex(**place: Any) -> GoogleProvider:
    return GoogleProvider(vertexai=True, credentials=Credentials(token=TOKEN), **{"project": "p", **place})


@pytest.mark.parametrize("row", HOSTS.values(), ids=list(HOSTS))
def test_a_token_is_bound_to_the_host_that_the_sdk_chose(
    row: tuple[dict[str, Any], dict[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, environment, url = row
    for name in ("GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_BASE_URL", "GOOGLE_API_USE_MTLS_ENDPOINT", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    provider = vertex(**place)
    assert provider.server == url
    with Loopback(answer(200, OK)) as server:
        _moved(provider, server.url)
        got = ask(provider, request(MODEL))
        assert server.requests == [], "another host is refused before anything is sent"
    assert isinstance(got, Rejected)
    assert (got.reason, got.status, got.may_be_billed) == ("unsendable", None, False)
    assert url.split("/")[2] in got.detail


def test_the_environment_may_name_gemini_s_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(answer(200, OK)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        provider = GoogleProvider(api_key=KEY)
        assert provider.server == server.url
        assert isinstance(ask(provider, request(MODEL)), ModelReply)
        assert server.requests[0].headers["x-goog-api-key"] == KEY
    monkeypatch.delenv("GOOGLE_GEMINI_BASE_URL")
    assert GoogleProvider(api_key=KEY).server == "https://generativelanguage.googleapis.com"


def _moved(provider: GoogleProvider, url: str) -> None:
    """The SDK changes its mind about whom it asks."""
    spare: Any = provider._clients._spare
    spare._sdk._api_client._http_options.base_url = url


@pytest.mark.parametrize("express", [False, True], ids=["token", "key"])
def test_what_vertex_is_given_goes_to_no_other_host(express: bool) -> None:
    def opened(url: str) -> GoogleProvider:
        if express:
            return GoogleProvider(vertexai=True, api_key=KEY, base_url=url)
        return vertex(location="europe-west4", base_url=url)

    with Loopback(answer(200, OK)) as server:
        moved = opened(server.url)
        _moved(moved, server.url.replace("127.0.0.1", "localhost"))
        got = ask(moved, request(MODEL))
        assert isinstance(got, Rejected), got
        assert server.requests == []
        assert isinstance(ask(opened(server.url), request(MODEL)), ModelReply)
        assert len(server.requests) == 1
    with Loopback(answer(200, OK)) as other:
        away = other.url.replace("127.0.0.1", "localhost")
        with Loopback(answer(307, location=f"{away}/v1/steal")) as server:
            got = ask(opened(server.url), request(MODEL))
        assert isinstance(got, Rejected)
        assert got.reason == "redirect"
        assert other.requests == []


def test_a_second_client_is_bound_to_the_host_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_VERTEX_BASE_URL", raising=False)
    provider = vertex(location="europe-west4")
    with Loopback(answer(200, OK)) as server:
        monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", server.url)
        provider._clients._spare = None  # as if another loop had it
        got = ask(provider, request(MODEL))
        assert server.requests == []
    assert isinstance(got, Rejected)
    assert "europe-west4-aiplatform.googleapis.com" in got.detail


@pytest.mark.parametrize("location", ["evil.test/", "evil.test#", "a@evil.test:443/", "Europe-west4", "-a", "a b"])
def test_a_location_that_would_be_another_host_is_refused(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="expected a region of Google Cloud"):
        vertex(location=location)
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", location)
    with pytest.raises(SetupError, match="expected a region of Google Cloud"):
        vertex()


def test_a_sdk_that_does_not_say_whom_it_asks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.llm.google._url_of", lambda sdk: "")
    with pytest.raises(SetupError, match="google-genai does not say whom it asks; give a base_url"):
        vertex(location="europe-west4")


def test_the_version_of_the_api_can_be_chosen() -> None:
    with Loopback(answer(200, OK)) as server:
        ask(GoogleProvider(api_key=KEY, base_url=server.url, api_version="v1beta"), request(MODEL))
        assert server.requests[0].line.startswith(f"POST /v1beta/models/{MODEL}:generateContent ")


def test_a_missing_key_names_both_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with pytest.raises(KeyMissing, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        GoogleProvider()


def test_vertex_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    with pytest.raises(KeyMissing, match="GOOGLE_APPLICATION_CREDENTIALS"):
        GoogleProvider(vertexai=True)
