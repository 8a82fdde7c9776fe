"""What the planner is not sure of, and how replies settle it.

Planning is done anew with every reply: doubts come up in the same order, and each takes the next reply that fits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .linking import likeness
from .thesaurus import NO, YES
from .words import plain, text_words, tokens

OFFERED = 6
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "1": 0, "2": 1, "3": 2, "4": 3, "former": 0,
    "latter": 1, "1st": 0, "2nd": 1, "3rd": 2}  # fmt: skip
FILLER = frozenset(
    [
        "by",
        "the",
        "a",
        "an",
        "of",
        "in",
        "on",
        "please",
        "i",
        "mean",
        "meant",
        "want",
        "mean",
        "that",
        "those",
        "these",
        "them",
        "it",
        "one",
        "use",
        "take",
        "with",
        "through",
        "for",
        "and",
        "total",
    ]
)


class Option(msgspec.Struct, frozen=True):
    """One way to understand; `label` is how it is offered."""

    label: str
    value: Any


class Unsure(Exception):
    """A doubt that no reply settled."""

    def __init__(self, question: str) -> None:
        super().__init__(question)
        self.question = question


class Unknown(Exception):
    """Something that the database cannot tell."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Replies:
    """The replies given so far, each used once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.left = list(texts)

    def settle(self, asked: str, options: Sequence[Option]) -> Any:
        """The value of the option that a reply chose. Raises Unsure when none did."""
        offered = list(options[:OFFERED])
        while self.left:
            reply = self.left[0]
            if _refused(reply) and len(offered) > 1:
                self.left.pop(0)
                offered = offered[1:]
                continue
            chosen = chosen_option(reply, offered)
            if chosen is None:
                break
            self.left.pop(0)
            return chosen.value
        raise Unsure(_asked(asked, offered))


def _refused(reply: str) -> bool:
    words = _content(reply)
    return bool(words) and all(word in NO for word in words)


def chosen_option(reply: str, options: Sequence[Option]) -> Option | None:
    """The option that a reply means: yes for the first, an ordinal, or the words of exactly one."""
    words = _content(reply)
    if options and words and all(word in YES for word in words):
        return options[0]
    if len(words) == 1 and words[0] in ORDINALS and ORDINALS[words[0]] < len(options):
        return options[ORDINALS[words[0]]]
    for likely in (1.0, 0.85, 0.8):
        fitting = [option for option in options if _covers(option.label, words, likely)]
        exact = [option for option in fitting if _covers(" ".join(words), _content(option.label), likely)]
        if fitting:
            return (exact or fitting)[0] if len(exact or fitting) == 1 else None
    return None


def _content(text: str) -> tuple[str, ...]:
    return tuple(token.word for token in tokens(text) if token.kind != "mark" and token.word not in FILLER)


def _covers(label: str, words: tuple[str, ...], likely: float) -> bool:
    """Whether every word of a reply stands in the label, perhaps in another form."""
    known = text_words(label)
    return bool(words) and all(any(likeness((word,), (other,)) >= likely for other in known) for word in words)


def _asked(asked: str, options: Sequence[Option]) -> str:
    if len(options) == 1:
        return f"{asked} {options[0].label}? (yes, or say it in other words)"
    return f"{asked} " + ", or ".join(option.label for option in options) + "?"


def is_assent(text: str) -> bool:
    """A reply that says nothing but yes."""
    words = [plain(word) for word in _content(text)]
    return all(word in YES for word in words)
