"""A section of a file that people write, and the kinds of value that several sections have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
Clauses = Annotated[list[str], Field(description="Clauses `signal op literal`, all of which must hold.")]
AnyOfFile = Annotated[dict[Name, Clauses], Field(description="Named lists of clauses; any one is enough.")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, le=10 * 366 * 86400)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Arguments = Annotated[
    dict[str, Any], Field(description="Name to reference (result.plan.sql), literal or 'quoted text'.")
]
Fields = Annotated[dict[Name, Any], Field(description="Field to JSON Schema type word, or to a JSON Schema.")]


def _spelt(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Spelt = Annotated[str, BeforeValidator(_spelt)]
"""A text that may be a whole number in the file."""


class Section(BaseModel):
    """A section that knows all its keys."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True, serialize_by_alias=True)
