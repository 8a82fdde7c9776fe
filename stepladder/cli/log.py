"""The run log that people read: for every decision the run, n of N, the step, clarifications, who chose what and why,
and what came of it with its time.

It is made entry by entry from the journal, so that a live run and `show --log` read the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from stepladder.cli.screen import clean, line, spelt, told
from stepladder.cli.tell import because, clarification_limit, cost, moment, seconds, who
from stepladder.commands import AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    OutcomeAttached,
    PersonAnswered,
    PolicyChanged,
    RunCancelled,
    RunResumed,
    RunRetried,
    RunStarted,
    TimePassed,
    WorkflowChanged,
)
from stepladder.record import Answered, Asked, Entry, Judged, Opened, Settled, Shadowed
from stepladder.state import RunState

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from stepladder.orchestrator import Machine

INDENT: Final = 8
WIDEST: Final = 110
LONGEST: Final = 60
GOOD, BAD, DIM, NAME = "green", "red", "dim", "bold"

Part = tuple[str, str]
"""A piece of text and its style."""
Line = tuple[Part, ...]


class RunLog:
    """Writes a run's log on a console, entry by entry."""

    def __init__(self, machine: Machine, console: Console) -> None:
        self.machine, self.console = machine, console
        self.state = RunState()
        self._asking: dict[str, tuple[int, ...]] = {}
        self._calls: dict[int, ModelAnswered | ModelFailed] = {}
        self._opened: Opened | None = None
        self._askers, self._limit = clarification_limit(machine.definition)

    def skip(self, entries: Sequence[Event | Entry]) -> None:
        """Take note of entries without writing them."""
        for entry in entries:
            self._take(entry)

    def write(self, entries: Sequence[Event | Entry]) -> None:
        """Write entries that have become durable."""
        for entry in entries:
            before = self.state
            self._take(entry)
            if isinstance(entry, RunStarted):
                self.console.print(self._started(entry), soft_wrap=False)
            elif isinstance(entry, Opened):
                self.console.print(self._heading(entry, before))
            else:
                self._lines(entry, before)

    def _take(self, entry: Event | Entry) -> None:
        from stepladder.orchestrator.evolve import evolve

        self.state = evolve(self.machine, self.state, entry)
        if isinstance(entry, Opened):
            self._opened = entry
        elif isinstance(entry, (ModelAnswered, ModelFailed)):
            self._calls[entry.command] = entry

    def _lines(self, entry: Event | Entry, before: RunState) -> None:
        from rich.padding import Padding
        from rich.table import Table

        tell = cast(Callable[[RunLog, Any, RunState], Iterator[Line]] | None, TELLERS.get(type(entry)))
        for parts in tell(self, entry, before) if tell else ():
            shown: RenderableType = _assembled(parts)
            if len(parts[0][0]) == INDENT:  # a label
                shown = table = Table.grid()
                table.add_column(width=INDENT)
                table.add_column(ratio=1, overflow="fold")
                table.add_row(_assembled(parts[:1]), _assembled(parts[1:]))
            self.console.print(Padding(shown, (0, 0, 0, INDENT), expand=False), width=min(WIDEST, self.console.width))

    # --- headings

    def _started(self, event: RunStarted) -> RenderableType:
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_row(
            Text("run", NAME), Text.assemble((line(event.run_id), NAME), f" of {event.workflow}", self._begins())
        )
        for name, value in event.input.items():
            if value is None:
                continue
            table.add_row(Text(line(name), DIM), Text(spelt(value, 200)))
        return Padding(table, (0, 0, 0, 1), expand=False)

    def _begins(self) -> str:
        """Where it begins, if that is not only a place to decide in."""
        definition = self.machine.definition
        return f", begins in {definition.start}" if definition.steps[definition.start].effect else ""

    def _heading(self, opened: Opened, before: RunState) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        own = opened.point == "next_action"
        count = f"{before.decisions + 1}/{self.machine.limits.decisions}" if own else ""
        route = (
            "" if opened.route == "standard" else f"  {opened.route}: {', '.join(fired.name for fired in opened.fired)}"
        )
        table = Table.grid(expand=True)
        table.width = min(WIDEST, self.console.width)
        table.add_column(width=INDENT)
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True)
        right = "   ".join(part for part in (self._clarifications(before), line(before.run_id, 16)) if part)
        point = "" if own else f"  {opened.point}"
        left = Text.assemble((opened.step, "bold cyan"), (point, DIM), (clean(route), "yellow"))
        table.add_row(Text(f" {count}", "cyan"), left, Text(right, DIM))
        return table

    def _clarifications(self, state: RunState) -> str:
        if not self._askers:
            return ""
        asked = sum(state.taken.get(action, 0) for action in self._askers)
        return f"clarifications {asked}" + (f"/{self._limit}" if self._limit else "")

    # --- decisions

    def asked(self, entry: Asked, _: RunState) -> Iterator[Line]:
        """A rung is asked."""
        self._asking[entry.rung] = entry.commands
        models = f" ({', '.join(entry.models)})" if entry.models else ""
        models += f": {line(entry.because, 200)}" if entry.because else ""
        yield ("asks    ", DIM), (f"{entry.rung}{models}" + (" in shadow" if entry.shadow else ""), "")

    def answered(self, entry: Answered, _: RunState) -> Iterator[Line]:
        """A rung has answered."""
        verdict = entry.verdict
        said = f" {verdict.action}" if verdict else ""
        sure = f", confidence {verdict.confidence:g}" if verdict and verdict.confidence is not None else ""
        style = {"agrees": GOOD, "accepted": GOOD, "failed": BAD, "invalid": BAD}.get(entry.outcome, "")
        call = self._calls.get(entry.command) or self._only_call(entry.rung)
        spent = f"  {seconds(call.elapsed_s)} {_priced(call)}{_sent(call)}" if call else ""
        why = call.error if isinstance(call, ModelFailed) and call.error else entry.cause
        cause = f": {line(why, 300)}" if why else ""
        yield (
            ("says    ", DIM),
            (f"{entry.rung} ", ""),
            (entry.outcome, style),
            (f"{said}{sure}{cause}", ""),
            (spent, DIM),
        )

    def _only_call(self, rung: str) -> ModelAnswered | ModelFailed | None:
        commands = self._asking.get(rung, ())
        return self._calls.get(commands[0]) if len(commands) == 1 else None

    def settled(self, entry: Settled, _: RunState) -> Iterator[Line]:
        """A decision."""
        opened = self._opened
        scripted = any(
            isinstance(call, ModelAnswered) and (call.provider == "scripted" or call.model == "scripted")
            for rung in self._asking
            for command in self._asking[rung]
            if (call := self._calls.get(command)) is not None
        )
        self._asking = {}
        if opened is not None and opened.point == "next_action":
            yield (
                (entry.action, NAME),
                (f" -> {entry.to}", ""),
                (f"   {who(entry, opened, scripted=scripted)}", "magenta"),
            )
        else:
            yield (entry.action, NAME), (f"   {who(entry, opened, scripted=scripted)}", "magenta")
        if told_why := because(entry):
            yield (("because ", DIM), (told_why, ""))
        if entry.fallback:
            yield (("instead ", DIM), (f"of a model: {line(entry.fallback, 200)}", "yellow"))
        if entry.approval:
            until = f" until {moment(entry.approve_by)} UTC" if entry.approve_by is not None else ""
            yield (("needs   ", DIM), (f"the approval {entry.approval} of a person{until}", "yellow"))

    def shadowed(self, entry: Shadowed, _: RunState) -> Iterator[Line]:
        """A shadow's answer."""
        said = entry.verdict.action if entry.verdict else line(entry.cause, 200)
        yield ("shadow  ", DIM), (f"decision {entry.n}: {entry.rung} {entry.outcome}: {said}", DIM)

    # --- what came of it

    def judged(self, entry: Judged, _: RunState) -> Iterator[Line]:
        """A step has scored what a decision led to."""
        quality = "no quality" if entry.quality is None else f"quality {entry.quality:.3g}"
        word, style = {True: (", success", GOOD), False: (", failure", BAD), None: ("", "")}[entry.success]
        yield ("judges  ", DIM), (f"decision {entry.n}: {quality}", ""), (word, style)

    def agent_returned(self, event: AgentReturned, before: RunState) -> Iterator[Line]:
        """An agent gave a result."""
        call = before.outstanding.get(event.command)
        if isinstance(call, AskPerson):
            call = call.call
        if not isinstance(call, CallAgent):
            yield ("late    ", DIM), (f"a result that nobody awaits, {seconds(event.elapsed_s)}{_spent(event)}", DIM)
            return
        good = self.state.returned == "ok"
        yield _outcome(
            "ok" if good else "failed", call.agent, event.elapsed_s, _spent(event), told(event.output, LONGEST)
        )

    def agent_failed(self, event: AgentFailed, before: RunState) -> Iterator[Line]:
        """An agent gave none."""
        call = before.outstanding.get(event.command)
        if not isinstance(call, CallAgent):
            yield ("late    ", DIM), (f"a failure that nobody awaits: {line(event.error, 200)}", DIM)
            return
        kind = event.error_type or event.reason
        said = f"{kind}: {line(event.error, 300)}" if event.error else kind
        yield _outcome("failed", call.agent, event.elapsed_s, _spent(event), said)
        yield from self._once_more(event.command)

    def time_passed(self, event: TimePassed, before: RunState) -> Iterator[Line]:
        """A deadline has passed, or a wait is over."""
        match before.outstanding.get(event.command):
            case CallAgent() as call:
                yield _outcome("late", call.agent, 0.0, "", "no result in time")
                yield from self._once_more(event.command)
            case AskPerson() as ask:
                yield ("late    ", BAD), (f"nobody answered the {ask.about} in time", "")
            case Wait(message=""):
                yield ("time    ", DIM), ("the wait is over", "")
            case Wait() as wait:
                yield ("late    ", BAD), (f"no message {wait.message} in time", "")
            case _:
                return

    def _once_more(self, number: int) -> Iterator[Line]:
        again = self.state.outstanding.get(number)
        if isinstance(again, CallAgent):
            pause = again.not_before - self.state.now
            when = f" in {seconds(pause)}" if pause > 0 else ""
            yield ("again   ", DIM), (f"attempt {again.attempt}{when}, under the same key", "yellow")
        elif isinstance(again, AskPerson):
            yield ("doubt   ", DIM), ("nobody knows whether it was done; a person has to say", "yellow")

    def person_answered(self, event: PersonAnswered, before: RunState) -> Iterator[Line]:
        """A person said something."""
        ask = before.outstanding.get(event.command)
        about = f"{ask.about}: " if isinstance(ask, AskPerson) and ask.about != "question" else ""
        by = f"  by {line(event.by)}" if event.by else ""
        yield ("answer  ", GOOD), (about + told(event.value, 200), ""), (by, DIM)

    def message(self, event: MessageReceived, _: RunState) -> Iterator[Line]:
        """A message came."""
        yield ("message ", GOOD), (f"{line(event.name)}  {told(event.payload, LONGEST)}", "")

    def happened(self, event: Event, _: RunState) -> Iterator[Line]:
        """What somebody did with the run."""
        match event:
            case RunCancelled():
                words = (
                    "cancelled"
                    + (f" by {line(event.by)}" if event.by else "")
                    + (f": {event.reason}" if event.reason else "")
                )
            case RunRetried():
                words = "taken up again" + (f" by {line(event.by)}" if event.by else "")
            case RunResumed():
                words = "resumed by another process"
            case WorkflowChanged():
                words = f"workflow {event.workflow_hash} decides from here on"
            case PolicyChanged():
                words = f"policy {event.policy_hash} decides from here on"
                words += f": {line(event.because)}" if event.because else ""
            case _:
                words = "how it turned out was noted"
        yield ((words, "yellow"),)


