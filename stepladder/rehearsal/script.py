"""The script of a rehearsal: which models do what, and when.

    rehearsal: Gemini is overloaded, then away
    input: {question: How many customers are there?}   # or scenario: FILE, whose actors and answers are used
    answers: {"google:gemini-2.5-flash-lite": [{action: RETRY_PLANNING, confidence: 0.9}]}
    seed: 1
    faults:
      - {on: "google:*", fault: overloaded, calls: 1-3}
      - {on: "google:*", fault: hang, from_call: 4}
      - {on: "*", fault: slow, seconds: 0.5, share: 0.2}
      - {on: "openai:*", fault: reset, from_s: 0, for_s: 2}

The first line that is on a model at that call is what happens to it; without one the model answers. Calls are counted
for each model from 1, over retries; `share` draws by the seed, the line, the model and the number of the call, so that
a script means the same each time it is played.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError

from stepladder.app.loading import read_file
from stepladder.rehearsal.faults import FAMILIES, TIMED
from stepladder.workflow.misfits import from_pydantic
from stepladder.workflow.problems import Problems
from stepladder.workflow.section import Seconds, Section, Share, Spelt
from stepladder.workflow.yaml_text import read_yaml


class FaultLine(Section):
    """A line of the script: these models do this, at these calls, or in this time."""

    on: str = Field("*", min_length=1, description="provider:model; * stands for anything.")
    fault: str
    calls: Spelt | None = Field(
        None, pattern=r"^[1-9][0-9]{0,8}(-[1-9][0-9]{0,8})?$", description="The number of a call, or first-last."
    )
    from_call: int | None = Field(None, ge=1)
    share: Share | None = None
    from_s: float | None = Field(None, ge=0, allow_inf_nan=False, description="Seconds since the rehearsal began.")
    for_s: Seconds | None = None
    seconds: float | None = Field(None, ge=0, le=3600, allow_inf_nan=False)

    def is_on(self, model: str, call: int, elapsed_s: float, chance: float) -> bool:
        """Whether this happens to this call of the model (from 1), so many seconds after the beginning.

        `chance` is what was drawn for this line, 0 to 1.
        """
        if not fnmatchcase(model, self.on):
            return False
        first, last = self.range
        if not first <= call <= last or elapsed_s < (self.from_s or 0.0):
            return False
        if self.for_s is not None and elapsed_s >= (self.from_s or 0.0) + self.for_s:
            return False
        return self.share is None or chance < self.share

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last call that it is about."""
        if self.calls is None:
            return self.from_call or 1, 10**9
        first, _, last = self.calls.partition("-")
        return int(first), int(last or first)

    @property
    def wait_s(self) -> float:
        """Seconds that it takes, where it takes any."""
        return TIMED.get(self.fault, 0.0) if self.seconds is None else self.seconds


class FaultScript(Section):
    """A whole script."""

    rehearsal: str = Field(min_length=1)
    scenario: str | None = None
    input: dict[str, Any] = {}
    answers: dict[str, list[Any]] = {}
    seed: int = Field(1, ge=0)
    latency_s: float = Field(0.0, ge=0, le=60, allow_inf_nan=False, description="Seconds a healthy model takes.")
    faults: list[FaultLine] = []
    _folder: Path = PrivateAttr(Path())

    @property
    def folder(self) -> Path:
        """Where its file is."""
        return self._folder

    def fault(self, model: str, call: int, elapsed_s: float) -> FaultLine | None:
        """What happens to this call of a model; None where it is answered."""
        for index, line in enumerate(self.faults):
            if line.is_on(model, call, elapsed_s, drawn(self.seed, index, model, call)):
                return line
        return None

    def healthy(self) -> FaultScript:
        """The same without a fault."""
        sound = self.model_copy(update={"faults": []})
        sound._folder = self._folder
        return sound


def drawn(seed: int, line: int, model: str, call: int) -> float:
    """A number from 0 to 1 that is the same each time."""
    found = hashlib.sha256(f"{seed} {line} {model} {call}".encode()).digest()
    return int.from_bytes(found[:8], "big") / 2**64


def load_script(path: str | Path) -> FaultScript:
    """The script in a file. Raises DefinitionError."""
    file = Path(path)
    return parse_script(read_file(file, "a script of faults that can be read"), str(path), file.parent)


def parse_script(text: str, file: str = "", folder: Path = Path()) -> FaultScript:
    """The script that YAML text defines. Raises DefinitionError."""
    data, lines = read_yaml(text, file)
    problems = Problems(file, lines)
    problems.data = data
    try:
        script = FaultScript.model_validate(data)
    except ValidationError as error:
        raise from_pydantic(error, problems, FaultScript) from None
    _check(script, problems)
    script._folder = folder
    return script


def _check(script: FaultScript, problems: Problems) -> None:
    for index, line in enumerate(script.faults):
        _check_line(line, ("faults", index), problems)
    for model, said in script.answers.items():
        if not all(model.partition(":")):
            problems.add(("answers", model), f"model {model!r}", "provider:model, such as openai:gpt-5-mini")
        for index, each in enumerate(said):
            if not isinstance(each, (Mapping, str)):
                problems.add(("answers", model, index), f"a {type(each).__name__}", "a mapping (an answer) or a text")
    if script.scenario is not None and script.input:
        problems.add(("input",), "both scenario and input", "one of them")
    problems.raise_errors()


def _check_line(line: FaultLine, path: tuple[str | int, ...], problems: Problems) -> None:
    if line.fault not in FAMILIES:
        problems.unknown((*path, "fault"), "fault", line.fault, FAMILIES)
    elif line.seconds is not None and line.fault not in (*TIMED, "rate_limited"):
        problems.add((*path, "seconds"), f"seconds for {line.fault}", f"only for {', '.join(TIMED)}, rate_limited")
    if line.calls is not None and line.from_call is not None:
        problems.add((*path, "from_call"), "both calls and from_call", "one of them")
    if line.calls is not None and line.range[0] > line.range[1]:
        problems.add((*path, "calls"), f"calls {line.calls}", "first-last, the first not after the last")
