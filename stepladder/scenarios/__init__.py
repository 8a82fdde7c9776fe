"""Scenarios: a script and what is expected of a run that follows it."""

from stepladder.scenarios.file import Scenario, load_scenario, parse_scenario
from stepladder.scenarios.play import Played, play, play_async

__all__ = ["Played", "Scenario", "load_scenario", "parse_scenario", "play", "play_async"]
