"""What is sent to generateContent, and what each of its answers means."""

from __future__ import annotations

from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from stepladder.llm.errors import BadResponse, KeyMissing, RateLimited, Refused, Rejected, Truncated, Unavailable
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
