"""Redaction: what is taken out, what must stay, and the laws that hold for every value."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.events import AgentFailed, AgentReturned, MessageReceived, ModelAnswered, PersonAnswered, RunStarted
from stepladder.journal import REDACTED, Redactor, decode_turn, encode_turn
from stepladder.values import canonical

KNOWN = "hunter2-hunter2"
AWKWARD = 'quo"te\\back\nline/ü'
redactor = Redactor([KNOWN, AWKWARD, "short"])
R = REDACTED

# None of these is anybody's key: they only have the form. Put together here, so that no scanner takes them for one.
OPENAI = "sk-" + "proj-" + "Abc123_def456-ghi789"
GOOGLE = "AIza" + "SyA1234567890abcdefghijklmnopqrstu"
GITHUB = "ghp_" + "abcdefghij0123456789ABCDEFGHIJ"
PAT = "github_pat_" + "11ABCDEFG0abcdefghij_x"
GITLAB = "glpat-" + "abcdefghij0123456789"
SLACK = "xoxb-" + "123456789012-abcdefABCDEF"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
HUGGING = "hf_" + "abcdefghijklmnopqrstuvwxyz"
STRIPE = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        # forms of keys
        (OPENAI, R),
        (f"use {OPENAI}, please", f"use {R}, please"),
        (f"('{GOOGLE}')", f"('{R}')"),
        (GITHUB, R),
        (PAT, R),
        (GITLAB, R),
        (SLACK, R),
        (AWS, R),
        (f"id={AWS};", f"id={R};"),
        (HUGGING, R),
        (STRIPE, R),
        (JWT, R),
        (PEM, R),
        (f"before\n{PEM}\nafter", f"before\n{R}\nafter"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", R),
        ("curl -H 'Authorization: Bearer abcdefgh12345678'", f"curl -H '{R}'"),
        ("Authorization: Basic dXNlcjpwYXNz", R),
        ("bearer ABCDEF0123456789abcdef==", R),
        # addresses
        ("postgres://ada:s3cret@db.example:5432/x", f"postgres://{R}@db.example:5432/x"),
        ("redis://:s3cret@cache:6379/0", f"redis://{R}@cache:6379/0"),
        ("https://ada:p@ss@host/path", f"https://{R}@host/path"),
        ("https://host/f?token=abcdef123&page=2", f"https://host/f?token={R}&page=2"),
        ("https://host/f?page=2&sig=Zm9vYmFy%3D#top", f"https://host/f?page=2&sig={R}#top"),
        # written out
        ("password=s3cretvalue", f"password={R}"),
        ("PASSWORD: s3cretvalue", f"PASSWORD: {R}"),
        ("db_password = 's3cretvalue'", f"db_password = '{R}'"),
        ("export OPENAI_API_KEY=abcdef12345", f"export OPENAI_API_KEY={R}"),
        ("aws_secret_access_key=abc/def+ghi", f"aws_secret_access_key={R}"),
        ("client_secret=abcdef12345&x=1", f"client_secret={R}&x=1"),
        ("Server=h;Password=hunter22;Database=d", f"Server=h;Password={R};Database=d"),
        ("AccountKey=abcdef0123456789==;x", f"AccountKey={R};x"),
        ("X-Api-Key: 0123456789abcdef", f"X-Api-Key: {R}"),
        ('password="two words"', f'password="{R}"'),
        ("refresh_token: 1//0abcdefg", f"refresh_token: {R}"),
        # JSON within a text
        ('{"api_key": "abcdef12345", "n": 1}', f'{{"api_key": "{R}", "n": 1}}'),
        ('{"password": "a \\"b\\" c"}', f'{{"password": "{R}"}}'),
        ('"{\\"password\\": \\"two words\\"}"', f'"{{\\"password\\": \\"{R}\\"}}"'),
        ("{'secret': 'two words'}", f"{{'secret': '{R}'}}"),
        # known values
        (f"it is {KNOWN}.", f"it is {R}."),
        (f"{KNOWN}{KNOWN}", R + R),
        (AWKWARD, R),
        (json.dumps({"k": AWKWARD}), f'{{"k": "{R}"}}'),
        (json.dumps({"k": AWKWARD}, ensure_ascii=False), f'{{"k": "{R}"}}'),
        ("https://h/?p=quo%22te%5Cback%0Aline%2F%C3%BC", f"https://h/?p={R}"),
    ],
)
def test_texts_that_hold_a_secret(text: str, clean: str) -> None:
    assert redactor.text(text) == clean
    assert redactor.value({"a": [text]}) == {"a": [clean]}, "the quick look lets it through to the nets"
    assert redactor.text(clean) == clean, "twice is once"


@pytest.mark.parametrize(
    "value",
    [
        {"tokens": 5, "max_tokens": 1024, "input_tokens": 1, "token_count": 3},
        {"primary_key": "id", "foreign_key": "customer_id", "key": "name", "keys": ["a"], "sort_key": "date"},
        {"monkey": "a monkey", "keyboard": "qwerty", "turkey": "dinner", "passport": "X123", "secretary": "Ada"},
        {
            "next_token": "abc",
            "nextPageToken": "abc",
            "continuation_token": "t",
            "eos_token": "</s>",
            "pad_token": "<pad>",
        },
        {"secret": True, "password": None, "token": 5, "api_key": ""},
        {"author": "Ada", "authority": "x", "tokenizer": "bpe", "password_changed_at": "2024-01-01"},
        "123e4567-e89b-12d3-a456-426614174000",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "d41d8cd98f00b204e9800998ecf8427e",
        "SELECT primary_key, token FROM keys WHERE key = 'a' AND tokens > 5 ORDER BY key",
        "SELECT password_hash FROM users WHERE id = ?",
        "SELECT * FROM users WHERE password = :password AND api_key = $1",
        "SELECT u.secret = v.secret FROM u JOIN v USING (id)",
        "UPDATE users SET password = users.password",
        "api_key=os.environ['OPENAI_API_KEY']",
        "client = Client(api_key=api_key, password=password)",
        "login(password=self.password)",
        "password = getpass.getpass()",
        "the password: required",
        "password: string",
        "secret: ${DB_SECRET}",
        "password={{ password }}",
        "api_key: <your key here>",
        "a bearer of good news",
        "bearer token",
        "The key to success: patience. The secret of it = none.",
        "http://localhost:8080/path?email=ada@example.com",
        "https://example.com/@user/post",
        "git@github.com:owner/name.git",
        "mail me: ada@example.com",
        "12:30 and user:name",
        "sk-",
        "task-list-of-many-words",
        "risk-free",
        "eyJ is how it begins",
        "AKIA is a prefix",
        "hf_short",
        "https://host/?page=2&token=",
        "base64 is YWJj",
        "🔑: emoji",
        "short is a known secret, but a short one",
        {"nested": [{"deep": [1, 2.5, None, True, "text"]}]},
        [],
        "",
        0,
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_secret_stays(value: Any) -> None:
    assert redactor.value(value) == value
    event = AgentReturned(1.0, 1, {"value": value})
    assert redactor.event(event) == event


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Password",
        "DB_PASSWORD",
        "db.password",
        "user-password",
        "userPassword",
        "passwd",
        "passphrase",
        "secret",
        "client_secret",
        "clientSecret",
        "secret_key",
        "api_key",
        "apikey",
        "apiKey",
        "openaiApiKey",
        "x-api-key",
        "X-API-Key",
        "api key",
        "access_key",
        "private_key",
        "privateKey",
        "authorization",
        "Authorization",
        "credential",
        "credentials",
        "token",
        "access_token",
        "accessToken",
        "refresh_token",
        "id_token",
        "session_token",
        "github_token",
    ],
)
def test_fields_that_hold_one_by_their_name(name: str) -> None:
    assert redactor.value({name: "x"}) == {name: R}
    assert redactor.value({"a": [{name: "x"}]}) == {"a": [{name: R}]}
    assert redactor.value({name: ["x", "y"]}) == {name: [R, R]}
    assert redactor.value({name: {"size": 3, "text": "x"}}) == {name: {"size": 3, "text": "x"}}
    assert redactor.value({name: R}) == {name: R}


@pytest.mark.parametrize(
    ("event", "clean"),
    [
        (AgentReturned(1.0, 1, {KNOWN: KNOWN}), AgentReturned(1.0, 1, {R: R})),
        (AgentFailed(1.0, 1, "raised", f"x {KNOWN}", "E"), AgentFailed(1.0, 1, "raised", f"x {R}", "E")),
        (PersonAnswered(1.0, 1, {"text": KNOWN}, KNOWN), PersonAnswered(1.0, 1, {"text": R}, R)),
        (MessageReceived(1.0, 1, "n", {"token": "abc"}), MessageReceived(1.0, 1, "n", {"token": R})),
        (ModelAnswered(1.0, 1, f'{{"action": "{KNOWN}"}}'), ModelAnswered(1.0, 1, f'{{"action": "{R}"}}')),
        (RunStarted(1.0, "r", "w", "h", "p", {"api_key": "a"}), RunStarted(1.0, "r", "w", "h", "p", {"api_key": R})),
        (RunStarted(1.0, "r", "token", "h", "p", {"a": [KNOWN]}), RunStarted(1.0, "r", "token", "h", "p", {"a": [R]})),
    ],
)
def test_events_are_cleaned_in_every_field_of_others(event: Any, clean: Any) -> None:
    assert redactor.event(event) == clean
    assert decode_turn(encode_turn([clean])) == (clean,)


def test_an_event_without_secrets_is_the_same_object() -> None:
    event, value = AgentReturned(1.0, 1, {"a": 1}), {"a": ["b"]}
    assert redactor.event(event) is event
    assert redactor.value(value) is value


def test_a_known_number_is_taken_out_as_a_number_too() -> None:
    pin = Redactor(["12345678"])
    assert pin.value({"a": 12345678, "b": "12345678", "c": 1234567}) == {"a": R, "b": R, "c": 1234567}


@pytest.mark.parametrize("known", [["redacted"], ["[redacted]"], ["abcdefgh", "abcdefghij"], ["", " " * 3]])
def test_odd_known_secrets(known: list[str]) -> None:
    odd = Redactor(known)
    once = odd.text(f"a {R} b abcdefghij c")
    assert odd.text(once) == once
    assert once.startswith(f"a {R} b ")


SECRETS = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="[]redact"), min_size=8, max_size=20),
    max_size=3,
)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def leaks(draw: st.DrawFn) -> tuple[list[str], Any]:
    """Known secrets, and a value in which they stand anywhere."""
    known = draw(SECRETS)
    piece = st.sampled_from(known) if known else TEXTS
    inside = st.builds(lambda a, b, c: a + b + c, TEXTS, piece, TEXTS)
    value = draw(
        st.recursive(
            inside | st.integers() | TEXTS,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(inside | TEXTS, inner, max_size=3),
            max_leaves=8,
        )
    )
    return known, value


@given(leaks())
def test_a_known_secret_survives_nowhere(given_: tuple[list[str], Any]) -> None:
    known, value = given_
    clean = Redactor(known).value(value)
    told = canonical(clean)
    for secret in known:
        assert canonical(secret)[1:-1] not in told


@given(leaks())
def test_twice_is_once(given_: tuple[list[str], Any]) -> None:
    known, value = given_
    mine = Redactor(known)
    once = mine.value(value)
    assert mine.value(once) == once


@given(VALUES)
def test_values_without_secrets_stay_the_same(value: Any) -> None:
    """Text of any kind that has no `:` or `=`, no prefix of a key, and no name of a secret."""
    told = canonical(value).decode()
    marks = ("sk-", "=", "://", "earer", "AIza", "ghp", "xox", "AKIA", "ASIA", "hf_", "eyJ", "_")
    if any(mark in told for mark in marks):
        return
    assert redactor.value(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "password=" * 50_000,
        'password="' + "\\" * 200_000,
        'password: "' + "a\\" * 100_000,
        "://" + "a:" * 100_000,
        "://" * 100_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "bearer " * 50_000,
        "authorization: basic " * 20_000,
        "eyJ" + "a" * 300_000,
        "secret_" * 50_000,
    ],
    ids=lambda text: text[:20],
)
def test_no_text_takes_for_ever(text: str) -> None:
    began = time.perf_counter()
    redactor.text(text)
    assert time.perf_counter() - began < 2.0
