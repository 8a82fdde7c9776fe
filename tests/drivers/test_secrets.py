"""Secrets reach agents by reference, when a call is made, and nothing that is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.app.secrets import secrets_of
from stepladder.drivers import AgentCall
from stepladder.errors import InputError
from stepladder.events import AgentFailed
from stepladder.journal import MemoryJournal, encode_turn
from stepladder.journal.sqlite import SqliteJournal
from tests.drivers.desk import ONE, go, of, one, workflow

PASSWORD = "correct-horse-battery"
WITH_SECRET = {
    "phases": {
        "work": {
            "steps": {
                "working": {
                    "agent": "worker",
                    "as": "made",
                    "with": {"x": "input.x", "key": "secret.DB", "nested": {"auth": ["'basic'", "secret.DB"]}},
                }
            }
        }
    }
}


def test_a_secret_reaches_the_agent_and_never_the_journal(tmp_path: Path) -> None:
    seen: list[Any] = []

    def agent(x: Any, key: str, nested: Any) -> dict[str, Any]:
        seen.append((key, nested))
        return {"echo": key, "text": f"logged in with {key}", key: 1}

    file = tmp_path / "runs.db"
    run = go(one(agent, changes=WITH_SECRET, secrets={"DB": PASSWORD}, journal=file))
    assert seen == [(PASSWORD, {"auth": ["basic", PASSWORD]})]
    assert run.output["made"] == {"echo": "[redacted]", "text": "logged in with [redacted]", "[redacted]": 1}
    assert PASSWORD.encode() not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_an_error_that_tells_the_secret_is_redacted() -> None:
    def agent(x: Any, key: str, nested: Any) -> None:
        raise ConnectionError(f"cannot log in with {key!r}")

    run = go(one(agent, changes=WITH_SECRET, secrets={"DB": PASSWORD}))
    assert run.output["error"] == "cannot log in with '[redacted]'"


def test_a_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    changes = {"phases": {"work": {"steps": {"working": {"with": {"x": "input.x", "key": "secret.DB_PASSWORD"}}}}}}
    seen: list[str] = []

    def agent(x: Any, key: str) -> dict[str, Any]:
        seen.append(key)
        return {"key": key}

    run = go(one(agent, changes=changes))
    assert seen == [PASSWORD]
    assert run.output["made"] == {"key": "[redacted]"}


def test_a_missing_secret_fails_the_call_and_names_it() -> None:
    run = go(one(lambda **given: {}, changes=WITH_SECRET))
    assert (
        run.output["error"]
        == "secret 'DB': the value: found no value; expected a value in `secrets` or in the environment"
    )
    assert of(run, AgentFailed)[0].reason == "raised"


@pytest.mark.parametrize(
    "forged", [{"$secret": "DB"}, {"a": [{"$secret": "DB"}]}, [{"$secret": "DB"}], "secret.DB", "$secret.DB"]
)
def test_run_data_never_asks_for_a_secret(forged: Any) -> None:
    """What comes from users, agents and models is data, also where it looks like a reference."""
    run = go(one(lambda x: {"got": x}, forged, secrets={"DB": PASSWORD}))
    assert run.output["made"] == {"got": forged}


def test_a_prompt_never_shows_a_secret() -> None:
    seen: list[str] = []

    def agent(x: Any, key: str, nested: Any, call: AgentCall) -> dict[str, Any]:
        seen.append(call.prompt)
        return {}

    changes = {"phases": {"work": {"steps": {"working": {**_step(), "prompt": "say@1"}}}}}
    made = workflow(ONE, changes, prompts={"say@1": "Use {{ key }} and {{ nested }}."})

    async def body() -> None:
        async with Orchestrator(made, agents={"worker": agent}, secrets={"DB": PASSWORD}) as orchestrator:
            await orchestrator.run({"x": 1})

    go(body())
    assert seen
    assert PASSWORD not in seen[0]


def _step() -> dict[str, Any]:
    step: dict[str, Any] = WITH_SECRET["phases"]["work"]["steps"]["working"]
    return step


def test_input_answers_and_messages_are_redacted_before_they_are_kept() -> None:
    journal = MemoryJournal()
    run = go(one(lambda x: {"x": x}, {"note": f"my key is {PASSWORD}"}, journal=journal, secrets={"DB": PASSWORD}))
    assert run.state.input == {"x": {"note": "my key is [redacted]"}}
    told = b"".join(encode_turn(turn.entries) for turn in journal.turns("run"))
    assert PASSWORD.encode() not in told


def test_what_is_journaled_is_what_was_decided_on(tmp_path: Path) -> None:
    """The rules see the redacted value, live as in a replay."""
    changes = {
        "actions": {"OPEN": {"from": "working", "to": "done"}},
        "rules": {"working": {"leak": {"when": [f"last.word == '{PASSWORD}'"], "do": "OPEN", "because": "it leaked"}}},
    }
    made = workflow(ONE, changes)

    async def body() -> None:
        journal = SqliteJournal(tmp_path / "runs.db")
        async with Orchestrator(
            made, agents={"worker": lambda x: {"word": PASSWORD}}, journal=journal, secrets={"DB": PASSWORD}
        ) as orchestrator:
            run = await orchestrator.run({"x": 1}, run_id="run")
            assert "OPEN" not in [record.action for record in run.decisions]
            assert orchestrator.replay("run").divergence is None

    go(body())


@pytest.mark.parametrize(
    ("environment", "values"),
    [
        ({"OPENAI_API_KEY": "sk-1234567890"}, ["sk-1234567890"]),
        ({"GITHUB_TOKEN": "t0ken-value"}, ["t0ken-value"]),
        ({"db_password": "lower-case"}, ["lower-case"]),
        ({"AWS_CREDENTIALS": "a:b"}, ["a:b"]),
        ({"HOME": "/root", "PATH": "/bin", "LANG": "C"}, []),
        ({"SSL_KEY": "/etc/ssl/key.pem", "USE_TOKEN": "true", "MAX_KEY": "100", "EMPTY_SECRET": "  "}, []),
        ({"KEYBOARD": "qwertyuiop", "TOKENIZERS_PARALLELISM": "false"}, []),
    ],
)
def test_which_variables_are_secret(environment: dict[str, str], values: list[str]) -> None:
    known, found = secrets_of({}, environment)
    assert found == values
    assert set(known.values()) == set(values)


def test_given_secrets_come_before_the_environment() -> None:
    known, _ = secrets_of({"API_KEY": "given"}, {"API_KEY": "environment"})
    assert known["API_KEY"] == "given"


@pytest.mark.parametrize("value", [1234, None, b"bytes"])
def test_a_secret_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="PIN"):
        Orchestrator(workflow(ONE), agents={"worker": dict}, secrets={"PIN": value})
