"""A folder of exported runs: one file each, named after its id."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from stepladder.app.reading import entries_of, is_lone, read_run
from stepladder.cli.exporting import exported
from stepladder.cli.files import write
from stepladder.cli.screen import document
from stepladder.errors import InputError, JournalError, RunError

if TYPE_CHECKING:
    from stepladder.journal import Journal
    from stepladder.signals import Signal

LONGEST_NAME: Final = 200


class Archive:
    """Where runs are exported to. Raises InputError: the folder cannot be made."""

    def __init__(self, journal: Journal, folder: Path, signals: Iterable[Signal]) -> None:
        self.journal, self.folder, self.signals = journal, folder, tuple(signals)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("--export", "", f"{folder}: {error.strerror}", "a folder that can be made") from None

    def keep(self, run_id: str) -> None:
        """Export a run. What an earlier export has is not replaced by less. Raises RunError: it cannot be exported."""
        if is_lone(entries_of(self.journal, run_id)):
            raise RunError(run_id, "is a lone decision, which cannot be exported; prune it without --export")
        file = self.folder / f"{_file_name(run_id)}.json"
        try:
            run = read_run(self.journal, run_id, self.signals)
            if not (run.pruned and file.exists()):
                write(file, document(exported(self.journal, run)) + "\n")
        except (InputError, JournalError) as error:
            raise RunError(run_id, f"cannot be exported and is left as it is: {error}") from None


def _file_name(run_id: str) -> str:
    """A name that every file system takes, and that no other run has."""
    name = quote(run_id, safe=" ()+,;=@").replace("~", "%7E")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    return name if len(name) <= LONGEST_NAME else f"{name[:100]}~{sha256(run_id.encode()).hexdigest()}"
