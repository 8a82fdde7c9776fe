"""Libraries that only tuning needs, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stepladder.errors import StepladderError


def needed(module: str, what: str) -> Any:
    """The module; `what` says who needs it. Raises StepladderError where it is not installed, with what installs it."""
    try:
        return import_module(module)
    except ImportError:
        name = {"sklearn": "scikit-learn"}.get(module.partition(".")[0], module.partition(".")[0])
        raise StepladderError(f"{what} needs {name}: pip install 'stepladder[tune]'") from None
