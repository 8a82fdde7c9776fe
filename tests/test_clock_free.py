"""The core does no I/O: time, chance, ids and answers come in as events. Checked on the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import stepladder

ROOT: Final = Path(stepladder.__file__).parent
PACKAGES: Final = ("clauses", "signals", "rules", "classifier", "fallback", "decision", "workflow", "orchestrator")
MODULES: Final = ("state", "events", "commands", "record", "values", "errors")
OUTSIDE: Final = frozenset(
    {
        "time",
        "datetime",
        "random",
        "secrets",
        "uuid",
        "locale",
        "os",
        "sys",
        "io",
        "pathlib",
        "shutil",
        "tempfile",
        "getpass",
        "platform",
        "sqlite3",
        "socket",
        "ssl",
        "select",
        "http",
        "urllib",
        "requests",
        "httpx",
        "asyncio",
        "threading",
        "multiprocessing",
        "concurrent",
        "subprocess",
        "signal",
        "logging",
        "loguru",
    }
)
BUILTINS: Final = frozenset({"open", "input", "print", "__import__", "eval", "exec", "breakpoint"})
FILES: Final = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [
        *(ROOT / f"{name}.py" for name in MODULES),
        *(f for name in PACKAGES for f in (ROOT / name).rglob("*.py")),
    ]
)


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def called(tree: ast.AST) -> Iterator[str]:
    """Every plain name that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def parsed(file: str) -> ast.AST:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def test_all_of_the_core_is_looked_at() -> None:
    assert {file.split("/")[0].removesuffix(".py") for file in FILES} == {*PACKAGES, *MODULES}


@pytest.mark.parametrize("file", FILES)
def test_it_imports_nothing_of_the_world(file: str) -> None:
    assert {name for name in imported(parsed(file)) if name.split(".")[0] in OUTSIDE} == set()


@pytest.mark.parametrize("file", FILES)
def test_it_opens_and_prints_nothing(file: str) -> None:
    assert BUILTINS.isdisjoint(called(parsed(file)))


@pytest.mark.parametrize("file", FILES)
def test_it_imports_downwards(file: str) -> None:
    """Of our own it knows only the core and the schemas' library."""
    ours = {name for name in imported(parsed(file)) if name.split(".")[0] == "stepladder"}
    assert {name.split(".")[1] for name in ours if "." in name} <= {*PACKAGES, *MODULES, "prompts"}
