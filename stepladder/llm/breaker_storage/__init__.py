"""Where a breaker's state is kept: pybreaker's storages, and what these lack: a rest that ends, one leased probe.

MemoryStorage   one process
SqliteStorage   every process on one machine that opens the same file; nothing else is needed
RedisStorage    every process that reaches the same Redis (pybreaker's own storage, and keys of ours)
"""

from stepladder.llm.breaker_storage.in_memory import MemoryStorage
from stepladder.llm.breaker_storage.in_redis import RedisStorage
from stepladder.llm.breaker_storage.in_sqlite import SqliteStorage
from stepladder.llm.breaker_storage.storage import CLOSED, HALF_OPEN, LONGEST_S, OPEN, Storage

__all__ = [
    "CLOSED",
    "HALF_OPEN",
    "LONGEST_S",
    "OPEN",
    "MemoryStorage",
    "RedisStorage",
    "SqliteStorage",
    "Storage",
]
