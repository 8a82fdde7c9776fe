"""What a decision point that stands alone is made of, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf, Clause, ClauseError, Condition
from stepladder.decision import Budget, Ladder, Option, Route, Rung
from stepladder.decision.point import CACHE, MEDIA_TYPE, PERSON
from stepladder.errors import DefinitionError, InputError, NoRule, Problem
from stepladder.rules import Rule
from stepladder.values import digest, plain
from stepladder.workflow.schemas import SchemaError, checker, object_schema

KINDS: Final[dict[type, str]] = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
SignalTypes = Mapping[str, type | Sequence[str]]


class Point(msgspec.Struct, frozen=True):
    """A checked decision point. `hash` covers everything it decides by."""

    name: str
    signals: dict[str, type | tuple[str, ...]]
    rules: tuple[Rule, ...]
    ladder: Ladder
    actions: dict[str, dict[str, Any]]
    hash: str

    @property
    def deciding(self) -> tuple[Rule, ...]:
        """The rules that may be chosen: those out of the shadow."""
        return tuple(each for each in self.rules if not each.shadow)

    def options(self, legal: Sequence[str]) -> dict[str, Option]:
        """The legal actions as options."""
        return {action: self._option(action) for action in legal}

    def _option(self, action: str) -> Option:
        described = self.actions.get(action, {})
        schema = object_schema(described.get("parameters", {}), required=True, closed=bool(described.get("parameters")))
        return Option(action, action, checker(schema), tuple(described.get("significant", ())))

    def facts(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The signals as plain facts.

        Raises:
            InputError: a signal nobody declared (misspelt?), or a value of another kind.
        """
        facts = plain(dict(given), f"signals of {self.name}")
        for name, value in facts.items():
            if name not in self.signals:
                raise InputError(
                    f"signals of {self.name}", name, "a signal nobody declared", f"one of {', '.join(self.signals)}"
                )
            if value is not None and (wrong := _wrong_kind(value, self.signals[name])):
                raise InputError(f"signals of {self.name}", name, repr(value)[:80], wrong)
        return {name: value for name, value in facts.items() if value is not None}

    def legal(self, given: Iterable[str]) -> tuple[str, ...]:
        """The legal set, which at least one rule can answer.

        Raises:
            InputError: it is empty or names an action twice.
            NoRule: no rule does any of it.
        """
        legal = tuple(given)
        if not legal or len(set(legal)) < len(legal) or not all(isinstance(action, str) and action for action in legal):
            raise InputError(f"legal actions of {self.name}", "", repr(legal)[:120], "at least one name, each once")
        if not any(rule.do in legal for rule in self.deciding):
            raise NoRule(self.name, legal, [rule.do for rule in self.deciding])
        return legal


