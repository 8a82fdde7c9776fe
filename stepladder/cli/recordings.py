"""Commands over recordings of agents: import, evaluate."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stepladder.errors import Problem
    from stepladder.evaluation.steps import Read

PANEL = "Recordings"
SHOWN_PROBLEMS = 20
"""Broken lines that are told one by one; more are counted."""

Recordings = Annotated[
    list[Path], typer.Argument(metavar="RECORDINGS...", help="Files or folders of recordings (.jsonl, .jsonl.gz).")
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="KEY=PATTERN",
        help="Only runs whose source, family or domain is like this (* stands for anything); repeatable.",
    ),
]


class Progress:
    """A bar on stderr while files are read, and the broken lines told of after it."""

    def __init__(self, files: Sequence[Path], what: str, *, json: bool) -> None:
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        from stepladder.cli.screen import console

        self.json, self.problems = json, 0
        self.kept: list[Problem] = []
        err = console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self.bar = Bar(*columns, console=err, transient=True, disable=json or not err.is_terminal)
        self.task = self.bar.add_task(what, total=sum(file.stat().st_size for file in files))

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        from stepladder.cli.failures import note
        from stepladder.cli.tell import many

        for each in self.kept:
            note(f"skipped: {each}", json=self.json)
        if self.problems > len(self.kept):
            note(f"skipped: {many(self.problems - len(self.kept), 'more line')}", json=self.json)

    def on_bytes(self, count: int) -> None:
        """So many more were read."""
        self.bar.advance(self.task, count)

    def on_problem(self, problem: Problem) -> None:
        """A line was skipped."""
        self.problems += 1
        if len(self.kept) < SHOWN_PROBLEMS:
            self.kept.append(problem)


def steps_of(given: Sequence[Path], only: Sequence[str] | None, names: Sequence[str] = (), *, json: bool) -> Read:
    """The steps of the recordings that are meant, with columns of these names (none: of every number).

    Raises InputError, UsageError.
    """
    from stepladder.cli.only import OnlyThese
    from stepladder.evaluation import steps
    from stepladder.scenarios.recording_files import read_recordings, recording_files

    meant, files = OnlyThese(only), recording_files(given)
    with Progress(files, "reading", json=json) as progress:
        runs = read_recordings(files, progress.on_problem, progress.on_bytes)
        return steps.steps_of(meant.of(runs), names or steps.NUMERIC, ", ".join(map(str, files)))


@contextmanager
def _with_stdin(files: Sequence[Path]) -> Iterator[list[Path]]:
    """The files, with what comes in on standard input (`-`) as one more, kept on disk meanwhile."""
    import shutil
    import sys
    from tempfile import TemporaryDirectory

    if Path("-") not in files:
        yield list(files)
        return
    with TemporaryDirectory() as folder:
        kept = Path(folder) / "stdin"
        with kept.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        yield [kept if each == Path("-") else each for each in files]


@app.command(
    "import",
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder import recordings old/*.jsonl.gz -o runs.jsonl.gz\n"
    "  stepladder import chat results.json -o runs.jsonl.gz --source support",
)
def import_(
    format_: Annotated[
        str, typer.Argument(metavar="FORMAT", help="recordings, chat, magentic-one, otlp or langgraph.")
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="What the other system wrote; - for stdin.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The file of recordings to write (.jsonl, .jsonl.gz).")
    ],
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="What the runs are said to be from.")] = "",
    domain: Annotated[str, typer.Option("--domain", metavar="NAME", help="The domain of the runs.")] = "",
    as_json: Json = False,
) -> Exit:
    """Read runs of another system and write them as recordings.

    A line or run that cannot be read is told of on stderr and skipped. Leaves with 1 where nothing could be read.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.screen import Screen, clean
    from stepladder.cli.tell import many
    from stepladder.scenarios.importers import FORMATS
    from stepladder.scenarios.recording_files import SUFFIXES, each_once, recording_files, write_recordings

    reader: Callable[..., object] | None = FORMATS.get(format_)
    if reader is None:
        raise UsageError(f"import {format_}: expected one of: {', '.join(FORMATS)}")
    if not output.name.endswith(SUFFIXES):
        raise UsageError(f"--output {output}: expected a name that ends in one of: {', '.join(SUFFIXES)}")
    with _with_stdin(files) as given:
        found = recording_files(given, anything=True)
        with Progress(found, f"importing {format_}", json=as_json) as progress:
            read = FORMATS[format_](found, progress.on_problem, progress.on_bytes)
            once = each_once(read, progress.on_problem)
            count = write_recordings((each.said_to_be(source, domain) for each in once), output)
    screen = Screen(json=as_json)
    if screen.json:
        screen.emit({"runs": count, "skipped": progress.problems, "file": str(output)})
    else:
        screen.out.print(f"{many(count, 'run')} in {clean(output)}, {progress.problems} skipped", soft_wrap=True)
    return Exit.DONE if count else Exit.NEGATIVE


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder evaluate runs.jsonl.gz\n  stepladder evaluate runs/ --policy tuned.yaml --json\n"
    "  stepladder evaluate runs/ --only 'family=*-react'",
)
def evaluate(
    recordings: Recordings,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="The policy to judge. Default: the one that ships.")
    ] = None,
    escalates: Annotated[
        str,
        typer.Option(
            "--escalates", metavar="ROUTE", help="From which route on a step is escalated: complex or hybrid."
        ),
    ] = "complex",
    only: Only = None,
    models: Annotated[bool, typer.Option("--models", metavar="", help="Show families and models too.")] = False,
    columns: Annotated[
        Path | None,
        typer.Option(
            "--columns", metavar="FILE.parquet", help="Write what was judged, a row for each step, as Parquet."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws the resamples of the intervals.")] = 0,
    as_json: Json = False,
) -> Exit:
    """Judge a policy by recorded runs: what it would have escalated, what that would have caught, and how early.

    It reads steps alone. A policy that names what is known only afterwards, or who ran what, is refused.
    """
    from math import isnan

    from stepladder.cli.evaluation_tables import told_json, told_tables
    from stepladder.cli.failures import UsageError, note
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.agent_policy import DEFAULT, load_policy
    from stepladder.evaluation.evaluate import REFERENCES, Escalates
    from stepladder.evaluation.evaluate import evaluate as judge

    if escalates not in ("complex", "hybrid"):
        raise UsageError(f"--escalates {escalates}: expected complex or hybrid")
    judged = load_policy(policy or DEFAULT)
    names = [*judged.names(), *(name for each in REFERENCES for name in each.names())]
    read = steps_of(recordings, only, names, json=as_json)
    if unknown := sum(map(isnan, read.truth.failed.tolist())):
        of = len(read.truth.failed)
        note(f"{unknown} of {of} runs do not say how they ended; they count as neither failed nor good", json=as_json)
    if columns is not None:
        from stepladder.evaluation.parquet import write_columns

        write_columns(read, judged, columns)
    route: Escalates = "complex" if escalates == "complex" else "hybrid"
    report = judge(read.steps, read.truth, judged, escalates=route, digest=read.digest, seed=seed)
    screen = Screen(json=as_json)
    if screen.json:
        screen.emit(told_json(report))
    else:
        for table in told_tables(report, models=models):
            screen.whole(table)
    return Exit.DONE
