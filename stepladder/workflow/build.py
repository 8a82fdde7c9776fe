"""From a workflow file (or the same mapping from Python) to a Definition.

Every name is looked up and every clause compiled; all problems are reported at once, each with file, line, key, what
was found and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from stepladder.clauses import AnyOf, Clause, ClauseError, Condition, parse_clause
from stepladder.classifier import DEFAULT, Classifier
from stepladder.decision import Ladder, Option, Route, Rung
from stepladder.decision.point import PERSON
from stepladder.record import STOP
from stepladder.rules import Rule
from stepladder.signals import BUILTIN, Fold, Signal
from stepladder.state import CANCELLED
from stepladder.values import digest
from stepladder.workflow.arguments import ArgumentError, Arguments
from stepladder.workflow.definition import (
    CORE,
    Action,
    Agent,
    Approval,
    CallEffect,
    Definition,
    Effect,
    End,
    Limits,
    Move,
    PersonEffect,
    Phase,
    Policy,
    Retry,
    Step,
    WaitEffect,
)
from stepladder.workflow.file import ActionFile, AgentFile, RouteFile, RuleFile, RungFile, StepFile, WorkflowFile
from stepladder.workflow.problems import Problems, from_pydantic
from stepladder.workflow.schemas import SchemaError, checker, object_schema
from stepladder.workflow.yaml_text import Lines

ROOTS = frozenset({"input", "last", "returned", "result", "all", "decision", "taken", "visits", "step", "phase"})
"""What clauses and references can read besides signals."""
MEASURES = frozenset({"decisions", "budget_used", "time_used", "rule_margin"})
"""Signals that are read off the run itself rather than folded."""
SUPERVISOR_PROMPT = "supervisor@1"
BUILT_LATER = ("workflow", "plan", "map")

Key = tuple[str | int, ...]


def build(
    data: Mapping[str, Any],
    *,
    file: str = "",
    lines: Lines | None = None,
    signals: Iterable[Signal] = (),
    prompts: Mapping[str, str] | None = None,
) -> Definition:
    """The workflow that `data` defines. `signals` are the user's own, `prompts` the texts found beside the file.

    Raises:
        DefinitionError: with every problem there is.
    """
    try:
        parsed = WorkflowFile.model_validate(dict(data))
    except ValidationError as error:
        raise from_pydantic(error, file, lines or {}) from None
    return Builder(parsed, Problems(file, lines or {}), signals, prompts or {}).build()


class Builder:
    """One build: the file, what is known so far, and the problems found."""

    def __init__(
        self, file: WorkflowFile, problems: Problems, signals: Iterable[Signal], prompts: Mapping[str, str]
    ) -> None:
        self.file, self.problems = file, problems
        self.known = {**BUILTIN, **{each.name: each for each in signals}}
        self.prompts = {**prompts, **file.prompts}
        self.roots = ROOTS | MEASURES | frozenset(self.known)
        self.phase_of = {step: name for name, phase in file.phases.items() for step in phase.steps}
        self.read: set[str] = set()

    def build(self) -> Definition:
        """The definition, or DefinitionError."""
        self._names()
        agents = {name: self._agent(name, agent) for name, agent in self.file.agents.items()}
        steps = self._steps()
        phases = {
            name: Phase(name, tuple(phase.steps), self._condition(phase.converged, ("phases", name, "converged")))
            for name, phase in self.file.phases.items()
        }
        ends = {
            name: End(name, end.success, self._arguments(end.output, ("ends", name, "output")))
            for name, end in self.file.ends.items()
        }
        actions = {name: self._action(name, entries) for name, entries in self.file.actions.items()}
        moves = self._moves(actions, phases, ends)
        schema = self._fields(self.file.input, ("input",), required=True, closed=True)
        policy = self._policy(moves)
        self.problems.raise_errors()
        return Definition(
            name=self.file.workflow,
            version=self.file.version,
            hash=self._hash(),
            input=schema,
            check_input=checker(schema),
            start=self.file.start,
            agents=agents,
            phases=phases,
            steps=steps,
            ends=ends,
            actions=actions,
            moves=moves,
            policy=policy,
            prompts=self.prompts,
            fold=Fold(self._used_signals()),
            collects=frozenset(path.split(".")[1] for path in self.read if path.startswith("all.")),
            source=self.file.model_dump(exclude_defaults=True),
            file=self.problems.file,
        )

    # --- names

    def _names(self) -> None:
        twice: dict[str, str] = {}
        for phase, section in self.file.phases.items():
            for step in section.steps:
                if step in twice:
                    found, expected = f"step {step!r} a second time", f"each step in one phase (it is in {twice[step]})"
                    self.problems.add(("phases", phase, "steps", step), found, expected)
                twice[step] = phase
        for end in self.file.ends:
            if end in self.phase_of:
                self.problems.add(("ends", end), f"the name of a step, {end!r}", "another name for the end")
            if end == CANCELLED:
                self.problems.add(("ends", end), repr(end), "another name: this is the end of a run that is cancelled")
        if STOP in self.file.actions:
            self.problems.add(("actions", STOP), f"action {STOP!r}", "another name: STOP is every step's built-in last rule")
        self._known_step(self.file.start, ("start",))

    def _known_step(self, name: str, path: Key) -> None:
        if name not in self.phase_of:
            self.problems.unknown(path, "step", name, self.phase_of)

    def _known_place(self, name: str, path: Key) -> None:
        if name not in self.phase_of and name not in self.file.ends:
            self.problems.unknown(path, "step or end", name, [*self.phase_of, *self.file.ends])

    # --- clauses, arguments, schemas

    def _clause(self, text: str, path: Key) -> Clause | None:
        try:
            clause = parse_clause(text)
        except ClauseError as error:
            self.problems.add(path, error.found, error.expected)
            return None
        self._root(clause.signal, path)
        return clause

    def _root(self, signal: str, path: Key) -> None:
        root = signal.split(".")[0]
        if root not in self.roots:
            self.problems.unknown(path, "signal", root, self.roots, code="unknown-signal")
        self.read.add(signal)

    def _condition(self, clauses: list[str], path: Key) -> Condition:
        found = [self._clause(text, (*path, index)) for index, text in enumerate(clauses)]
        return Condition(clause for clause in found if clause is not None)

    def _any_of(self, named: Mapping[str, list[str]], path: Key) -> AnyOf:
        for name, clauses in named.items():
            if not clauses:
                self.problems.add((*path, name), "no clause", "at least one clause (an empty list would always fire)")
        return AnyOf({name: self._condition(clauses, (*path, name)) for name, clauses in named.items()})

    def _arguments(self, source: Mapping[str, Any], path: Key) -> Arguments:
        try:
            arguments = Arguments(source, self.roots)
        except ArgumentError as error:
            self.problems.add((*path, *error.path), error.found, error.expected)
            return Arguments({}, self.roots)
        self.read.update(arguments.references)
        return arguments

    def _fields(self, fields: Mapping[str, Any], path: Key, *, required: bool, closed: bool) -> dict[str, Any]:
        try:
            return object_schema(fields, required=required, closed=closed)
        except SchemaError as error:
            self.problems.add((*path, error.field), error.found, error.expected)
            return object_schema({}, required=required, closed=False)

    # --- workflow

    def _agent(self, name: str, agent: AgentFile) -> Agent:
        path: Key = ("agents", name)
        schema = self._fields(agent.output, (*path, "output"), required=False, closed=False)
        fails = Condition(
            clause
            for index, text in enumerate(agent.fails)
            if (clause := self._own_field(text, agent, (*path, "fails", index))) is not None
        )
        scores = {score: (low, high) for score, (low, high) in agent.scores.items()}
        for score, (low, high) in scores.items():
            if low >= high:
                self.problems.add((*path, "scores", score), f"[{low}, {high}]", "[low, high] with low below high")
        return Agent(name, agent.idempotent, agent.description, schema, checker(schema), fails, scores)

    def _own_field(self, text: str, agent: AgentFile, path: Key) -> Clause | None:
        try:
            clause = parse_clause(text)
        except ClauseError as error:
            self.problems.add(path, error.found, error.expected)
            return None
        field = clause.signal.split(".")[0]
        if agent.output and field not in agent.output:
            self.problems.unknown(path, "output field", field, agent.output, code="unknown-field")
        return clause

    def _steps(self) -> dict[str, Step]:
        return {
            name: Step(name, phase, self._effect(name, step, ("phases", phase, "steps", name)), step.description)
            for phase, section in self.file.phases.items()
            for name, step in section.steps.items()
        }

    def _effect(self, name: str, step: StepFile, path: Key) -> Effect | None:
        for kind in BUILT_LATER:
            if getattr(step, kind) is not None:
                self.problems.add((*path, kind), f"effect {kind!r}", "agent, ask or wait; this kind is not built yet")
        given = [kind for kind in ("agent", "ask", "wait") if getattr(step, kind) is not None]
        if len(given) > 1:
            self.problems.add(path, " and ".join(given), "at most one effect: agent, ask or wait")
        self._misplaced(step, given[0] if given else "", path)
        arguments = self._arguments(step.with_, (*path, "with"))
        if step.agent is not None:
            return self._call(name, step, arguments, path)
        if step.ask is not None:
            schema = self._fields(step.output, (*path, "output"), required=True, closed=True)
            return PersonEffect(step.as_ or name, arguments, schema, checker(schema), step.deadline_s)
        return self._wait(name, step, path)

    def _misplaced(self, step: StepFile, effect: str, path: Key) -> None:
        """Keys that mean nothing for this step's effect are not ignored in silence."""
        means = {
            "agent": ("as_", "prompt", "timeout_s", "retry", "with_"),
            "ask": ("as_", "deadline_s", "with_", "output"),
            "wait": ("as_",),
        }.get(effect, ())
        for key in ("as_", "prompt", "timeout_s", "deadline_s", "retry", "with_", "output"):
            if key not in means and key in step.model_fields_set:
                shown = key.rstrip("_")
                self.problems.add((*path, shown), f"key {shown!r}", f"no such key in a step with {effect or 'no effect'}")

    def _call(self, name: str, step: StepFile, arguments: Arguments, path: Key) -> CallEffect:
        agents = tuple(step.agent or ())
        for agent in agents:
            if agent not in self.file.agents:
                self.problems.unknown((*path, "agent"), "agent", agent, self.file.agents)
        retry = Retry(step.retry.attempts, step.retry.backoff_s) if step.retry else Retry()
        return CallEffect(agents, step.as_ or name, arguments, step.prompt or "", step.timeout_s, retry)

    def _wait(self, name: str, step: StepFile, path: Key) -> WaitEffect | None:
        if step.wait is None:
            return None
        wait = step.wait
        if (wait.message is None) == (wait.seconds is None):
            self.problems.add((*path, "wait"), "neither or both of message and seconds", "one of them")
        return WaitEffect(step.as_ or name, wait.message or "", wait.seconds or wait.deadline_s)

    # --- actions

    def _action(self, name: str, entries: list[ActionFile]) -> Action:
        def first(field: str) -> Any:
            return next((value for entry in entries if (value := getattr(entry, field))), None)

        path: Key = ("actions", name)
        parameters = self._fields(first("parameters") or {}, (*path, "parameters"), required=True, closed=True)
        significant = tuple(first("significant") or ())
        for parameter in significant:
            if parameter not in parameters["properties"]:
                self.problems.unknown((*path, "significant"), "parameter", parameter, parameters["properties"])
        texts = (first("description") or "", first("use_when") or "", first("example") or "")
        return Action(name, *texts, parameters=parameters, significant=significant)

    def _moves(
        self, actions: Mapping[str, Action], phases: Mapping[str, Phase], ends: Mapping[str, End]
    ) -> dict[str, tuple[Move, ...]]:
        moves: dict[str, dict[str, Move]] = {step: {} for step in self.phase_of}
        for name, entries in self.file.actions.items():
            check = checker(actions[name].parameters)
            for index, entry in enumerate(entries):
                path: Key = ("actions", name, index) if len(entries) > 1 else ("actions", name)
                self._known_place(entry.to, (*path, "to"))
                guard = self._condition(entry.guard, (*path, "guard"))
                option = Option(name, entry.to, check, actions[name].significant)
                for source in self._sources(entry, (*path, "from")):
                    if name in moves.get(source, {}):
                        self.problems.add(path, f"{name} from {source} a second time", "one transition per source step")
                    if source in moves:
                        converged = self._convergence(source, entry.to, phases, ends)
                        moves[source][name] = Move(option, guard & converged)
        return {step: tuple(found.values()) for step, found in moves.items()}

    def _sources(self, entry: ActionFile, path: Key) -> list[str]:
        if "*" in entry.from_:
            if len(entry.from_) > 1:
                self.problems.add(path, "* with other steps", "either * or names of steps")
            return list(self.phase_of)
        for source in entry.from_:
            self._known_step(source, path)
        return entry.from_

    def _convergence(
        self, source: str, to: str, phases: Mapping[str, Phase], ends: Mapping[str, End]
    ) -> Condition:
        """Leaving a phase for a later one, or for a successful end, needs its convergence."""
        order = list(phases)
        here = self.phase_of[source]
        there = self.phase_of.get(to)
        later = there is not None and order.index(there) > order.index(here)
        return phases[here].converged if later or (to in ends and ends[to].success) else Condition()

    # --- policy

    def _policy(self, moves: Mapping[str, tuple[Move, ...]]) -> Policy:
        arguments: dict[tuple[str, str], Arguments] = {}
        rules = {step: self._rules(step, listed, moves, arguments) for step, listed in self.file.rules.items()}
        select = {step: self._select_agent(step, listed) for step, listed in self.file.select_agent.items()}
        file = self.file.policy
        approvals = tuple(
            Approval(name, self._entered(each.entering, name), self._condition(each.when, ("policy", "approvals", name, "when")))
            for name, each in file.approvals.items()
        )
        return Policy(self._policy_hash(), rules, arguments, select, self._limits(), self._ladder(), approvals)

    def _rules(
        self,
        step: str,
        listed: Mapping[str, RuleFile],
        moves: Mapping[str, tuple[Move, ...]],
        arguments: dict[tuple[str, str], Arguments],
    ) -> tuple[Rule, ...]:
        self._known_step(step, ("rules", step))
        here = {move.option.action for move in moves.get(step, ())}
        for name, each in listed.items():
            path: Key = ("rules", step, name)
            if each.do not in self.file.actions:
                self.problems.unknown((*path, "do"), "action", each.do, self.file.actions)
            elif step in moves and each.do not in here:
                self.problems.add((*path, "do"), each.do, f"an action that leads out of {step}: {', '.join(sorted(here))}")
            arguments[step, name] = self._arguments(each.with_, (*path, "with"))
        return tuple(self._rule(name, each, ("rules", step, name)) for name, each in listed.items())

    def _rule(self, name: str, each: RuleFile, path: Key) -> Rule:
        return Rule(name, each.do, self._condition(each.when, (*path, "when")), each.because, each.with_)

    def _select_agent(self, step: str, listed: Mapping[str, RuleFile]) -> tuple[Rule, ...]:
        path: Key = ("select_agent", step)
        phase = self.phase_of.get(step)
        if phase is None:
            self._known_step(step, path)
            return ()
        candidates = self.file.phases[phase].steps[step].agent or []
        for name, each in listed.items():
            if each.do not in candidates:
                self.problems.unknown((*path, name, "do"), "agent of this step", each.do, candidates)
        return tuple(self._rule(name, each, (*path, name)) for name, each in listed.items())

    def _entered(self, name: str, approval: str) -> str:
        if name not in self.file.phases:
            self._known_place(name, ("policy", "approvals", approval, "entering"))
        return name

    def _limits(self) -> Limits:
        limits = self.file.policy.limits
        failing = [name for name, end in self.file.ends.items() if not end.success]
        path: Key = ("policy", "limits", "then")
        if limits.then is None and len(failing) != 1:
            self.problems.add(path, "nothing", f"the end that STOP leads to: one of {', '.join(failing) or '(define a failing end)'}")
        elif limits.then is not None and limits.then not in failing:
            self.problems.unknown(path, "failing end", limits.then, failing)
        then = limits.then or (failing[0] if failing else "")
        return Limits(then, limits.decisions, limits.usd, limits.working_s)

    def _ladder(self) -> Ladder:
        file = self.file.policy
        rungs = {name: self._rung(name, rung) for name, rung in file.rungs.items()}
        routes = {name: self._route(name, route, rungs) for name, route in file.routes.items()}
        if file.on_low_confidence == "person" and PERSON not in rungs:
            self.problems.add(("policy", "on_low_confidence"), "person", "a rung `person` under policy.rungs")
        return Ladder(self._classifier(), rungs, dict(routes), file.mode, file.on_invalid, file.on_low_confidence)

    def _classifier(self) -> Classifier:
        named = self.file.policy.classifier
        path: Key = ("policy", "classifier")
        if named is None:
            return Classifier(self._any_of(DEFAULT["complex"], path), self._any_of(DEFAULT["hybrid"], path))
        return Classifier(
            self._any_of(named.complex, (*path, "complex")), self._any_of(named.hybrid, (*path, "hybrid"))
        )

    def _rung(self, name: str, rung: RungFile) -> Rung:
        path: Key = ("policy", "rungs", name)
        models = tuple(rung.models) or ((rung.model,) if rung.model else ())
        if (name == PERSON) == bool(models) or (rung.model and rung.models):
            expected = "no model" if name == PERSON else "either model or models"
            self.problems.add(path, f"models {list(models)}", expected)
        for model in models:
            provider, colon, rest = model.partition(":")
            if not (provider and colon and rest):
                self.problems.add(path, f"model {model!r}", "provider:name, such as openai:gpt-5-mini")
        quorum = rung.quorum or len(models) // 2 + 1
        if models and quorum > len(models):
            self.problems.add((*path, "quorum"), str(quorum), f"at most {len(models)}, the number of models")
        for each, clauses in rung.accept.items():
            self._accept(clauses, (*path, "accept", each))
        accept = AnyOf({key: _parsed(clauses) for key, clauses in rung.accept.items()})
        deadline = rung.deadline_s or (None if name == PERSON else 5.0)
        return Rung(name, models, quorum, rung.prompt or SUPERVISOR_PROMPT, deadline, accept)

    def _accept(self, clauses: list[str], path: Key) -> None:
        for index, text in enumerate(clauses):
            try:
                clause = parse_clause(text)
            except ClauseError as error:
                self.problems.add((*path, index), error.found, error.expected)
                continue
            if clause.signal not in ("agrees", "confidence", "action"):
                self.problems.unknown((*path, index), "field of an answer", clause.signal, ["agrees", "confidence", "action"])

    def _route(self, name: str, route: RouteFile, rungs: Mapping[str, Rung]) -> Route:
        path: Key = ("policy", "routes", name)
        for rung in route.ask:
            if rung not in rungs:
                self.problems.unknown((*path, "ask"), "rung", rung, rungs)
        rollout = route.rollout.reconcile if route.rollout else None
        if "person_on_conflict" in (route.reconcile, rollout) and PERSON not in rungs:
            self.problems.add((*path, "reconcile"), "person_on_conflict", "a rung `person` under policy.rungs")
        if len(set(route.ask)) < len(route.ask):
            self.problems.add((*path, "ask"), "a rung twice", "each rung once")
        share = route.rollout.share if route.rollout else 0.0
        return Route(tuple(route.ask), route.reconcile, route.confidence, rollout, share)

    # --- signals and hashes

    def _used_signals(self) -> list[Signal]:
        used = {path.split(".")[0] for path in self.read}
        if "rule_margin" in used:
            used.add("score")
        return [each for name, each in self.known.items() if name in used]

    def _hash(self) -> str:
        defined = self.file.model_dump(exclude={"rules", "policy", "select_agent", "prompts", "description"})
        own = {each.name: each.version for each in self._used_signals() if each.name not in BUILTIN}
        return digest("workflow", CORE, _canonical_clauses(defined), own)

    def _policy_hash(self) -> str:
        tuned = self.file.model_dump(include={"rules", "policy", "select_agent"})
        return digest("policy", CORE, _canonical_clauses(tuned), self.prompts)


def _parsed(clauses: list[str]) -> Condition:
    try:
        return Condition(clauses)
    except ClauseError:  # reported where it stands
        return Condition()


def _canonical_clauses(value: Any) -> Any:
    """The same definition with every clause in its canonical spelling, so that white space changes no hash."""
    if isinstance(value, dict):
        return {key: _canonical_clauses(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical_clauses(item) for item in value]
    if isinstance(value, str):
        try:
            return str(parse_clause(value))
        except ClauseError:
            return value
    return value
