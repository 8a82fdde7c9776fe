"""What `show` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stepladder.cli.log import RunLog
from stepladder.cli.options import Place
from stepladder.cli.screen import Screen, clean, line, spelt, told
from stepladder.cli.tables import decisions_table
from stepladder.cli.tell import because, command_for, cost, moment, run_json, scripted, seconds, who
from stepladder.errors import InputError, RunPruned
from stepladder.events import Event, OutcomeAttached, QuestionPut
from stepladder.orchestrator.explaining import attempts_told, went_along
from stepladder.record import Answered, Asked, Entry

if TYPE_CHECKING:
    from stepladder.app.run import Run
    from stepladder.clauses import Reading
    from stepladder.orchestrator import DecisionRecord
    from stepladder.orchestrator.records import ModelCall

Row = tuple[str, str]


def show_overview(run: Run, journal: Place, screen: Screen) -> None:
    """The run, its decisions, and what it gave or waits for."""
    from stepladder.cli.work import tell_end

    definition = run.machine.definition
    if screen.json:
        waits = {"go_on": command_for(run, definition, journal)} if run.waiting else {}
        records = [record.as_dict() for record in run.decisions]
        screen.emit({**run_json(run), **waits, "input": run.state.input, "records": records})
        return
    head = Table.grid(padding=(0, 2))
    about = f" of {definition.name}, started {moment(run.state.started_at)} UTC"
    head.add_row(Text("run", "bold"), Text.assemble((clean(run.id), "bold"), about))
    for name, value in run.state.input.items():
        head.add_row(Text(line(name), "dim"), Text(spelt(value, 300)))
    if run.pruned:
        head.add_row(Text("pruned", "dim"), Text("its input, its output and what was said to it are gone", "yellow"))
    screen.out.print(Padding(head, (0, 0, 0, 1), expand=False))
    screen.out.print()
    screen.out.print(decisions_table(run.decisions))
    screen.out.print()
    tell_end(run, definition, journal, screen)
    if run.outcomes:
        screen.out.print(rows_table(("outcome", _turned_out(each)) for each in run.outcomes))


def show_lone(name: str, entries: Sequence[Event | Entry], screen: Screen) -> None:
    """A decision that was made outside any workflow."""
    from stepladder.orchestrator import decision_records

    put = entries[0]
    assert isinstance(put, QuestionPut), "a lone decision begins with its question"
    (record,) = decision_records(entries)
    if screen.json:
        screen.emit({"run": name, "point": put.point, "facts": put.facts, **record.as_dict()})
        return
    screen.out.print(decision_headline(record))
    screen.out.print(rows_table([("point", put.point), ("facts", told(put.facts, 80)), *decision_rows(record)]))


def show_log(run: Run, screen: Screen) -> None:
    """The run log. Raises RunPruned."""
    if run.pruned:
        raise RunPruned(run.id)
    RunLog(run.machine, screen.out).write(run.retold)


def show_entries(run: Run, screen: Screen) -> None:
    """Every entry of the journal, one line each."""
    import msgspec

    entries = [msgspec.to_builtins(entry) for entry in run.entries]
    if screen.json:
        screen.emit({"run": run.id, "entries": entries})
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for number, entry in enumerate(entries, 1):
        rest = {name: value for name, value in entry.items() if name not in ("kind", "at")}
        event = "at" in entry
        table.add_row(str(number), Text(entry["kind"], "cyan" if event else "magenta"), Text(told(rest, 200)))
    screen.out.print(table)


def show_decision(run: Run, number: int, screen: Screen) -> None:
    """Why one decision was made. Raises InputError where there is no such decision."""
    record = next((each for each in run.decisions if each.number == number), None)
    if record is None:
        expected = f"1 to {run.state.opened}" if run.state.opened else "none: nothing was decided yet"
        raise InputError(f"run {run.id!r}", "decision", str(number), expected)
    if screen.json:
        screen.emit({"run": run.id, **record.as_dict()})
        return
    screen.out.print(decision_headline(record))
    screen.out.print(rows_table(decision_rows(record)))


def decision_headline(record: DecisionRecord, *, numbered: bool = True) -> Text:
    """What was decided."""
    opened, settled = record.opened, record.settled
    head = Text.assemble(f" decision {record.number} in " if numbered else " in ", (opened.step, "bold cyan"))
    if opened.point != "next_action":
        head.append(f" ({opened.point})")
    if settled is None:
        return head.append(": open", "yellow")
    head.append(": ").append(settled.action, "bold").append(f" -> {settled.to}")
    return head.append(f"   {clean(who(settled, opened, scripted=scripted(record)))}", "magenta")


def rows_table(rows: Iterable[Row]) -> Padding:
    """Labelled lines, the labels once."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", width=9)
    table.add_column(ratio=1, overflow="fold")
    before = ""
    for label, text in rows:
        table.add_row("" if label == before else label, Text(clean(text)))
        before = label
    return Padding(table, (0, 0, 0, 3), expand=False)


def decision_rows(record: DecisionRecord) -> Iterator[Row]:
    """The evidence: what was chosen, what might be done, what everybody said, what was known, what it cost."""
    yield from _chosen(record)
    yield from _possible(record)
    yield from _asked_and_said(record)
    yield from _settled_how(record)
    yield from _known(record)
    yield from _afterwards(record)


