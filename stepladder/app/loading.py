"""Reading workflow files and the agents beside them."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from stepladder.errors import DefinitionError, InputError, Problem, StepladderError, cause_of
from stepladder.llm import Provider
from stepladder.orchestrator import Machine
from stepladder.prompts import shipped
from stepladder.signals import Signal
from stepladder.workflow.build import build
from stepladder.workflow.definition import Definition
from stepladder.workflow.problems import Problems
from stepladder.workflow.yaml_text import Lines, read_yaml

PROMPT_SUFFIXES = (".md.j2", ".j2", ".md", ".txt")
POLICY_KEYS = ("policy", "rules", "select_agent", "prompts")
"""The keys of a workflow file that only the policy hash names; a policy file has no other."""
Agents = Mapping[str, Callable[..., Any]]


class Workflow:
    """A workflow with its policy, ready to run.

    Attributes:
        definition: everything in it, resolved.
        lines: the line of each key in the file it came from.
        prompt_files: names of the prompts found beside the file.
        signals: the user's own signals it was built with.
    """

    def __init__(
        self,
        definition: Definition,
        lines: Lines | None = None,
        prompt_files: Iterable[str] = (),
        signals: Iterable[Signal] = (),
    ) -> None:
        self.definition = definition
        self.signals = tuple(signals)
        self.lines = lines or {}
        self.prompt_files = tuple(prompt_files)
        self.machine = Machine(definition)

    @classmethod
    def load(cls, path: str | Path, *, signals: Iterable[Signal] = ()) -> Workflow:
        """The workflow in a YAML file; prompts are taken from `prompts/` beside it.

        Raises:
            DefinitionError: the file cannot be read or used; with all its problems.
        """
        file, signals = Path(path), tuple(signals)
        text = read_file(file)
        prompts = read_prompts(file.parent / "prompts")
        data, lines = read_yaml(text, str(path))
        return cls(
            build(data, file=str(path), lines=lines, signals=signals, prompts=prompts, shipped=shipped()),
            lines,
            prompts,
            signals,
        )

    @classmethod
    def parse(cls, text: str, *, file: str = "", signals: Iterable[Signal] = ()) -> Workflow:
        """The workflow that YAML text defines. Raises DefinitionError."""
        data, lines = read_yaml(text, file)
        signals = tuple(signals)
        return cls(build(data, file=file, lines=lines, signals=signals, shipped=shipped()), lines, (), signals)

    @classmethod
    def define(
        cls, data: Mapping[str, Any], *, signals: Iterable[Signal] = (), prompts: Mapping[str, str] | None = None
    ) -> Workflow:
        """The workflow that a mapping defines: the same keys as in a file. Raises DefinitionError."""
        signals = tuple(signals)
        return cls(build(data, signals=signals, prompts=prompts, shipped=shipped()), signals=signals)

    def under(self, policy: str | Path) -> Workflow:
        """The same workflow under the policy in a YAML file.

        Each of the keys `policy`, `rules` and `select_agent` that the file has replaces the workflow's own; `prompts`
        join those that are there.

        Raises:
            DefinitionError: the file cannot be read or used; with all its problems.
        """
        data, lines = read_yaml(read_file(Path(policy)), str(policy))
        problems = Problems(str(policy), lines, data)
        for key in data:
            if key not in POLICY_KEYS:
                problems.unknown((key,), "key", key, POLICY_KEYS)
        problems.raise_errors()
        return self._with(data, str(policy), lines)

    def with_policy(self, policy: Mapping[str, Any]) -> Workflow:
        """The same workflow with this instead of its own `policy` section. Raises DefinitionError."""
        return self._with({"policy": policy}, "", {})

    def _with(self, data: Mapping[str, Any], file: str, lines: Lines) -> Workflow:
        source, prompts = {**self.definition.source, **data}, self.definition.prompts
        definition = build(source, file=file, lines=lines, signals=self.signals, prompts=prompts, shipped=shipped())
        return Workflow(definition, lines, self.prompt_files, self.signals)

    @property
    def name(self) -> str:
        """Its name."""
        return self.definition.name

    @property
    def hash(self) -> str:
        """The hash that runs are pinned to."""
        return self.definition.hash

    def stored(self) -> bytes:
        """What a journal keeps of it, from which `restored` makes it again."""
        used = {each.name for each in self.definition.fold.signals}
        versions = {each.name: each.version for each in self.signals if each.name in used}
        kept = {"source": self.definition.source, "prompts": self.definition.prompts, "signals": versions}
        return msgspec.json.encode(kept)


def restored(body: bytes, signals: Iterable[Signal] = ()) -> Workflow:
    """The workflow that a journal keeps."""
    kept = msgspec.json.decode(body)
    return Workflow.define(kept["source"], signals=signals, prompts=kept["prompts"])


def read_prompts(folder: Path) -> dict[str, str]:
    """The prompt texts in a folder by name@version; {} where there is none. Hidden files are none.

    Raises:
        DefinitionError: a file cannot be read, or two give the same prompt.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        suffix = next((suffix for suffix in PROMPT_SUFFIXES if path.name.endswith(suffix)), "")
        if not suffix or path.name.startswith(".") or not path.is_file():
            continue
        name = path.name.removesuffix(suffix)
        if name in files:
            found = f"{name} a second time, beside {files[name].name}"
            raise DefinitionError([Problem("", found, "one file for each prompt", str(path))])
        files[name] = path
    return {name: read_file(path) for name, path in files.items()}


