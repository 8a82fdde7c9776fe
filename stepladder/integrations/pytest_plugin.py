"""The pytest plugin: every scenario in a folder named `scenarios` is a test.

    pytest                                  collects scenarios/**/*.yaml beside other tests
    pytest scenarios/twice.yaml             plays one
    pytest --stepladder-workflow new.yaml   plays them on another workflow file

A file is a scenario where it has the key `scenario`, or `expect` or `script` and ought to have it. A test fails with
every expectation that did not hold, and where a cassette misses, with the nearest recorded call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from stepladder.scenarios import Played

FOLDER: Final = "scenarios"
_IS_ONE: Final = re.compile(r"""^(?:[\s{]*["']?scenario|expect|script)["']?\s*:""", re.MULTILINE)
"""Also in JSON, which is how a run is recorded whose texts YAML would change."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of the plugin."""
    group = parser.getgroup("stepladder")
    group.addoption("--stepladder-workflow", metavar="FILE", help="Play scenarios on this workflow file.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario where the file is one."""
    root = parent.config.rootpath
    folders = file_path.relative_to(root).parts if file_path.is_relative_to(root) else file_path.parts[-2:]
    if file_path.suffix not in (".yaml", ".yml") or FOLDER not in (*folders[:-1], file_path.parent.name):
        return None
    text = file_path.read_text(encoding="utf-8", errors="replace")  # what is wrong in it, its test says
    if not _IS_ONE.search(text):
        return None
    collected: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return collected


class ScenarioFile(pytest.File):
    """A file with one scenario."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its one test."""
        yield ScenarioItem.from_parent(self, name=self.path.stem)


class ScenarioFailed(Exception):
    """A scenario that was played, and not as expected."""

    def __init__(self, played: Played) -> None:
        self.played = played
        super().__init__("; ".join(map(str, played.failures)))


class ScenarioItem(pytest.Item):
    """A scenario as a test."""

    def runtest(self) -> None:
        """Play it. Raises ScenarioFailed."""
        from stepladder.scenarios import load_scenario, play

        workflow: Any = self.config.getoption("--stepladder-workflow")
        played = play(load_scenario(self.path), workflow=workflow)
        if not played.passed:
            raise ScenarioFailed(played)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The expectations that did not hold; an error of ours in one line; anything else with its traceback."""
        from stepladder.errors import StepladderError

        if isinstance(excinfo.value, ScenarioFailed):
            played = excinfo.value.played
            lines = [f"{played.scenario.scenario}: {len(played.failures)} of {len(played.checks)} do not hold"]
            lines += [f"  {each.what}: expected {each.expected}\n    found {each.found}" for each in played.failures]
            return "\n".join(lines)
        if isinstance(excinfo.value, StepladderError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is from."""
        return self.path, None, f"scenario {self.name}"