def _chosen(record: DecisionRecord) -> Iterator[Row]:
    settled = record.settled
    if settled is not None and settled.reason:
        yield "because", because(settled)
    if settled is not None and settled.parameters:
        yield "with", told(settled.parameters, 300)


def _possible(record: DecisionRecord) -> Iterator[Row]:
    opened = record.opened
    yield "route", opened.route
    for fired in opened.fired:
        yield "route", f"{fired.name}: {' and '.join(reading(each) for each in fired.readings)}"
    yield "legal", ", ".join(opened.legal) or "nothing"
    for action, seen in opened.blocked.items():
        yield "blocked", f"{action}: {reading(seen)}"
    yield "rule", f"{opened.rule or 'none holds'}: {opened.verdict.action}" + _why(opened.verdict.reason)
    if opened.settles:
        yield "nobody", f"was asked: the rule settles {opened.route}"
    for name in opened.passed_over:
        yield "passed", f"{name} held, but its action is not legal here"
    if opened.limit:
        yield "limit", opened.limit


def _asked_and_said(record: DecisionRecord) -> Iterator[Row]:
    if record.asked:
        yield "mode", record.opened.mode
    for asked in record.asked:
        yield "asked", _asked(asked)
    for answered in record.answered:
        yield "answer", _answered(answered)
    for call in record.calls:
        yield "call", _call(call)
        for each in attempts_told(call):
            yield "attempt", line(each, 300)
    yield from went_along(record)
    for shadow in record.shadows:
        said = f" {shadow.verdict.action}" + _why(shadow.verdict.reason) if shadow.verdict else f": {shadow.cause}"
        yield "shadow", f"{shadow.rung} {shadow.outcome}{said}"
    if record.by:
        yield "by", record.by


def _settled_how(record: DecisionRecord) -> Iterator[Row]:
    settled, alternative = record.settled, record.programmatic_alternative
    if settled is not None and settled.fallback:
        yield "fallback", settled.fallback
    if settled is not None and settled.approval:
        until = f", until {moment(settled.approve_by)} UTC" if settled.approve_by is not None else ""
        yield "approval", settled.approval + until
    if alternative:
        yield "overruled", f"{alternative['action']}" + _why(alternative["reason"])


def _known(record: DecisionRecord) -> Iterator[Row]:
    for name, error in record.opened.broken.items():
        yield "broken", f"signal {name}: {error}"
    if signals := {name: value for name, value in record.signals.items() if value not in (None, {})}:
        yield "signals", told(signals, 80)


def _afterwards(record: DecisionRecord) -> Iterator[Row]:
    if record.settled is not None and record.settled_at:
        yield "took", f"{seconds(record.latency_s)}, {cost(record.cost_usd)}, at {moment(record.settled_at)} UTC"
    if record.policy_hash:
        yield "policy", record.policy_hash
    for each in record.outcomes:
        yield "outcome", _turned_out(each)


def _turned_out(outcome: OutcomeAttached) -> str:
    said = outcome.success, outcome.quality, outcome.elapsed_s, outcome.note, outcome.by
    parts = zip(("success", "quality", "elapsed_s", "note", "by"), said, strict=True)
    return told({name: value for name, value in parts if value not in (None, "")}, 300)


def reading(seen: Reading) -> str:
    """What a clause saw."""
    return f"{seen.clause} ({f'was {spelt(seen.value, 80)}' if seen.seen else 'was missing'})"


def _why(reason: str) -> str:
    return f" ({line(reason, 300)})" if reason else ""


def _asked(asked: Asked) -> str:
    models = f" {', '.join(asked.models)}, prompt {asked.prompt}" if asked.models else ""
    because = f": {line(asked.because, 300)}" if asked.because else ""
    return f"{asked.rung}{models}" + (" in shadow" if asked.shadow else "") + because


def _answered(answered: Answered) -> str:
    verdict = answered.verdict
    if verdict is None:
        return f"{answered.rung} {answered.outcome}" + (f": {answered.cause}" if answered.cause else "")
    sure = "" if verdict.confidence is None else f", confidence {verdict.confidence:g}"
    parameters: dict[str, Any] = verdict.parameters
    given = f" with {told(parameters, 100)}" if parameters else ""
    cause = f"; {answered.cause}" if answered.cause else ""
    return f"{answered.rung} {answered.outcome}: {verdict.action}{given}{_why(verdict.reason)}{sure}{cause}"


def _call(call: ModelCall) -> str:
    if call.cached:
        return f"{call.asked} said so before, cached ({call.cached})"
    same = call.served in ("", call.asked, call.asked.partition(":")[2])
    served = "" if same else f" served by {call.served}"
    tokens = f"{call.usage.input_tokens} + {call.usage.output_tokens} tokens"
    why = f" ({line(call.error, 300)})" if call.error else ""
    most = " at most" if call.usage.estimated else ""
    failure = f", failed: {call.failure}{why}" if call.failure else ""
    return f"{call.asked}{served}: {tokens}, {cost(call.usage.cost_usd)}{most}, {seconds(call.elapsed_s)}{failure}"
