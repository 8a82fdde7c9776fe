"""Putting the form of an answer right, without touching what it says.

Models wrap good answers in fences, thoughts and prose, write `0.82` as text or an action in capitals. Each of these is
put right by a step with a name, only where the meaning cannot be in doubt, and the names go into the event: a replay
takes exactly these steps again. What is never done: closing what was cut off, choosing between two answers, taking a
synonym, guessing a number. Such an answer does not count.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from stepladder.decision.point import Option

LONGEST: Final = 4_000_000
"""Characters of an answer that are looked at."""
REASON: Final = 2_000
"""Characters of a reason that are kept."""
LENIENT: Final = 16_384
"""A longer text has to be strict JSON."""
KNOWN: Final = frozenset({"action", "reason", "confidence", "next_state", "parameters"})

_OPEN: Final = re.compile(r"\s*<(?:think|thinking|thought|reasoning|reflection)>", re.IGNORECASE)
_THOUGHT: Final = re.compile(
    r"\s*<(think|thinking|thought|reasoning|reflection)>.*?</\1>\s*", re.DOTALL | re.IGNORECASE
)
_FENCE: Final = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```", re.DOTALL)
_NUMBER: Final = re.compile(r"\s*(?:0(?:\.\d{1,17})?|1(?:\.0{1,17})?|\.\d{1,17})\s*", re.ASCII)
_TAG: Final = re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,2000}\)|</?[A-Za-z!][^<>]{0,2000}>")
_ROLE: Final = re.compile(r"<\|[^|<>\n]{0,40}\|>|(?im:^[ \t]*(?:system|assistant|user|developer|tool)[ \t]*:)")
_HIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_COMMENT: Final = re.compile(r'("(?:[^"\\\n]|\\.)*+"?)|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMA: Final = re.compile(r'("(?:[^"\\\n]|\\.)*+"?)|,(\s*[}\]])')
_OBJECT: Final = re.compile(r'\{\s*["}]')
_HALF: Final = re.compile(r"[\ud800-\udfff]")


class NotStrict(ValueError):
    """A text that is not one JSON object as it should be; `kind` says in which way."""

    def __init__(self, kind: str, said: str) -> None:
        self.kind = kind
        super().__init__(said)


class Reader:
    """Reads one answer. `may`: the steps that may be taken (None: all); `taken` are those that were.

    `fields` says where the answer keeps our fields, as dotted paths.
    """

    def __init__(self, may: Collection[str] | None = None, fields: Mapping[str, str] | None = None) -> None:
        self._may, self._fields = may, fields or {}
        self.taken: list[str] = []

    def read(self, text: str, options: Mapping[str, Option]) -> dict[str, Any]:
        """The answer as a mapping with our fields. Raises NotStrict."""
        value = self._unwrapped(self._object(text))
        for ours, path in self._fields.items():
            if (found := _dug(value, path)) is not None:
                value = {**value, ours: found}
        return self._mended(value, options)

    def _try(self, step: str) -> bool:
        return self._may is None or step in self._may

    def _took(self, step: str) -> None:
        if step not in self.taken:
            self.taken.append(step)

    # --- from text to an object

    def _object(self, text: str) -> object:
        try:
            return loads(text)
        except NotStrict as error:
            if error.kind != "form":
                raise
            first = error
        if len(text) > LENIENT:  # whatever tries to understand more must not take long over what a model wrote
            raise first
        if self._try("thought") and (rest := _after_thoughts(text)) != text:
            self._took("thought")
            return self._object(rest)
        if _OPEN.match(text):  # whatever is in it was weighed, not said
            raise NotStrict("form", "the answer is a thought without an end")
        if self._try("fence") and (fenced := _fenced(text)) is not None:
            self._took("fence")
            return self._object(fenced)
        for step, read in _LENIENT.items():
            if self._try(step) and (found := read(text)) is not None:
                self._took(step)
                return found[0]
        raise first

    def _unwrapped(self, value: object) -> dict[str, Any]:
        if isinstance(value, str) and self._try("encoded"):
            self._took("encoded")
            value = self._object(value)
        if isinstance(value, list) and len(value) == 1 and self._try("wrapped"):
            self._took("wrapped")
            value = value[0]
        if not isinstance(value, dict):
            raise NotStrict("form", f"the answer is a {type(value).__name__}, not an object")
        inner = next(iter(value.values())) if len(value) == 1 else None
        if isinstance(inner, dict) and "action" in inner and "action" not in value and self._try("wrapped"):
            self._took("wrapped")
            return inner
        return value

    # --- from an object to our fields

    def _mended(self, value: dict[str, Any], options: Mapping[str, Option]) -> dict[str, Any]:
        mended = dict(value)
        if set(mended) - KNOWN - set(self._fields) and self._try("extra"):
            self._took("extra")
            mended = {name: item for name, item in mended.items() if name in KNOWN}
        for name, mend in (("action", _action(options)), ("confidence", _confidence), ("reason", None)):
            if isinstance(mended.get(name), str):
                mended[name] = self._reason(mended[name]) if mend is None else self._one(name, mended[name], mend)
        return mended

    def _one(self, name: str, item: str, mend: Callable[[str], Any]) -> Any:
        step = "case" if name == "action" else "number"
        if not self._try(step) or (found := mend(item)) == item:
            return item
        self._took(step)
        return found

    def _reason(self, text: str) -> str:
        for step, mend in _REASON.items():
            if self._try(step) and (found := mend(text)) != text:
                self._took(step)
                text = found
        return text


def loads(text: str, *, lenient: bool = False) -> Any:
    """Strict JSON: no key twice, no NaN, nothing behind its end. `lenient` takes raw control characters in texts.

    Raises NotStrict: kind form (not JSON), twice (a key occurs twice) or number (NaN, infinity).
    """
    try:
        return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant, strict=not lenient)
    except NotStrict:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrict("form", str(error)[:120]) from None


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of these pairs. Raises NotStrict where a key occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotStrict("twice", "a key occurs twice")
    return found


def no_constant(name: str) -> Any:
    """Refuses NaN and the infinities."""
    raise NotStrict("number", f"{name} is not a JSON number")


Found = tuple[Any] | None


def _after_thoughts(text: str) -> str:
    """The text behind the thoughts that it begins with."""
    for _ in range(8):
        if (thought := _THOUGHT.match(text)) is None:
            break
        text = text[thought.end() :]
    return text


def _fenced(text: str) -> str | None:
    """What is in the fence, where there is exactly one and no brace outside of it."""
    found = _FENCE.findall(text)
    outside = _FENCE.sub("", text)
    return str(found[0]) if len(found) == 1 and "{" not in outside and "```" not in outside else None


def _raw_controls(text: str) -> Found:
    try:
        return (loads(text, lenient=True),)
    except NotStrict:
        return None


def _commented(text: str) -> Found:
    """JSON with comments and trailing commas."""
    bare = _COMMENT.sub(lambda found: found[1] or " ", text)
    plainer = _COMMA.sub(lambda found: found[1] or found[2], bare)
    if plainer == text:
        return None
    try:
        return (loads(plainer),)
    except NotStrict as error:
        if error.kind != "form":
            raise
        return None


def _literal(text: str) -> Found:
    """A Python dict literal. Only literals: nothing is run."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                no_duplicates([(ast.dump(key), None) for key in node.keys if key is not None])
        found = ast.literal_eval(tree)
    except NotStrict:
        raise
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return (found,) if isinstance(found, dict) and all(isinstance(key, str) for key in found) else None


