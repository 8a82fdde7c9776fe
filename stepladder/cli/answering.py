"""From the options of `answer` to the value that fits what the run waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepladder.cli.failures import UsageError
from stepladder.cli.pairs import fields, mapping
from stepladder.cli.tell import answer_form, question_fields, text_field

if TYPE_CHECKING:
    from stepladder.app.run import Run, Waiting
    from stepladder.workflow.definition import Definition

FORMS: Final = {
    "text": ("question",),
    "field": ("question",),
    "action": ("decision",),
    "approve": ("approval",),
    "effect": ("effect",),
    "json_value": ("question", "decision", "approval", "effect"),
}
"""What each form of an answer answers."""
BESIDE: Final = {"parameter": ("action",), "output": ("effect",), "reason": ("action", "approve")}
"""What goes only with certain forms."""


class Answer(NamedTuple):
    """What the options say."""

    text: str | None = None
    json_value: str | None = None
    field: list[str] | None = None
    action: str | None = None
    parameter: list[str] | None = None
    approve: bool | None = None
    effect: str | None = None
    output: str | None = None
    reason: str | None = None

    @property
    def forms(self) -> list[str]:
        """The forms that are used."""
        return [form for form in FORMS if getattr(self, form) is not None]

    @property
    def empty(self) -> bool:
        """Whether nothing is answered."""
        return not self.forms

    def check(self) -> None:
        """Raise UsageError where two answers are given, or something that goes with none of them."""
        if len(self.forms) > 1:
            raise UsageError(f"answer: {' and '.join(map(_option, self.forms))}; give one answer")
        for name, forms in BESIDE.items():
            if getattr(self, name) is not None and not set(forms) & set(self.forms):
                raise UsageError(f"answer: {_option(name)} goes with {' or '.join(map(_option, forms))}")
        if self.effect not in (None, "done", "redo", "unknown"):
            raise UsageError(f"answer: --effect {self.effect}; expected done, redo or unknown")
        if self.output is not None and self.effect != "done":
            raise UsageError("answer: --output goes with --effect done")


def _option(name: str) -> str:
    return {"approve": "--approve/--refuse"}.get(name, f"--{name.replace('_', '-')}")


def answer_value(said: Answer, run: Run, definition: Definition) -> dict[str, Any]:
    """The value to hand in. What it says is judged by whoever takes it.

    Raises:
        UsageError: another form of answer is asked for.
        InputError: it is not JSON.
    """
    (form,) = said.forms
    waiting = run.waiting
    if waiting is not None and waiting.about not in (*FORMS[form], "message", "time"):
        fitting = answer_form(waiting, definition)
        raise UsageError(
            f"run {run.id!r}: it waits for a person's {waiting.about}; answer with {fitting}, not {_option(form)}"
        )
    match form:
        case "json_value":
            return mapping(said.json_value or "", "--json-value")
        case "action":
            return _action(said, definition)
        case "approve":
            return {"approve": said.approve, **_reason(said)}
        case "effect":
            given = {} if said.output is None else {"output": mapping(said.output, "--output")}
            return {"effect": said.effect, **given}
        case _:
            return _question(said, waiting, definition)


def _question(said: Answer, waiting: Waiting | None, definition: Definition) -> dict[str, Any]:
    properties = question_fields(waiting, definition) if waiting else {}
    if said.field is not None:
        return fields(said.field, "--field", {"properties": properties})
    name = text_field(waiting, definition) if waiting else "text"
    if not name:
        raise UsageError(
            f"answer: --text is not enough; the answer has the fields {', '.join(properties)}: use --field"
        )
    return {name: said.text}


def _action(said: Answer, definition: Definition) -> dict[str, Any]:
    action = definition.actions.get(said.action or "")
    parameters = fields(said.parameter, "--parameter", action.parameters if action else {})
    return {"action": said.action, **({"parameters": parameters} if parameters else {}), **_reason(said)}


def _reason(said: Answer) -> dict[str, Any]:
    return {} if said.reason is None else {"reason": said.reason}
