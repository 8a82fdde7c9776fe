"""The learned risk of a policy file, as a scorecard and as a signal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from stepladder.signals import AGENTS, BUILTIN, Part, Scorecard, Signal, Term, risk_signal
from stepladder.values import digest
from stepladder.workflow.compiler import Key
from stepladder.workflow.policy_file import PartFile, RiskFile
from stepladder.workflow.problems import Problems

WORDS = frozenset({"score", "trend", "situation", "called"})
"""Signals that are no number by themselves."""


def scorecard(file: RiskFile) -> Scorecard:
    """The scorecard that the section spells."""
    return Scorecard(_part(file), {name: _part(each) for name, each in file.domains.items()})


def _part(file: PartFile) -> Part:
    return Part(file.base, tuple(Term(name, tuple(t.cuts), tuple(t.points)) for name, t in file.terms.items()))


def misfits(file: RiskFile) -> Iterator[tuple[Key, str, str]]:
    """Bands that do not fit their points: where, what was found, what was expected."""
    parts: list[tuple[Key, PartFile]] = [((), file)]
    parts += [(("domains", name), each) for name, each in file.domains.items()]
    for path, part in parts:
        for name, term in part.terms.items():
            if len(term.points) != len(term.cuts) + 1:
                found = f"{len(term.cuts)} cuts and {len(term.points)} points"
                yield (
                    (*path, "terms", name),
                    found,
                    "one point more than cuts: a band below each, and one from the last on",
                )
            elif sorted(set(term.cuts)) != term.cuts:
                yield (*path, "terms", name, "cuts"), str(term.cuts), "cuts that go up"


def built_risk(file: RiskFile, domain: str, signals: Mapping[str, Signal], problems: Problems) -> Signal | None:
    """The signal `risk`; None, and problems, where it cannot be built. `signals` are the user's own."""
    known = {**BUILTIN, **AGENTS, **signals}
    before = len(problems.found)
    for path, found, expected in misfits(file):
        problems.add(("policy", "risk", *path), found, expected)
    card = scorecard(file)
    for name in card.names():
        root, _, rest = name.partition(".")
        if root not in known or (root in WORDS and not rest):
            problems.unknown(("policy", "risk", "terms", name), "signal", name, known, code="unknown-signal")
    if len(problems.found) > before:
        return None
    return replace(risk_signal(card, known, domain), version=1 + int(digest(_plain(card))[:7], 16))


def _plain(card: Scorecard) -> list[object]:
    parts = {"": card.every, **card.domains}
    return [
        [name, part.base, [[t.signal, list(t.cuts), list(t.points)] for t in part.terms]]
        for name, part in parts.items()
    ]
