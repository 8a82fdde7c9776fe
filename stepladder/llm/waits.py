"""How long a server asks to be left alone: in its headers, or in words."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import Final

_SPOKEN: Final = re.compile(
    r"(?:try again|retry)(?: again)? (?:in|after) "
    r"(?=\d)(?:(\d{1,4})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)(ms|s(?:ec|econds)?\b| seconds?))?",
    re.IGNORECASE,
)


def spoken_s(message: str) -> float | None:
    """Seconds, from a message such as `Please try again in 6m0.5s`."""
    found = _SPOKEN.search(message)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, rest, unit = found.groups()
    seconds = float(rest or 0) / (1000 if unit and unit.lower() == "ms" else 1)
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + seconds


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after-ms` or `retry-after` (seconds or a date) ask for; None when nothing readable is there.

    A date is compared with the server's own `date` header, so that neither clock has to be right.
    """
    for header, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        seconds = number(headers.get(header, ""))
        if seconds is not None:
            return seconds / divisor
    until, now = _moment(headers.get("retry-after", "")), _moment(headers.get("date", ""))
    if until is None:
        return None
    return max(0.0, until - (now if now is not None else time.time()))


def number(text: str) -> float | None:
    """A finite number >= 0 written in `text`, else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _moment(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (TypeError, ValueError, OverflowError, OSError, IndexError):
        return None
