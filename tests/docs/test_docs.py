"""What the pages say is true: their examples run, their links lead somewhere, and they leave nothing out."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from loguru import logger
from pydantic import BaseModel
from typer.testing import CliRunner

import stepladder
from stepladder import DefinitionError, Workflow
from stepladder import errors as ours
from stepladder.app.loading import load_agents
from stepladder.classifier import classify
from stepladder.cli.commands import app
from stepladder.cli.exits import MEANING
from stepladder.llm import errors as theirs
from stepladder.rehearsal import FAMILIES
from stepladder.rehearsal import script as rehearsal_script
from stepladder.scenarios import file as scenario_file
from stepladder.signals import AGENTS, BUILTIN
from stepladder.workflow import file as workflow_file
from stepladder.workflow import policy_file
from stepladder.workflow.build import MEASURES, ROOTS
from stepladder.workflow.lint import lint
from stepladder.workflow.section import Section
from stepladder.workflow.yaml_text import read_yaml
from tests.classifier.test_classify import CLASSIFIER, STATES, facts, spelled, w_order
from tests.docs.pages import KINDS, PAGES, ROOT, Block, anchors, blocks, links, path_of, prose, read, rows, ticked

BIN: Final = Path(sys.executable).parent
SESSION_S: Final = 30
SHELL: Final = re.compile(r"[|&;<>]")
CONNECT: Final = socket.socket.connect
VARIABLES: Final = [
    (re.compile(r"\b\d+\.\d+ s\b"), "N s"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"), "DATE"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "HASH"),
    (re.compile(r"─+"), ""),
    (re.compile(r"\s+"), " "),
]
"""What differs from run to run, and what it is compared as."""


# --- the examples


class Page:
    """One page while its blocks are played, in order, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.cwd = folder
        self.printed = ""

    def play(self, block: Block) -> None:
        """Do what the block's mark says."""
        match block.mark:
            case "file":
                self._write(block)
            case "builds":
                self.printed = self._built(block)
                assert not self.printed, f"{block.place}: {self.printed}"
            case "refused":
                self.printed = self._built(block)
                assert self.printed, f"{block.place}: nothing is wrong with it"
            case "runs":
                self.printed = _run(block)
            case "session":
                self._session(block)
            case "prints":
                _same_lines(block, block.text.splitlines(), self.printed)

    def _write(self, block: Block) -> None:
        target = self.folder / block.about
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, encoding="utf-8")
        if block.lang == "yaml" and re.search(r"^actions:", block.text, re.MULTILINE):
            problems = self._problems(read_yaml(block.text)[0])
            assert not problems, f"{block.place}: {problems}"

    def _built(self, block: Block) -> str:
        """What is wrong with a workflow, or with a part laid over the file that its mark names."""
        try:
            data, _ = read_yaml(block.text)
        except DefinitionError as error:
            return str(error)
        if block.about.startswith("in "):
            whole, _ = read_yaml((self.folder / block.about.removeprefix("in ")).read_text(encoding="utf-8"))
            data = _laid_over(whole, data)
        return self._problems(data)

    def _session(self, block: Block) -> None:
        command, shown = "", list[str]()
        for line in [*block.text.splitlines(), "$ "]:
            if not line.startswith("$ "):
                shown.append(line)
                continue
            if command.startswith("cd "):
                self.cwd = (self.cwd / command.removeprefix("cd ")).resolve(strict=True)
            elif command:
                _same_lines(block, shown, _printed(command, self.cwd))
            command, shown = line.removeprefix("$ "), []

    def _problems(self, data: Mapping[str, Any]) -> str:
        agents = self.folder / "agents.py"
        signals = load_agents(agents)[1] if agents.is_file() else ()
        try:
            definition = Workflow.define(data, signals=signals).definition
        except DefinitionError as error:
            return str(error)
        return "\n".join(f"{each} ({each.code})" for each in lint(definition) if each.level == "error")


