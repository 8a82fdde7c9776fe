"""Readers of what other systems write: each gives recordings, one at a time, and tells of what it skips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from stepladder.scenarios.recording import Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem, read_recordings

Importer = Callable[[Iterable[Path], OnProblem, OnBytes], Iterator[Recording]]

FORMATS: Final[dict[str, Importer]] = {"recordings": read_recordings}
"""The readers by the name of what they read."""
