"""An event loop without real time and without threads: the same seed runs the same callbacks in the same order.

Every callback belongs to a process, which its context names. Inside a process the order is asyncio's: what was called
soon runs first come, first served. Everything that asyncio leaves open is drawn from the seed: which process goes on,
which of two timers of one moment rings first, how long a thread takes. When nobody can go on, time jumps to the next
timer. A process that has died never runs again; one that has stalled runs when its stall is over.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from itertools import count
from random import Random
from typing import Any, Final

START: Final = 1_700_000_000.0
"""Seconds since 1970 at which every simulation begins."""
THREAD_S: Final = (0.0, 0.001, 0.02, 1.0)
"""Seconds that a thread may need to begin, and to be heard of."""


class DiedError(BaseException):
    """The process that ran this is dead: nothing of it goes on. No `except Exception` may catch it."""


class Process:
    """What lives, stalls and dies together."""

    def __init__(self, name: str) -> None:
        self.name, self.alive = name, True
        self.ready: deque[asyncio.Handle] = deque()
        self.stalled_until = 0.0
        self.longest_stall_s = 0.0
        self.ran = 0
        self.dies_at = self.stalls_at = -1
        self.stall_s = 0.0

    def context(self) -> Context:
        """A context in which whatever is begun belongs to this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        return context


PROCESS: Final[ContextVar[Process]] = ContextVar("process")


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks of several processes by a seed. `on_error` hears what nobody else does."""

    def __init__(self, random: Random, on_error: Callable[[dict[str, Any]], None]) -> None:
        self.random, self.on_error = random, on_error
        self.now, self.world = START, Process("world")
        self.processes: list[Process] = [self.world]
        self.tasks: list[asyncio.Task[Any]] = []
        self.died: Callable[[Process], None] = lambda _: None
        self._timers: list[tuple[float, float, int, asyncio.TimerHandle]] = []
        self._numbers = count()

    # --- what asyncio asks of a loop

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._of(handle).ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, self.random.random(), next(self._numbers), handle))
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.on_error(context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """A thread: it begins at some time, cannot be cut off, and is heard of at some later time."""
        done = self.create_future()

        def begin() -> None:
            result = func(*args)
            error = getattr(result, "error", None)
            took_s = result.took_s if isinstance(result, Took) else getattr(error, "took_s", 0.0)
            self.call_later(
                took_s + self.random.choice(THREAD_S), tell, result.value if isinstance(result, Took) else result
            )

        def tell(result: Any) -> None:
            if not done.done():
                done.set_result(result)

        self.call_later(self.random.choice(THREAD_S), begin)
        return done

    # --- going on

    def begin(self, process: Process, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let a process do some work."""
        return self.create_task(work, context=process.context())

    def run(self, until: Callable[[], bool]) -> None:
        """Go on until it is true."""
        events._set_running_loop(self)
        try:
            while not until():
                self._step()
        finally:
            events._set_running_loop(None)

    def kill(self, process: Process) -> None:
        """Nothing of it runs any more."""
        if process.alive:
            process.alive = False
            process.ready.clear()
            self.processes.remove(process)
            self.died(process)

    def stall(self, process: Process, seconds: float) -> None:
        """Nothing of it runs for a while."""
        process.stalled_until = max(process.stalled_until, self.now + seconds)
        process.longest_stall_s = max(process.longest_stall_s, process.stalled_until - self.now)

    def bury(self) -> None:
        """Close what will never go on, so that nobody hears of it later."""
        self.on_error = lambda _: None
        events._set_running_loop(self)
        try:
            for task in self.tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    try:
                        task.get_coro().close()  # type: ignore[union-attr]
                    except BaseException:
                        continue
        finally:
            events._set_running_loop(None)

    def _step(self) -> None:
        able = [process for process in self.processes if process.ready and process.stalled_until <= self.now]
        if able:
            self._run(able[0] if len(able) == 1 else self.random.choice(able))
        else:
            self._wait()

    def _run(self, process: Process) -> None:
        if process.ran == process.dies_at:
            self.kill(process)
            return
        if process.ran == process.stalls_at:
            process.stalls_at = -1
            self.stall(process, process.stall_s)
            return
        handle = process.ready.popleft()
        if not handle.cancelled():
            process.ran += 1
            handle._run()

    def _wait(self) -> None:
        """On to the next moment at which something happens."""
        stalls = [process.stalled_until for process in self.processes if process.ready]
        while self._timers and self._timers[0][3].cancelled():
            heapq.heappop(self._timers)
        times = [*stalls, *(timer[0] for timer in self._timers[:1])]
        assert times, "the simulation has nothing to wait for"
        self.now = max(self.now, min(times))
        while self._timers and self._timers[0][0] <= self.now:
            handle = heapq.heappop(self._timers)[3]
            if not handle.cancelled():
                self._of(handle).ready.append(handle)

    def _of(self, handle: asyncio.Handle) -> Process:
        process = handle._context.get(PROCESS, self.world)  # type: ignore[attr-defined]
        return process if process.alive else _NOWHERE


class Took:
    """What a function in a thread gave, after so many seconds."""

    def __init__(self, value: Any, took_s: float) -> None:
        self.value, self.took_s = value, took_s


class _Nowhere(Process):
    """Where the callbacks of the dead go."""

    def __init__(self) -> None:
        super().__init__("nowhere")
        self.ready = deque(maxlen=0)


_NOWHERE: Final = _Nowhere()
