"""Prompt templates: versioned texts in Jinja's syntax, rendered in a sandbox.

Only the text of a definition is ever a template. What agents, models and people say comes in as values of variables and
is never looked at as template syntax, however often it is rendered.

A template may split itself into `{% block system %}` and `{% block prompt %}`; without blocks all of it is the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from stepladder.errors import DefinitionError, Problem
from stepladder.values import digest

_NAME: Final = re.compile(r"([A-Za-z_][\w-]*)@([1-9]\d{0,8})", re.ASCII)
SUFFIX: Final = ".md.j2"
"""What the file of a prompt is called after its `name@version`."""


class Rendered(msgspec.Struct, frozen=True):
    """A prompt, ready to send. `digest` names exactly this text (and schema); `cut` lists data that was shortened.

    `schema` is the JSON schema of the answer ({} where any text will do), `strict` whether a provider's strict mode
    takes it.
    """

    system: str
    prompt: str
    digest: str
    name: str
    schema: dict[str, Any] = {}
    strict: bool = True
    cut: tuple[str, ...] = ()


class Template(msgspec.Struct, frozen=True):
    """A prompt text under its name and version."""

    name: str
    version: int
    text: str

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def variables(self) -> tuple[str, ...]:
        """The names it reads, sorted."""
        return variables_of(self.text, self.id)

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text with these variables; raises what `render` raises."""
        return render(self.text, variables, self.id)


def parse_name(text: object) -> tuple[str, int]:
    """`plan_query@1` as ("plan_query", 1).

    Raises:
        DefinitionError: it is no `name@version`.
    """
    shape = _NAME.fullmatch(text) if isinstance(text, str) else None
    if shape is None:
        expected = "name@version, such as plan_query@1 (letters, digits, _ and -; versions count from 1)"
        raise DefinitionError([Problem("prompt", repr(text)[:100], expected, code="prompt-name")])
    return shape[1], int(shape[2])


def find_template(name: str, prompts: Mapping[str, str]) -> Template:
    """The template of this `name@version`: one of the definition's own `prompts`, else one that ships.

    Raises:
        DefinitionError: there is none.
    """
    word, version = parse_name(name)
    text = prompts.get(name)
    if text is None:
        text = shipped().get(name)
    if text is None:
        known = ", ".join(sorted({*prompts, *shipped()}))
        raise DefinitionError([Problem("prompt", repr(name), f"one of: {known}", code="unknown-prompt")])
    return Template(word, version, text)


@cache
def shipped() -> dict[str, str]:
    """The prompts that come with the package, by name@version."""
    folder = files("stepladder.prompts") / "templates"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(SUFFIX)), key=lambda each: each.name)
    return {each.name.removesuffix(SUFFIX): each.read_text(encoding="utf-8") for each in found}


def render(text: str, variables: Mapping[str, Any], name: str = "prompt") -> str:
    """The template with these plain values put in. A value that is not text is written as JSON.

    Raises:
        DefinitionError: the template is not one (with its line), or it tries what the sandbox refuses.
        InputError: a variable it reads is missing, or a value does not fit what it does with it.
    """
    from stepladder.prompts.sandbox import run

    return run(text, variables, name)[""]


def render_parts(text: str, variables: Mapping[str, Any], name: str = "prompt") -> tuple[str, str]:
    """The system part ("" without one) and the prompt; raises what `render` raises."""
    from stepladder.prompts.sandbox import run

    parts = run(text, variables, name)
    if "prompt" not in parts and "system" in parts:
        found, expected = "a block `system` alone", "a block `prompt` beside it"
        raise DefinitionError([Problem(name, found, expected, code="prompt")])
    return parts.get("system", "").strip(), (parts["prompt"] if "prompt" in parts else parts[""]).strip()


def variables_of(text: str, name: str = "prompt") -> tuple[str, ...]:
    """The names that a template reads, sorted; raises DefinitionError if it is not one."""
    from stepladder.prompts.sandbox import undeclared

    return undeclared(text, name)


def agent_prompt(
    text: str, arguments: Mapping[str, Any], call: Mapping[str, Any] | None = None, *, name: str = "prompt"
) -> Rendered:
    """A step's own prompt: its arguments are the variables, and `call` holds what else is known (step, agent ...).

    A value that is not text is written as JSON; `{{ rows | data("rows") }}` puts any value into a block that its
    content cannot close. Raises what `render` raises.
    """
    system, prompt = render_parts(text, {**arguments, "call": dict(call or {})}, name)
    return Rendered(system, prompt, digest(system, prompt), name)
