"""Everything that anybody logs."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger


@contextmanager
def all_logs() -> Iterator[io.StringIO]:
    """What is logged meanwhile: every standard logger at DEBUG, and loguru with the values in its tracebacks."""
    said, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(said), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    sink = logger.add(said, level=0, diagnose=True, backtrace=True)
    try:
        yield said
    finally:
        logger.remove(sink)
        root.setLevel(level)
        root.removeHandler(handler)
