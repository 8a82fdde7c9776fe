"""Later versions of TALK, as text: each a workflow of its own that runs of TALK may meet."""

from __future__ import annotations

from typing import Final

from stepladder.app.loading import Workflow
from stepladder.signals import Signal
from tests.drivers.desk import TALK


def edited(*edits: tuple[str, str], text: str = TALK) -> str:
    """The text with each `old` replaced by `new`, everywhere; every `old` must be there."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def loaded(text: str, *signals: Signal) -> Workflow:
    return Workflow.parse(text, signals=signals)


OLD: Final = loaded(TALK)

RENAMED: Final = edited(("drafting", "outlining"), ("asking", "reviewing"), ("ASK", "INQUIRE"), ("printed", "out"))
"""Steps, an action and an end under other names; what they do is the same."""
RENAMES: Final = f"""
migrates:
  from: {OLD.hash}
  steps: {{drafting: outlining, asking: reviewing}}
  actions: {{ASK: INQUIRE}}
  ends: {{printed: out}}
"""
ADDED: Final = edited(
    ("      cooling:", "      proofing: {ask: person, output: {good: boolean}}\n      cooling:"),
    ("PRINT:  {from: cooling", "PRINT:  {from: [cooling, proofing]"),
    ("  FINISH:", "  PROOF:  {from: [drafting, cooling], to: proofing}\n  FINISH:"),
    ("print: {do: PRINT, because: it is cool}", "proof: {do: PROOF, because: somebody reads it first}"),
    ("  printing:\n    finish", "  proofing:\n    print: {do: PRINT, because: it was read}\n  printing:\n    finish"),
)
"""A step between cooling and printing, which is legal after drafting too."""
WITHOUT_ASK: Final = edited(
    ("  ASK:    {from: drafting, to: asking, guard: [returned == ok]}\n", ""),
    ("    question: {when: [taken.ASK < 1], do: ASK, because: a person looks at it}\n", ""),
    ("HOLD:   {from: [drafting, asking]", "HOLD:   {from: [drafting, asking], guard: [returned == ok]"),
)
"""The action that every run of TALK begins with is gone."""
STRICTER: Final = edited(("guard: [taken.REVISE < 2]", "guard: [taken.REVISE < 0]"))
"""Nothing is revised any more."""


def migrating(text: str, section: str = f"\nmigrates: {{from: {OLD.hash}}}\n") -> Workflow:
    return loaded(text + section)
