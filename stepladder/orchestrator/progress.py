"""Whether a run gets on, or goes in circles.

A *try* is an action taken in a situation: a step, the arguments of its call, and what came back. A try that was not
made before is news, and after news every count starts again at the last time: who keeps learning is never stopped,
however often one step of the circle looks the same. What the world says (a person, a message, the end of a wait) and a
retry of the run empty the memory altogether.
"""

from __future__ import annotations

from typing import Final

from stepladder.state import RunState, Try

REMEMBERED: Final = 32
"""How many tries a run keeps, the newest. One that was forgotten is news again, so a longer circle is left to the limit
on decisions."""
KNOWN: Final = ("ok", "failed")
"""A call whose only known outcome is this one was never here before, and nobody has to look."""


def taken_here(state: RunState) -> dict[str, int]:
    """How often each action was taken in the situation that the run is in, without news in between."""
    if state.calls.get(state.called) == 1 and state.returned in KNOWN:
        return {}
    return {each.action: _times(state, each) for each in state.tries if _is_here(state, each)}


def with_taken(state: RunState, action: str) -> tuple[Try, ...]:
    """The tries of the run after this action is taken as well."""
    tries = state.tries
    news = tries[-1].news if tries else 0
    if state.calls.get(state.called) != 1 or state.returned not in KNOWN:
        for each in tries:
            if each.action == action and _is_here(state, each):
                again = Try(each.called, each.returned, each.output, action, _times(state, each) + 1, news)
                return (*(other for other in tries if other is not each), again)
    first = (Try(state.called, state.returned, state.last, action, 1, news + 1),)
    return tries + first if len(tries) < REMEMBERED else tries[1:] + first


def in_circles(step: str, action: str, times: int) -> str:
    """What is said where an action was taken too often in one situation."""
    return f"no progress: {step} -> {action} taken {times} times in the same situation"


def _is_here(state: RunState, each: Try) -> bool:
    return each.called == state.called and each.returned == state.returned and each.output == state.last


def _times(state: RunState, each: Try) -> int:
    """The newest try has the number of the newest news."""
    return each.times if each.news == state.tries[-1].news else 1
