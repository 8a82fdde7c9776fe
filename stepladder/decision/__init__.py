"""One decision as its own machine: `open_decision`, then `answer_decision` until it is settled."""

from stepladder.decision.judge import Invalid, Read, judge, judge_answer, judge_text, read_text
from stepladder.decision.machine import answer_decision, answer_facts, open_decision
from stepladder.decision.point import CACHE, Attachments, Budget, Caching, Ladder, Option, Question, Route, Rung
from stepladder.decision.reconcile import agrees
from stepladder.decision.shadow import join_shadow

__all__ = [
    "CACHE",
    "Attachments",
    "Budget",
    "Caching",
    "Invalid",
    "Ladder",
    "Option",
    "Question",
    "Read",
    "Route",
    "Rung",
    "agrees",
    "answer_decision",
    "answer_facts",
    "join_shadow",
    "judge",
    "judge_answer",
    "judge_text",
    "open_decision",
    "read_text",
]
