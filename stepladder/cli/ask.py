"""Asking the person at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepladder.cli.pairs import typed
from stepladder.cli.screen import clean, line, spelt
from stepladder.cli.tell import question_fields

if TYPE_CHECKING:
    from rich.console import Console

    from stepladder.app.run import Waiting
    from stepladder.workflow.definition import Definition

YES, NO = ("y", "yes", "approve", "true"), ("n", "no", "refuse", "false")


def ask_person(waiting: Waiting, definition: Definition, out: Console) -> dict[str, Any] | None:
    """The answer of the person who sits here; None where they leave it open (end of input)."""
    from rich.text import Text

    out.print()
    out.print(Text.assemble((f"{waiting.about}? ", "bold yellow"), clean(waiting.question)))
    for name, value in waiting.arguments.items():
        if value is not None and value != waiting.question:
            out.print(Text(f"  {line(name)}: {spelt(value, 300)}", "dim"))
    try:
        match waiting.about:
            case "decision":
                return _decision(waiting, definition, out)
            case "approval":
                return _approval(out)
            case "effect":
                return {"effect": _one_of(waiting.options, ", ".join(waiting.options), out)}
            case _:
                return _question(waiting, definition, out)
    except EOFError:
        out.print()
        return None


def _question(waiting: Waiting, definition: Definition, out: Console) -> dict[str, Any]:
    fields = question_fields(waiting, definition) or {"text": {"type": "string"}}
    answer: dict[str, Any] = {}
    for name, schema in fields.items():
        words = f" ({', '.join(map(str, schema['enum']))})" if schema.get("enum") else ""
        said = _said(f"{line(name)}{words}", out)
        if said or "default" not in schema:
            answer[name] = typed(said, schema)
    return answer


def _decision(waiting: Waiting, definition: Definition, out: Console) -> dict[str, Any]:
    for option in waiting.options:
        action = definition.actions.get(option)
        out.print(f"  {option}  {clean(action.description) if action else ''}", style="dim")
    chosen = _one_of(waiting.options, "action", out)
    answer: dict[str, Any] = {"action": chosen}
    parameters = definition.actions[chosen].parameters.get("properties", {}) if chosen in definition.actions else {}
    given = {name: said for name in parameters if (said := _said(f"  {line(name)}", out))}
    if given:
        answer["parameters"] = {name: typed(text, parameters[name]) for name, text in given.items()}
    if reason := _said("reason", out):
        answer["reason"] = reason
    return answer


def _approval(out: Console) -> dict[str, Any]:
    given = _one_of((*YES, *NO), "approve? y/n", out) in YES
    reason = _said("reason", out)
    return {"approve": given, **({"reason": reason} if reason else {})}


def _one_of(options: tuple[str, ...], label: str, out: Console) -> str:
    """One of the options, or the only one that begins so."""
    while True:
        said = _said(label, out)
        near = [option for option in options if said and option.lower().startswith(said.lower())]
        if said in options:
            return said
        if len(near) == 1:
            return near[0]
        out.print(f"one of: {', '.join(options)}", style="yellow")


def _said(label: str, out: Console) -> str:
    from rich.text import Text

    return out.input(Text(f"{label}> ", "bold")).strip()
