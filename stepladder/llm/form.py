"""The forms in which an answer is asked for. However it comes, it is judged by the same schema."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from stepladder.llm.errors import ModelError, SetupError
from stepladder.llm.provider import ModelReply

Form = Literal["schema", "function", "object", "text"]
FORMS: Final[tuple[Form, ...]] = ("schema", "function", "object", "text")
"""How an answer is asked for: by its schema, as the call of a function, as any JSON object, or in words alone."""


def form_of(provider: str, form: Form) -> Form:
    """The form, as it was given.

    Raises:
        SetupError: it is none.
    """
    if form not in FORMS:
        raise SetupError(f"provider {provider}: form is {form!r}, expected one of {', '.join(FORMS)}")
    return form


def as_asked(found: ModelReply | ModelError, form: Form) -> ModelReply | ModelError:
    """A call is nothing odd where a call was asked for."""
    if form != "function" or isinstance(found, ModelError):
        return found
    return msgspec.structs.replace(found, repaired=tuple(each for each in found.repaired if each != "tool_call"))
