"""Libraries that only some of this package needs, imported when they are first asked for (scipy.stats takes 1.9 s)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stepladder.errors import StepladderError


def needed(module: str, what: str, extra: str = "tune") -> Any:
    """The module; `what` says who needs it. Raises StepladderError where it is not installed, with what installs it."""
    try:
        return import_module(module)
    except ImportError:
        name = {"sklearn": "scikit-learn"}.get(module.partition(".")[0], module.partition(".")[0])
        raise StepladderError(f"{what} needs {name}: pip install 'stepladder[{extra}]'") from None


def scipy_stats() -> Any:
    """scipy.stats. Raises StepladderError where scipy is not installed."""
    return needed("scipy.stats", "a statistical test", "evaluation")
