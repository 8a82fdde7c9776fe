"""The disk fails at every write and every sync of a run, the file cannot grow, the power goes.

Nothing that was promised is lost, nothing is torn, and a fresh process finishes the run the same way.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.durability.crashes import Outcome, Undisturbed
from tests.durability.disk import FAULTS, built, faulted

WORKERS = 2

pytestmark = pytest.mark.skipif(
    "STEPLADDER_TORTURE" not in os.environ,
    reason="takes minutes; `make torture` runs it (STEPLADDER_TORTURE=1)",
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not sys.platform.startswith("linux") or shutil.which("cc") is None:
        pytest.skip("a failing disk needs Linux and a C compiler (cc)")
    return built(tmp_path_factory.mktemp("shim"))


def shared(shim: Path, folder: Path, story: Undisturbed, *options: object) -> list[Outcome]:
    with ThreadPoolExecutor(WORKERS) as threads:
        return [
            outcome
            for share in threads.map(
                lambda share: faulted(shim, folder / f"{share}", story.kept, "--share", share, WORKERS, *options),
                range(WORKERS),
            )
            for outcome in share
        ]


def noticed(outcomes: list[Outcome]) -> Counter[str]:
    """How often each fault was noticed; nothing may be wrong."""
    wrong = [outcome for outcome in outcomes if outcome.problems]
    assert not wrong, f"{len(wrong)} of {len(outcomes)} cases; the first: {wrong[0]}"
    found = Counter[str]()
    for outcome in outcomes:
        found[outcome.case.partition(": ")[2].rpartition(", at")[0]] += outcome.kills
    return found


def test_every_write_and_every_sync_of_a_run_fails(shim: Path, stage: Path, stories: dict[str, Undisturbed]) -> None:
    found = noticed(shared(shim, stage / "disk", stories["text_to_sql_unanswerable"]))
    assert all(found[fault.name] for fault in FAULTS), found


def test_some_writes_and_syncs_of_a_long_run_fail(shim: Path, stage: Path, stories: dict[str, Undisturbed]) -> None:
    noticed(shared(shim, stage / "long", stories["journey_scenario"], "--every", 20))


def test_some_writes_and_syncs_of_many_runs_fail(shim: Path, stage: Path, stories: dict[str, Undisturbed]) -> None:
    noticed(shared(shim, stage / "many", stories["text_to_sql_ambiguous"], "--crowd", "--every", 900))
