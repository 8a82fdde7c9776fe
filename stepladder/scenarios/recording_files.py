"""Files of recordings: a stream, so that memory holds one run at a time. A broken line is told of and skipped."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from stepladder.errors import InputError, Problem, cause_of
from stepladder.scenarios.recording import Recording
from stepladder.scenarios.recording_line import NotARecording, parse_line, to_line

SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
LONGEST: Final = 64 * 1024 * 1024
"""Bytes that a line may have: what is longer is told of and skipped, so that no file can fill the memory."""
OnProblem = Callable[[Problem], None]
OnBytes = Callable[[int], None]


def recording_files(paths: Iterable[str | Path], *, anything: bool = False) -> list[Path]:
    """The files that these name; a folder stands for its files of recordings (`anything`: for all its files), by name.

    Raises:
        InputError: a path does not exist, or a folder has no such file.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(
                each for each in path.iterdir() if each.is_file() and (anything or each.name.endswith(SUFFIXES))
            )
            if not inside:
                raise InputError("recordings", str(path), "a folder without any", "files " + ", ".join(SUFFIXES))
            found.extend(inside)
        elif path.is_file():
            found.append(path)
        else:
            raise InputError("recordings", str(path), "no such file", "a file or folder of recordings")
    return found


def read_recordings(
    paths: Iterable[str | Path], on_problem: OnProblem | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Recording]:
    """Every recording in these files and folders, one at a time. A run id that comes again is told of and skipped.

    `on_problem` hears of each broken line (default: nobody); `on_bytes` how many bytes were read off the disk since.

    Raises:
        InputError: a path does not exist or cannot be opened.
    """
    told = on_problem or _nobody
    known: set[str] = set()
    for file in recording_files(paths):
        for number, line in numbered_lines(file, told, on_bytes):
            try:
                recording = parse_line(line)
            except NotARecording as broken:
                told(Problem(broken.where, broken.found, broken.expected, str(file), number, "warning", "line"))
                continue
            if recording.run_id in known:
                found = f"run {recording.run_id!r} again"
                told(Problem("run_id", found, "each run once", str(file), number, "warning", "line"))
                continue
            known.add(recording.run_id)
            yield recording


def each_once(recordings: Iterable[Recording], told: OnProblem) -> Iterator[Recording]:
    """Those whose run id did not come before; the others are told of."""
    known: set[str] = set()
    for recording in recordings:
        if recording.run_id in known:
            told(Problem("run_id", f"run {recording.run_id!r} again", "each run once", level="warning", code="run"))
        else:
            known.add(recording.run_id)
            yield recording


def numbered_lines(file: Path, told: OnProblem, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that may be compressed, with their numbers (from 1), empty ones left out.

    A file that breaks off is told of; the lines before that are given all the same.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with file.open("rb") as raw:
            unpacked: IO[bytes] = gzip.GzipFile(fileobj=raw) if _is_packed(raw) else raw  # type: ignore[assignment]
            yield from _lines(unpacked, raw, file, told, on_bytes)
    except OSError as error:
        found = cause_of(error)
        raise InputError("recordings", str(file), found, "a file that can be read") from None


def _is_packed(raw: IO[bytes]) -> bool:
    magic = raw.read(2)
    raw.seek(0)
    return magic == b"\x1f\x8b"


def _lines(
    unpacked: IO[bytes], raw: IO[bytes], file: Path, told: OnProblem, on_bytes: OnBytes | None
) -> Iterator[tuple[int, bytes]]:
    number, before = 0, 0
    while True:
        try:
            line = unpacked.readline(LONGEST + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            found = f"the compressed data break off ({error})"
            told(Problem("", found, "a whole file; what stands before was read", str(file), number, "warning", "line"))
            return
        if not line:
            return
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if on_bytes is not None:
            on_bytes(raw.tell() - before)
            before = raw.tell()
        if len(line) > LONGEST:
            told(Problem("", f"a line of over {LONGEST} bytes", "shorter ones", str(file), number, "warning", "line"))
            _skip_rest(unpacked)
        elif line.strip():
            yield number, line


def _skip_rest(unpacked: IO[bytes]) -> None:
    while (more := unpacked.readline(LONGEST)) and not more.endswith(b"\n"):
        pass


def _nobody(_: Problem) -> None:
    return


def write_recordings(recordings: Iterable[Recording], file: str | Path) -> int:
    """Write recordings, compressed where the name ends in `.gz`; how many there were.

    The file appears whole or not at all. Equal recordings give equal bytes.

    Raises:
        InputError: the file cannot be written.
    """
    target = Path(file)
    part = target.with_name(target.name + ".part")
    count = 0
    try:
        with part.open("wb") as raw:
            packed = target.name.endswith(".gz")
            out: IO[bytes] = gzip.GzipFile("", "wb", 6, raw, mtime=0) if packed else raw  # type: ignore[assignment]
            for recording in recordings:
                out.write(to_line(recording))
                count += 1
            if packed:
                out.close()
        part.replace(target)
    except OSError as error:
        found = cause_of(error)
        raise InputError("recordings", str(file), found, "a file that can be written") from None
    finally:
        part.unlink(missing_ok=True)
    return count
