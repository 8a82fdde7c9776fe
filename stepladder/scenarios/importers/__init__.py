"""Readers of what other systems write: each gives recordings, one at a time, and tells of what it skips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from stepladder.scenarios.importers.chat import read_chat
from stepladder.scenarios.importers.langgraph import read_langgraph
from stepladder.scenarios.importers.magentic_one import read_magentic_one
from stepladder.scenarios.importers.otlp import read_otlp
from stepladder.scenarios.recording import Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem, read_recordings

Importer = Callable[[Iterable[Path], OnProblem, OnBytes], Iterator[Recording]]

FORMATS: Final[dict[str, Importer]] = {
    "recordings": read_recordings,
    "chat": read_chat,
    "magentic-one": read_magentic_one,
    "otlp": read_otlp,
    "langgraph": read_langgraph,
}
"""The readers by the name of what they read."""
