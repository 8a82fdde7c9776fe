"""Files that commands read and write; written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from stepladder.errors import InputError, cause_of


def read_text(file: Path) -> str:
    """The text of a workflow or policy file. Raises InputError."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = cause_of(error)
        raise InputError(str(file), "", found, "a workflow or policy file that can be read") from None


def write(path: Path, text: str) -> None:
    """Replace the file by this text. Raises InputError where it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InputError(str(path), "", cause_of(error), "a file that can be written") from None
