"""Commands that work on runs: run, answer, send, resume, retry, cancel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import (
    DEFAULT_JOURNAL,
    AgentsFile,
    BaseUrl,
    By,
    Interactive,
    JournalFile,
    Json,
    MaybeRunName,
    OnChanged,
    Options,
    Place,
    PolicyFile,
    RunName,
    Said,
    WorkflowOption,
)

if TYPE_CHECKING:
    from stepladder.app.run import Run
    from stepladder.cli.memory import Setup
    from stepladder.cli.work import Verb, Work

PANEL = "Work on runs"
Texts = list[str] | None


@app.command(
    rich_help_panel=PANEL,
    epilog="Example:\n  stepladder run workflow.yaml --input question='How many customers?' --id ticket-17",
)
def run(
    workflow: Annotated[Path, typer.Argument(metavar="WORKFLOW", help="The workflow file.")],
    given: Annotated[
        Texts,
        typer.Option("--input", "-i", metavar="NAME=VALUE", help="A field of the input, or NAME=@FILE; repeatable."),
    ] = None,
    input_json: Annotated[
        str, typer.Option("--input-json", metavar="FILE", help="The input as a JSON object; - reads stdin.")
    ] = "",
    run_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="RUN",
            help="The run's id. The same id and input again is the same run, taken up where it is.",
        ),
    ] = None,
    policy: PolicyFile = None,
    agents: AgentsFile = None,
    option: Options = None,
    base_url: BaseUrl = None,
    on_changed: OnChanged = "refuse",
    journal: JournalFile = DEFAULT_JOURNAL,
    interactive: Interactive = None,
    as_json: Json = False,
) -> Exit:
    """Start a run and work on it until it ends or waits.

    On a terminal it asks you when it waits for a person; elsewhere it says what it waits for, and how to answer.
    """
    from stepladder.cli.memory import Setup
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen
    from stepladder.cli.work import Work

    setup = Setup(workflow, agents, pairs(option, "--option"), base_url or "", on_changed, policy)
    work = Work(setup, journal, Screen(json=as_json), interactive=interactive)
    value = _input(work, given, input_json)
    name = _new_id(journal) if run_id is None else run_id
    before = run_id if run_id is not None and _is_there(journal, run_id) else ""
    return work.finish(work.through(lambda orchestrator: orchestrator.run(value, run_id=name), before))


def _input(work: Work, given: list[str] | None, input_json: str) -> dict[str, Any]:
    """The input; refused before the journal is touched where it does not fit."""
    from stepladder.cli.pairs import mapping_file, with_files
    from stepladder.drivers.artifacts import taken_in
    from stepladder.errors import InputError

    definition = work.workflow.definition
    value = mapping_file(input_json, "--input-json") if input_json else {}
    value |= with_files(given, "--input", definition.input)
    if definition.check_input is not None and (wrong := definition.check_input(taken_in(value, "--input", {}))):
        names = ", ".join(definition.input["properties"])
        expected = f"the fields {names}: --input NAME=VALUE" if names else "no fields"
        raise InputError(f"input of {definition.name}", "", wrong, expected)
    return value


def _is_there(journal: Place, run_id: str) -> bool:
    from stepladder.cli.failures import NothingThere
    from stepladder.cli.journals import opened

    try:
        with opened(journal) as found:
            return found.row(run_id) is not None
    except NothingThere:
        return False


def _new_id(journal: Place) -> str:
    """A short id that no run of this journal has."""
    from secrets import token_hex

    while _is_there(journal, name := token_hex(4)):
        pass
    return name


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder answer last --text 'by revenue'\n"
    "  stepladder answer ticket-17 --action RETRY --reason 'it is back'\n  stepladder answer ticket-17 --approve",
)
def answer(
    name: RunName,
    text: Annotated[str | None, typer.Option("--text", help="The answer to a question that takes a text.")] = None,
    json_value: Annotated[str | None, typer.Option("--json-value", metavar="JSON", help="Any answer, as JSON.")] = None,
    field: Annotated[
        Texts, typer.Option("--field", metavar="NAME=VALUE", help="A field of the answer; repeatable.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="The action to take, where a decision is asked.")
    ] = None,
    parameter: Annotated[
        Texts, typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the action.")
    ] = None,
    approve: Annotated[
        bool | None, typer.Option("--approve/--refuse", metavar="", help="Whether what was decided may be done.")
    ] = None,
    effect: Annotated[
        str | None, typer.Option("--effect", metavar="done|redo|unknown", help="What became of a call in doubt.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="JSON", help="With --effect done: what it gave.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; with --action, --approve or --refuse.")] = None,
    by: By = "",
    workflow: WorkflowOption = None,
    agents: AgentsFile = None,
    option: Options = None,
    base_url: BaseUrl = None,
    on_changed: OnChanged = "refuse",
    journal: JournalFile = DEFAULT_JOURNAL,
    interactive: Interactive = None,
    as_json: Json = False,
) -> Exit:
    """Answer what a run asks a person, and work on. Without an answer it asks you, on a terminal."""
    from stepladder.cli.answering import Answer, answer_value

    said = Answer(text, json_value, field, action, parameter, approve, effect, output, reason)
    said.check()
    run_id, setup = _setup(name, Said(workflow, agents, option, base_url, on_changed), journal)
    work = _work(setup, journal, interactive, as_json, by)
    if said.empty:
        _must_ask(work, run_id)
        return work.finish(work.through(lambda orchestrator: orchestrator.resume(run_id), run_id))

    def verb(orchestrator: Any) -> Run:
        asking = orchestrator.get(run_id)
        value = answer_value(said, asking, asking.machine.definition)
        found: Run = orchestrator.answer(run_id, value, by=by)
        return found

    return work.finish(work.through(verb, run_id))


def _must_ask(work: Work, run_id: str) -> None:
    from stepladder.cli.failures import UsageError

    if not work.interactive:
        raise UsageError(
            f"run {run_id!r}: no answer was given; use --text, --field, --json-value, --action, --approve or --effect"
        )


@app.command(
    rich_help_panel=PANEL, epilog='Example:\n  stepladder send ticket-17 released --payload \'{"note": "go"}\''
)
def send(
    name: RunName,
    message: Annotated[str, typer.Argument(metavar="NAME", help="The name of the message.")],
    payload: Annotated[str, typer.Option("--payload", metavar="JSON", help="What it says, a JSON object.")] = "{}",
    workflow: WorkflowOption = None,
    agents: AgentsFile = None,
    option: Options = None,
    base_url: BaseUrl = None,
    on_changed: OnChanged = "refuse",
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Send a message that a run waits for, or will wait for, and work on."""
    from stepladder.cli.pairs import mapping

    value = mapping(payload, "--payload")
    said = Said(workflow, agents, option, base_url, on_changed)
    return _do(name, lambda o, run: o.send(run, message, value), said, journal, as_json)


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder resume last\n  stepladder resume --all\n  stepladder resume --all --at-once 200",
)
def resume(
    name: MaybeRunName = "",
    every: Annotated[
        bool, typer.Option("--all", metavar="", help="Every run of the journal that has not ended.")
    ] = False,
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", min=1, help="With --all: so many at the same time.")
    ] = 32,
    workflow: WorkflowOption = None,
    policy: PolicyFile = None,
    agents: AgentsFile = None,
    option: Options = None,
    base_url: BaseUrl = None,
    on_changed: OnChanged = "refuse",
    journal: JournalFile = DEFAULT_JOURNAL,
    interactive: Interactive = None,
    as_json: Json = False,
) -> Exit:
    """Take up a run that another process left, and work on until it ends or waits.

    With --policy another policy decides from here on, and the journal says so. A run that a living process works on is
    refused; --all only names it and goes on with the others. SIGTERM and Ctrl-C let what is in flight come to its end.
    """
    from stepladder.cli.failures import UsageError

    if bool(name) == every:
        raise UsageError("resume: give either a RUN or --all")
    said = Said(workflow, agents, option, base_url, on_changed, policy)
    if every:
        from stepladder.cli.resuming import resume_all
        from stepladder.cli.screen import Screen

        return resume_all(journal, said, at_once, Screen(json=as_json))
    run_id, setup = _setup(name, said, journal)
    work = _work(setup, journal, interactive, as_json)
    return work.finish(work.through(lambda orchestrator: orchestrator.resume(run_id), run_id))


