"""From a workflow file (or the same mapping from Python) to a Definition.

Every name is looked up and every clause compiled; all problems are reported at once, each with file, line, key, what
was found and what was expected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace
from pydantic import ValidationError

from stepladder.clauses import Condition
from stepladder.decision import Option
from stepladder.errors import DefinitionError, InputError
from stepladder.record import STOP
from stepladder.signals import Fold, Signal
from stepladder.state import CANCELLED
from stepladder.values import plain
from stepladder.workflow.arguments import Arguments
from stepladder.workflow.compiler import MEASURES, ROOTS, Compiler, Key
from stepladder.workflow.definition import (
    Action,
    Agent,
    CallEffect,
    Definition,
    Effect,
    End,
    Move,
    PersonEffect,
    Phase,
    Retry,
    Step,
    WaitEffect,
)
from stepladder.workflow.file import ActionFile, AgentFile, StepFile, WorkflowFile
from stepladder.workflow.hashes import policy_hash, workflow_hash
from stepladder.workflow.migrations import KINDS, migrations
from stepladder.workflow.misfits import from_pydantic
from stepladder.workflow.policy import SUPERVISOR_PROMPT, PolicyBuilder
from stepladder.workflow.problems import Problems
from stepladder.workflow.risk import built_risk
from stepladder.workflow.schemas import checker
from stepladder.workflow.yaml_text import Lines

__all__ = ["MEASURES", "ROOTS", "SUPERVISOR_PROMPT", "Builder", "build"]

BUILT_LATER: Final = ("workflow", "plan", "map")
MEANS: Final = {
    "agent": ("as", "prompt", "timeout_s", "retry", "judges", "with"),
    "ask": ("as", "deadline_s", "with", "output"),
    "wait": ("as",),
}
"""The keys that mean something beside each effect."""
TEXTS: Final = ("description", "use_when", "example")
"""What an action says of itself; the first of its entries that says it is heard."""
BESIDE: Final = {"as_": "as", "with_": "with"} | {
    key: key for key in ("prompt", "timeout_s", "deadline_s", "retry", "judges", "output")
}


def build(
    data: Mapping[str, Any],
    *,
    file: str = "",
    lines: Lines | None = None,
    signals: Iterable[Signal] = (),
    prompts: Mapping[str, str] | None = None,
    shipped: Mapping[str, str] | None = None,
) -> Definition:
    """The workflow that `data` defines. `signals` are the user's own, `prompts` the texts found beside the file.

    Of the `shipped` prompts those become part of it that its rungs name and nobody replaced.

    Raises:
        DefinitionError: with every problem there is.
    """
    problems = Problems(file, lines or {})
    try:
        problems.data = plain(data)
        parsed = WorkflowFile.model_validate(problems.data)
    except InputError as error:
        problems.add(error.where.removeprefix(".").split("."), error.found, error.expected)
        raise DefinitionError(problems.found) from None
    except ValidationError as error:
        raise from_pydantic(error, problems) from None
    own = {each.name: each for each in signals}
    if parsed.policy.risk is not None:
        risk = built_risk(parsed.policy.risk, parsed.workflow, own, problems)
        own |= {} if risk is None else {risk.name: risk}
    texts = {**_named(parsed, shipped or {}), **(prompts or {})}
    return Builder(parsed, Compiler(problems, own.values()), texts).build()


def _named(file: WorkflowFile, shipped: Mapping[str, str]) -> dict[str, str]:
    names = {rung.prompt or SUPERVISOR_PROMPT for rung in file.policy.rungs.values()}
    return {name: text for name, text in shipped.items() if name in names}


class Builder:
    """One build: the file, what is known so far, and the problems found."""

    def __init__(self, file: WorkflowFile, compiler: Compiler, prompts: Mapping[str, str]) -> None:
        self.file, self.compiler, self.problems = file, compiler, compiler.problems
        self.prompts = {**prompts, **file.prompts}
        self.phase_of = {step: name for name, phase in file.phases.items() for step in phase.steps}
        self.broken: set[str] = set()

    def build(self) -> Definition:
        """The definition, or DefinitionError."""
        self._names()
        agents = {name: self._agent(name, agent) for name, agent in self.file.agents.items()}
        steps = self._steps()
        phases = self._phases()
        ends = {
            name: End(name, end.success, self.compiler.arguments(end.output, ("ends", name, "output")))
            for name, end in self.file.ends.items()
        }
        actions = {name: self._action(name, entries) for name, entries in self.file.actions.items()}
        moves = self._moves(actions, phases, ends)
        schema = self.compiler.fields(self.file.input, ("input",), required=True, closed=True)
        read_by_workflow = frozenset(self.compiler.read)
        names: list[Collection[str]] = [steps, ends, actions, self.compiler.signals]
        migrates = migrations(self.file.migrates, dict(zip(KINDS, names, strict=True)), self.problems)
        policy = PolicyBuilder(self.file, self.compiler, moves, frozenset(self.broken)).build()
        self.problems.raise_errors()
        read = self.compiler.read
        definition = Definition(
            name=self.file.workflow,
            version=self.file.version,
            hash="",
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
            fold=Fold(self.compiler.used()),
            collects=frozenset(path.split(".")[1] for path in read if path.startswith("all.")),
            source=self.file.model_dump(exclude_defaults=True),
            file=self.problems.file,
            migrates=migrates,
        )
        tuned = replace(policy, hash=policy_hash(policy, definition, read - read_by_workflow))
        return replace(definition, hash=workflow_hash(definition, read_by_workflow), policy=tuned)

    # --- names

    def _names(self) -> None:
        seen: dict[str, str] = {}
        for phase, section in self.file.phases.items():
            for step in section.steps:
                if step in seen:
                    found, expected = f"step {step!r} a second time", f"each step in one phase (it is in {seen[step]})"
                    self.problems.add(("phases", phase, "steps", step), found, expected)
                seen[step] = phase
        for end in self.file.ends:
            if end in self.phase_of:
                self.problems.add(("ends", end), f"the name of a step, {end!r}", "another name for the end")
            if end == CANCELLED:
                self.problems.add(("ends", end), repr(end), "another name: this is the end of a run that is cancelled")
        if STOP in self.file.actions:
            expected = "another name: STOP is every step's built-in last rule"
            self.problems.add(("actions", STOP), f"action {STOP!r}", expected)
        self._known_step(self.file.start, ("start",))

    def _known_step(self, name: str, path: Key) -> bool:
        if name not in self.phase_of:
            self.problems.unknown(path, "step", name, self.phase_of)
        return name in self.phase_of

    def _phases(self) -> dict[str, Phase]:
        return {
            name: Phase(
                name, tuple(phase.steps), self.compiler.condition(phase.converged, ("phases", name, "converged"))
            )
            for name, phase in self.file.phases.items()
        }

    # --- agents

    def _agent(self, name: str, agent: AgentFile) -> Agent:
        path: Key = ("agents", name)
        schema = self.compiler.fields(agent.output, (*path, "output"), required=False, closed=False)
        fails = self.compiler.condition(agent.fails, (*path, "fails"), agent.output.keys(), "output field")
        for score, (low, high) in agent.scores.items():
            if low >= high:
                self.problems.add((*path, "scores", score), f"[{low:g}, {high:g}]", "[low, high] with low below high")
            if agent.output and score not in agent.output:
                self.problems.unknown((*path, "scores", score), "output field", score, agent.output)
        scores = {score: (low, high) for score, (low, high) in agent.scores.items()}
        return Agent(name, agent.idempotent, agent.description, schema, checker(schema), fails, scores)

    # --- steps

    def _steps(self) -> dict[str, Step]:
        return {
            name: self._step(name, phase, step)
            for phase, section in self.file.phases.items()
            for name, step in section.steps.items()
        }

    def _step(self, name: str, phase: str, step: StepFile) -> Step:
        path: Key = ("phases", phase, "steps", name)
        effect = self._effect(name, step, path)
        return Step(name, phase, effect, step.description, self._judges(step, (*path, "judges")))

    def _judges(self, step: StepFile, path: Key) -> tuple[str, ...]:
        judged = step.judges or []
        for index, name in enumerate(judged):
            if self._known_step(name, (*path, index)) and name in judged[:index]:
                self.problems.add((*path, index), f"step {name!r} a second time", "each step once")
        for agent in step.agent or () if judged else ():
            if agent in self.file.agents and not self.file.agents[agent].scores:
                found = f"a step that judges by {agent}, which declares no scores"
                self.problems.add(path, found, f"`scores` under agents.{agent}")
        return tuple(judged)

    def _effect(self, name: str, step: StepFile, path: Key) -> Effect | None:
        for kind in BUILT_LATER:
            if kind in step.model_fields_set:
                self.problems.add((*path, kind), f"effect {kind!r}", "agent, ask or wait; this kind is not built yet")
                return None
        given = [kind for kind in MEANS if getattr(step, kind) is not None]
        if len(given) > 1:
            self.problems.add((*path, given[1]), " and ".join(given), "at most one effect: agent, ask or wait")
            return None
        self._misplaced(step, given[0] if given else "", path)
        arguments = self.compiler.arguments(step.with_, (*path, "with"), secrets=step.agent is not None)
        if step.agent is not None:
            return self._call(name, step, arguments, path)
        if step.ask is not None:
            schema = self.compiler.fields(step.output, (*path, "output"), required=True, closed=bool(step.output))
            return PersonEffect(step.as_ or name, arguments, schema, checker(schema), step.deadline_s)
        return self._wait(name, step, path)

    def _misplaced(self, step: StepFile, effect: str, path: Key) -> None:
        """Keys that mean nothing for this step's effect are not ignored in silence."""
        means = MEANS.get(effect, ())
        for field, key in BESIDE.items():
            if field in step.model_fields_set and key not in means:
                allowed = f"has only {', '.join(means)}" if means else "has none of these keys"
                expected = f"another place: a step with {effect or 'no effect'} {allowed}"
                self.problems.add((*path, key), f"key {key!r}", expected)

    def _call(self, name: str, step: StepFile, arguments: Arguments, path: Key) -> CallEffect:
        agents = tuple(step.agent or ())
        for index, agent in enumerate(agents):
            if agent not in self.file.agents:
                self.problems.unknown((*path, "agent", index), "agent", agent, self.file.agents)
            elif agent in agents[:index]:
                self.problems.add((*path, "agent", index), f"agent {agent!r} a second time", "each agent once")
        retry = Retry(step.retry.attempts, step.retry.backoff_s) if step.retry else Retry()
        return CallEffect(agents, step.as_ or name, arguments, step.prompt or "", step.timeout_s, retry)

    def _wait(self, name: str, step: StepFile, path: Key) -> WaitEffect | None:
        wait = step.wait
        if wait is None:
            return None
        if wait.message is None and wait.seconds is None:
            self.problems.add((*path, "wait"), "neither message nor seconds", "one of them")
        elif wait.message is not None and wait.seconds is not None:
            self.problems.add((*path, "wait", "seconds"), "both message and seconds", "one of them")
        elif wait.seconds is not None and wait.deadline_s is not None:
            self.problems.add((*path, "wait", "deadline_s"), "key 'deadline_s'", "no deadline beside seconds")
        return WaitEffect(step.as_ or name, wait.message or "", wait.seconds or wait.deadline_s)

    # --- actions

    def _action(self, name: str, entries: list[ActionFile]) -> Action:
        path: Key = ("actions", name)
        parameters = self._said_once(name, entries, "parameters") or {}
        at = next((index for index, entry in enumerate(entries) if entry.parameters), 0)
        schema = self.compiler.fields(parameters, (*path, at, "parameters"), required=True, closed=True)
        significant = tuple(self._said_once(name, entries, "significant") or ())
        at = next((index for index, entry in enumerate(entries) if entry.significant), 0)
        for index, parameter in enumerate(significant):
            if parameter not in parameters:
                self.problems.unknown((*path, at, "significant", index), "parameter", parameter, parameters)
        texts = {text: next((said for entry in entries if (said := getattr(entry, text))), "") for text in TEXTS}
        return Action(name, **texts, parameters=schema, significant=significant)

    def _said_once(self, name: str, entries: list[ActionFile], field: str) -> Any:
        """What one of the entries says; two that say it differently would leave one unheard."""
        said = [(index, value) for index, entry in enumerate(entries) if (value := getattr(entry, field))]
        for index, value in said[1:]:
            if value != said[0][1]:
                found, expected = f"other {field} than in the first entry", f"the {field} of {name} once"
                self.problems.add(("actions", name, index, field), found, expected)
        return said[0][1] if said else None

    def _moves(
        self, actions: Mapping[str, Action], phases: Mapping[str, Phase], ends: Mapping[str, End]
    ) -> dict[str, tuple[Move, ...]]:
        moves: dict[str, dict[str, Move]] = {step: {} for step in self.phase_of}
        for name, entries in self.file.actions.items():
            check = checker(actions[name].parameters)
            for index, entry in enumerate(entries):
                path: Key = ("actions", name, index)
                self._known_place(entry.to, (*path, "to"))
                guard = self.compiler.condition(entry.guard, (*path, "guard"))
                option = Option(name, entry.to, check, actions[name].significant)
                for source in self._sources(name, entry, (*path, "from")):
                    if name in moves[source]:
                        self.problems.add(path, f"{name} from {source} a second time", "one transition per source step")
                    converged = self._convergence(source, entry.to, phases, ends)
                    moves[source][name] = Move(option, guard & converged)
        return {step: tuple(found.values()) for step, found in moves.items()}

    def _known_place(self, name: str, path: Key) -> None:
        if name not in self.phase_of and name not in self.file.ends:
            self.problems.unknown(path, "step or end", name, [*self.phase_of, *self.file.ends])

    def _sources(self, action: str, entry: ActionFile, path: Key) -> list[str]:
        if "*" in entry.from_:
            if len(entry.from_) > 1:
                self.problems.add(path, "* with other steps", "either * or names of steps")
                self.broken.add(action)
                return []
            return list(self.phase_of)
        known = [source for index, source in enumerate(entry.from_) if self._known_step(source, (*path, index))]
        if len(known) < len(entry.from_):
            self.broken.add(action)
        return known

    def _convergence(self, source: str, to: str, phases: Mapping[str, Phase], ends: Mapping[str, End]) -> Condition:
        """Leaving a phase for a later one, or for a successful end, needs its convergence."""
        order = list(phases)
        here, there = self.phase_of[source], self.phase_of.get(to)
        later = there is not None and order.index(there) > order.index(here)
        return phases[here].converged if later or (to in ends and ends[to].success) else Condition()
