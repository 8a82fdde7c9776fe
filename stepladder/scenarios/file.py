"""The scenario file.

    scenario: a name
    workflow: a file beside it, or the name of a workflow nearby
    input: {...}
    script: {AGENT: [results], person: [answers], models: {"provider:name": [answers]}, messages: {NAME: [payloads]}}
    expect: {end, path, decisions: {N: {...}}, never: [actions], asked: N, output: {...}, success, usd_at_most}

A scripted agent gives its results in order; `{$raise: text}` fails, `{$late: true}` never comes back; with
`$with: {arguments}` beside it a result is given for these arguments alone. A scripted model
answers text as it stands and mappings as JSON; `{$fail: late}` (or another code of a model's failure) does not answer.
Agents without a script are the real ones. A script left over or run dry fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, TypeAdapter, ValidationError

from stepladder.app.loading import read_file
from stepladder.errors import DefinitionError, Problem
from stepladder.scenarios.script import CODES
from stepladder.workflow.misfits import from_pydantic
from stepladder.workflow.problems import Problems, shown
from stepladder.workflow.section import Name, Section
from stepladder.workflow.yaml_text import read_yaml


class ScriptSection(Section):
    """What people, models and messages say."""

    person: list[dict[str, Any]] = []
    models: dict[str, list[Any]] = {}
    messages: dict[Name, list[dict[str, Any]]] = {}


class DecisionExpected(Section):
    """What one decision must be; what is not named is not looked at."""

    action: str | None = None
    rule: str | None = None
    source: str | None = None
    relation: str | None = None
    route: str | None = None
    point: str | None = None
    fallback: bool | None = None
    limit: bool | None = None
    fired: list[str] | None = None


class Expected(Section):
    """What the run must come to; what is not named is not looked at."""

    end: str | None = None
    success: bool | None = None
    path: list[str] | None = Field(None, description="The actions of all next_action decisions, in order.")
    decisions: dict[str, DecisionExpected] = {}
    never: list[str] = []
    asked: int | None = Field(None, description="How often a model was asked.")
    output: dict[str, Any] = Field({}, description="Fields of the output that must be equal.")
    waiting: Literal["question", "decision", "approval", "effect", "message", "time"] | None = None
    usd_at_most: float | None = None


def _script(value: object) -> object:
    return {} if value is None else value


class Scenario(Section):
    """A scenario, read."""

    scenario: str = Field(min_length=1)
    workflow: str = Field(min_length=1)
    agents: str | None = Field(None, description="The Python file of real agents; agents.py beside the workflow else.")
    input: dict[str, Any] = {}
    script: Annotated[dict[str, Any], BeforeValidator(_script)] = {}
    expect: Expected = Expected()  # type: ignore[call-arg]
    _folder: Path = PrivateAttr(Path())

    @property
    def folder(self) -> Path:
        """Where its file is; the files it names are looked for from there."""
        return self._folder

    @property
    def said(self) -> ScriptSection:
        """The script of people, models and messages."""
        return ScriptSection.model_validate({key: self.script[key] for key in SAID if key in self.script})

    @property
    def agents_said(self) -> dict[str, list[Any]]:
        """The results of the scripted agents, by name."""
        return {name: results for name, results in self.script.items() if name not in SAID}

    def workflow_file(self) -> Path:
        """The workflow's file.

        Raises:
            DefinitionError: none is found near the scenario.
        """
        if self.workflow.endswith((".yaml", ".yml")):
            return self.folder / self.workflow
        for folder in (self.folder, *self.folder.resolve().parents[:3]):
            for file in (
                folder / f"{self.workflow}.yaml",
                folder / self.workflow / "workflow.yaml",
                folder / "examples" / self.workflow / "workflow.yaml",
            ):
                if file.is_file():
                    return file
            if (beside := folder / "workflow.yaml").is_file() and _names(beside, self.workflow):
                return beside
        found, expected = (
            f"workflow {self.workflow!r}",
            f"{self.workflow}.yaml or {self.workflow}/workflow.yaml near it",
        )
        raise DefinitionError([Problem("workflow", found, expected, str(self.folder))])


SAID = ("person", "models", "messages")
UNDER_ITS_KEY = TypeAdapter(dict[str, ScriptSection])
"""A script under the key it has in the file, so that its problems are told at their lines."""


def load_scenario(path: str | Path) -> Scenario:
    """The scenario in a file. Raises DefinitionError."""
    file = Path(path)
    return parse_scenario(read_file(file, "a scenario file that can be read"), str(path), file.parent)


def parse_scenario(text: str, file: str = "", folder: Path = Path()) -> Scenario:
    """The scenario that YAML text defines. Raises DefinitionError."""
    data, lines = read_yaml(text, file)
    problems = Problems(file, lines)
    problems.data = data
    try:
        scenario = Scenario.model_validate(data)
        UNDER_ITS_KEY.validate_python({"script": {key: scenario.script[key] for key in SAID if key in scenario.script}})
    except ValidationError as error:
        raise from_pydantic(error, problems, Scenario) from None
    _check_scripts(scenario, problems)
    scenario._folder = folder
    return scenario


def _check_scripts(scenario: Scenario, problems: Problems) -> None:
    for name, results in scenario.agents_said.items():
        if not isinstance(results, list) or not all(isinstance(each, Mapping) for each in results):
            problems.add(("script", name), shown(results), "a list of results, each a mapping")
        else:
            _check_signs(results, ("$raise", "$type", "$late", "$with"), ("script", name), problems)
    for model, lines in scenario.said.models.items():
        if not all(model.partition(":")):
            problems.add(("script", "models", model), shown(model), "provider:model, such as openai:gpt-5-mini")
        _check_signs(lines, ("$fail",), ("script", "models", model), problems)
    for number in scenario.expect.decisions:
        if not re.fullmatch(r"[1-9][0-9]{0,8}", number):
            problems.add(("expect", "decisions", number), shown(number), "the number of a decision, from 1")
    problems.raise_errors()


def _check_signs(said: list[Any], known: tuple[str, ...], path: tuple[str, ...], problems: Problems) -> None:
    """What a line of a script says with a `$` must mean something."""
    for index, line in enumerate(said):
        for key, value in line.items() if isinstance(line, Mapping) else ():
            if key.startswith("$") and key not in known:
                problems.unknown((*path, index, key), "key", key, known)
            elif key == "$type" and not (isinstance(value, str) and value):
                problems.add((*path, index, key), shown(value), "the name of an error's class")
            elif key == "$with" and not isinstance(value, Mapping):
                problems.add((*path, index, key), shown(value), "a mapping of arguments")
            elif key == "$fail" and value not in CODES:
                problems.unknown((*path, index, key), "code", str(value), CODES)


def _names(file: Path, workflow: str) -> bool:
    return any(
        line.strip() == f"workflow: {workflow}"
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()[:20]
    )
