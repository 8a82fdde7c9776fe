"""A run's entries for `async for`, each as it becomes durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from stepladder.app.at_work import AtWork
from stepladder.app.run import Run
from stepladder.drivers import Runner
from stepladder.events import Event
from stepladder.record import Entry

Entries = AsyncIterator[tuple[Run, Event | Entry]]


@asynccontextmanager
async def streamed(runs: AtWork, run_id: str, begin: Callable[[], Awaitable[Runner]]) -> AsyncIterator[Entries]:
    """Begin a run of this id, work on it meanwhile, and give its entries until it rests. Raises as `begin`."""
    queue: asyncio.Queue[tuple[Run, Event | Entry] | None] = asyncio.Queue()

    def listen(run: Run, new: Sequence[Event | Entry]) -> None:
        for each in new:
            queue.put_nowait((run, each))

    forget = runs.watch(run_id, listen)
    try:
        runner = await begin()
    except BaseException:
        forget()
        raise
    task = asyncio.create_task(runs.rest(runs.set_off(runner)))
    task.add_done_callback(lambda _: queue.put_nowait(None))

    async def entries() -> Entries:
        while (each := await queue.get()) is not None:
            yield each
        await task

    try:
        yield entries()
    finally:
        forget()
        if not task.done():
            await asyncio.wait([task])
    task.result()
