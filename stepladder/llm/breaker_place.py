"""Where the breakers of an application are kept, by one word: `memory`, a file, or the address of a Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepladder.errors import InputError
from stepladder.llm.errors import SdkMissing

if TYPE_CHECKING:
    from stepladder.llm.breaker_storage import Storage

MEMORY: Final = "memory"
SUFFIX: Final = ".breakers"
"""What the file's name has more than the journal's."""
SCHEMES: Final = ("redis", "rediss", "unix")
EXPECTED: Final = f"{MEMORY}, the path of a file in a folder that is there, or redis://HOST:PORT/NUMBER"
PATIENCE_S: Final = 0.25
"""Redis is asked in passing: what does not answer in this time counts as closed."""

Opening = Callable[[str], "Storage"]


def storage_at(place: str | Path | None) -> Opening | None:
    """What gives a breaker of a name its storage there; None keeps all in this process. Nothing is opened yet.

    Raises:
        InputError: it is none of these; the address is not shown, for it may hold a password.
        SdkMissing: an address of a Redis, and no client for it is installed.
    """
    if place is None or place == MEMORY:
        return None
    text = str(place)
    if "://" in text:
        return _redis(text)
    path = Path(place)
    if not text.strip() or not path.parent.is_dir() or path.is_dir():
        raise InputError("breakers", "", repr(text), EXPECTED)

    def opened(name: str) -> Storage:
        from stepladder.llm.breaker_storage import SqliteStorage

        return SqliteStorage(path, name)

    return opened


def _redis(address: str) -> Opening:
    scheme = address.partition("://")[0]
    if scheme not in SCHEMES:
        raise InputError("breakers", "", f"an address that begins with {scheme!r}", EXPECTED)
    try:
        import redis
    except ModuleNotFoundError as missing:
        raise SdkMissing("redis", "redis", "redis") from missing
    waits = {} if scheme == "unix" else {"socket_connect_timeout": PATIENCE_S}
    try:
        client = redis.Redis.from_url(address, socket_timeout=PATIENCE_S, **waits)
    except ValueError:
        raise InputError("breakers", "", f"a {scheme} address that cannot be read", EXPECTED) from None

    def opened(name: str) -> Storage:
        from stepladder.llm.breaker_storage import RedisStorage

        return RedisStorage(client, name)

    return opened
