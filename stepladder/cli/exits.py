"""Exit codes: the same for every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command tells the shell."""

    DONE = 0
    NEGATIVE = 1
    BAD_INPUT = 2
    WAITS = 3
    NOTHING_THERE = 4
    INTERRUPTED = 130


MEANING = {
    Exit.DONE: "done; nothing wrong was found",
    Exit.NEGATIVE: "the answer is negative: the run failed, a replay diverged, a check found errors",
    Exit.BAD_INPUT: "bad input: usage, file, journal or answer",
    Exit.WAITS: "the run rests and waits: for a person, a message or a time, or in doubt",
    Exit.NOTHING_THERE: "there is no such run, or no journal",
    Exit.INTERRUPTED: "interrupted; the run can be resumed",
}