@app.command(rich_help_panel=PANEL, epilog="Example:\n  stepladder retry ticket-17 --by ada")
def retry(
    name: RunName,
    by: By = "",
    workflow: WorkflowOption = None,
    agents: AgentsFile = None,
    option: Options = None,
    base_url: BaseUrl = None,
    on_changed: OnChanged = "refuse",
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Take up a run that failed or was cancelled, in the step where it ended."""
    said = Said(workflow, agents, option, base_url, on_changed)
    return _do(name, lambda o, run: o.retry(run, by=by), said, journal, as_json)


@app.command(rich_help_panel=PANEL, epilog="Example:\n  stepladder cancel ticket-17 --reason 'the customer left'")
def cancel(
    name: RunName,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")] = "",
    by: By = "",
    workflow: WorkflowOption = None,
    agents: AgentsFile = None,
    option: Options = None,
    base_url: BaseUrl = None,
    on_changed: OnChanged = "refuse",
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """End a run now. Leaves with 0: that the run has no good end is what was asked for."""
    said = Said(workflow, agents, option, base_url, on_changed)
    return _do(name, lambda o, run: o.cancel(run, reason=reason, by=by), said, journal, as_json, Exit.DONE)


def _do(name: str, verb: Any, said: Said, journal: Place, as_json: bool, code: Exit | None = None) -> Exit:
    run_id, setup = _setup(name, said, journal)
    work = _work(setup, journal, False, as_json)
    found: Verb = lambda orchestrator: verb(orchestrator, run_id)  # noqa: E731
    return work.finish(work.through(found, run_id), code=code)


def _work(setup: Setup, journal: Place, interactive: bool | None, as_json: bool, by: str = "") -> Work:
    from stepladder.cli.screen import Screen
    from stepladder.cli.work import Work

    return Work(setup, journal, Screen(json=as_json), interactive=interactive, by=by)


def _setup(name: str, said: Said, journal: Place) -> tuple[str, Setup]:
    """The run that is meant, and what it is worked on with: what is said here before what was said at its start."""
    from stepladder.cli.journals import named, opened
    from stepladder.cli.setups import setup_for

    with opened(journal) as found:
        run_id = named(found, name, acting=True)
    return run_id, setup_for(journal, run_id, said)