def _in_prose(text: str) -> Found:
    """The one object in a text. Two that differ, or one that does not end, are none."""
    decoder = json.JSONDecoder(object_pairs_hook=no_duplicates, parse_constant=no_constant)
    found: list[Any] = []
    at = _opening(text, 0)
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except NotStrict:
            raise
        except (ValueError, RecursionError):
            return None
        found.append(value)
        at = _opening(text, end)
    if any(each != found[0] for each in found[1:]):
        raise NotStrict("conflict", f"the answer holds {len(found)} objects that differ")
    return (found[0],) if found else None


def _opening(text: str, after: int) -> int:
    """Where the next object begins, or -1: a brace in prose is followed by something else than a key."""
    found = _OBJECT.search(text, after)
    return found.start() if found else -1


_LENIENT: Final[dict[str, Callable[[str], Found]]] = {
    "raw_controls": _raw_controls,
    "comments": _commented,
    "literal": _literal,
    "prose": _in_prose,
}


def _action(options: Mapping[str, Option]) -> Callable[[str], str]:
    def mend(said: str) -> str:
        if said in options:
            return said
        same = [action for action in options if action.casefold() == said.strip().casefold()]
        return same[0] if len(same) == 1 else said

    return mend


def _confidence(said: str) -> Any:
    return float(said) if _NUMBER.fullmatch(said) else said


_REASON: Final[dict[str, Callable[[str], str]]] = {
    "surrogate": lambda text: _HALF.sub("\ufffd", text),
    "controls": lambda text: _HIDDEN.sub("", _ESCAPE.sub("", text)),
    "markup": lambda text: _TAG.sub("", text),
    "role": lambda text: _ROLE.sub("", text),
    "long": lambda text: text if len(text) <= REASON else f"{text[: REASON - 3]}...",
}
"""What is put right in a reason: it is shown to people and may stand in a later prompt."""


def _dug(value: object, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value
