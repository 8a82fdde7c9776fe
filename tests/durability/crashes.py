"""Crashes by plan and by chance, the lives that finish what was left, and the verdict on what came of it.

Everything here runs in the processes of a pool, which fork the lives: a kill costs some tens of milliseconds.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from tests.durability.life import KILLED, LONGEST_S, MOMENTS, TIDY, Death, Fate, forked, live
from tests.durability.outside import Outside
from tests.durability.story import read_story, record, strict

RUN: Final = "run-0"
IN_FLIGHT: Final = 64
T = TypeVar("T")


class Undisturbed(NamedTuple):
    """What a run of this story comes to that nobody kills, and the moments at which it could have been."""

    kept: Path
    said: dict[str, Any]
    agents: Counter[str]
    deaths: tuple[Death, ...]


class Outcome(NamedTuple):
    """What came of a case: how often a process was killed, and what was wrong afterwards (nothing, it should be)."""

    case: str
    kills: int
    problems: tuple[str, ...]


def quick_folder() -> Path:
    """A folder for files that need not outlive the machine: in memory, where that can be had."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="stepladder-", dir=memory if os.access(memory, os.W_OK) else None))


def pool(workers: int = 2) -> ProcessPoolExecutor:
    """Processes without threads, which can be forked."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, mp_context=context)


# --- undisturbed


def recorded(file: Path, into: Path, *, with_strict: bool = False) -> list[Undisturbed]:
    """The scenario in this file, recorded and run once by itself; with its strict variant, where there is one."""
    kept = [record(file, into)]
    if with_strict and (other := strict(kept[0])) is not None:
        kept.append(other)
    return [undisturbed(each, into / each.stem) for each in kept]


def undisturbed(kept: Path, folder: Path, runs: Sequence[str] = (RUN,), *, one_run: bool = True) -> Undisturbed:
    """What the story comes to in the hands of one process."""
    folder.mkdir()
    code = lived(kept, folder, runs, one_run=one_run)
    outside = Outside(folder)
    assert code == 0, f"{kept.stem} cannot be run at all: {error_of(folder)}"
    said = json.loads((folder / "said").read_text())
    assert not outside.problems, outside.problems
    assert not said[runs[0]]["wrong"], said[runs[0]]["wrong"]
    agents = Counter(agent for run_id, agent, _ in outside.lines("effects") if run_id == runs[0])
    met = sorted({Death(" ".join(moment), int(at)) for at, *moment in outside.lines("moments")})
    return Undisturbed(kept, said[runs[0]], agents, tuple(met))


# --- by plan


def killed_at(story: Undisturbed, deaths: Sequence[Death], folder: Path) -> Outcome:
    """One run, killed at each of these moments in turn, then finished."""
    case = f"{story.kept.stem} killed {', then '.join(f'{death.moment} of entry {death.at}' for death in deaths)}"
    folder.mkdir(parents=True)
    codes = [lived(story.kept, folder, [RUN], death) for death in deaths]
    if codes[0] != KILLED:
        return Outcome(case, 0, (f"it was not killed ({codes[0]}) {error_of(folder)}",))
    return finished(case, story, folder, [RUN], codes.count(KILLED))


def killed_in_a_crowd(story: Undisturbed, death: Death, folder: Path, *, slow: bool) -> Outcome:
    """Many runs in flight, killed at the n-th write of their turns, then finished."""
    disk = "slow" if slow else "quick"
    case = f"{IN_FLIGHT} of {story.kept.stem} on a {disk} disk, killed {death.moment} of write {death.at}"
    folder.mkdir(parents=True)
    runs = [f"run-{number}" for number in range(IN_FLIGHT)]
    code = lived(story.kept, folder, runs, death, one_run=False, slow=slow)
    return finished(case, story, folder, runs, int(code == KILLED), one_run=False)


def crowd_deaths(story: Undisturbed, folder: Path) -> list[Death]:
    """Every moment around every write while many runs are in flight."""
    runs = [f"run-{number}" for number in range(IN_FLIGHT)]
    found = undisturbed(story.kept, folder, runs, one_run=False)
    writes = max(death.at for death in found.deaths)
    return [Death(moment, at) for at in range(1, writes + 1) for moment in MOMENTS]


# --- by chance


def killed_at_random(story: Undisturbed, seed: int, kills: int, folder: Path, *, crowd: bool) -> Outcome:
    """Runs taken up again and again by processes that are killed after a random while, until `kills` of them were."""
    case = f"{story.kept.stem}, seed {seed}, {f'{IN_FLIGHT} in flight' if crowd else 'one after the other'}"
    chance, killed, batch, problems = random.Random(seed), 0, 0, list[str]()
    runs = [f"run-{number}" for number in range(IN_FLIGHT if crowd else 8)]
    while killed < kills and not problems:
        place, here = folder / str(batch), 0
        place.mkdir(parents=True)
        while killed < kills:
            patience_s = chance.uniform(0.0, 0.06 + 0.01 * here)
            slow = crowd and chance.random() < 0.5
            code = lived(story.kept, place, runs, one_run=not crowd, slow=slow, patience_s=patience_s)
            if code != KILLED:
                break
            killed, here = killed + 1, here + 1
        problems += finished(case, story, place, runs, here, one_run=not crowd).problems
        batch += 1
    return Outcome(case, killed, tuple(problems))


# --- the verdict


def finished(
    case: str, story: Undisturbed, folder: Path, runs: Sequence[str], kills: int, *, one_run: bool = True
) -> Outcome:
    """Let a last life finish the runs, compare them, and clean up where nothing is wrong."""
    code = lived(story.kept, folder, runs, one_run=one_run)
    problems = [*Outside(folder).problems, *([error_of(folder)] if error_of(folder) else [])]
    if code:
        problems.append(f"the last life ended with {code}")
    else:
        said = json.loads((folder / "said").read_text())
        problems += [each for run_id in runs for each in differences(story, run_id, said[run_id])]
        problems += _outside(story, folder, runs, kills)
    if not problems:
        shutil.rmtree(folder)
    return Outcome(case, kills, tuple(problems))


def differences(story: Undisturbed, run_id: str, said: dict[str, Any]) -> list[str]:
    same = {name: said[name] == story.said[name] for name in ("end", "output", "settled")}
    return said["wrong"] + [
        f"run {run_id}: {name} is {said[name]}, undisturbed {story.said[name]}"
        for name, holds in same.items()
        if not holds
    ]


def _outside(story: Undisturbed, folder: Path, runs: Sequence[str], kills: int) -> list[str]:
    """Whether every effect that there should be was there, under one key, at most once a life."""
    outside, keys = Outside(folder), defaultdict[str, set[tuple[str, str]]](set)
    for run_id, agent, key in outside.lines("effects"):
        keys[run_id].add((agent, key))
    done = {run_id: Counter(agent for agent, _ in keys[run_id]) for run_id in runs}
    problems = [f"run {run_id}: effects {found}" for run_id, found in done.items() if found != story.agents]
    often = {key: times for key, times in outside.effects().items() if times > kills + 1}
    return problems + [f"the effect of {key} was there {times} times" for key, times in often.items()]


# --- lives


@cache
def _warm(kept: Path) -> None:
    """Live through the story once in this process, which then has imported what every life would import."""
    folder = quick_folder()
    live(folder, read_story(kept), [RUN], Fate(Outside(folder)))
    shutil.rmtree(folder)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(LONGEST_S)
    gc.freeze()


def lived(
    kept: Path,
    folder: Path,
    runs: Sequence[str],
    death: Death | None = None,
    *,
    one_run: bool = True,
    slow: bool = False,
    pages: int = TIDY,
    patience_s: float = LONGEST_S,
) -> int:
    """One life in this folder: its exit code."""
    _warm(kept)
    story, fate = read_story(kept), Fate(Outside(folder), death, one_run=one_run, slow=slow, pages=pages)
    return forked(lambda: live(folder, story, runs, fate), patience_s, folder / "error")


def error_of(folder: Path) -> str:
    file = folder / "error"
    return file.read_text()[-3000:] if file.exists() else ""


def results(futures: Iterable[Future[T]]) -> list[T]:
    """What they came to, in order; the first that raised raises."""
    return [future.result() for future in futures]
