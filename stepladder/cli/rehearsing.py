"""The command that rehearses an outage of the models' providers: rehearse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import AgentsFile, Json, Options

if TYPE_CHECKING:
    from stepladder.cli.screen import Screen
    from stepladder.rehearsal import Rehearsed

PANEL = "Projects and scenarios"


@app.command(
    rich_help_panel=PANEL,
    epilog="Example:\n  stepladder rehearse workflow.yaml --faults outage.yaml --input question='How many customers?'",
)
def rehearse(
    workflow: Annotated[Path, typer.Argument(metavar="WORKFLOW", help="The workflow file.")],
    faults: Annotated[Path, typer.Option("--faults", metavar="SCRIPT", help="Which models do what wrong, and when.")],
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="NAME=VALUE", help="A field of the input, before the script's; repeatable."
        ),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, max=10_000, help="How many runs in each world.")] = 1,
    agents: AgentsFile = None,
    option: Options = None,
    as_json: Json = False,
) -> Exit:
    """Run a workflow twice, with healthy models and with models that misbehave by a script, and say what differs.

    The models are a local server; nothing leaves this machine and no key is needed. Leaves with 1 where an action was
    not legal, an effect was repeated, a replay came out otherwise, or the ledger does not cover the bill.
    """
    import msgspec

    from stepladder.app.loading import Workflow, load_agents
    from stepladder.cli.pairs import fields, pairs
    from stepladder.cli.screen import Screen
    from stepladder.rehearsal import load_script
    from stepladder.rehearsal import rehearse as rehearsed_of

    screen = Screen(json=as_json)
    script, options = load_script(faults), pairs(option, "--option")
    file = agents or workflow.parent / "agents.py"
    with screen.only_json():
        signals = load_agents(file, options)[1] if file.is_file() else ()
        definition = Workflow.load(workflow, signals=signals).definition
        value = fields(given, "--input", definition.input)
        found = rehearsed_of(workflow, script, input=value, runs=runs, agents=agents, options=options)
    if as_json:
        screen.emit({"sound": found.sound, **msgspec.to_builtins(found)})
    else:
        _tell(found, screen)
    return Exit.DONE if found.sound else Exit.NEGATIVE


def _tell(found: Rehearsed, screen: Screen) -> None:
    from stepladder.cli.screen import clean, line
    from stepladder.cli.tables import plain_table
    from stepladder.cli.tell import many

    screen.out.print(clean(found.name), style="bold")
    right: dict[str, object] = {"justify": "right", "no_wrap": True}
    table = plain_table((many(found.runs, "run"), {"no_wrap": True}), ("healthy", right), ("misbehaving", right))
    for name, told in ROWS.items():
        table.add_row(name, clean(told(found.healthy)), clean(told(found.faulty)))
    screen.out.print(table)
    for each in found.changed:
        of_run = f"run {each.run}, " if found.runs > 1 else ""
        place = f"{of_run}decision {each.decision} in {each.step}"
        cause = f" ({line(each.cause, 200)})" if each.cause else ""
        screen.out.print(
            f"changed    {line(place)}: {line(each.healthy)}, now {line(each.faulty)}{cause}", soft_wrap=True
        )
    if found.by_fallback:
        screen.out.print(
            f"unchanged  {many(found.by_fallback, 'decision')} by a rule where a model failed", soft_wrap=True
        )
    more, longer = found.faulty.ledger_usd - found.healthy.ledger_usd, found.faulty.elapsed_s - found.healthy.elapsed_s
    screen.out.print(f"it cost    {_signed(more)} and {longer:+.2f} s", soft_wrap=True)
    if found.guessed:
        screen.out.print(
            f"no price   {clean(', '.join(found.guessed))}: counted at $1 and $4 a million", style="yellow"
        )
    _tell_laws(found, screen)


def _tell_laws(found: Rehearsed, screen: Screen) -> None:
    from stepladder.cli.screen import clean
    from stepladder.cli.tell import cost, many

    for each in found.illegal:
        screen.out.print(
            clean(f"illegal    {each.run} decision {each.decision}: {each.action}: {each.why}"), style="red"
        )
    booked = (
        "the ledger covers the bill" if not found.unbooked_usd else f"{cost(found.unbooked_usd)} is not on the ledger"
    )
    said = [
        many(len(found.illegal), "illegal action"),
        many(found.repeated, "repeated effect"),
        many(len(found.diverged), "replay") + " that differ" + ("s" if len(found.diverged) == 1 else ""),
        booked,
    ]
    screen.out.print(", ".join(said), style="green" if found.sound else "red", soft_wrap=True)


def _signed(usd: float) -> str:
    from stepladder.cli.tell import cost

    return f"{'-' if usd < 0 else '+'}{cost(abs(usd))}"


def _counted(values: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(values.items())) or "none"


def _money(usd: float) -> str:
    from stepladder.cli.tell import cost

    return cost(usd)


ROWS: dict[str, Any] = {
    "ended in": lambda world: _counted(world.ends),
    "decisions": lambda world: str(world.decisions),
    "by fallback": lambda world: str(world.fallbacks),
    "requests": lambda world: str(world.requests),
    "faults served": lambda world: _counted(world.faults),
    "on the ledger": lambda world: _money(world.ledger_usd),
    "billed": lambda world: _money(world.billed_usd),
    "slowest decision": lambda world: f"{world.slowest_s:.2f} s",
    "time": lambda world: f"{world.elapsed_s:.2f} s",
}
"""What is told of each world."""