def _laid_over(whole: dict[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged; whatever else the part says replaces what was there."""
    merged = dict(whole)
    for key, value in part.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _laid_over(merged[key], value) if both else value
    return merged


def _run(block: Block) -> str:
    source = "\n" * (block.line - 1) + block.text
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(source, block.place, "exec"), {"__name__": "__main__"})
    return out.getvalue()


def _printed(command: str, folder: Path) -> str:
    """What a command prints on both streams: in this process where it needs no shell."""
    environment = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "90", "NO_COLOR": "1"}
    if command.startswith("stepladder ") and not SHELL.search(command):
        with chdir(folder):
            return CliRunner().invoke(app, shlex.split(command)[1:], env=environment).output
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SESSION_S,
        check=False,
    )
    return done.stdout


def _same_lines(block: Block, shown: Iterable[str], printed: str) -> None:
    """Each shown line is printed next; after `...` it may come later. Where lines are broken does not count."""
    left, skipping = _plain(printed), False
    for line in shown:
        if line.strip() == "...":
            skipping = True
        elif wanted := _plain(line):
            at = left.find(wanted)
            assert at == 0 or (skipping and at > 0), f"{block.place}: {line!r} is not what comes next in:\n{printed}"
            left, skipping = left[at + len(wanted) :].lstrip(), False
    assert skipping or not left, f"{block.place}: more was printed: {left}"


def _plain(text: str) -> str:
    for pattern, stands_for in VARIABLES:
        text = pattern.sub(stands_for, text)
    return text.strip()


@pytest.mark.parametrize("page", PAGES)
def test_every_marked_block_does_what_it_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    monkeypatch.setattr(socket.socket, "connect", _offline)
    for name in os.environ:
        if name.endswith(("_KEY", "_TOKEN", "_SECRET")) or name.startswith(("OPENAI", "STEPLADDER")):
            monkeypatch.delenv(name)
    for folder in ("examples", "scenarios") if page == "README" else ():  # it is read in a checkout
        (tmp_path / folder).symlink_to(ROOT / folder)
    playing = Page(tmp_path)
    marked = [block for block in blocks(page) if block.mark]
    assert marked
    try:
        for block in marked:
            playing.play(block)
    finally:
        logger.remove()  # an example has its own log
        logger.add(sys.stderr)


def _offline(connecting: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and address[0] == "127.0.0.1":  # a server of the example's own
        return CONNECT(connecting, address)
    raise OSError("the examples run offline")


@pytest.mark.parametrize("page", PAGES)
def test_every_mark_is_one(page: str) -> None:
    for block in blocks(page):
        assert not block.mark or any(f"{block.mark} {block.about}".startswith(kind.rstrip(":")) for kind in KINDS)
        assert block.mark or block.lang not in ("python", "yaml"), f"{block.place}: an example that nobody tries"


# --- the links


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in links(page):
        file, _, anchor = target.partition("#")
        path = (path_of(page).parent / file).resolve() if file else path_of(page)
        assert path.exists(), f"docs/{page}.md: {target}"
        if anchor:
            assert anchor in anchors(path.stem), f"docs/{page}.md: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_place_on_somebodys_machine(page: str) -> None:
    assert not re.search(r"(?<![\w.])/(home|root|work|tmp|usr|opt|Users)/", read(page))


# --- nothing is left out

SECTIONS: Final[Mapping[str, tuple[str, type[BaseModel]]]] = {
    "Top level": ("workflow-file", workflow_file.WorkflowFile),
    "Agents": ("workflow-file", workflow_file.AgentFile),
    "Phases": ("workflow-file", workflow_file.PhaseFile),
    "Steps": ("workflow-file", workflow_file.StepFile),
    "Retry": ("workflow-file", workflow_file.RetryFile),
    "Wait": ("workflow-file", workflow_file.WaitFile),
    "Ends": ("workflow-file", workflow_file.EndFile),
    "Actions": ("workflow-file", workflow_file.ActionFile),
    "Rules": ("workflow-file", workflow_file.RuleFile),
    "Policy": ("workflow-file", policy_file.PolicyFile),
    "Limits": ("workflow-file", policy_file.LimitsFile),
    "Going in circles": ("workflow-file", policy_file.NoProgressFile),
    "Classifier": ("workflow-file", policy_file.ClassifierFile),
    "Risk": ("workflow-file", policy_file.RiskFile),
    "Part": ("workflow-file", policy_file.PartFile),
    "Term": ("workflow-file", policy_file.TermFile),
    "Rungs": ("workflow-file", policy_file.RungFile),
    "Money": ("workflow-file", policy_file.MoneyFile),
    "Models": ("workflow-file", policy_file.ModelsFile),
    "Breaker": ("workflow-file", policy_file.BreakerFile),
    "Rates": ("workflow-file", policy_file.RateFile),
    "Retries": ("workflow-file", policy_file.RetriesFile),
    "Chain": ("workflow-file", policy_file.LinkFile),
    "Attempts": ("workflow-file", policy_file.RetryModelFile),
    "Attachments": ("workflow-file", policy_file.AttachmentsFile),
    "Routes": ("workflow-file", policy_file.RouteFile),
    "Rollout": ("workflow-file", policy_file.RolloutFile),
    "Approvals": ("workflow-file", policy_file.ApprovalFile),
    "Migrates": ("workflow-file", workflow_file.MigrationFile),
    "The file": ("scenarios", scenario_file.Scenario),
    "Script": ("scenarios", scenario_file.ScriptSection),
    "Expect": ("scenarios", scenario_file.Expected),
    "Decisions": ("scenarios", scenario_file.DecisionExpected),
    "The script": ("rehearsal", rehearsal_script.FaultScript),
    "A fault": ("rehearsal", rehearsal_script.FaultLine),
}
"""Each heading with a table of keys, and the model that reads them."""


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_has_its_row_with_its_default(heading: str) -> None:
    page, model = SECTIONS[heading]
    table = {row[0].strip("`"): row for row in rows(page, heading)}
    keys = {field.alias or name: field for name, field in model.model_fields.items() if not field.exclude}
    assert set(keys) <= set(table)
    for key, field in keys.items():
        if field.is_required():
            assert table[key][2] == "required", key
        elif isinstance(field.default, (str, int, float)) and field.default != "":
            assert f"`{_written(field.default)}`" in table[key][2], key


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_model_of_a_file_has_its_table() -> None:
    told = {model for _, model in SECTIONS.values()}
    for module in (workflow_file, policy_file, scenario_file, rehearsal_script):
        for each in vars(module).values():
            section = isinstance(each, type) and issubclass(each, Section)
            if section and each is not Section and not each.__name__.startswith("_"):
                assert each in told


def test_every_word_that_a_key_may_hold_is_told() -> None:
    words = {word for _, model in SECTIONS.values() for field in model.model_fields.values() for word in _words(field)}
    assert {"model_wins", "give_up", "programmatic", "question"} <= words
    assert words - ticked("workflow-file") - ticked("scenarios") - ticked("rehearsal") == set()


def test_every_family_of_faults_is_told() -> None:
    assert set(FAMILIES) - ticked("rehearsal") == set()


def _words(field: Any) -> set[str]:
    found, left = set[str](), [field.annotation]
    while left:
        each = left.pop()
        if isinstance(each, str):
            found.add(each)
        left += get_args(each)
    return found


def test_the_truth_table_is_that_of_both_orders() -> None:
    seen = [spelled(state) for row in rows("workflow-file", "The truth table") for state in _states(row)]
    assert sorted(seen) == sorted(spelled(state) for state in STATES)


def _states(row: list[str]) -> Iterator[dict[str, Any]]:
    """The states that a row of the truth table covers, each of which must come out as the row says."""
    *conditions, w, here = row
    for state in STATES:
        told = (str(state["error_count"]), *("yes" if value else "no" for value in list(state.values())[1:]))
        if all(not wanted or value in wanted.split(", ") for value, wanted in zip(told, conditions, strict=True)):
            assert (w, here.strip("*")) == (w_order(state), classify(CLASSIFIER, facts(state))[0]), row
            yield state


def test_every_root_is_told() -> None:
    assert {root for root in ROOTS if not any(_begins(each, root) for each in ticked("workflow-file"))} == set()


def _begins(text: str, root: str) -> bool:
    return text == root or text.startswith(f"{root}.")


def test_every_signal_is_told() -> None:
    assert {*BUILTIN, *MEASURES, *AGENTS} - ticked("signals") == set()


def test_every_command_and_exit_code_is_told() -> None:
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert len(commands) >= 17
    assert commands - ticked("command-line") == set()
    assert {f"`{int(code)}`" for code in MEANING} - {row[0] for row in rows("command-line", "Exit codes")} == set()


JSON_OF: Final = {
    "run": "run workflow.yaml --input ticket=hm --id t-1",
    "show": "show t-1",
    "runs": "runs",
    "replay": "replay t-1",
    "check": "check workflow.yaml",
    "explain": "explain workflow.yaml --at sorting",
    "outcome": "outcome t-1 --success",
    "play": "play scenarios/unclear.yaml",
    "export": "export t-1",
    "diagram": "diagram workflow.yaml",
}


def test_json_has_exactly_the_keys_that_are_told(tmp_path: Path) -> None:
    table = {command: row for row in rows("command-line", "JSON") for command in re.findall(r"`([\w-]+)", row[0])}
    _printed("stepladder init .", tmp_path)
    common = set[str]()
    for command, line in JSON_OF.items():
        found = set(json.loads(_printed(f"stepladder {line} --json", tmp_path)))
        told = set(re.findall(r"`(\w+)`", table[command][1]))
        common = found if command == "run" else common
        assert found == (told | common if command == "show" else told), command


def test_every_public_name_is_told() -> None:
    text = prose("embedding")
    assert [name for name in stepladder.__all__ if not re.search(rf"`[^`]*\b{name}\b[^`]*`", text)] == []


def test_every_verb_is_told() -> None:
    verbs = {name for name in vars(stepladder.Orchestrator) if not name.startswith("_")}
    text = prose("embedding")
    assert [verb for verb in verbs if f"`{verb}" not in text] == []


def test_every_error_is_told() -> None:
    names = {
        name
        for module in (ours, theirs)
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, ours.StepladderError)
    }
    told = read("embedding")
    assert [name for name in names if not re.search(rf"\b{name}\b", told)] == []
