"""Commands that look at workflow files: check, explain, schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import AgentsFile, Json, Options, Output, placed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from stepladder.app.loading import Workflow
    from stepladder.cli.screen import Screen
    from stepladder.errors import Problem
    from stepladder.fallback import TargetPolicy

PANEL = "Look at workflow files"


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder check workflow.yaml --strict\n  stepladder check new.yaml --against stepladder.db",
)
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Workflow files.")],
    strict: Annotated[bool, typer.Option("--strict", metavar="", help="Warnings count as errors.")] = False,
    against: Annotated[
        Any,
        typer.Option(
            "--against",
            metavar="JOURNAL",
            help="Also decide every run of this journal again under FILE.",
            parser=placed,
        ),
    ] = None,
    agents: AgentsFile = None,
    option: Options = None,
    as_json: Json = False,
) -> Exit:
    """Find every mistake in workflow files: what cannot be built, and what cannot be meant.

    Leaves with 1 where an error was found, and with --against where a run that has not ended would go another way.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen

    if against is not None and len(files) > 1:
        raise UsageError("check: --against takes one FILE")
    screen = Screen(json=as_json)
    options = pairs(option, "--option")
    found = {str(file): _looked(file, agents, options) for file in files}
    errors = sum(problem.level == "error" for each in found.values() for problem in each.problems)
    warnings = sum(len(each.problems) for each in found.values()) - errors
    told: dict[str, Any] = _tell(found, errors, warnings, screen)
    stopped = 0
    if against is not None and not errors:
        from stepladder.cli.against import tell_runs

        told["against"] = tell_runs(files[0], agents, options, against, screen)
        stopped = told["against"]["stopped"]
    if as_json:
        screen.emit(told)
    return Exit.NEGATIVE if errors or stopped or (strict and warnings) else Exit.DONE


class _Looked(NamedTuple):
    """What is wrong with a file, and how its policy treats models, where it says so."""

    problems: tuple[Problem, ...]
    targets: TargetPolicy | None = None


def _tell(found: dict[str, _Looked], errors: int, warnings: int, screen: Screen) -> dict[str, Any]:
    """Tell of the problems, and of how models are treated, or give both as JSON."""
    from stepladder.cli.failures import problem_json
    from stepladder.cli.screen import clean
    from stepladder.cli.tables import problems_lines
    from stepladder.cli.targets import targets_json, targets_lines
    from stepladder.cli.tell import many

    if not screen.json:
        for file, each in found.items():
            for text in problems_lines(each.problems):
                screen.out.print(text, soft_wrap=True)
            if each.targets is not None:
                lines = "\n".join((f"{clean(file)}: models", *targets_lines(each.targets)))
                screen.out.print(lines, soft_wrap=True, markup=False, highlight=False)
        style = "red" if errors else "yellow" if warnings else "green"
        counted = f"{many(len(found), 'file')}: {many(errors, 'error')}, {many(warnings, 'warning')}"
        screen.out.print(counted, style=style)
    files = [
        {"file": file, "problems": [problem_json(problem) for problem in each.problems]}
        | ({} if each.targets is None else {"models": targets_json(each.targets)})
        for file, each in found.items()
    ]
    return {"errors": errors, "warnings": warnings, "files": files}


def _looked(file: Path, agents: Path | None, options: dict[str, str]) -> _Looked:
    from stepladder.app.loading import load_providers
    from stepladder.cli.loading import looked_at
    from stepladder.errors import DefinitionError
    from stepladder.llm.registry import ADAPTERS
    from stepladder.workflow.lint import lint

    try:
        workflow = looked_at(file, agents, options)
    except DefinitionError as error:
        return _Looked(error.problems)
    beside = agents or file.parent / "agents.py"
    alone = not beside.is_file()

    def found(providers: Collection[str]) -> tuple[Problem, ...]:
        return lint(workflow.definition, workflow.lines, workflow.prompt_files, providers, alone=alone)

    problems = found(ADAPTERS)
    if not alone and any(problem.code == "unknown-provider" for problem in problems):  # only then its code is run
        problems = found({*ADAPTERS, *load_providers(beside)})
    return _Looked((*problems, *_unpriced(workflow)), workflow.machine.policy.ladder.targets)


def _unpriced(workflow: Workflow) -> Iterator[Problem]:
    """Models of the built-in providers without a price, where a cap depends on it."""
    import msgspec

    from stepladder.app.inputs import NO_PRICE, PRICE_WANTED, unpriced
    from stepladder.errors import Problem
    from stepladder.llm import Providers
    from stepladder.llm.registry import ADAPTERS

    ladder, known = workflow.machine.policy.ladder, Providers()
    budget = workflow.machine.budget
    if ladder.budget is None:
        budget = msgspec.structs.replace(budget, allow_unpriced=None)
    if not budget.needs_prices:
        return
    level = "error" if ladder.budget is not None else "warning"
    foreign = {model for rung in ladder.asked for model in rung.targets if model.partition(":")[0] not in ADAPTERS}
    priced = msgspec.structs.replace(budget, prices={**budget.prices, **dict.fromkeys(foreign, (0.0, 0.0))})
    for rung, model in unpriced(ladder, priced, known):
        path = ("policy", "rungs", rung)
        found = f"{model}: {NO_PRICE}"
        line, file = workflow.lines.get(path, 0), workflow.definition.file
        yield Problem(".".join(path), found, PRICE_WANTED, file, line, level, "unpriced-model")


@app.command(
    rich_help_panel=PANEL,
    epilog="Example:\n  stepladder explain workflow.yaml --at planning --set last.status=unclear --set taken.RETRY=2",
)
def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow file.")],
    at: Annotated[str, typer.Option("--at", metavar="STEP", help="The step in which is decided.")],
    facts: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="A fact: last.status=ok, taken.X=2, error_count=3; repeatable."
        ),
    ] = None,
    returned: Annotated[
        str | None,
        typer.Option("--returned", metavar="ok|failed|late|in_doubt", help="How the step's effect went. Default: ok."),
    ] = None,
    agents: AgentsFile = None,
    option: Options = None,
    as_json: Json = False,
) -> Exit:
    """Say what would be decided in a step on these facts, without a run: legal actions, rule, route, who is asked."""
    from stepladder.cli.explaining import explained, tell_explained
    from stepladder.cli.loading import looked_at
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen

    workflow = looked_at(file, agents, pairs(option, "--option"))
    said = pairs(facts, "--set")
    if returned is not None:
        said["returned"] = returned
    found = explained(workflow.machine, at, said)
    tell_explained(found, Screen(json=as_json))
    return Exit.DONE


@app.command(rich_help_panel=PANEL, epilog="Example:\n  stepladder schema -o workflow.schema.json")
def schema(
    output: Output = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="The schema is JSON in any case; with -o tells the file's name.")
    ] = False,
) -> Exit:
    """Print the JSON Schema of workflow files, for editors that complete and check YAML."""
    from stepladder.cli.files import write
    from stepladder.cli.screen import Screen, clean, document
    from stepladder.workflow.file import WorkflowFile

    value = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **WorkflowFile.model_json_schema(by_alias=True),
        "title": "stepladder workflow",
    }
    screen = Screen(json=as_json)
    if output is None:
        screen.emit(value)
        return Exit.DONE
    write(output, document(value) + "\n")
    if as_json:
        screen.emit({"file": str(output)})
    else:
        modeline = f"# yaml-language-server: $schema={clean(output)}"
        screen.out.print(f"wrote {clean(output)}; in a workflow file: {modeline}", style="green", soft_wrap=True)
    return Exit.DONE
