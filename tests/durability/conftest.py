"""What the crash tests share: processes that fork, a quick folder, and the stories."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.durability.crashes import Undisturbed, pool, quick_folder, recorded, results
from tests.durability.story import QUICK


@pytest.fixture(scope="package")
def crew() -> Iterator[ProcessPoolExecutor]:
    with pool() as found:
        yield found


@pytest.fixture(scope="package")
def stage() -> Iterator[Path]:
    """A folder; it is left where something in it is wrong."""
    folder = quick_folder()
    yield folder
    if not list(folder.rglob("wrong")):
        shutil.rmtree(folder)


@pytest.fixture(scope="package")
def stories(crew: ProcessPoolExecutor, stage: Path) -> dict[str, Undisturbed]:
    """The stories of the scenarios that are recorded quickly, with their strict variants."""
    found = results(crew.submit(recorded, file, stage, with_strict=True) for file in QUICK)
    return {story.kept.stem: story for stories in found for story in stories}
