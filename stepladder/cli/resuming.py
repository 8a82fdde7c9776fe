"""Taking up every run that has not ended, many at a time.

Runs that are worked on with the same files share one Orchestrator. A run of a living process is skipped by name.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from stepladder.app.orchestrator import Orchestrator
from stepladder.app.reading import entries_of, is_lone
from stepladder.cli.exits import Exit
from stepladder.cli.failures import interrupted, note, refuse
from stepladder.cli.journals import EVERYTHING, opened
from stepladder.cli.loading import loaded
from stepladder.cli.memory import Setup, recall_all, remember
from stepladder.cli.options import Said, breakers_place
from stepladder.cli.screen import Screen
from stepladder.cli.setups import setup_from
from stepladder.cli.tell import exit_of, many, on_journal, run_json
from stepladder.cli.work import DRAIN_S, tell_end
from stepladder.errors import RunOwned, StepladderError
from stepladder.journal import Journal

WORST: Final = (Exit.BAD_INPUT, Exit.NEGATIVE, Exit.WAITS, Exit.DONE)


def resume_all(path: Path, said: Said, at_once: int, screen: Screen) -> Exit:
    """Resume them, oldest first. Gives the worst exit code: an error, a failure, a wait; or that it was stopped."""
    with opened(path) as journal:
        names = [row.run_id for row in reversed(journal.rows(EVERYTHING)) if row.status != "ended"]
        names = [name for name in names if not is_lone(entries_of(journal, name))]
        crew = _Crew(path, journal, screen, at_once)
        groups = crew.groups(names, said)
        with screen.only_json():
            stopped = asyncio.run(crew.work(groups))
    if stopped is not None:
        left = len(names) - len(crew.told)
        go_on = f"; go on with: stepladder resume --all{on_journal(path)}" if left else ""
        interrupted(f"stopped, with {many(left, 'run')} left{go_on}", json=screen.json, code=stopped)
        return stopped
    if screen.json:
        screen.emit({"runs": [crew.told[name] for name in names]})
    elif not names:
        screen.out.print("every run has ended", style="dim")
    return next(code for code in WORST if code in crew.codes)


class _Crew:
    """The Orchestrators at work, and what has become of the runs: `told` by run, and the exit codes."""

    def __init__(self, path: Path, journal: Journal, screen: Screen, at_once: int) -> None:
        self.path, self.journal, self.screen = path, journal, screen
        self.told: dict[str, dict[str, Any]] = {}
        self.codes = {Exit.DONE}
        self._remembered = recall_all(path)
        self._places = asyncio.Semaphore(at_once)
        self._stop = asyncio.Event()
        self._cut = asyncio.Event()
        self._stopped: Exit | None = None

    def groups(self, names: Iterable[str], said: Said) -> list[tuple[Setup, list[str]]]:
        """The runs by what they are worked on with. A run of which that is not known is told of."""
        found: dict[bytes, tuple[Setup, list[str]]] = {}
        for name in names:
            try:
                setup = setup_from(self._remembered.get(name), self.path, name, said)
            except StepladderError as error:
                self._failed(name, error)
            else:
                key = repr(setup).encode()
                found.setdefault(key, (setup, []))[1].append(name)
        return list(found.values())

    async def work(self, groups: list[tuple[Setup, list[str]]]) -> Exit | None:
        """Work on all of them; the exit code where somebody stopped it."""
        async with AsyncExitStack() as open_:
            with self._listening():
                orchestrators: list[Orchestrator] = []
                tasks: list[asyncio.Task[None]] = []
                for setup, names in groups:
                    orchestrator = self._orchestrator(setup, names)
                    if orchestrator is not None:
                        orchestrators.append(await open_.enter_async_context(orchestrator))
                        tasks += [asyncio.create_task(self._one(orchestrator, setup, name)) for name in names]
                done = asyncio.gather(*tasks)
                await _first(done, self._stop.wait())
                if self._stop.is_set():
                    drained = asyncio.gather(*(orchestrator.drain(DRAIN_S) for orchestrator in orchestrators))
                    await _first(drained, self._cut.wait())
                    for each in (drained, done):
                        each.cancel()
                        await asyncio.gather(each, return_exceptions=True)
        return self._stopped

    def _orchestrator(self, setup: Setup, names: list[str]) -> Orchestrator | None:
        try:
            workflow, agents, providers = loaded(setup)
            options = {"openai": {"base_url": setup.base_url}} if setup.base_url else None
            return Orchestrator(
                workflow,
                agents=agents,
                journal=self.journal,
                providers=providers,
                options=options,
                on_changed=setup.on_changed,  # type: ignore[arg-type]  # checked by it
                breakers=breakers_place(),
            )
        except StepladderError as error:
            for name in names:
                self._failed(name, error)
            return None

    async def _one(self, orchestrator: Orchestrator, setup: Setup, name: str) -> None:
        async with self._places:
            if self._stop.is_set():
                return
            try:
                run = await orchestrator.resume(name)
                told = run_json(run)
            except RunOwned as error:
                self.told[name] = {"run": name, "skipped": error.owner}
                note(f"skipped: {error}", json=self.screen.json)
                return
            except StepladderError as error:
                if not self._stop.is_set():
                    self._failed(name, error)
                return
        self.codes.add(exit_of(run))
        self.told[name] = told
        self._note(name, setup)
        if not self.screen.json:
            tell_end(run, run.machine.definition, self.path, self.screen)

    def _note(self, name: str, setup: Setup) -> None:
        if self._remembered.get(name) != msgspec.structs.replace(setup, on_changed="refuse"):
            with suppress(OSError):  # then its files have to be named again
                remember(self.path, name, setup)

    def _failed(self, name: str, error: StepladderError) -> None:
        self.codes.add(Exit.BAD_INPUT)
        self.told[name] = {"run": name, "error": {"kind": type(error).__name__, "message": str(error)}}
        if not self.screen.json:
            refuse(error, json=False)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """While SIGTERM and Ctrl-C stop the work kindly, and a second one at once."""
        loop = asyncio.get_running_loop()
        signals = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}
        with suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            for number, code in signals.items():
                loop.add_signal_handler(number, self._signalled, code)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _signalled(self, code: Exit) -> None:
        if self._stop.is_set():
            self._cut.set()
        self._stopped = self._stopped or code
        self._stop.set()


async def _first(work: asyncio.Future[Any], signal_: Any) -> None:
    """Wait for the work, or for a signal."""
    waiting = asyncio.ensure_future(signal_)
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done() and not work.cancelled():
        work.result()
