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
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


MEANING = {
    Exit.DONE: "done; nothing wrong was found",
    Exit.NEGATIVE: "the answer is negative: a failed run, a divergence, an error found",
    Exit.BAD_INPUT: "bad input: usage, file, journal or answer",
    Exit.WAITS: "the run waits: for a person, a message or a time",
    Exit.NOTHING_THERE: "there is no such run, or no journal",
    Exit.BUG: "a bug in stepladder",
    Exit.INTERRUPTED: "interrupted; the run can be resumed",
    Exit.TERMINATED: "ended from outside (SIGTERM) after what was in flight was written; the run can be resumed",
}
