"""Rules: what is preferred, and why. A rule never makes anything legal."""

from stepladder.rules.rule import Choice, Rule, choose, rule

__all__ = ["Choice", "Rule", "choose", "rule"]
