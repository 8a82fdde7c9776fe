"""The verbs without `await`, for callers that have no event loop, or are inside one and cannot await."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import Replayed
from stepladder.journal import RunRow

T = TypeVar("T")


class SyncOrchestrator:
    """An Orchestrator with blocking verbs; takes the same arguments and raises the same errors.

    It works on an event loop of its own in a thread of its own, so it can be called from anywhere, also from code that
    runs inside another loop (which is blocked meanwhile). Use it as a context manager, or `close` it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._orchestrator = Orchestrator(*args, **kwargs)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stepladder-loop", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, as `Orchestrator.close`, and end the thread. May be called twice."""
        if self._loop.is_closed():
            return
        try:
            self._do(self._orchestrator.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def drain(self, within_s: float = 30.0) -> bool:
        """As `Orchestrator.drain`."""
        return self._do(self._orchestrator.drain(within_s))

    def run(self, input: Mapping[str, Any], *, run_id: str | None = None) -> Run:  # noqa: A002
        """As `Orchestrator.run`."""
        return self._do(self._orchestrator.run(input, run_id=run_id))

    def start(self, input: Mapping[str, Any], *, run_id: str | None = None) -> Run:  # noqa: A002
        """As `Orchestrator.start`."""
        return self._do(self._orchestrator.start(input, run_id=run_id))

    def wait(self, run_id: str) -> Run:
        """As `Orchestrator.wait`."""
        return self._do(self._orchestrator.wait(run_id))

    def answer(self, run_id: str, value: Mapping[str, Any], *, by: str = "") -> Run:
        """As `Orchestrator.answer`."""
        return self._do(self._orchestrator.answer(run_id, value, by=by))

    def send(self, run_id: str, name: str, payload: Mapping[str, Any] | None = None) -> Run:
        """As `Orchestrator.send`."""
        return self._do(self._orchestrator.send(run_id, name, payload))

    def resume(self, run_id: str) -> Run:
        """As `Orchestrator.resume`."""
        return self._do(self._orchestrator.resume(run_id))

    def retry(self, run_id: str, *, by: str = "") -> Run:
        """As `Orchestrator.retry`."""
        return self._do(self._orchestrator.retry(run_id, by=by))

    def cancel(self, run_id: str, *, reason: str = "", by: str = "") -> Run:
        """As `Orchestrator.cancel`."""
        return self._do(self._orchestrator.cancel(run_id, reason=reason, by=by))

    @property
    def orchestrator(self) -> Orchestrator:
        """The one inside, for what only looks on (`RolloutWatch`)."""
        return self._orchestrator

    def change_policy(self, policy: Workflow | str | Path, *, because: str = "") -> None:
        """As `Orchestrator.change_policy`."""

        async def changed() -> None:
            self._orchestrator.change_policy(policy, because=because)

        self._do(changed())

    def outcome(self, run_id: str, **said: Any) -> Run:
        """As `Orchestrator.outcome`."""
        return self._do(self._orchestrator.outcome(run_id, **said))

    def get(self, run_id: str) -> Run:
        """As `Orchestrator.get`."""
        return self._orchestrator.get(run_id)

    def runs(self, limit: int = 100) -> list[RunRow]:
        """As `Orchestrator.runs`."""
        return self._orchestrator.runs(limit)

    def replay(self, run_id: str) -> Replayed:
        """As `Orchestrator.replay`."""
        return self._orchestrator.replay(run_id)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a blocking verb was called from the orchestrator's own thread; make that agent async")
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("the orchestrator is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
