"""Questions in English to SQL, without a model: a small semantic parser over whatever schema it is given.

It works in five steps, each in its own module: words are linked to the schema (`linking`), the question becomes a row
of items (`items`), patterns turn items into facts (`grammar`, `phrases`), facts become one logical query
(`assembling`), and that is rendered as SQL (`rendering`). Nothing is guessed silently: a word that was not used makes
the question unanswerable, two meanings as good as each other make it a question back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .guard import one_query
from .parser.assembling import assemble
from .parser.doubts import Replies, Unknown, Unsure, is_assent
from .parser.items import items
from .parser.linking import vocabulary
from .parser.phrases import facts
from .parser.rendering import sql
from .parser.resolving import Resolver
from .schema import Schema, read_schema

MAX_QUESTION_CHARS = 1_000
MISSING = re.compile(r"no such (?:table|column):\s*(\S+)", re.IGNORECASE)
DID_YOU_MEAN = re.compile(r"I do not know '(?P<said>.*)'\. Do you mean '(?P<meant>.*)'\?")

Plan = dict[str, Any]
Planner = Callable[..., Plan]


class Outcome(msgspec.Struct, frozen=True):
    """A plan, and the replies that it made no use of."""

    plan: Plan
    unused: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether there is SQL."""
        return bool(self.plan["status"] == "answerable")


def planner(database: str | Path) -> Planner:
    """The planning agent of one database; the schema is read anew for every plan, so that it is never stale."""

    def plan_for_database(question: str = "", clarifications: Any = None, error: Any = None) -> Plan:
        return plan(question, clarifications, error, schema=read_schema(database))

    return plan_for_database


def plan(question: str, clarifications: Any = None, error: Any = None, *, schema: Schema) -> Plan:
    """`{status: answerable, sql}`, `{status: needs_clarification, question}` or `{status: unanswerable, reason}`.

    `clarifications` are the replies given so far, in their order. `error` is what the last SQL failed with: the plan is
    then a different one, or it is said that there is none.
    """
    if not isinstance(question, str) or not question.strip():
        return _unanswerable("there is no question")
    if len(question) > MAX_QUESTION_CHARS:
        return _unanswerable(f"the question is longer than {MAX_QUESTION_CHARS} characters")
    first = _with_replies(question, texts(clarifications), schema)
    return _different(first, question, texts(clarifications), str(error), schema) if error else first


def texts(clarifications: Any) -> list[str]:
    """Replies as texts, whatever single or several they came as."""
    found = [clarifications] if isinstance(clarifications, str) else clarifications or []
    texts = [reply.get("text", "") if isinstance(reply, dict) else reply for reply in found]
    return [str(text)[:MAX_QUESTION_CHARS] for text in texts if text]


def _with_replies(question: str, replies: list[str], schema: Schema) -> Plan:
    """The replies settle doubts; one that does not is read as more of the question, or as a better question."""
    outcome = _planned(question, replies, schema)
    if not outcome.unused or (outcome.answerable and all(map(is_assent, outcome.unused))):
        return outcome.plan
    used = replies[: len(replies) - len(outcome.unused)]
    reply, later = outcome.unused[0], list(outcome.unused[1:])
    for wording in _rewordings(question, reply, outcome.plan):
        other = _planned(wording, used + later, schema)
        if other.answerable and (not other.unused or all(map(is_assent, other.unused))):
            return other.plan
    return _not_settled(outcome, reply)


def _rewordings(question: str, reply: str, first: Plan) -> list[str]:
    slip = DID_YOU_MEAN.match(first.get("question", ""))
    if slip and is_assent(reply):
        return [re.sub(rf"\b{re.escape(slip['said'])}\b", slip["meant"], question)]
    bare = question.rstrip(" ?.!")
    undated = re.sub(
        r"\b(?:in |during )?(?:last|this|past|previous|current|next) (?:year|month|week|quarter)\b", "", bare
    )
    replaced = [bare.replace(slip["said"], reply)] if slip else []
    return [
        *replaced,
        f"{bare} {reply}",
        *([f"{undated} in {reply}", f"{undated} {reply}"] if undated != bare else []),
        reply,
    ]


def _not_settled(outcome: Outcome, reply: str) -> Plan:
    if outcome.plan["status"] == "needs_clarification":
        return _asking(f"'{reply}' does not settle it. {outcome.plan['question']}")
    if outcome.answerable:
        return _asking(f"I could not use '{reply}'. Please ask the whole question again.")
    return outcome.plan


def _planned(question: str, replies: Sequence[str], schema: Schema) -> Outcome:
    given = Replies(replies)
    try:
        written = _sql(question, given, schema)
    except Unsure as doubt:
        return Outcome(_asking(doubt.question), tuple(given.left))
    except Unknown as lack:
        return Outcome(_unanswerable(lack.reason), tuple(given.left))
    return Outcome({"status": "answerable", "sql": written}, tuple(given.left))


def _sql(question: str, replies: Replies, schema: Schema) -> str:
    words = vocabulary(schema)
    said = items(question, words)
    written = sql(assemble(facts(said), Resolver(words, replies, said)), schema)
    refused = one_query(written)
    if isinstance(refused, str):
        raise Unknown(f"no valid SQL came out: {refused}")
    return written


def _different(first: Plan, question: str, replies: list[str], error: str, schema: Schema) -> Plan:
    """Another plan than the one that failed, when what failed can be avoided."""
    missing = MISSING.search(error)
    if missing and first["status"] == "answerable":
        name = missing[1].strip("\"'`[];,").split(".")[-1]
        second = _with_replies(question, replies, schema.without(name))
        if second["status"] == "answerable" and second["sql"] != first["sql"]:
            return second
    if first["status"] != "answerable":
        return first
    return _unanswerable(f"the only plan for this question failed: {error[:300]}")


def _asking(question: str) -> Plan:
    return {"status": "needs_clarification", "question": question}


def _unanswerable(reason: str) -> Plan:
    return {"status": "unanswerable", "reason": reason}
