"""The policy part of a workflow file: rules, limits, classifier, rungs, routes, approvals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stepladder.classifier import DEFAULT, Classifier
from stepladder.decision import Attachments, Ladder, Route, Rung
from stepladder.decision.point import CACHE, MEDIA_TYPE, PERSON
from stepladder.fallback import Link, Retry
from stepladder.rules import Rule
from stepladder.workflow.arguments import Arguments
from stepladder.workflow.compiler import Compiler, Key
from stepladder.workflow.definition import Approval, Limits, Move, NoProgress, Policy
from stepladder.workflow.economy import CACHING_KEYS, budget_of, caching_of, check_model_name
from stepladder.workflow.file import RuleFile, WorkflowFile
from stepladder.workflow.policy_file import ApprovalFile, LinkFile, RouteFile, RungFile
from stepladder.workflow.problems import shown
from stepladder.workflow.schemas import misfit
from stepladder.workflow.targets import targets_of

SUPERVISOR_PROMPT: Final = "supervisor@1"
MODEL_DEADLINE_S: Final = 5.0
"""What a rung of models has where the file does not say."""
ANSWER: Final = frozenset({"agrees", "confidence", "action"})
"""What `accept` and `quality` can read of an answer."""
FAILURE: Final = frozenset({"failure", "sign", "class"})
"""What `when` can read of what went wrong before."""


class PolicyBuilder:
    """Builds the policy of one file. `moves` lead out of each step, `broken` are actions whose source is unknown."""

    def __init__(
        self, file: WorkflowFile, compiler: Compiler, moves: Mapping[str, tuple[Move, ...]], broken: frozenset[str]
    ) -> None:
        self.file, self.compiler, self.moves, self.broken = file, compiler, moves, broken
        self.problems = compiler.problems
        self.no_person_said = False

    def build(self) -> Policy:
        """The policy, its hash still to be made."""
        arguments: dict[tuple[str, str], Arguments] = {}
        rules = {step: self._rules(step, listed, arguments) for step, listed in self.file.rules.items()}
        select = {step: self._select_agent(step, listed) for step, listed in self.file.select_agent.items()}
        approvals = tuple(self._approval(name, each) for name, each in self.file.policy.approvals.items())
        return Policy("", rules, arguments, select, self._limits(), self._ladder(), approvals)

    # --- rules

    def _rules(
        self, step: str, listed: Mapping[str, RuleFile], arguments: dict[tuple[str, str], Arguments]
    ) -> tuple[Rule, ...]:
        path: Key = ("rules", step)
        if step not in self.moves:
            self.problems.unknown(path, "step", step, self.moves)
        for name, each in listed.items():
            given = self.compiler.arguments(each.with_, (*path, name, "with"), by_rule=True)
            if self._known_action(step, each.do, (*path, name, "do")):
                self._parameters(each, given, (*path, name))
            arguments[step, name] = given
        return tuple(self._rule(name, each, (*path, name)) for name, each in listed.items())

    def _known_action(self, step: str, action: str, path: Key) -> bool:
        here = [move.option.action for move in self.moves.get(step, ())]
        if action not in self.file.actions:
            self.problems.unknown(path, "action", action, self.file.actions)
            return False
        if step in self.moves and action not in here and action not in self.broken:
            leading = ", ".join(sorted(here)) or "none does"
            self.problems.add(path, f"action {action!r}", f"an action that leads out of {step}: {leading}")
        return True

    def _parameters(self, each: RuleFile, given: Arguments, path: Key) -> None:
        entries = self.file.actions[each.do]
        known = next((entry.parameters for entry in entries if entry.parameters), {})
        for name in each.with_:
            if name not in known:
                self.problems.unknown((*path, "with", name), f"parameter of {each.do}", name, known)
            elif name in given.literals and (wrong := misfit(name, known[name], given.literals[name])):
                expected = f"a value that fits the parameter of {each.do} ({wrong})"
                self.problems.add((*path, "with", name), shown(given.literals[name]), expected)

    def _rule(self, name: str, each: RuleFile, path: Key) -> Rule:
        condition = self.compiler.condition(each.when, (*path, "when"))
        return Rule(name, each.do, condition, each.because, each.with_, tuple(each.settles), each.shadow)

    def _select_agent(self, step: str, listed: Mapping[str, RuleFile]) -> tuple[Rule, ...]:
        path: Key = ("select_agent", step)
        phase = next((phase for phase in self.file.phases.values() if step in phase.steps), None)
        if phase is None:
            self.problems.unknown(path, "step", step, self.moves)
            return ()
        candidates = phase.steps[step].agent or []
        if len(candidates) < 2:
            self.problems.add(path, f"rules that choose an agent for {step!r}", "a step with several agents")
            return ()
        for name, each in listed.items():
            if each.do not in candidates:
                self.problems.unknown((*path, name, "do"), "agent of this step", each.do, candidates)
            for key, said in (("with", each.with_), ("settles", each.settles), ("shadow", each.shadow)):
                if said:
                    wrong = f"key {key!r}", "no such key here: choosing takes no parameters and asks nobody"
                    self.problems.add((*path, name, key), *wrong)
        return tuple(self._rule(name, each, (*path, name)) for name, each in listed.items())

    # --- limits and approvals

    def _limits(self) -> Limits:
        limits, ends = self.file.policy.limits, self.file.ends
        failing = [name for name, end in ends.items() if not end.success]
        path: Key = ("policy", "limits", "then")
        if limits.then is None and len(failing) != 1:
            expected = f"one of: {', '.join(failing)}" if failing else "define an end with success: false"
            self.problems.add(path, "nothing", f"the end that STOP leads to ({expected})")
        elif limits.then in ends and limits.then not in failing:
            expected = ", ".join(failing) or "none is defined"
            self.problems.add(path, f"end {limits.then!r}, which succeeds", f"an end with success: false ({expected})")
        elif limits.then is not None and limits.then not in failing:
            self.problems.unknown(path, "end", limits.then, failing)
        then = limits.then or (failing[0] if failing else "")
        return Limits(then, limits.decisions, limits.usd, limits.working_s, self._no_progress())

    def _no_progress(self) -> NoProgress:
        said = self.file.policy.limits.no_progress
        if said.model_fields_set >= {"escalate", "end"} and said.escalate and said.end and said.escalate >= said.end:
            path: Key = ("policy", "limits", "no_progress", "escalate")
            self.problems.add(
                path, str(said.escalate), f"less than end ({said.end}), or null: it would never be reached"
            )
        return NoProgress(said.escalate, said.end)

    def _approval(self, name: str, each: ApprovalFile) -> Approval:
        path: Key = ("policy", "approvals", name)
        places = [*self.file.phases, *self.moves, *self.file.ends]
        if each.entering not in places:
            self.problems.unknown((*path, "entering"), "phase, step or end", each.entering, places)
        return Approval(name, each.entering, self.compiler.condition(each.when, (*path, "when")), each.deadline_s)

    # --- the ladder

    def _ladder(self) -> Ladder:
        file = self.file.policy
        rungs = {name: self._rung(name, rung) for name, rung in file.rungs.items()}
        routes: dict[str, Route] = {name: self._route(name, route) for name, route in file.routes.items()}
        if file.on_low_confidence == "person":
            self._needs_person(("policy", "on_low_confidence"))
        budget = budget_of(file.money, self.problems)
        if budget is not None and budget.on_cap == "person":
            self._needs_person(("policy", "money", "on_cap"))
        asked = {model: None for rung in rungs.values() for model in rung.targets}
        targets = targets_of(file.models, asked, self.problems)
        hows = (file.mode, file.on_invalid, file.on_low_confidence)
        return Ladder(self._classifier(), rungs, routes, *hows, budget, targets)

    def _classifier(self) -> Classifier:
        own = self.file.policy.by_domain.get(self.file.workflow)
        named = own or self.file.policy.classifier
        path: Key = ("policy", "by_domain", self.file.workflow) if own else ("policy", "classifier")
        complex_, hybrid = (DEFAULT["complex"], DEFAULT["hybrid"]) if named is None else (named.complex, named.hybrid)
        if often := self.file.policy.limits.no_progress.escalate:
            complex_ = {**complex_, "no_progress": complex_.get("no_progress", [f"no_progress >= {often}"])}
        return Classifier(
            self.compiler.any_of(complex_, (*path, "complex")), self.compiler.any_of(hybrid, (*path, "hybrid"))
        )

    def _rung(self, name: str, rung: RungFile) -> Rung:
        path: Key = ("policy", "rungs", name)
        links = tuple(self._link(each, (*path, "chain", index)) for index, each in enumerate(rung.chain or ()))
        models = tuple(rung.models) or ((rung.model,) if rung.model else ()) or tuple(link.model for link in links[:1])
        if name in (PERSON, CACHE):
            self._no_models(rung, path, name)
        else:
            self._one_way(rung, path)
        self._models(rung, path)
        quorum = rung.quorum or len(models) // 2 + 1
        if models and quorum > len(models):
            self.problems.add((*path, "quorum"), str(quorum), f"at most {len(models)}, the number of models")
        accept = self.compiler.any_of(rung.accept, (*path, "accept"), ANSWER, "field of an answer")
        deadline = rung.deadline_s or (None if name in (PERSON, CACHE) else MODEL_DEADLINE_S)
        sent = self._attachments(rung, path)
        retry = Retry(**rung.retry.model_dump()) if rung.retry else None
        prompt, most = rung.prompt or SUPERVISOR_PROMPT, rung.max_output_tokens or 0
        caching = caching_of(name, rung, self.compiler, path)
        return Rung(name, models, quorum, prompt, deadline, accept, sent, links, retry, rung.reorder, most, caching)

    def _one_way(self, rung: RungFile, path: Key) -> None:
        """A rung says in one way who is asked."""
        said = [key for key in ("model", "models", "chain") if getattr(rung, key)]
        if not said:
            expected = "model, models or chain (only the rungs `person` and `cache` have none)"
            self.problems.add(path, "no model", expected)
        elif len(said) > 1:
            self.problems.add((*path, said[1]), f"both {said[0]} and {said[1]}", "one of them")
        if rung.reorder and len(rung.chain or ()) < 2:
            self.problems.add((*path, "reorder"), "reorder without a chain", "a chain of at least two models")

    def _link(self, link: LinkFile, path: Key) -> Link:
        when = self.compiler.any_of(link.when, (*path, "when"), FAILURE, "field of a failure")
        quality = self.compiler.any_of(link.quality, (*path, "quality"), ANSWER, "field of an answer")
        if path[-1] == 0 and link.when:
            self.problems.add(
                (*path, "when"), "a condition on the first link", "none: it is asked before anything failed"
            )
        return Link(link.model, when, quality, dict(link.fields.items()), link.timeout_s, link.window)

    def _attachments(self, rung: RungFile, path: Key) -> Attachments:
        if rung.attachments is None:
            return Attachments()
        for index, each in enumerate(rung.attachments.types):
            if not MEDIA_TYPE.fullmatch(each):
                expected = "one in lower case, such as image/png, image/* or application/pdf"
                self.problems.add((*path, "attachments", "types", index), f"media type {each!r}", expected)
        return Attachments(tuple(rung.attachments.types), rung.attachments.bytes)

    def _no_models(self, rung: RungFile, path: Key, name: str) -> None:
        has = "only deadline_s" if name == PERSON else f"only deadline_s, {', '.join(CACHING_KEYS)}"
        about_models = ("model", "models", "chain", "retry", "reorder", "quorum", "max_output_tokens")
        for key in (*about_models, "prompt", "accept", "attachments"):
            if key in rung.model_fields_set:
                self.problems.add((*path, key), f"key {key!r}", f"no such key in the rung `{name}`: {has}")
                return

    def _models(self, rung: RungFile, path: Key) -> None:
        named: list[tuple[Key, str]] = [((*path, "models", index), model) for index, model in enumerate(rung.models)]
        if rung.model is not None:
            named.append(((*path, "model"), rung.model))
        named += [((*path, "chain", index), link.model) for index, link in enumerate(rung.chain or ())]
        for place, model in named:
            check_model_name(model, place, self.problems)

    def _route(self, name: str, route: RouteFile) -> Route:
        path: Key = ("policy", "routes", name)
        for index, rung in enumerate(route.ask):
            if rung == PERSON:
                self._needs_person((*path, "ask", index))
            elif rung not in self.file.policy.rungs:
                self.problems.unknown((*path, "ask", index), "rung", rung, self.file.policy.rungs)
            if rung in route.ask[:index]:
                self.problems.add((*path, "ask", index), f"rung {rung!r} a second time", "each rung once")
            if rung == CACHE and not any(each not in (PERSON, CACHE) for each in route.ask[index + 1 :]):
                self.problems.add(
                    (*path, "ask", index), "no rung of models after `cache`", "one, whose verdicts it has"
                )
        if route.reconcile == "person_on_conflict":
            self._needs_person((*path, "reconcile"))
        rollout = route.rollout.reconcile if route.rollout else None
        if rollout == "person_on_conflict":
            self._needs_person((*path, "rollout", "reconcile"))
        share = route.rollout.share if route.rollout else 0.0
        return Route(tuple(route.ask), route.reconcile, route.confidence, rollout, share)

    def _needs_person(self, path: Key) -> None:
        """Several places may want the rung `person`; where there is none, that is one mistake."""
        if PERSON not in self.file.policy.rungs and not self.no_person_said:
            self.problems.add(path, str(PERSON), "a rung `person` under policy.rungs")
            self.no_person_said = True
