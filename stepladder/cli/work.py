"""Working on a run in the terminal: its log, a status line, questions to the person who sits there, its end."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from stepladder.app.sync import SyncOrchestrator
from stepladder.cli.ask import ask_person
from stepladder.cli.exits import Exit, Terminated
from stepladder.cli.failures import interrupted, note
from stepladder.cli.loading import loaded
from stepladder.cli.log import INDENT, RunLog
from stepladder.cli.memory import Setup, remember
from stepladder.cli.options import Place, breakers_place
from stepladder.cli.screen import Screen, clean, line, spelt
from stepladder.cli.tell import (
    command_for,
    cost,
    counted,
    elapsed_s,
    exit_of,
    many,
    moment,
    on_journal,
    run_json,
    seconds,
)
from stepladder.commands import AskModel, CallAgent, Wait
from stepladder.errors import InputError, RunNotWaiting
from stepladder.events import Event
from stepladder.record import Entry

if TYPE_CHECKING:
    from rich.live import Live
    from rich.spinner import Spinner

    from stepladder.app.run import Run
    from stepladder.state import RunState
    from stepladder.workflow.definition import Definition

Verb = Callable[[SyncOrchestrator], "Run"]
DRAIN_S: Final = 10.0
"""Seconds that agents in flight have to come to their end when the process is asked to stop (SIGTERM)."""
LINES: Final = 16
LONGEST: Final = 1_200
"""How much of one field of the output is shown."""


class Work:
    """One command's work on one run."""

    def __init__(
        self, setup: Setup, journal: Place, screen: Screen, *, interactive: bool | None = None, by: str = ""
    ) -> None:
        self.setup, self.journal, self.screen = setup, journal, screen
        self.by = by or os.environ.get("STEPLADDER_BY", "")
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self.interactive = not screen.json and (terminal if interactive is None else interactive)
        with screen.only_json():
            self.workflow, self.agents, self.providers = loaded(setup)
        self.run_id = ""
        self._unseen = ""
        self._log: RunLog | None = None
        self._status = Status(screen)

    def through(self, verb: Verb, run_id: str = "") -> Run:
        """Do the verb and whatever people here answer afterwards; the run as it rests then.

        Raises:
            KeyboardInterrupt: somebody does not want to wait; they have been told how to go on.
        """
        self.run_id = run_id
        options = {"openai": {"base_url": self.setup.base_url}} if self.setup.base_url else None
        with (
            self.screen.only_json(),
            SyncOrchestrator(
                self.workflow,
                agents=self.agents,
                journal=self.journal,
                providers=self.providers,
                options=options,
                listen=self._heard,
                on_changed=self.setup.on_changed,
                breakers=breakers_place(),
            ) as orchestrator,
        ):
            try:
                if run_id:
                    self._catch_up(orchestrator)
                with self._status:
                    run = verb(orchestrator)
                run = self._asked(orchestrator, run)
                self._note(run.id)
                _ = run.decisions  # read while the journal is open
            except Terminated:
                orchestrator.drain(DRAIN_S)
                self._interrupted("stopped", Exit.TERMINATED)
                raise
            except KeyboardInterrupt:
                self._interrupted("interrupted", Exit.INTERRUPTED)
                raise
        return run

    # --- what happens meanwhile

    def _catch_up(self, orchestrator: SyncOrchestrator) -> None:
        """What happened before is not told again."""
        run = orchestrator.get(self.run_id)
        self._log = self._log_after(run, run.retold)

    def _log_after(self, run: Run, entries: Sequence[Event | Entry]) -> RunLog:
        log = RunLog(run.machine, self.screen.out)
        log.skip(entries)
        return log

    def _heard(self, run: Run, entries: Sequence[Event | Entry]) -> None:
        if not self.run_id:
            self.run_id = run.id
            self._note(run.id)
        self._status.state = run.state
        if self.screen.json or self._unseen:
            return
        try:
            if self._log is None or self._log.machine is not run.machine:
                self._log = self._log_after(run, run.retold[: -len(entries)])
            self._log.write(entries)
        except (Exception, SystemExit) as error:
            self._unseen = f"{type(error).__name__}: {error}"

    def _note(self, run_id: str) -> None:
        try:
            secret = remember(self.journal, run_id, self.setup)
        except OSError as error:
            secret = []
            note(
                f"the run's files are not remembered ({error.strerror}); name them when you answer",
                json=self.screen.json,
            )
        for name in secret:
            note(f"option {name} looks like a secret and is not remembered; give it again later", json=self.screen.json)

    def _asked(self, orchestrator: SyncOrchestrator, run: Run) -> Run:
        while self.interactive and run.waiting is not None and run.waiting.about not in ("message", "time"):
            value = ask_person(run.waiting, run.machine.definition, self.screen.out)
            if value is None:
                return run
            try:
                with self._status:
                    run = orchestrator.answer(run.id, value, by=self.by)
            except InputError as error:
                self.screen.out.print(clean(error), style="red", soft_wrap=True)
            except RunNotWaiting:
                self.screen.out.print("that came too late: it does not wait for it any more", style="yellow")
                run = orchestrator.resume(run.id)
        return run

    def _interrupted(self, how: str, code: Exit) -> None:
        command = f"stepladder resume {shlex.quote(self.run_id)}{on_journal(self.journal)}"
        said = f"{how}; go on with: {command}" if self.run_id else f"{how} before the run began"
        interrupted(said, json=self.screen.json, code=code)

    # --- the end

    def finish(self, run: Run, *, code: Exit | None = None) -> Exit:
        """Tell how it stands with the run, and give the exit code."""
        if self._unseen:
            note(
                f"the log could not be shown ({self._unseen}); `stepladder show {run.id} --log`", json=self.screen.json
            )
        if self.screen.json:
            self.screen.emit({**run_json(run), **self._how_to_go_on(run)})
        else:
            tell_end(run, run.machine.definition, self.journal, self.screen)
        return exit_of(run) if code is None else code

    def _how_to_go_on(self, run: Run) -> dict[str, Any]:
        return {} if run.waiting is None else {"go_on": command_for(run, run.machine.definition, self.journal)}


