"""A scenario as the text of its file, such that reading the file gives the very same values."""

from __future__ import annotations

import json
from typing import Any

import yaml

from stepladder.errors import DefinitionError
from stepladder.workflow.yaml_text import read_yaml


def cassette_text(scenario: dict[str, Any]) -> str:
    """YAML where that reads back as the same; else JSON, which is YAML as well."""
    text = yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True, width=120)
    try:
        same = read_yaml(text)[0] == scenario
    except DefinitionError:
        same = False
    if same:
        return text
    return "".join(map(_escaped, json.dumps(scenario, ensure_ascii=False, indent=2))) + "\n"


def _escaped(sign: str) -> str:
    """A character as YAML reads it between double quotes: what cannot be seen by its number."""
    if sign.isprintable() or sign == "\n":  # JSON escapes those of a text
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) <= 0xFFFF else f"\\U{ord(sign):08x}"
