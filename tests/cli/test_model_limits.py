"""Breakers, rates and retries of a workflow file, through the command line: shown, and honoured."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.rehearsal import FaultServer, parse_script
from tests.app.test_model_limits import DOWN, FLOW
from tests.cli.desk import Desk

AGENTS = 'AGENTS = {"reader": lambda ticket: {"kind": "complaint"}}\n'
SAID = """  models:
    breaker: {straight: 2, open_s: 60, slow_s: 4}
    rates: {"openai:gpt-5-mini": {per_minute: 500, tokens_per_minute: 200000}, "openai:*": {at_once: 8}}
    retries: {share: 0.05}
    shared: true
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing-0123456789")
    made = Desk(tmp_path)
    made.write(agents__py=AGENTS, plain__yaml=FLOW, strict__yaml=FLOW + SAID)
    return made


def test_check_shows_what_is_in_force(desk: Desk) -> None:
    said = desk("check", "plain.yaml", "strict.yaml", columns=300)
    assert said.code == 0
    assert "plain.yaml: models" not in said.out
    assert "strict.yaml: models" in said.out
    assert "opens after 2 failures alone, or 50% of the last 20 calls of 60 s failed" in said.out
    assert "80% slower than 4 s" in said.out
    assert "rate openai:gpt-5-mini: 500 requests a minute, 200000 tokens a minute" in said.out
    assert "rate openai:*: 8 at once" in said.out
    assert "retries: 5% of first attempts over 60 s, or 3" in said.out
    plain, strict = desk.json("check", "plain.yaml", "strict.yaml")["files"]
    assert "models" not in plain
    assert strict["models"]["breaker"]["straight"] == 2
    assert strict["models"]["rates"]["openai:*"] == {"at_once": 8}
    assert strict["models"]["shared"] is True


def test_a_mistake_is_told_at_its_line(desk: Desk) -> None:
    desk.write(wrong__yaml=FLOW + SAID.replace("openai:*", "opnai:*"))
    said = desk("check", "wrong.yaml", columns=300)
    assert said.code == 1
    assert "wrong.yaml:18" in said.out
    assert "opnai" in said.out
    assert "openai" in said.out


def test_each_process_asks_as_often_as_its_policy_lets_it(desk: Desk) -> None:
    with FaultServer(parse_script(DOWN)) as server:
        for file, sent in (("strict.yaml", 2), ("plain.yaml", 5)):
            before = len(server.served)
            for number in range(5):  # each is a process of its own as far as breakers go
                said = desk.json("run", file, "-i", f"ticket={number}", "--base-url", server.openai_url)
                assert said["end"] == "answered"
            assert len(server.served) - before == sent, file


def test_the_environment_says_where_breakers_are_kept(desk: Desk) -> None:
    with FaultServer(parse_script(DOWN)) as server:
        at = ("--base-url", server.openai_url)
        for _ in range(8):
            desk("run", "plain.yaml", "-i", "ticket=x", *at, env={"STEPLADDER_BREAKERS": "all.breakers"})
        assert len(server.served) == 5
    assert (desk.folder / "all.breakers").exists()
    said = desk("run", "plain.yaml", "-i", "ticket=x", env={"STEPLADDER_BREAKERS": "ftp://u:hunter2@x"})
    assert said.code == 2
    assert "redis://HOST" in said.err
    assert "hunter2" not in said.err
