"""Guards read naively from a workflow's source: what is legal, said without the machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stepladder.commands import AskPerson, CallAgent
from stepladder.events import Event, PersonAnswered, RunRetried, RunStarted
from stepladder.record import STOP, Entry, Settled
from stepladder.state import RunState


class Oracle:
    """Guards read naively from the source, over facts counted from the journal."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.phase = {step: phase for phase, each in data["phases"].items() for step in each["steps"]}
        self.taken: dict[str, int] = {}
        self.scores: dict[str, Any] = {}
        self.refused: set[str] = set()
        self.pending = ""

    def see(self, before: RunState, entry: Event | Entry, after: RunState) -> None:
        """Count what was taken and refused, and remember the scores of the newest validation."""
        if isinstance(entry, RunStarted) and before.status == "new":
            self.taken, self.scores, self.refused, self.pending = {}, {}, set(), ""
        if before.approving is not None and after.approving is None:
            if isinstance(entry, PersonAnswered) and entry.value.get("approve") is True:
                self.refused = set()
            elif after.status == "working":
                self.refused.add(self.pending)
                self.taken[self.pending] -= 1
        if isinstance(entry, Settled) and before.asking and before.asking.opened.point == "next_action":
            self.taken[entry.action] = self.taken.get(entry.action, 0) + 1
            self.pending = entry.action
            if not entry.approval:
                self.refused = set()
        if isinstance(entry, RunRetried) and before.status != after.status:
            self.refused = set()
        self._scores(before, after)

    def _scores(self, before: RunState, after: RunState) -> None:
        gone = [command for number, command in before.outstanding.items() if number not in after.outstanding]
        calls = [command.call if isinstance(command, AskPerson) else command for command in gone]
        if after.status == "ended" and before.last is after.last:
            return
        agents = [call.agent for call in calls if isinstance(call, CallAgent)]
        declared = self.data["agents"][agents[0]].get("scores", {}) if agents else {}
        for name, (low, high) in declared.items():
            value = after.last.get(name) if after.returned != "late" else None
            valid = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
            self.scores.pop(name, None)
            if valid:
                self.scores[name] = value

    def legal(self, state: RunState) -> set[str]:
        facts = {"last": state.last, "taken": self.taken, "score": self.scores}
        if state.returned:
            facts["returned"] = state.returned
        found = set()
        for name, entries in self.data["actions"].items():
            for each in [entries] if isinstance(entries, dict) else entries:
                sources = [each["from"]] if isinstance(each["from"], str) else each["from"]
                if state.step not in sources and sources != ["*"]:
                    continue
                clauses = [*each.get("guard", []), *self._convergence(state.step, each["to"])]
                if name not in self.refused and all(_holds(clause, facts) for clause in clauses):
                    found.add(name)
        return found

    def leads_to(self, step: str, action: str) -> str:
        if action == STOP:
            failing = [name for name, end in self.data["ends"].items() if not end["success"]]
            return self.data["policy"].get("limits", {}).get("then") or failing[0]
        entries = self.data["actions"][action]
        for each in [entries] if isinstance(entries, dict) else entries:
            if step in each["from"] or each["from"] == "*":
                return each["to"]
        raise AssertionError(f"{action} does not lead out of {step}")

    def _convergence(self, step: str, to: str) -> list[str]:
        phases = list(self.data["phases"])
        here = self.phase[step]
        later = to in self.phase and phases.index(self.phase[to]) > phases.index(here)
        success = to in self.data["ends"] and self.data["ends"][to]["success"]
        return self.data["phases"][here].get("converged", []) if later or success else []


def _holds(clause: str, facts: dict[str, Any]) -> bool:
    found = re.fullmatch(r"([\w.]+) (==|!=|<=|>=|<|>) (\S+)", clause)
    assert found is not None
    value: Any = facts
    for part in found[1].split("."):
        if not isinstance(value, dict) or (part not in value and value is not facts.get("taken")):
            return False
        value = value.get(part, 0)
    if found[3] in ("true", "false"):
        literal: Any = found[3] == "true"
        same_kind = isinstance(value, bool)
    elif found[3][0].isdigit():
        literal = float(found[3])
        same_kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        literal, same_kind = found[3], isinstance(value, str)
    compare: dict[str, Callable[[], bool]] = {
        "==": lambda: value == literal,
        "!=": lambda: value != literal,
        "<": lambda: value < literal,
        "<=": lambda: value <= literal,
        ">": lambda: value > literal,
        ">=": lambda: value >= literal,
    }
    return same_kind and compare[found[2]]()
