"""Where an MCP server is."""

from __future__ import annotations

from pathlib import PurePath
from urllib.parse import urlsplit

import msgspec

from stepladder.drivers.remote import shown_address


class Server(msgspec.Struct, frozen=True):
    """A server behind an address, or one that is started by a command. Calls to equal servers share a session."""

    url: str = ""
    headers: dict[str, str] = {}
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None

    @property
    def shown(self) -> str:
        """As messages show it: without headers, query and arguments, which may hold keys."""
        return PurePath(self.command[0]).name if self.command else shown_address(urlsplit(self.url))