def tell_end(run: Run, definition: Definition, journal: Place, screen: Screen) -> None:
    """How it stands with a run: what it gave, or what it waits for."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    word, style = ("waits", "yellow") if run.waiting else ("works", "cyan")
    if run.status == "ended":
        word, style = ("done", "green") if run.success else ("failed", "red")
    table = Table.grid(padding=(0, 1))
    table.add_column(width=INDENT - 2)
    table.add_column(ratio=1)
    where = f"in {run.end}" if run.status == "ended" else f"in {run.step}"
    why = f": {line(run.reason, 300)}" if run.status == "ended" and run.reason else ""
    table.add_row(Text(word, f"bold {style}"), Text(f"{clean(run.id)} {where}{why}"))
    spent = f"{seconds(elapsed_s(run))}, {cost(run.usd)}, {counted(run)}"
    table.add_row("", Text(spent, "dim"))
    screen.out.print(Padding(table, (0, 0, 0, 1), expand=False))
    if run.waiting is not None:
        _tell_waiting(run, definition, journal, screen)
    elif run.output:
        _tell_output(run.output, screen)


def _tell_waiting(run: Run, definition: Definition, journal: Place, screen: Screen) -> None:
    from rich.padding import Padding
    from rich.text import Text

    waiting = run.waiting
    assert waiting is not None, "asked of waiting runs only"
    what = {"message": f"for the message {line(waiting.question)}", "time": "for a time"}
    lines = [Text(what.get(waiting.about, f"for a person: {waiting.about}"))]
    if waiting.about not in what:
        lines.append(Text(clean(waiting.question or "(no question is put)"), "bold"))
    if waiting.options:
        lines.append(Text(f"one of: {', '.join(map(line, waiting.options))}"))
    if waiting.deadline is not None:
        lines.append(Text(f"until {moment(waiting.deadline)} UTC", "dim"))
    for each in lines:
        screen.out.print(Padding(each, (0, 0, 0, INDENT), expand=False))
    command = command_for(run, definition, journal)
    screen.out.print(Text(f"{' ' * INDENT}{clean(command)}", "cyan"), soft_wrap=True)


def _tell_output(output: dict[str, Any], screen: Screen) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in output.items():
        shown, size = _cut(clean(value) if isinstance(value, str) else spelt(value))
        more = f" … ({size} characters; `stepladder show RUN --json` has them all)" if size else ""
        table.add_row(Text(line(name), "dim"), Text.assemble(shown, (more, "dim")))
    screen.out.print(Padding(table, (0, 0, 0, INDENT), expand=False))


def _cut(text: str) -> tuple[str, int]:
    """The text, or the beginning of a long one, and how many characters there are in all if it was cut."""
    lines = text.splitlines()
    short = "\n".join(lines[:LINES])[:LONGEST]
    return (text, 0) if len(lines) <= LINES and len(text) <= LONGEST else (short, len(text))


class Status:
    """One line on a terminal while a run is working: step, what is awaited, time, decisions, cost."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.state: RunState | None = None
        self._live: Live | None = None
        self._spinner: Spinner | None = None
        self._began = 0.0

    def __enter__(self) -> Status:
        self._began = time.monotonic()
        if not self.screen.json and self.screen.out.is_terminal:
            from rich.live import Live
            from rich.spinner import Spinner

            self._spinner = Spinner("dots", style="cyan")
            self._live = Live(
                get_renderable=self._shown, console=self.screen.out, refresh_per_second=10, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            with contextlib.suppress(Exception):
                self._live.stop()
            self._live = None

    def _shown(self) -> Spinner:
        from rich.text import Text

        assert self._spinner is not None, "shown only while live"
        self._spinner.update(text=Text(" | ".join(self._parts()), "dim", overflow="ellipsis", no_wrap=True))
        return self._spinner

    def _parts(self) -> Iterator[str]:
        state = self.state
        if state is None:
            yield "starting"
            return
        yield f"{state.step}{_awaited(state)}"
        yield seconds(time.monotonic() - self._began)
        yield many(state.opened, "decision")
        yield cost(state.usd)


def _awaited(state: RunState) -> str:
    for command in state.outstanding.values():
        match command:
            case CallAgent():
                again = f", attempt {command.attempt}" if command.attempt > 1 else ""
                return f": {command.agent}{again}"
            case AskModel(shadow=False):
                return f": asking {command.model}"
            case Wait(message=""):
                return ": waiting for a time"
            case _:
                pass
    return ""
