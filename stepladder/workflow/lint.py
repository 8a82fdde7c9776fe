"""Lints: what a workflow may say by the rules of the file, and yet cannot mean.

`lint` needs no run. Errors are mistakes (a name that cannot exist, a guard that can never hold, a step that nothing
leads to), warnings are worth a look (a rule that is never chosen, an agent that nothing calls). One mistake gives one
problem.

    code               level    says
    unreachable-step   error    no path of actions from `start` to a step
    unreachable-end    warning  ... to an end
    nowhere            error    no end can be reached from a step, by no action of it or of those it leads to
    nowhere            warning  an action leads back to its own step, which has no effect
    no-rule            error    a step without any rule
    no-default-rule    warning  facts under which no rule can be chosen though an action is legal: STOP decides
    stranded-step      warning  facts under which no action is legal: only STOP is left
    impossible-guard   error    a guard, with its phase's convergence, that can never hold
    impossible-guard   warning  ... in some of its steps
    dead-rule          warning  a rule that can never be chosen
    dead-condition     warning  clauses of classifier, approval, accept or fails that can never hold together
    unknown-field      error    a path that leads nowhere
    unknown-word       error    a comparison with a word that its field never holds
    kind-mismatch      error    a comparison with a kind that its field never has
    two-signals        warning  a comparison with a word that reads like another signal
    unheard-text       warning  an action's entry says of it what an entry before says otherwise
    dropped-example    warning  an example in JSON with keys that no prompt shows
    unknown-provider   error    a model of a provider that its program does not have; a warning for a lone file
    unused-agent, unused-action, unused-prompt, unused-rung, missing-prompt: warnings
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from stepladder.decision.point import PERSON
from stepladder.errors import Problem
from stepladder.workflow.build import TEXTS
from stepladder.workflow.definition import CallEffect, Definition
from stepladder.workflow.lint_clauses import ClauseLints
from stepladder.workflow.lint_rules import RuleLints
from stepladder.workflow.policy import SUPERVISOR_PROMPT
from stepladder.workflow.problems import Problems
from stepladder.workflow.scopes import Scopes
from stepladder.workflow.yaml_text import Lines, Path


def lint(
    definition: Definition,
    lines: Lines | None = None,
    prompt_files: Iterable[str] = (),
    providers: Collection[str] | None = None,
    *,
    alone: bool = False,
) -> tuple[Problem, ...]:
    """What looks wrong with the workflow, in the order of the file.

    `prompt_files` are names of prompts beside it, `providers` those that its models may name (None: any); `alone`: a
    program may know more of them.
    """
    problems = Problems(definition.file, lines or {}, None if lines else _as_written(definition.source))
    scopes = Scopes(definition)
    clauses = ClauseLints(definition, scopes, problems)
    clauses.run()
    RuleLints(definition, scopes, problems, clauses.reported).run()
    _Graph(definition, problems).run()
    _Usage(definition, problems, frozenset(prompt_files)).run()
    if providers is not None:
        _providers(definition, problems, providers, "warning" if alone else "error")
    return tuple(problems.in_order())


def _as_written(source: dict[str, Any]) -> dict[str, Any]:
    """The source with a single entry of an action as a mapping, which is how people write it."""
    actions = {name: entries[0] if len(entries) == 1 else entries for name, entries in source["actions"].items()}
    return {**source, "actions": actions}


def _providers(definition: Definition, problems: Problems, known: Collection[str], level: str) -> None:
    for rung in definition.policy.ladder.asked:
        said = definition.source["policy"]["rungs"][rung.name]
        key = next((key for key in ("models", "chain") if said.get(key)), "model")
        for index, model in enumerate(rung.targets):
            if (name := model.partition(":")[0]) not in known:
                path = ("policy", "rungs", rung.name, key, index)
                problems.unknown(path, "provider", name, known, level=level, code="unknown-provider")


class _Graph:
    """The lints about ways: what cannot be reached, and what leads nowhere."""

    def __init__(self, definition: Definition, problems: Problems) -> None:
        self.definition, self.problems = definition, problems
        self.ways = {step: {move.option.to for move in moves} for step, moves in definition.moves.items()}
        self.reached = self._from({definition.start}, self.ways)

    def run(self) -> None:
        self._unreachable()
        self._nowhere()
        self._back_to_itself()

    def _unreachable(self) -> None:
        """Steps that no way leads to; of those that only lead to each other the first is named."""
        left = set(self.definition.steps) - self.reached
        led_to = {target for step in left for target in self.ways[step] - {step}}
        for step in sorted(self.definition.steps, key=lambda step: step in led_to):
            if step in left:
                left -= self._from({step}, self.ways)
                found = f"no way from {self.definition.start!r} to this step"
                self.problems.add(self._step(step), found, f"an action that leads to {step}", code="unreachable-step")
        ends = {self.definition.policy.limits.then}.union(*self.ways.values())
        for end in self.definition.ends:
            if end not in ends:
                found, expected = "no way to this end", f"an action that leads to {end}"
                self.problems.add(("ends", end), found, expected, level="warning", code="unreachable-end")

    def _nowhere(self) -> None:
        """Steps from which no action leads to an end; of those that lead to each other the first is named."""
        back: dict[str, set[str]] = {}
        for step, targets in self.ways.items():
            for target in targets:
                back.setdefault(target, set()).add(step)
        trapped = self.reached - self._from(set(self.definition.ends), back)
        while trapped:
            first = next(step for step in self.definition.steps if step in trapped)
            within = {step: (self.ways[step] | back.get(step, set())) & trapped for step in trapped}
            together = self._from({first}, within)
            trapped -= together
            others = [step for step in self.definition.steps if step in together and step != first]
            found = f"no way to an end, nor from {', '.join(others)}" if others else "no action that leads on"
            self.problems.add(
                self._step(first), found, "actions that lead to an end (else only STOP does)", code="nowhere"
            )

    def _back_to_itself(self) -> None:
        for action, entries in self.definition.source["actions"].items():
            for index, entry in enumerate(entries):
                step = self.definition.steps.get(entry["to"])
                if step is not None and step.effect is None and entry["from"] == [step.name]:
                    found = f"an action from {step.name} to itself, which has no effect"
                    path: Path = ("actions", action, index, "to")
                    self.problems.add(path, found, "an action that changes something", level="warning", code="nowhere")

    def _from(self, seeds: set[str], ways: dict[str, set[str]]) -> set[str]:
        """The seeds and all that can be reached from them."""
        reached, fresh = set(seeds), set(seeds)
        while fresh:
            fresh = {target for step in fresh for target in ways.get(step, ())} - reached
            reached |= fresh
        return reached

    def _step(self, step: str) -> Path:
        return ("phases", self.definition.steps[step].phase, "steps", step)


class _Usage:
    """The lints about what is defined and not used, or used and not defined."""

    def __init__(self, definition: Definition, problems: Problems, prompt_files: frozenset[str]) -> None:
        self.definition, self.problems, self.prompt_files = definition, problems, prompt_files
        self.ladder = definition.policy.ladder

    def run(self) -> None:
        self._agents()
        self._actions()
        self._texts()
        self._examples()
        self._rungs()
        self._prompts()

    def _agents(self) -> None:
        for agent in self.definition.agents:
            if agent not in self.definition.called:
                self._unused(("agents", agent), "an agent that no step calls", "a step with this agent", "unused-agent")

    def _actions(self) -> None:
        """An action that no rule does is fine where a model or a person may choose it."""
        if self._asked():
            return
        done = {rule.do for rules in self.definition.policy.rules.values() for rule in rules}
        for action in self.definition.actions:
            if action not in done:
                expected = "a rule that does it, or a route that asks somebody"
                self._unused(("actions", action), "an action that nobody can choose", expected, "unused-action")

    def _texts(self) -> None:
        """An action has one text of each kind, wherever it leads."""
        for name, entries in self.definition.source["actions"].items():
            for field in TEXTS:
                said = [(index, entry[field]) for index, entry in enumerate(entries) if entry.get(field)]
                for index, text in said[1:]:
                    if text != said[0][1]:
                        path: Path = ("actions", name, index, field)
                        found, expected = f"another {field} than in an entry before", f"one {field} for all of {name}"
                        self._unused(path, found, expected, "unheard-text")

    def _examples(self) -> None:
        """An example in JSON is an answer with its `action`, or the action's parameters; the rest is not shown."""
        for name, action in self.definition.actions.items():
            shown = (action.answer or {}).get("parameters") or {}
            unknown = shown.keys() - action.parameters["properties"] if isinstance(shown, dict) else {"parameters"}
            if unknown:
                entries = self.definition.source["actions"][name]
                index = next(index for index, each in enumerate(entries) if "example" in each)
                path: Path = ("actions", name, index, "example")
                expected = f"an answer with `action`, only parameters of {name}, or prose"
                self._unused(path, f"{', '.join(sorted(unknown))}, which no prompt shows", expected, "dropped-example")

    def _asked(self) -> set[str]:
        """The rungs that some route asks, and the person where one is asked in the end."""
        asked = {rung for route in self.ladder.routes.values() for rung in route.ask}
        modes = {mode for route in self.ladder.routes.values() for mode in (route.mode, route.rollout)}
        if asked and ("person_on_conflict" in modes or self.ladder.on_low_confidence == PERSON):
            asked.add(PERSON)
        return asked

    def _rungs(self) -> None:
        asked = self._asked()
        for rung in self.ladder.rungs:
            if rung not in asked:
                expected = "a route under policy.routes that asks it"
                self._unused(("policy", "rungs", rung), "a rung that no route asks", expected, "unused-rung")

    def _prompts(self) -> None:
        used = dict(self._used_prompts())
        known = {*self.definition.prompts, *self.prompt_files}
        for name, path in used.items():
            if name not in known and name != SUPERVISOR_PROMPT:
                found, expected = f"prompt {name!r}", "a text under `prompts`, or a file of this name in prompts/"
                self.problems.add(path, found, expected, level="warning", code="missing-prompt")
        for name in sorted(known - set(used)):
            texts = (text for other, text in self.definition.prompts.items() if other != name)
            if not any(name in text for text in texts):
                self._unused_prompt(name)

    def _used_prompts(self) -> Iterator[tuple[str, Path]]:
        for step in self.definition.steps.values():
            if isinstance(step.effect, CallEffect) and step.effect.prompt:
                yield step.effect.prompt, ("phases", step.phase, "steps", step.name, "prompt")
        for rung in self.ladder.rungs.values():
            if rung.models:
                yield rung.prompt, ("policy", "rungs", rung.name, "prompt")

    def _unused_prompt(self, name: str) -> None:
        expected = "a step or rung with this prompt"
        if name in self.definition.source.get("prompts", {}):
            self._unused(("prompts", name), "a prompt that nothing refers to", expected, "unused-prompt")
            return
        found, file = "a prompt file that nothing refers to", self.problems.file
        self.problems.found.append(Problem(f"prompts/{name}", found, expected, file, 0, "warning", "unused-prompt"))

    def _unused(self, path: Path, found: str, expected: str, code: str) -> None:
        self.problems.add(path, found, expected, level="warning", code=code)
