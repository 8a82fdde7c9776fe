"""Files that commands read and write; written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EACCES
from pathlib import Path

from stepladder.errors import InputError, cause_of


def read_text(file: Path) -> str:
    """The text of a workflow or policy file. Raises InputError."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = cause_of(error)
        raise InputError(str(file), "", found, "a workflow or policy file that can be read") from None


def write(path: Path, text: str, fits: Callable[[Path], None] | None = None) -> None:
    """Replace the file by this text; its mode stays, and a link goes on leading to it.

    `fits` looks at a draft beside it first, and raises what is wrong. Raises InputError where it cannot be written.
    """
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and not mode & 0o222:
            raise PermissionError(EACCES, "is read-only")
        draft.write_text(text, encoding="utf-8")
        if fits is not None:
            fits(draft)
        if mode is not None:
            draft.chmod(mode)
        draft.replace(target)
    except OSError as error:
        raise InputError(str(path), "", cause_of(error), "a file that can be written") from None
    finally:
        draft.unlink(missing_ok=True)
