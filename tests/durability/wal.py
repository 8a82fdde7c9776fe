"""A write-ahead log that was cut off anywhere, or in which a bit is wrong: what is read is a whole past.

The log of a killed process is cut as a crash of the machine may cut it. Whatever is left, the journal must be a prefix
of what was written: whole turns, an intact chain, lines of runs and inboxes that fit them, runs that can be taken up.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from stepladder.drivers.rows import row_of
from stepladder.errors import JournalError
from stepladder.events import PersonAnswered
from stepladder.journal import StoredTurn, entries_in
from stepladder.journal.sqlite import SqliteJournal
from stepladder.journal.sqlite_file import PAGE
from stepladder.orchestrator import fold
from tests.durability.crashes import Outcome, Undisturbed, differences, error_of, lived
from tests.durability.life import KILLED, Death
from tests.durability.story import read_story

HEAD: Final = 32
FRAME: Final = 24 + PAGE
NEVER: Final = 1 << 30
Turns = Mapping[str, Sequence[StoredTurn]]


class Sample(NamedTuple):
    """What a killed process left: the bytes of the file and of its log, and the turns that are read from them."""

    story: Undisturbed
    file: bytes
    log: bytes
    turns: Turns


def sample(story: Undisturbed, runs: int, at: int, folder: Path, pages: int = NEVER) -> Sample:
    """The files of a process that is killed after its `at`-th write (of one run: after the turn of this entry).

    It is killed earlier where there are not so many writes, and where something of its log has been written into the
    file (every `pages`): a disk that syncs cannot lose that part of the log any more.
    """
    names = tuple(f"run-{number}" for number in range(runs))
    death = Death("after the commit before anybody is told", at)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    code = lived(story.kept, folder, names, death, one_run=runs == 1, pages=pages)
    assert at > 0, error_of(folder)
    if code != KILLED:
        return sample(story, runs, at // 2, folder, pages)
    file, log = ((folder / name).read_bytes() for name in ("runs.db", "runs.db-wal"))
    if frames(log) >= pages:
        return sample(story, runs, at - 1, folder, pages)
    with opened(folder, file, log) as journal:
        turns = {run_id: journal.turns(run_id) for run_id in names}
    return Sample(story, file, log, turns)


@contextmanager
def opened(folder: Path, file: bytes, log: bytes) -> Iterator[SqliteJournal]:
    """A journal of these bytes."""
    place = folder / "read"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "runs.db").write_bytes(file)
    (place / "runs.db-wal").write_bytes(log)
    journal = SqliteJournal(place / "runs.db")
    try:
        yield journal
    finally:
        journal.close()


def frames(log: bytes) -> int:
    """The frames of this log. Those of an older one may lie behind them, with another salt."""
    heads = [log[at + 8 : at + 16] for at in range(HEAD, len(log) - FRAME + 1, FRAME)]
    return sum(salt == log[16:24] for salt in heads)


def is_begun_anew(log: bytes) -> bool:
    """Whether frames of an older log lie behind those of this one."""
    return frames(log) < (len(log) - HEAD) // FRAME


def cuts(log: bytes, count: int, chance: random.Random) -> list[int]:
    """Where to cut, in order: around the borders of frames, and anywhere."""
    borders = [at + by for at in range(HEAD, len(log) + 1, FRAME) for by in (-1, 0, 1, 23, 24, 25, PAGE // 2)]
    near = [at for at in (0, 1, *borders, len(log)) if at <= len(log)]
    chosen = chance.sample(near, min(len(near), count // 2))
    return sorted(chosen + [chance.randrange(len(log)) for _ in range(count - len(chosen))])


def cut(found: Sample, at: Sequence[int], folder: Path, resume_every: int = 0) -> Outcome:
    """Cut the log at each of these bytes, the shortest first; every so many-th rest is taken up and finished."""
    before, problems = 0, list[str]()
    for n, length in enumerate(at):
        log = found.log[:length]
        with opened(folder, found.file, log) as journal:
            wrong, count = _wrong(found, journal)
        if count < before:
            wrong.append(f"{count} turns, but {before} where it was cut earlier")
        if resume_every and n % resume_every == 0:
            wrong += _resumed(found, folder / f"resumed-{length}", log)
        problems += [f"cut at byte {length} of {len(found.log)}: {each}" for each in wrong]
        before = count
    return Outcome(f"the log of {len(found.turns)} of {found.story.kept.stem} is cut", len(at), tuple(problems))


def flipped(found: Sample, seed: int, count: int, folder: Path) -> Outcome:
    """Turn over one bit of the log, time and again."""
    chance, problems = random.Random(seed), list[str]()
    for bit in (chance.randrange(len(found.log) * 8) for _ in range(count)):
        with opened(folder, found.file, _with_flipped(found.log, bit)) as journal:
            wrong, _ = _wrong(found, journal)
        problems += [f"bit {bit} of the log is turned over: {each}" for each in wrong]
    return Outcome(f"bits in the log of {len(found.turns)} of {found.story.kept.stem}", count, tuple(problems))


def flipped_in_the_file(found: Sample, seed: int, count: int, folder: Path) -> Outcome:
    """Turn over one bit of the file itself: every turn is as it was written, or somebody is told."""
    chance, problems = random.Random(seed), list[str]()
    for bit in (chance.randrange(len(found.file) * 8) for _ in range(count)):
        try:
            with opened(folder, _with_flipped(found.file, bit), found.log) as journal:
                seen = {run_id: journal.turns(run_id) for run_id in found.turns}
        except JournalError:
            continue
        for run_id, turns in seen.items():
            if all(turn.intact for turn in turns) and not _is_prefix(turns, found.turns[run_id]):
                problems.append(f"bit {bit} of the file is turned over: run {run_id} is silently another one")
    return Outcome(f"bits in the file of {len(found.turns)} of {found.story.kept.stem}", count, tuple(problems))


def _with_flipped(data: bytes, bit: int) -> bytes:
    byte = bit // 8
    return data[:byte] + bytes([data[byte] ^ (1 << bit % 8)]) + data[byte + 1 :]


def _is_prefix(turns: Sequence[StoredTurn], full: Sequence[StoredTurn]) -> bool:
    return list(turns) == list(full[: len(turns)])


def _wrong(found: Sample, journal: SqliteJournal) -> tuple[list[str], int]:
    """What is wrong with what is left, and how many turns that is."""
    turns = {run_id: journal.turns(run_id) for run_id in found.turns}
    wrong = [
        f"run {run_id} is not the beginning of what was written"
        for run_id, left in turns.items()
        if not _is_prefix(left, found.turns[run_id])
    ]
    wrong += [f"run {run_id}: {law}" for run_id, left in turns.items() for law in _broken(found, journal, run_id, left)]
    return wrong, sum(map(len, turns.values()))


def _broken(found: Sample, journal: SqliteJournal, run_id: str, turns: Sequence[StoredTurn]) -> list[str]:
    """Which other tables do not fit the turns of the run."""
    row, entries = journal.row(run_id), entries_in(turns)
    if row is None or not entries:
        return [] if row is None and not entries else ["it has a line or turns, not both"]
    machine = read_story(found.story.kept).workflow().machine
    folded = row_of(machine, fold(machine, entries))
    taken = journal._file.read(
        "SELECT count(*) FROM inbox JOIN runs ON run = runs.number WHERE run_id = ? AND taken > 0", (run_id,)
    )
    laws = {
        "its line does not fit its turns": (row.status, row.end, row.waiting)
        == (folded.status, folded.end, folded.waiting),
        "its inbox does not fit its turns": taken[0][0] == sum(isinstance(each, PersonAnswered) for each in entries),
        "its definition is not kept": journal.definition(f"{machine.definition.hash}/{machine.policy.hash}")
        is not None,
    }
    return [law for law, holds in laws.items() if not holds]


def _resumed(found: Sample, place: Path, log: bytes) -> list[str]:
    """What is wrong with the runs after another process has finished them."""
    place.mkdir(parents=True)
    (place / "runs.db").write_bytes(found.file)
    (place / "runs.db-wal").write_bytes(log)
    code = lived(found.story.kept, place, tuple(found.turns), one_run=len(found.turns) == 1)
    if code:
        return [f"nobody can go on: {code} {error_of(place)}"]
    said = json.loads((place / "said").read_text())
    shutil.rmtree(place)
    return [each for run_id in found.turns for each in differences(found.story, run_id, said[run_id])]
