"""What follows when a call fails: classes of failures, chains, breakers, budgets, as values and pure functions.

`next_step` says what to do next about one question; `handling` what follows from a failure; `Window` when a breaker
opens; `RetryBudget`, `Limiter` and `Pace` count. Nothing here asks, waits, or reads a clock.
"""

from stepladder.fallback.budget import Limiter, Limiters, Rate, RetryBudget, Traffic
from stepladder.fallback.chain import ONCE, Chain, Link, Retry
from stepladder.fallback.handling import Failure, Handling, handling, latched_for_s
from stepladder.fallback.pace import Pace, by_reliability
from stepladder.fallback.step import Ask, Attempted, GiveUp, Situation, Skip, Step, View, Wait, next_step
from stepladder.fallback.targets import DEFAULT_MODELS, Retries, TargetPolicy, full_name
from stepladder.fallback.window import BreakerPolicy, Outcome, Window

__all__ = [
    "DEFAULT_MODELS",
    "ONCE",
    "Ask",
    "Attempted",
    "BreakerPolicy",
    "Chain",
    "Failure",
    "GiveUp",
    "Handling",
    "Limiter",
    "Limiters",
    "Link",
    "Outcome",
    "Pace",
    "Rate",
    "Retries",
    "Retry",
    "RetryBudget",
    "Situation",
    "Skip",
    "Step",
    "TargetPolicy",
    "Traffic",
    "View",
    "Wait",
    "Window",
    "by_reliability",
    "full_name",
    "handling",
    "latched_for_s",
    "next_step",
]
