"""Libraries that only some of this package needs, imported when they are first asked for (scipy.stats takes 1.9 s)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stepladder.errors import StepladderError


def scipy_stats() -> Any:
    """scipy.stats. Raises StepladderError where scipy is not installed."""
    try:
        return import_module("scipy.stats")
    except ImportError:
        raise StepladderError("statistical tests need scipy: pip install 'stepladder[evaluation]'") from None
