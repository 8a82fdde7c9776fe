"""Runs and decisions in words and as JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stepladder.cli.exits import Exit
from stepladder.cli.journals import shown_place
from stepladder.cli.options import DEFAULT_JOURNAL, Place
from stepladder.cli.screen import clean, line

if TYPE_CHECKING:
    from stepladder.app.run import Run, Waiting
    from stepladder.orchestrator import DecisionRecord
    from stepladder.record import Opened, Settled
    from stepladder.workflow.definition import Definition


def many(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def seconds(value: float) -> str:
    """A length of time."""
    if value < 60:
        return f"{value:.2f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def cost(usd: float | None) -> str:
    """A price; tiny ones keep two digits that count."""
    if usd is None:
        return "unpriced"
    if usd == 0:
        return "$0"
    return f"${usd:.2f}" if usd >= 0.1 else f"${usd:.2g}" if usd >= 0.0001 else f"${usd:.7f}".rstrip("0")


def moment(at: float) -> str:
    """A time of day in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def who(settled: Settled, opened: Opened | None, *, scripted: bool = False) -> str:
    """Who chose, and how that stands to the rule."""
    rule = f"rule {opened.rule}" if opened is not None and opened.rule else "built-in STOP"
    model = "a scripted model" if scripted else "a model"
    if settled.source == "rule":
        return rule + {"agreement": f", {model} agrees", "kept": f", against {model}"}.get(settled.relation, "")
    by = "scripted model" if scripted and settled.source in ("model", "panel") else settled.source
    return by + (f", over {rule}" if settled.relation == "override" else "")


def because(settled: Settled) -> str:
    """The reason, on one line."""
    return line(settled.reason, 400)


def scripted(record: DecisionRecord) -> bool:
    """Whether a scripted provider answered for a model."""
    return any("scripted" in (call.provider, call.served) and not call.failure for call in record.calls)


def clarification_limit(definition: Definition) -> tuple[frozenset[str], int]:
    """The actions that lead to a question to a person, and how often they may be taken (0: no one limit).

    The limit stands in a guard `taken.ACTION < n`.
    """
    from stepladder.workflow.definition import PersonEffect

    asking: dict[str, set[int]] = {}
    for moves in definition.moves.values():
        for move in moves:
            step = definition.steps.get(move.option.to)
            if step is None or not isinstance(step.effect, PersonEffect):
                continue
            limits = asking.setdefault(move.option.action, set())
            for clause in move.guard.clauses:
                if clause.signal == f"taken.{move.option.action}" and clause.op in ("<", "<="):
                    limits.add(int(clause.literal) + (clause.op == "<="))
    found = [max(limits) for limits in asking.values() if limits]
    return frozenset(asking), sum(found) if found and len(found) == len(asking) else 0


def exit_of(run: Run) -> Exit:
    """The exit code that a run's state means."""
    if run.status == "ended":
        return Exit.DONE if run.success else Exit.NEGATIVE
    return Exit.WAITS


def sources(run: Run) -> dict[str, int]:
    """Decisions by who made them."""
    return dict(Counter(record.source for record in run.decisions if record.settled))


def elapsed_s(run: Run) -> float:
    """From its start to its end, or to the last thing that happened."""
    return max(0.0, (run.state.ended_at or run.state.now) - run.state.started_at)


def run_json(run: Run) -> dict[str, Any]:
    """A run as JSON."""
    import msgspec

    waiting = msgspec.to_builtins(run.waiting) if run.waiting else None
    return {
        "run": run.id,
        "status": run.status,
        "success": run.success,
        "step": run.step,
        "phase": run.phase,
        "end": run.end,
        "reason": run.reason,
        "output": run.output,
        "waiting": waiting,
        "decisions": run.state.opened,
        "sources": sources(run),
        "cached": sum(bool(record.cached) for record in run.decisions),
        "fallbacks": sum(bool(record.settled and record.settled.fallback) for record in run.decisions),
        "overrides": sum(bool(record.settled and record.settled.relation == "override") for record in run.decisions),
        "usd": run.usd,
        "elapsed_s": round(elapsed_s(run), 6),
        "working_s": round(run.state.working_s, 6),
        "workflow_hash": run.machine.definition.hash,
        "policy_hash": run.state.policy_hash,
        "outcomes": [msgspec.to_builtins(outcome) for outcome in run.outcomes],
        **({"pruned": True} if run.pruned else {}),
    }


def counted(run: Run) -> str:
    """How many decisions, and by whom."""
    by = sources(run)
    over = sum(bool(record.settled and record.settled.relation == "override") for record in run.decisions)
    fell = sum(bool(record.settled and record.settled.fallback) for record in run.decisions)
    told = ", ".join(f"{count} by {source}" for source, count in sorted(by.items(), key=lambda item: -item[1]))
    more = (f", {over} over the rule" if over else "") + (f", {many(fell, 'fallback')}" if fell else "")
    return many(run.state.opened, "decision") + (f" ({told}{more})" if told else "")


def on_journal(journal: Place) -> str:
    """The option that names the journal, where it is not the usual one."""
    return "" if journal == DEFAULT_JOURNAL else f" --journal {shlex.quote(shown_place(journal))}"


def command_for(run: Run, definition: Definition, journal: Place) -> str:
    """The exact command that lets a waiting run go on."""
    waiting = run.waiting
    name = shlex.quote(clean(run.id))
    if waiting is None or waiting.about == "time":
        return f"stepladder resume {name}{on_journal(journal)}"
    if waiting.about == "message":
        return f"stepladder send {name} {shlex.quote(waiting.question)} --payload '{{}}'{on_journal(journal)}"
    return f"stepladder answer {name} {answer_form(waiting, definition)}{on_journal(journal)}"


def answer_form(waiting: Waiting, definition: Definition) -> str:
    """The options of `answer` that fit."""
    match waiting.about:
        case "decision":
            return f"--action {waiting.options[0] if len(waiting.options) == 1 else 'ACTION'} --reason '...'"
        case "approval":
            return "--approve"
        case "effect":
            return "--effect done"
        case _:
            names = question_fields(waiting, definition)
            if text_field(waiting, definition):
                return "--text '...'"
            return " ".join(f"--field {shlex.quote(name)}=..." for name in names)


def question_fields(waiting: Waiting, definition: Definition) -> dict[str, Any]:
    """The fields of the answer to a question, with their schemas; {} where anything goes."""
    effect = definition.steps[waiting.step].effect
    properties: dict[str, Any] = getattr(effect, "output", {}).get("properties", {})
    return properties


def text_field(waiting: Waiting, definition: Definition) -> str:
    """The one field that takes a text, or "" where an answer is more than a text."""
    fields = question_fields(waiting, definition)
    if not fields:
        return "text"
    wanted = [name for name, schema in fields.items() if "default" not in schema]
    texts = [name for name, schema in fields.items() if schema.get("type") == "string" or _words(schema)]
    if len(wanted) == 1:
        return wanted[0] if wanted[0] in texts else ""
    return texts[0] if len(texts) == 1 and not wanted else ""


def _words(schema: dict[str, Any]) -> bool:
    listed = schema.get("enum") or ()
    return bool(listed) and all(isinstance(word, str) for word in listed)
