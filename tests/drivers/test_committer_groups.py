"""Groups of turns that many runs write in the same moment."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stepladder.drivers.committer import MOST, Committer
from stepladder.errors import RunConflict, StepladderError
from stepladder.journal import NO_DIGEST, RunRow, Turn, chain
from stepladder.journal.sqlite import SqliteJournal


class Counted(SqliteJournal):
    """A real journal that remembers how many turns came at a time."""

    sizes: list[int]

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """Append turns."""
        if len(turns) > 1:  # a group with a refused turn is written again, one by one
            self.sizes.append(len(turns))
        return super().write(turns)


def first(run_id: str) -> Turn:
    body = b"[]"
    return Turn(run_id, 1, body, chain(NO_DIGEST, body), RunRow(run_id, "w", "h", 0.0, 0.0))


async def appended(journal: SqliteJournal, run_ids: list[str]) -> dict[str, Exception | None]:
    """What became of each, all of them handed in during one turn of the loop."""
    committer, told = Committer(journal), dict[str, Exception | None]()
    committer.at_work = len(run_ids)
    for run_id in run_ids:
        try:
            if committer.append(first(run_id), lambda error, run_id=run_id: told.update({run_id: error})):
                told[run_id] = None
        except StepladderError as error:
            told[run_id] = error
    while len(told) < len(run_ids):
        await asyncio.sleep(0)
    committer.close()
    return told


def test_a_full_group_does_not_wait_and_each_is_told_once(tmp_path: Path) -> None:
    journal = Counted(tmp_path / "runs.db")
    journal.sizes = []
    names = [f"r-{number}" for number in range(2 * MOST + 10)]
    assert asyncio.run(appended(journal, names)) == dict.fromkeys(names)
    assert journal.sizes == [MOST, MOST, 10]
    assert len(journal.rows(10_000)) == len(names)
    journal.close()


def test_who_is_refused_in_a_full_group_is_told_and_nobody_else(tmp_path: Path) -> None:
    journal = Counted(tmp_path / "runs.db")
    journal.sizes = []
    names = [f"r-{number}" for number in range(MOST)]
    journal.write([first(names[3]), first(names[-1])])  # the last one is who fills the group
    told = asyncio.run(appended(journal, names))
    assert {name for name, error in told.items() if isinstance(error, RunConflict)} == {names[3], names[-1]}
    assert len(journal.rows(10_000)) == MOST
    journal.close()
