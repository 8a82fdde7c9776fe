"""The address of a journal on a server: postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE."""

from __future__ import annotations

import re
from typing import Final

from stepladder.errors import JournalError

PREFIXES: Final = ("postgresql://", "postgres://")
FORM: Final = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, with what is special in a word as %40"
_HOST: Final = r"(?:\[[^\]@/?#\s]+\]|[^\[\]:,@/?#\s]*)(?::\d*)?"
_ADDRESS: Final = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/?#\s]*)(?P<password>:[^@/?#\s]*)?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<database>/[^@/?#\s]*)?(?:\?(?P<options>(?:\w+=[^&@?#\s]*(?:&|$))*))?"
)
_TOLD: Final = re.compile(r"(?:host|hostaddr|port|dbname|user|service|sslmode|options)=")


def is_address(journal: object) -> bool:
    """Whether this names a server rather than a file."""
    return isinstance(journal, str) and journal.startswith(PREFIXES)


def shown(address: str) -> str:
    """The address without its password, and without options that do not say where it is.

    Raises:
        JournalError: it is not of this form. It is not repeated then: any part of it may be a part of a password.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise JournalError("postgresql://...", "an address that cannot be read", FORM)
    user = f"{found['user']}@" if found["user"] else ""
    options = [each for each in (found["options"] or "").split("&") if _TOLD.match(each)]
    query = f"?{'&'.join(options)}" if options else ""
    return f"postgresql://{user}{found['hosts']}{found['database'] or ''}{query}"
