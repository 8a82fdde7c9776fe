from __future__ import annotations

import pytest

from stepladder.cli.exits import MEANING
from tests.cli.desk import Desk

COMMANDS = [
    "run", "answer", "send", "resume", "retry", "cancel", "runs", "show", "outcome", "replay", "export", "verify",
    "head", "prune", "check", "explain", "schema", "diagram", "init", "play",
    "record", "import", "evaluate", "tune",
]  # fmt: skip


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",)])
def test_help_lists_commands_and_exit_codes(desk: Desk, args: tuple[str, ...]) -> None:
    told = desk(*args)
    assert told.code == 0
    for name in COMMANDS:
        assert f" {name} " in told.out
    for code, meaning in MEANING.items():
        assert f"{int(code)}  {meaning}" in told.out
    assert "stepladder init my-project" in told.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_an_example_and_json(desk: Desk, command: str) -> None:
    told = desk(command, "--help")
    assert told.code == 0
    assert f"stepladder {command} " in told.out.partition("Example")[2]
    assert "--json" in told.out


def test_version(desk: Desk) -> None:
    assert desk("--version").out.startswith("stepladder 0.")
