"""What would be decided in a step on facts that somebody makes up.

The facts are checked against everything that could be known there, then the machine and the ladder decide as in a run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepladder.clauses import ClauseError, Facts
from stepladder.clauses.grammar import parse_literal
from stepladder.cli.showing import decision_headline, decision_rows, rows_table
from stepladder.decision import Question, open_decision
from stepladder.errors import InputError
from stepladder.orchestrator import decision_records, facts_of
from stepladder.orchestrator.decide import NO_RULE, decisions_reached
from stepladder.orchestrator.progress import in_circles
from stepladder.record import STOP, Asked, Verdict
from stepladder.rules import Choice, choose
from stepladder.state import RunState
from stepladder.workflow.problems import one_of
from stepladder.workflow.scopes import Scopes
from stepladder.workflow.shapes import Absent, Shape, look_up

if TYPE_CHECKING:
    from stepladder.cli.screen import Screen
    from stepladder.orchestrator import DecisionRecord, Machine

KINDS: Final[dict[type, str]] = {
    bool: "flag",
    int: "number",
    float: "number",
    str: "word",
    list: "list",
    dict: "mapping",
}


class Explained(NamedTuple):
    """The decision as it would be recorded, the facts it was made on beside the usual ones, and whom it would ask.

    `judges` are the steps of which this one judges, before it decides, the newest decision that led into one of them.
    """

    record: DecisionRecord
    given: dict[str, Any]
    asks: tuple[Asked, ...]
    judges: tuple[str, ...] = ()


def explained(machine: Machine, step: str, given: dict[str, str]) -> Explained:
    """Decide in `step` on the facts a run begins with, and those `given` as path and text.

    Raises:
        InputError: there is no such step or path, or a value of that kind cannot be there.
    """
    steps = machine.definition.steps
    if step not in steps:
        raise InputError("--at", "", f"step {step!r}", one_of(step, steps))
    known = Scopes(machine.definition).at_decision(step)
    values = {path: _value(path, text, known) for path, text in given.items()}
    if steps[step].effect is not None:
        values.setdefault("returned", "ok")
    facts = _facts(machine, step, values)
    return _decide(machine, step, facts, values)


def _value(path: str, text: str, known: Shape) -> Any:
    found = look_up(known, path)
    if isinstance(found, Absent):
        inside = f"{found.parent}." if found.parent else ""
        names = one_of(found.name, found.names) if found.names else "no field: there is nothing inside"
        raise InputError("--set", path, f"{inside}{found.name}", names)
    value = _read(text, found)
    kind = KINDS.get(type(value), "")
    if kind not in found.kinds:
        raise InputError("--set", path, f"{text!r}, a {kind}", f"a {' or a '.join(sorted(found.kinds))}")
    if kind == "word" and found.words is not None and value not in found.words:
        raise InputError("--set", path, f"{text!r}", one_of(str(value), found.words))
    if kind == "number" and not found.low <= value <= found.high:
        raise InputError("--set", path, text, f"a number from {found.low:g} to {found.high:g}")
    return value


def _read(text: str, shape: Shape) -> Any:
    """The value as a clause would spell it; lists and mappings as JSON; anything else is text where text may be."""
    if shape.kinds == {"word"}:
        return text
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    try:
        return parse_literal(text)
    except ClauseError:
        return text


def _facts(machine: Machine, step: str, values: dict[str, Any]) -> Facts:
    state = RunState(
        run_id="explained",
        status="working",
        step=step,
        taken=machine.none_taken,
        visits={**machine.no_visits, step: 1},
        signals=machine.starting_signals,
    )
    facts = facts_of(machine, state) | {"no_progress": 0}
    for limit, name in (("usd", "budget_used"), ("working_s", "time_used")):
        if getattr(machine.limits, limit) is not None:
            facts[name] = 0.0
    for path, value in values.items():
        _set(facts, path.split("."), value)
    return facts


def _set(facts: Facts, keys: list[str], value: Any) -> None:
    *way, last = keys
    for key in way:
        facts[key] = dict(facts[key]) if isinstance(facts.get(key), dict) else {}
        facts = facts[key]
    facts[last] = value


def _limit(machine: Machine, step: str, facts: Facts, choice: Choice) -> str:
    if facts["decisions"] >= machine.limits.decisions:
        return decisions_reached(machine.limits.decisions)
    if facts.get("time_used", 0.0) >= 1:
        return f"limit of {machine.limits.working_s:g} s of working time reached"
    most = machine.limits.no_progress.end
    if choice.rule is not None and most is not None and facts["no_progress"] >= most:
        return in_circles(step, choice.rule.do, facts["no_progress"])
    return ""


def _decide(machine: Machine, step: str, facts: Facts, values: dict[str, Any]) -> Explained:
    options, blocked = machine.legal(step, facts, {})
    choice = choose(machine.rules[step], facts, options)
    limit = _limit(machine, step, facts, choice)
    rule = None if limit else choice.rule
    verdict = Verdict(STOP, reason=limit or NO_RULE)
    if rule is not None:
        arguments = machine.policy.arguments[step, rule.name]
        verdict = Verdict(rule.do, arguments.resolve(facts) if arguments else {}, rule.because)
    spent = facts.get("budget_used", 0.0) >= 1
    question = Question(
        n=1,
        step=step,
        facts=facts,
        options=options,
        verdict=verdict,
        stop=machine.limits.then,
        now=0.0,
        next_command=1,
        rule=rule.name if rule else "",
        passed_over=choice.passed_over,
        blocked=blocked,
        signals={name: facts[name] for name in machine.starting_signals if name in facts},
        limit=limit,
        models_closed=f"budget of ${machine.limits.usd:g} is spent" if spent else "",
        run_key="explained",
    )
    entries = open_decision(machine.policy.ladder, question)
    (record,) = decision_records(entries)
    asks = tuple(entry for entry in entries if isinstance(entry, Asked))
    return Explained(record, values, asks, machine.definition.steps[step].judges)


def tell_explained(found: Explained, screen: Screen) -> None:
    """For people, or as JSON."""
    from rich.text import Text

    from stepladder.cli.screen import told

    record = found.record
    if screen.json:
        import msgspec

        said = msgspec.to_builtins(record.opened)
        settled = msgspec.to_builtins(record.settled) if record.settled else None
        asks = [{"rung": asked.rung, "models": list(asked.models)} for asked in found.asks]
        told_of = {"facts": found.given, "opened": said, "settled": settled, "asks": asks}
        screen.emit({**told_of, "judges": list(found.judges)})
        return
    if record.settled is None:
        head = Text.assemble(" in ", (record.opened.step, "bold cyan"), ": ")
        rungs = ", ".join(f"{asked.rung} ({', '.join(asked.models) or 'a person'})" for asked in found.asks)
        screen.out.print(
            head.append(f"asks {rungs}", "yellow").append(f"; the rule says {record.opened.verdict.action}")
        )
    else:
        screen.out.print(decision_headline(record, numbered=False))
    rows = [("facts", told(found.given) or "as a run begins"), *decision_rows(record)]
    if found.judges:
        rows.append(("judges", f"the newest decision that led into {' or '.join(found.judges)}"))
    screen.out.print(rows_table(rows))