def _priced(call: ModelAnswered | ModelFailed) -> str:
    if isinstance(call, ModelAnswered) and call.cached:
        return f"cached ({call.cached})"
    return cost(call.usage.cost_usd) + (" at most" if call.usage.estimated else "")


def _sent(call: ModelAnswered | ModelFailed) -> str:
    counts = {"attached": len(call.attached), "left out": len(call.left_out)}
    return "".join(f", {count} {word}" for word, count in counts.items() if count)


def _assembled(parts: Line) -> Text:
    from rich.text import Text

    return Text.assemble(*((clean(words), style) for words, style in parts))


def _spent(event: AgentReturned | AgentFailed) -> str:
    return f" {cost(event.usage.cost_usd)}" if event.usage.cost_usd != 0 else ""


def _outcome(word: str, agent: str, elapsed_s: float, spent: str, said: str) -> Line:
    took = f" {seconds(elapsed_s)}" if elapsed_s or word != "late" else ""
    return (f"{word:<8}", GOOD if word == "ok" else BAD), (agent, NAME), (f"{took}{spent}  ", DIM), (said, "")


TELLERS: Final[dict[type[Any], Any]] = {
    Asked: RunLog.asked,
    Answered: RunLog.answered,
    Settled: RunLog.settled,
    Shadowed: RunLog.shadowed,
    Judged: RunLog.judged,
    AgentReturned: RunLog.agent_returned,
    AgentFailed: RunLog.agent_failed,
    TimePassed: RunLog.time_passed,
    PersonAnswered: RunLog.person_answered,
    MessageReceived: RunLog.message,
    RunCancelled: RunLog.happened,
    RunRetried: RunLog.happened,
    RunResumed: RunLog.happened,
    PolicyChanged: RunLog.happened,
    WorkflowChanged: RunLog.happened,
    OutcomeAttached: RunLog.happened,
}
"""Who tells of what."""