def make_point(
    name: str,
    rules: Sequence[Rule],
    signals: SignalTypes,
    classifier: Mapping[str, Mapping[str, Iterable[str]]] | None = None,
    rungs: Mapping[str, Rung] | None = None,
    routes: Mapping[str, Route] | None = None,
    actions: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Point:
    """A decision point.

    Raises:
        DefinitionError: it has no rule, or one of its clauses reads a signal that is not declared.
    """
    declared = {key: each if isinstance(each, type) else tuple(each) for key, each in signals.items()}
    problems = _Problems(name, declared)
    problems.rules(rules)
    found = problems.classifier(classifier or {})
    ladder = problems.ladder(found, dict(rungs or {}), dict(routes or {}), dict(settings or {}))
    problems.actions(actions or {})
    if problems.found:
        raise DefinitionError(problems.found)
    described = {key: dict(each) for key, each in (actions or {}).items()}
    return Point(
        name, declared, tuple(rules), ladder, described, _hash(name, declared, rules, classifier, ladder, described)
    )


class _Problems:
    def __init__(self, point: str, signals: Mapping[str, Any]) -> None:
        self.point, self.signals, self.found = point, signals, list[Problem]()

    def add(self, where: str, found: str, expected: str) -> None:
        self.found.append(Problem(f"{self.point}.{where}" if where else self.point, found, expected))

    def rules(self, rules: Sequence[object]) -> None:
        if not [each for each in rules if not getattr(each, "shadow", False)]:
            self.add("rules", "no rule", "at least one: a decision point without a deterministic answer is refused")
        for index, each in enumerate(rules):
            if not isinstance(each, Rule):
                self.add(f"rules.{index}", f"a {type(each).__name__}", "rule(...)")
            else:
                self.reads(each.when.clauses, f"rules.{each.name}")
                for route in set(each.settles) - {"complex", "hybrid"}:
                    self.add(f"rules.{each.name}.settles", f"route {route!r}", "complex or hybrid")

    def reads(self, clauses: Iterable[Clause], where: str) -> None:
        for clause in clauses:
            name = clause.signal.split(".")[0]
            if name not in self.signals:
                self.add(
                    where,
                    f"signal {name!r} in `{clause}`",
                    f"one of {', '.join(self.signals) or '(no signal is declared)'}",
                )

    def classifier(self, named: Mapping[str, Mapping[str, Iterable[str]]]) -> Classifier:
        for route in set(named) - {"complex", "hybrid"}:
            self.add("classifier", f"route {route!r}", "complex or hybrid")
        found = {route: AnyOf(self.conditions(route, named.get(route, {}))) for route in ("complex", "hybrid")}
        return Classifier(found["complex"], found["hybrid"])

    def conditions(self, route: str, named: Mapping[str, Iterable[str]]) -> dict[str, Condition]:
        found: dict[str, Condition] = {}
        for name, clauses in named.items():
            try:
                found[name] = Condition(clauses)
            except ClauseError as error:
                self.add(f"classifier.{route}.{name}", error.found, error.expected)
                continue
            if not found[name]:
                self.add(f"classifier.{route}.{name}", "no clause", "at least one clause")
            self.reads(found[name].clauses, f"classifier.{route}.{name}")
        return found

    def ladder(
        self, classifier: Classifier, rungs: dict[str, Rung], routes: dict[str, Route], settings: dict[str, Any]
    ) -> Ladder:
        for name, each in rungs.items():
            for media_type in each.attachments.types:
                if not MEDIA_TYPE.fullmatch(media_type):
                    self.add(
                        f"rungs.{name}.attachments", f"media type {media_type!r}", "one such as image/png or image/*"
                    )
        for name, route in routes.items():
            for rung in route.ask:
                if rung not in rungs:
                    self.add(f"routes.{name}", f"rung {rung!r}", f"one of {', '.join(rungs) or '(none is defined)'}")
            if "person_on_conflict" in (route.mode, route.rollout) and PERSON not in rungs:
                self.add(f"routes.{name}", "person_on_conflict", "a rung `person`")
        self.cache(rungs, routes)
        self.budget(settings.get("budget"), rungs)
        return Ladder(classifier, rungs, routes, **settings)

    def cache(self, rungs: dict[str, Rung], routes: dict[str, Route]) -> None:
        for name, route in routes.items():
            after = route.ask[route.ask.index(CACHE) + 1 :] if CACHE in route.ask else None
            if after is not None and not any(rungs[each].models for each in after if each in rungs):
                self.add(f"routes.{name}", "no rung of models after `cache`", "one, whose verdicts it has")
        caching = rungs[CACHE].caching if CACHE in rungs else None
        for feature in caching.features if caching else ():
            if feature.split(".", maxsplit=1)[0] not in self.signals:
                known = f"one of {', '.join(self.signals) or '(no signal is declared)'}"
                self.add("rungs.cache.features", f"signal {feature!r}", known)

    def budget(self, budget: Budget | None, rungs: dict[str, Rung]) -> None:
        if budget is not None and budget.on_cap == "stop":
            self.add("budget.on_cap", "stop", "rule or person: a lone decision has no end to stop in")
        if budget is not None and budget.on_cap == "person" and PERSON not in rungs:
            self.add("budget.on_cap", "person", "a rung `person`")

    def actions(self, actions: Mapping[str, Mapping[str, Any]]) -> None:
        for name, described in actions.items():
            try:
                object_schema(described.get("parameters", {}), required=True, closed=True)
            except SchemaError as error:
                self.add(f"actions.{name}.{error.field}", error.found, error.expected)


def _wrong_kind(value: Any, kind: type | tuple[str, ...]) -> str:
    if isinstance(kind, tuple):
        return "" if value in kind else f"one of {', '.join(kind)}"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        int: number and value == int(value),
        float: number,
        bool: isinstance(value, bool),
        str: isinstance(value, str),
    }
    return "" if fits.get(kind, True) else KINDS[kind]


def _hash(
    name: str,
    signals: Mapping[str, Any],
    rules: Sequence[Rule],
    classifier: Any,
    ladder: Ladder,
    actions: Mapping[str, Any],
) -> str:
    told = [
        [each.name, each.do, [str(clause) for clause in each.when.clauses], each.because, each.parameters]
        + ([list(each.settles), each.shadow] if each.settles or each.shadow else [])
        for each in rules
    ]
    kinds = {key: each.__name__ if isinstance(each, type) else list(each) for key, each in signals.items()}
    asked = {
        key: [rung.models, rung.quorum, rung.prompt, rung.deadline_s, repr(rung.accept), repr(rung.attachments)]
        + ([repr(rung.links), repr(rung.retry), rung.reorder] if rung.links or rung.retry else [])
        + [repr(each) for each in (rung.max_output_tokens, rung.caching) if each]
        for key, rung in ladder.rungs.items()
    }
    routes = {key: repr(route) for key, route in ladder.routes.items()}
    settings: list[str] = [ladder.how, ladder.on_invalid, ladder.on_low_confidence]
    settings += [repr(ladder.budget)] if ladder.budget else []
    conditions = [repr(ladder.classifier.complex), repr(ladder.classifier.hybrid), classifier is None]
    return digest("point", name, kinds, told, conditions, asked, routes, settings, plain(dict(actions), "actions"))
