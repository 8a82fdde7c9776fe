"""A policy for recorded agents: which of their steps would have been escalated.

    policy:
      classifier: {complex: {at_risk: [risk.value >= 0.62]}, hybrid: {...}}
      by_domain: {retail: {complex: ..., hybrid: ...}}       # instead of `classifier`, in that domain
      risk:                                                  # the learned scorecard, where there is one
        base: -0.4
        terms: {error_rate: {cuts: [0.1, 0.3], points: [0, 0.2, 0.5]}}
        domains: {retail: {base: 0.2, terms: {...}}}
      provenance: {...}                                      # where it is from; read by people

The clauses are those of a workflow's classifier, so `classifier` and `risk` can be taken over into one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from stepladder.app.loading import read_file
from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf, ClauseError
from stepladder.errors import DefinitionError, Problem
from stepladder.evaluation.columns import Column, Columns
from stepladder.evaluation.learn import log_odds, probabilities
from stepladder.evaluation.steps import KNOWN, Steps, unreadable
from stepladder.evaluation.verdicts import Masks, classify_columns, names_read
from stepladder.scenarios.recording import AFTERWARDS
from stepladder.signals import Scorecard
from stepladder.workflow.misfits import from_pydantic
from stepladder.workflow.policy_file import ClassifierFile, RiskFile
from stepladder.workflow.problems import Problems
from stepladder.workflow.risk import misfits, scorecard
from stepladder.workflow.section import Section
from stepladder.workflow.yaml_text import Lines, read_yaml

Array = NDArray[Any]
RISK: Final = "risk.value"
DEFAULT: Final = Path(__file__).with_name("agents.yaml")
"""The policy that ships: learned over three public sources of recorded agents."""


class PolicySection(Section):
    """The part of a policy that recordings can be judged by."""

    classifier: ClassifierFile = ClassifierFile()
    by_domain: dict[str, ClassifierFile] = {}
    risk: RiskFile | None = None
    provenance: dict[str, Any] = {}


class PolicyOnly(Section):
    """A policy file for recordings."""

    policy: PolicySection


class AgentPolicy(msgspec.Struct, frozen=True):
    """Classifiers, for every domain and for some, and the scorecard they may read."""

    classifier: Classifier
    by_domain: Mapping[str, Classifier] = {}
    risk: Scorecard | None = None
    provenance: Mapping[str, Any] = {}
    name: str = "policy"

    def names(self) -> tuple[str, ...]:
        """The signals it needs, each once; those of the scorecard too, `risk.value` itself not."""
        read = names_read([self.classifier, *self.by_domain.values()])
        risk = self.risk.names() if self.risk else ()
        return tuple(dict.fromkeys(name for name in (*read, *risk) if name != RISK))

    def routes(self, steps: Steps) -> tuple[Array, Array]:
        """Each step's route (see `ROUTES`), and its risk (NaN without a scorecard).

        Raises:
            InputError: a clause reads what is no signal.
        """
        risk = probabilities(log_odds(self.risk, steps)) if self.risk else np.full(steps.rows, np.nan)
        codes = np.zeros(steps.rows, np.uint8)
        row_domain = np.array(steps.domain)[steps.run]
        columns = {
            name: Column.of_array(steps.column(name))
            for name in names_read([self.classifier, *self.by_domain.values()])
            if name != RISK
        }
        columns[RISK] = Column.of_array(risk)
        whole = Columns(steps.rows, columns)
        own = np.isin(row_domain, list(self.by_domain))
        for domain, classifier in {"": self.classifier, **self.by_domain}.items():
            rows = np.flatnonzero(row_domain == domain) if domain else np.flatnonzero(~own)
            if len(rows):
                codes[rows] = classify_columns(classifier, Masks(whole.take(rows))).codes()
        return codes, risk


def of_clauses(
    name: str, complex_: Mapping[str, Iterable[str]], hybrid: Mapping[str, Iterable[str]] | None = None
) -> AgentPolicy:
    """A policy of clauses alone."""
    return AgentPolicy(Classifier(AnyOf(dict(complex_)), AnyOf(dict(hybrid or {}))), name=name)


def load_policy(path: str | Path) -> AgentPolicy:
    """The policy in a YAML file.

    Raises:
        DefinitionError: the file cannot be read or used; a clause or term that reads what was known only afterwards,
            or who ran what, is among the problems.
    """
    return parse_policy(read_file(Path(path), "a policy file that can be read"), str(path))


def parse_policy(text: str, file: str = "") -> AgentPolicy:
    """The policy in YAML text. Raises DefinitionError, as `load_policy`."""
    data, lines = read_yaml(text, file)
    try:
        read = PolicyOnly.model_validate(data).policy
    except ValidationError as error:
        problems = Problems(file, lines, data)
        raise from_pydantic(error, problems, PolicyOnly) from None
    reader = _Reader(file, lines)
    classifier = reader.classifier(read.classifier, ("policy", "classifier"))
    by_domain = {name: reader.classifier(each, ("policy", "by_domain", name)) for name, each in read.by_domain.items()}
    risk = reader.risk(read.risk) if read.risk else None
    policy = AgentPolicy(classifier, by_domain, risk, read.provenance, Path(file).stem or "policy")
    reader.names([policy.classifier, *by_domain.values()], has_risk=risk is not None)
    if reader.problems:
        raise DefinitionError(reader.problems)
    return policy


class _Reader:
    def __init__(self, file: str, lines: Lines) -> None:
        self.file, self.lines = file, lines
        self.problems: list[Problem] = []

    def _problem(self, path: tuple[str, ...], found: str, expected: str, code: str = "unknown-signal") -> None:
        line = next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 0)
        self.problems.append(Problem(".".join(path), found, expected, self.file, line, code=code))

    def classifier(self, read: ClassifierFile, path: tuple[str, ...]) -> Classifier:
        return Classifier(self._any_of(read.complex, (*path, "complex")), self._any_of(read.hybrid, (*path, "hybrid")))

    def _any_of(self, named: Mapping[str, list[str]], path: tuple[str, ...]) -> AnyOf:
        kept: dict[str, list[str]] = {}
        for name, clauses in named.items():
            try:
                AnyOf({name: clauses})
            except ClauseError as error:
                self._problem((*path, name), error.found, error.expected, "clause")
                continue
            kept[name] = clauses
        return AnyOf(kept)

    def risk(self, read: RiskFile) -> Scorecard:
        for path, found, expected in misfits(read):
            self._problem(("policy", "risk", *map(str, path)), found, expected, "definition")
        card = scorecard(read)
        for name in card.names():
            self._check(name, ("policy", "risk", "terms", name), allowed=())
        return card

    def names(self, classifiers: list[Classifier], *, has_risk: bool) -> None:
        for name in names_read(classifiers):
            self._check(name, ("policy",), allowed=(RISK, "risk.because") if has_risk else ())

    def _check(self, name: str, path: tuple[str, ...], allowed: tuple[str, ...]) -> None:
        if name in allowed:
            return
        root = name.partition(".")[0]
        if root not in KNOWN or root in AFTERWARDS:  # a score is an oracle's here, in a workflow an agent's own
            wrong = unreadable(name, [*KNOWN, *allowed])
            self._problem(path, f"signal {name!r}", wrong.expected)
