"""One decision as its own machine: `open_decision`, then `answer_decision` until it is settled."""

from stepladder.decision.judge import Invalid, judge, judge_text
from stepladder.decision.machine import answer_decision, open_decision
from stepladder.decision.point import CACHE, Attachments, Budget, Caching, Ladder, Option, Question, Route, Rung
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
    "Route",
    "Rung",
    "answer_decision",
    "join_shadow",
    "judge",
    "judge_text",
    "open_decision",
]
