"""The sections a plan has and the form each must have; what has another form is read as absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .plain import Json, mapping, named, text, texts

if TYPE_CHECKING:
    from collections.abc import Callable

STANDARD_STEPS = ("load", "split", "preprocess", "fit", "baseline", "evaluate", "report")


def preprocessing(value: object) -> Json | None:
    """`{fit_on, groups: [{kind, columns, steps: [{use, with}]}]}`, at least one group."""
    given = mapping(value) or {}
    raw = given.get("groups")
    groups = [_group(item) for item in raw] if isinstance(raw, list) else []
    if not groups or None in groups:
        return None
    return {"fit_on": given.get("fit_on"), "groups": groups}


def _group(value: object) -> Json | None:
    given = mapping(value) or {}
    columns, raw = texts(given.get("columns")), given.get("steps", [])
    steps = [_step(item) for item in raw] if isinstance(raw, list) else [None]
    if columns is None or None in steps:
        return None
    return {"kind": given.get("kind"), "columns": columns, "steps": steps}


def _step(value: object) -> Json | None:
    given = mapping(value) or {}
    use, params = text(given.get("use")), given.get("with", {})
    return {"use": use, "with": params} if use and isinstance(params, dict) else None


SECTIONS: dict[str, Callable[[object], object]] = {
    "goal": text,
    "dataset": text,
    "target": text,
    "task": text,
    "features": texts,
    "split": mapping,
    "metric": named,
    "model": named,
    "preprocessing": preprocessing,
    "baseline": named,
    "acceptance": mapping,
    "steps": texts,
}
"""Section by section in the order they are written, each with the reader of its form."""


def read_plan(plan: object) -> Json:
    """Return the sections of a plan that can be used; {} if the plan is no mapping."""
    given = plan if isinstance(plan, dict) else {}
    read = {name: reader(given.get(name)) for name, reader in SECTIONS.items()}
    return {name: value for name, value in read.items() if value is not None}
