"""Which values are secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from stepladder.errors import InputError

_SECRET_NAME: Final = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|PASSPHRASE)$", re.IGNORECASE)
_NOT_SECRET: Final = re.compile(r"^(\d+|true|false|yes|no|/.*|\s*)$", re.IGNORECASE)


def secrets_of(given: Mapping[str, str], environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What `secret.NAME` may name (the values given, then the environment's), and the values never to write down.

    A variable counts as secret when its name ends in KEY, TOKEN, SECRET, PASSWORD or CREDENTIALS.

    Raises:
        InputError: a given value is not text.
    """
    for name, value in given.items():
        if not isinstance(value, str):
            raise InputError("secrets", name, f"a {type(value).__name__}", "text")
    from_environment = {
        name: value for name, value in environment.items() if _SECRET_NAME.search(name) and not _NOT_SECRET.match(value)
    }
    known = {**from_environment, **given}
    return known, list(known.values())
