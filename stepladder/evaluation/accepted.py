"""Mined rules in a policy file: written in shadow, promoted or retired by what came after.

A rule is named after what it says (`mined_` and a digest), so that it keeps its name and its history. In shadow it
decides nothing. Promoted, it stands before the rules written by hand and settles the routes that it was mined on; 5% of
the runs are asked all the same, and these go on to say whether it still agrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from stepladder.clauses import Condition
from stepladder.errors import InputError
from stepladder.evaluation.extras import scipy_stats
from stepladder.evaluation.intervals import lower_bound, wilson
from stepladder.evaluation.journal_choices import facts_by_decision, said_by_model
from stepladder.evaluation.mined_rules import Terms
from stepladder.evaluation.mining import Proposal
from stepladder.values import digest
from stepladder.workflow.yaml_edit import added, removed, replaced
from stepladder.workflow.yaml_text import read_yaml

PREFIX: Final = "mined_"
SHORTEST: Final = 5
"""The newest decisions that are looked at alone; then twice as many, and so on."""
LATELY: Final = 0.001
"""How likely they may be by chance: every review looks at them again, several times."""
Fate = Literal["promote", "keep", "wait", "retire"]


def name_of(proposal: Proposal) -> str:
    """What the rule is called in the file."""
    return PREFIX + digest(proposal.step, proposal.action, list(proposal.when))[:8]


def with_rules(
    text: str,
    accepted: Sequence[Proposal],
    routes: Mapping[int, Sequence[str]],
    file: str = "",
    others: Iterable[Proposal] = (),
) -> str:
    """The text with these rules in shadow, before all rules written by hand; all else stays as it is.

    Of the `others` that were proposed some may be in the file already: a new rule stands behind the last of those whose
    number is lower than its own, else first in its step.

    Raises:
        InputError: a rule stands behind one that is neither accepted nor in the file.
        DefinitionError: the text cannot be changed there, or has the rule already.
    """
    names = {each.name for each in mined_in(text, file)}
    there = {each.number: each for each in others if name_of(each) in names}
    numbers = {*there, *(each.number for each in accepted)}
    for each in accepted:
        if missing := [number for number in each.behind if number not in numbers]:
            listed = ", ".join(map(str, missing))
            expected = f"{listed} as well: it was found where these do not fire"
            raise InputError("--accept", str(each.number), f"a rule that stands behind {listed}", expected)
    for each in sorted(accepted, key=lambda each: each.number):
        rule = {
            "when": list(each.when),
            "do": each.action,
            "because": f"a model chose so in {each.agreement:.0%} of {each.held} held-out decisions",
            "settles": list(routes.get(each.number, ())),
            "shadow": True,
        }
        rule = {key: value for key, value in rule.items() if value != []}
        ahead = [number for number, one in there.items() if number < each.number and one.step == each.step]
        after = name_of(there[max(ahead)]) if ahead else ""
        text = added(text, ["rules", each.step], name_of(each), rule, file, first=not ahead, after=after)
        there[each.number] = each
    return text


class Watched(msgspec.Struct, frozen=True):
    """A mined rule of a file and what came since: it fired in `fired` decisions that a model answered, `agreed` with
    it in so many of `runs` runs; agreement lies between `low` and `high` (95%)."""

    step: str
    name: str
    action: str
    when: tuple[str, ...]
    shadow: bool
    fired: int = 0
    agreed: int = 0
    runs: int = 0
    low: float = 0.0
    high: float = 1.0
    fate: Fate = "wait"
    because: str = ""


def mined_in(text: str, file: str = "") -> list[Watched]:
    """The mined rules of a workflow or policy file, in order."""
    data, _ = read_yaml(text, file)
    rules = data.get("rules")
    found = []
    for step, listed in (rules if isinstance(rules, dict) else {}).items():
        for name, rule in (listed if isinstance(listed, dict) else {}).items():
            if name.startswith(PREFIX) and isinstance(rule, dict):
                when = tuple(map(str, rule.get("when") or ()))
                shadow = rule.get("shadow") is True
                found.append(Watched(step, name, str(rule.get("do")), when, shadow))
    return found


def reviewed(rules: Sequence[Watched], runs: Iterable[Any], agreement: float = 0.95, fewest: int = 50) -> list[Watched]:
    """The rules with what came after they were accepted: decisions made under a policy that has them.

    As for proposals, `agreement` is what the rules reach together. Promoted is a rule in shadow that was met in enough
    decisions, where it and all that agree more often reach that together, and that surely (95%) agrees no less than
    0.05 below what a rule alone must reach (`Terms.alone`); retired is one that surely agrees less often than that:
    in all decisions (95%), or in the newest 5, 10, 20, 40 ... of them (99.9%, since so many are looked at). So what was
    right for long is seen to be wrong soon. None is promoted before a rule that it stands behind: it would decide
    there.
    """
    counts = {(each.step, each.name): _Count() for each in rules}
    conditions = {(each.step, each.name): Condition(each.when) for each in rules}
    for run in runs:
        _count(run, rules, conditions, counts)
    order = sorted((each for each in counts.values() if each.fired), key=lambda each: -each.share)
    for number, count in enumerate(order, 1):
        better = order[:number]
        count.together = sum(each.agreed for each in better) / sum(each.fired for each in better)
    found, waiting = list[Watched](), set[str]()
    for each in rules:
        count = counts[each.step, each.name]
        watched = _fate(each, count, agreement, fewest)
        if watched.fate == "promote" and (ahead := sorted(count.behind & waiting)):
            because = f"{watched.because}; but it stands behind {', '.join(ahead)}, which does not decide yet"
            watched = msgspec.structs.replace(watched, fate="wait", because=because)
        if watched.fate == "retire" or (each.shadow and watched.fate != "promote"):
            waiting.add(each.name)
        found.append(watched)
    return found


class _Count:
    """Decisions since in which a rule fires and a model answered, oldest first: whether it agreed."""

    def __init__(self) -> None:
        self.all: list[bool] = []
        self.together = 0.0
        self.runs = set[str]()
        self.behind = set[str]()
        """Rules before it that would choose otherwise where both fire."""

    @property
    def fired(self) -> int:
        """How many there are."""
        return len(self.all)

    @property
    def agreed(self) -> int:
        """In how many it agreed."""
        return sum(self.all)

    def lately(self, share: float) -> tuple[int, int] | None:
        """The newest decisions that surely agree less often than this: how many did, and of how many."""
        newest = SHORTEST
        while newest <= self.fired:
            agreed = sum(self.all[-newest:])
            if scipy_stats().binom.cdf(agreed, newest, share) < LATELY:
                return agreed, newest
            newest *= 2
        return None

    @property
    def share(self) -> float:
        """Agreed of fired."""
        return self.agreed / self.fired if self.fired else 0.0


def _count(
    run: Any, rules: Sequence[Watched], conditions: Mapping[Any, Condition], counts: Mapping[Any, _Count]
) -> None:
    known = {(step, rule.name) for step, listed in run.machine.policy.rules.items() for rule in listed}
    mine = [each for each in rules if (each.step, each.name) in known]
    if not mine:
        return
    facts_of = facts_by_decision(run)
    for record in run.decisions:
        opened, verdict = record.opened, said_by_model(record)
        if verdict is None or record.policy_hash != run.state.policy_hash or opened.n not in facts_of:
            continue
        facts = _nested(facts_of[opened.n])
        here = [each for each in mine if each.step == opened.step and each.action in opened.legal]
        fire = [each for each in here if conditions[each.step, each.name].holds(facts)]
        for each in fire[:1]:
            count = counts[each.step, each.name]
            count.all.append(verdict.action == each.action)
            count.runs.add(run.id)
        for each in fire[1:]:
            counts[each.step, each.name].behind |= {one.name for one in fire[:1] if one.action != each.action}


def _nested(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as the mappings that clauses read."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        *heads, last = name.split(".")
        place = found
        for head in heads:
            place = place.setdefault(head, {})
        place[last] = value
    return found


def _fate(rule: Watched, count: _Count, agreement: float, fewest: int) -> Watched:
    fired, agreed, runs = count.fired, count.agreed, count.runs
    low, high = wilson(agreed, fired)
    surely = lower_bound(agreed, fired) if fired else 0.0
    alone = Terms(agreement).alone()
    told = f"agreed in {agreed} of {fired} decisions since"
    fate: Fate = "wait" if rule.shadow else "keep"
    if fired and high < alone:
        fate, told = "retire", f"{told}: surely less than {alone:.0%}"
    elif lately := count.lately(alone):
        fate, told = "retire", f"{told}, {lately[0]} of the newest {lately[1]}: surely less than {alone:.0%}"
    elif rule.shadow and fired >= fewest and count.together >= agreement and surely >= alone - 0.05:
        fate, told = "promote", f"{told}: surely {surely:.0%}"
    elif rule.shadow and fired < fewest:
        told = f"{told}; {fewest} are needed"
    elif rule.shadow:
        told = f"{told}; {agreement:.0%} are needed, with all rules that agree more often"
    return msgspec.structs.replace(
        rule, fired=fired, agreed=agreed, runs=len(runs), low=low, high=high, fate=fate, because=told
    )


def applied(text: str, rules: Iterable[Watched], file: str = "") -> str:
    """The text after these fates: a promoted rule leaves the shadow, a retired one the file."""
    for each in rules:
        place = ["rules", each.step, each.name]
        if each.fate == "promote":
            text = replaced(text, [*place, "shadow"], False, file)
        elif each.fate == "retire":
            text = removed(text, place, file)
    return text
