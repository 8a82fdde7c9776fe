"""A tuned policy as the text of its file: the same policy gives the same text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Lists of plain values and small mappings on one line."""


def _represent_list(dumper: yaml.SafeDumper, values: Sequence[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


def _represent_mapping(dumper: yaml.SafeDumper, values: dict[str, Any]) -> yaml.Node:
    flow = set(values) == {"cuts", "points"}
    return dumper.represent_mapping("tag:yaml.org,2002:map", values.items(), flow_style=flow)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(tuple, _represent_list)
_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(float, _represent_float)


def policy_text(policy: dict[str, Any]) -> str:
    """The policy as YAML."""
    return yaml.dump(policy, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
