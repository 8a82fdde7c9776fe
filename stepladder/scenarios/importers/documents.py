"""JSON documents out of files: one a line, or the elements of one long list, without holding the list."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from stepladder.errors import InputError, Problem
from stepladder.scenarios.recording_files import OnBytes, OnProblem

CHUNK: Final = 1 << 20
LONGEST: Final = 256 * CHUNK
"""Characters that one element may have."""
MODES: Final = frozenset({"values", "updates", "messages", "custom", "debug", "checkpoints", "tasks"})
"""What LangGraph's streams call what they give."""
ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
_BLANK: Final = re.compile(r"[\s,]*")
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
"""How half a character is written in JSON: one beyond U+FFFF is two of them."""
_ESCAPE: Final = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)
_DECODER: Final = json.JSONDecoder()


class Document(NamedTuple):
    """A JSON value, the file it stands in, its number there, and what the file is called among those read with it."""

    value: Any
    file: Path
    number: int
    name: str

    def problem(self, found: str, expected: str, where: str = "") -> Problem:
        """A problem with it."""
        return Problem(where, found, expected, str(self.file), self.number, "warning", "import")


def documents(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Document]:
    """Every JSON value of these files: of a file that is one list, each element; else the values one after another.

    What is no JSON is told of; after it, reading goes on at the next line. Compressed files are unpacked.

    Raises:
        InputError: a file cannot be opened.
    """
    for file, name in labelled(files):
        try:
            with file.open("rb") as raw:
                for number, value in _values(_Reader(raw, file, told, on_bytes)):
                    yield Document(value, file, number, name)
        except OSError as error:
            raise InputError("import", str(file), str(error.strerror or error).lower(), "a readable file") from None


def labelled(files: Iterable[Path]) -> list[tuple[Path, str]]:
    """The files with what each is called: its name, or where others have it too, its way from their common folder."""
    files = list(files)
    times = Counter(file.name for file in files)
    found = list[tuple[Path, str]]()
    for file in files:
        if times[file.name] > 1:
            folders = [str(each.absolute().parent) for each in files if each.name == file.name]
            found.append((file, Path(os.path.relpath(file.absolute(), os.path.commonpath(folders))).as_posix()))
        else:
            found.append((file, file.name))
    return found


class _Reader:
    """The text of a file, as much of it as is needed."""

    def __init__(self, raw: IO[bytes], file: Path, told: OnProblem, on_bytes: OnBytes) -> None:
        self.raw, self.file, self.told, self.on_bytes = raw, file, told, on_bytes
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        self.stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        self.decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.text, self.before, self.over, self.number = "", 0, False, 0

    def more(self) -> bool:
        """Read on; whether there was more."""
        if self.over:
            return False
        try:
            chunk = self.stream.read(CHUNK)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.problem(f"the compressed data break off ({error})", "a whole file; what stands before was read")
            chunk = b""
        self.on_bytes(self.raw.tell() - self.before)
        self.before = self.raw.tell()
        self.over = not chunk
        self.text += self.decode(chunk, self.over)
        return bool(chunk)

    def problem(self, found: str, expected: str) -> None:
        """Tell of a problem at the value that is being read."""
        self.told(Problem("", found, expected, str(self.file), self.number, "warning", "import"))


def _values(reader: _Reader) -> Iterator[tuple[int, Any]]:
    while not reader.text.strip() and reader.more():
        pass
    reader.text = reader.text.lstrip("\ufeff \t\r\n")
    if reader.text.startswith("[") and not _stands_alone(reader.text):
        reader.text = reader.text[1:]
    while True:
        reader.text = reader.text[_blank(reader.text) :]
        if not reader.text and not reader.more():
            return
        if not reader.text or not reader.text.strip(" \t\r\n,"):
            continue
        if reader.text.startswith("]"):
            return
        reader.number += 1
        found = _next(reader)
        if found is not None:
            yield reader.number, found[0]
        elif reader.over and not reader.text.strip():
            return


def _stands_alone(text: str) -> bool:
    """Whether the list that a file begins with is one value: one of several lines, a stream's `[mode, ...]`, or the
    messages of one conversation. Else it is the list of all values."""
    line, _, after = text.partition("\n")
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(first, list) or not first:
        return False
    streamed = isinstance(first[0], str) and first[0] in MODES and len(first) == 2
    talk = isinstance(first[0], dict) and first[0].get("role") in ROLES
    return bool(after.strip()) or streamed or talk


def _blank(text: str) -> int:
    match = _BLANK.match(text)
    return match.end() if match else 0


def _next(reader: _Reader) -> tuple[Any] | None:
    """The next value; None where there is none, which was told, and the text goes on at the next line."""
    wanted = 0
    while True:
        if len(reader.text) >= wanted or reader.over:
            try:
                value, end = _DECODER.raw_decode(reader.text)
                if _HALF.search(reader.text, 0, end):
                    value = _DECODER.raw_decode(whole_characters(reader.text[:end]))[0]
            except (ValueError, RecursionError) as error:
                if reader.over or len(reader.text) > LONGEST or _hopeless(reader.text, error):
                    _skip_line(reader, error)
                    return None
                wanted = 2 * len(reader.text)  # a long value is not tried at every chunk
            else:
                if end < len(reader.text) or reader.over or not isinstance(value, (int, float)):
                    reader.text = reader.text[end:]
                    return (value,)
        reader.more()


def whole_characters(text: str) -> str:
    """The JSON text, with U+FFFD for each half of a character (a text that was cut may end in one): no file can hold
    these."""
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text) if _HALF.search(text) else text


def parsed(arguments: Any) -> Any:
    """Arguments that are JSON in a text, as what they say; other text stays."""
    if not isinstance(arguments, str):
        return {} if arguments is None else arguments
    try:
        return json.loads(whole_characters(arguments))
    except (ValueError, RecursionError):
        return arguments


def _hopeless(text: str, error: Exception) -> bool:
    """Whether more text cannot mend it: the mistake is well before the end, and not a text that is still open."""
    at = getattr(error, "pos", None)
    return isinstance(error, RecursionError) or (
        at is not None and at < len(text) - 16 and "Unterminated" not in str(error)
    )


def _skip_line(reader: _Reader, error: Exception) -> None:
    reader.problem(f"no JSON ({error})", "a JSON value")
    at = reader.text.find("\n")
    while at < 0 and reader.more():
        reader.text = reader.text[-CHUNK:]
        at = reader.text.find("\n")
    reader.text = reader.text[at + 1 :] if at >= 0 else ""