def read_file(path: Path, expected: str = "a file that can be read") -> str:
    """The text of a file that a person wrote. Raises DefinitionError: it cannot be read, or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        problem = Problem("", f"bytes that are not UTF-8 at {error.start}", "a text file in UTF-8", str(path))
    except OSError as error:
        problem = Problem("", cause_of(error), expected, str(path))
    raise DefinitionError([problem]) from None


def load_agents(
    path: str | Path, options: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], tuple[Signal, ...]]:
    """The agents and signals that a Python file offers.

    The file defines `agents(**options)` or a mapping `AGENTS`; `SIGNALS` is optional. It may import its neighbours
    relatively.

    Raises:
        InputError: there is no such file, it raises, it offers no agents, or it does not take an option.
    """
    with _told(path):
        return _offered(_import(Path(path)), path, options or {})


def load_providers(path: str | Path) -> dict[str, Provider]:
    """The providers that a Python file offers as `PROVIDERS`, by name; {} where it offers none.

    Raises:
        InputError: there is no such file, it raises, or what it offers are no providers.
    """
    with _told(path):
        given = getattr(_import(Path(path)), "PROVIDERS", {})
    if not isinstance(given, Mapping):
        raise InputError(str(path), "PROVIDERS", f"a {type(given).__name__}", "a mapping of providers by name")
    for name, each in given.items():
        if not callable(getattr(each, "ask", None)):
            raise InputError(str(path), f"PROVIDERS.{name}", f"a {type(each).__name__}", "a provider, with `ask`")
    return dict(given)


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """Whatever the file raises is told of as bad input, at its line."""
    try:
        yield
    except StepladderError:
        raise
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        found = said + _place(error, Path(path))
        raise InputError(str(path), "", found, "a file that loads without an error") from error


def _offered(
    module: ModuleType, path: str | Path, options: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[Signal, ...]]:
    given = getattr(module, "agents", None) or getattr(module, "AGENTS", None)
    if given is None:
        raise InputError(str(path), "", "no `agents` function and no AGENTS", "one of them, giving agents by name")
    if options and not callable(given):
        raise InputError(str(path), "AGENTS", f"options {', '.join(options)}", "an `agents` function that takes them")
    if callable(given):
        _must_take(given, options, path)
    agents = given(**options) if callable(given) else given
    if not isinstance(agents, Mapping):
        raise InputError(str(path), "agents", f"a {type(agents).__name__}", "a mapping of agents by name")
    return dict(agents), _signals(module, path)


def _must_take(agents: Callable[..., Any], options: Mapping[str, str], path: str | Path) -> None:
    try:
        inspect.signature(agents).bind(**options)
    except TypeError as error:
        raise InputError(str(path), "agents", str(error), "options that its `agents` function takes") from None


def _place(error: BaseException, path: Path) -> str:
    """The line of the file that was at work when it raised."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name == path.name]
    return f" (line {lines[-1]})" if lines and not isinstance(error, SyntaxError) else ""


def _signals(module: ModuleType, path: str | Path) -> tuple[Signal, ...]:
    given = getattr(module, "SIGNALS", ())
    signals = tuple(given) if isinstance(given, Iterable) else (given,)
    for each in signals:
        if not isinstance(each, Signal):
            raise InputError(str(path), "SIGNALS", f"a {type(each).__name__}", "a list of signals")
    return signals


def _import(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(str(path), "", "no such file", "a Python file that offers agents")
    if path.suffix != ".py":
        raise InputError(str(path), "", f"a {path.suffix or 'nameless'} file", "a Python file (.py) that offers agents")
    name = "stepladder_agents_" + sha256(str(path.resolve()).encode()).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
