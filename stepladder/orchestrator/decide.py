"""Concluding: what follows from a state, by the rules and the ladder. Pure, and run again at every replay."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stepladder.clauses import Facts
from stepladder.decision import Option, Question, answer_decision, join_shadow, open_decision
from stepladder.errors import IllegalAction
from stepladder.orchestrator.facts import with_measures, with_signals
from stepladder.orchestrator.judging import judgement
from stepladder.orchestrator.machine import Machine
from stepladder.orchestrator.margin import rule_margin
from stepladder.orchestrator.progress import in_circles, taken_here
from stepladder.record import STOP, AnyEntry, Opened, Settled, Verdict
from stepladder.rules import Choice, choose
from stepladder.state import Asking, RunState
from stepladder.workflow.definition import Approval, CallEffect

Entries = tuple[AnyEntry, ...]

NO_RULE = "no rule holds here whose action is legal"
CLOSE = 1e-6
"""Seconds that sums of times may be wrong by."""


def decide(machine: Machine, state: RunState) -> Entries:
    """What is concluded now; () when something must be awaited first, or the run has ended."""
    if state.shadow_answers:
        return _shadow(machine, state)
    if state.status != "working":
        return ()
    if state.judging:
        return (judgement(machine, state),)
    if state.asking is not None:
        return _go_on(machine, state, state.asking)
    if state.approving is not None:
        return ()
    if state.outstanding and (not state.shadows or any(number not in state.shadows for number in state.outstanding)):
        return _stop_working(machine, state)
    if state.choosing:
        return _select_agent(machine, state)
    return _next_action(machine, state)


def _next_action(machine: Machine, state: RunState) -> Entries:
    facts, changed, broken = with_signals(machine, state)
    options, blocked = machine.legal(state.step, facts, state.refused)
    choice = choose(machine.rules[state.step], facts, options)
    limit, used_up = _limit(machine, state), None
    if facts["no_progress"]:
        used_up = _used_up(machine, state)
        limit = limit or (used_up.get(choice.rule.do, "") if choice.rule else "")
    if "rule_margin" in machine.measured:
        measure_margin(machine, state, facts)
    verdict = Verdict(STOP, reason=limit) if limit else _verdict(machine, state, choice, facts)
    question = Question(
        n=_number(state),
        step=state.step,
        facts=facts,
        options=options,
        verdict=verdict,
        stop=machine.limits.then,
        now=state.now,
        next_command=state.next_command,
        rule="" if limit or choice.rule is None else choice.rule.name,
        passed_over=choice.passed_over,
        blocked=blocked,
        signals=changed,
        broken=broken,
        limit=limit,
        used_up=used_up,
        models_closed=_models_closed(machine, state),
        run_key=state.run_id,
        settles=choice.rule.settles if choice.rule and not limit else (),
    )
    return _taken(machine, state, open_decision(machine.policy.ladder, question), facts)


def _number(state: RunState) -> int:
    return state.opened + 1 if state.asking is None else state.asking.opened.n


def _verdict(machine: Machine, state: RunState, choice: Choice, facts: Facts) -> Verdict:
    if choice.rule is None:
        return Verdict(STOP, reason=NO_RULE)
    arguments = machine.policy.arguments[state.step, choice.rule.name]
    parameters = arguments.resolve(facts) if arguments else {}
    return Verdict(choice.rule.do, parameters, choice.rule.because)


def measure_margin(machine: Machine, state: RunState, facts: Facts) -> None:
    """Put `rule_margin` among the facts, where there is one."""

    def action(others: Facts) -> str:
        legal, _ = machine.legal(state.step, others, state.refused)
        found = choose(machine.rules[state.step], others, legal).rule
        return found.do if found else STOP

    guards = [clause for move in machine.moves[state.step] for clause in move.guard.clauses]
    clauses = [*guards, *(clause for rule in machine.rules[state.step] for clause in rule.when.clauses)]
    margin = rule_margin(clauses, facts, action, machine.score_ranges)
    if margin is not None:
        facts["rule_margin"] = margin


def _select_agent(machine: Machine, state: RunState) -> Entries:
    effect = machine.definition.steps[state.step].effect
    assert isinstance(effect, CallEffect), "agents are chosen for a calling step"
    facts, changed, broken = with_signals(machine, state)
    choice = choose(machine.agent_rules[state.step], facts, effect.agents)
    assert choice.rule is not None, "the last rule always holds"
    question = Question(
        n=_number(state),
        step=state.step,
        facts=facts,
        options={agent: Option(agent, state.step) for agent in effect.agents},
        verdict=Verdict(choice.rule.do, reason=choice.rule.because),
        stop=machine.limits.then,
        now=state.now,
        next_command=state.next_command,
        rule=choice.rule.name,
        point="select_agent",
        signals=changed,
        broken=broken,
        run_key=state.run_id,
    )
    return open_decision(machine.rules_only, question)


def _go_on(machine: Machine, state: RunState, asking: Asking) -> Entries:
    """What an open decision comes to, less what the journal holds already."""
    if asking.asked is None:  # the journal ends behind `opened`
        entries = _select_agent(machine, state) if state.choosing else _next_action(machine, state)
        shadowed = any(other.opened.n == asking.opened.n for other in state.shadows.values())
        return asking.unrecorded(entries, shadowed=shadowed)
    if asking.received:
        question = reopened(machine, state, asking)
        if entries := answer_decision(machine.policy.ladder, question, asking):
            return _taken(machine, state, entries, question.facts)
    if limit := _working_limit(machine, state):
        stopped = Settled(asking.opened.n, STOP, machine.limits.then, limit, source="limit")
        return _taken(machine, state, (stopped,), {})
    return ()


def reopened(machine: Machine, state: RunState, asking: Asking) -> Question:
    """The question of an open decision: its legal set and verdict as fixed, limits and budget as they are now."""
    opened = asking.opened
    return Question(
        n=opened.n,
        step=opened.step,
        facts=with_measures(machine, state),
        options=options_of(machine, opened),
        verdict=opened.verdict,
        stop=machine.limits.then,
        now=state.now,
        next_command=state.next_command,
        rule=opened.rule,
        limit=_working_limit(machine, state),
        used_up=_used_up(machine, state),
        models_closed=_models_closed(machine, state),
        run_key=state.run_id,
    )


def _stop_working(machine: Machine, state: RunState) -> Entries:
    """An effect is awaited; only the working-time limit can end that."""
    limit = _working_limit(machine, state)
    return _next_action(machine, state) if limit else ()


def _shadow(machine: Machine, state: RunState) -> Entries:
    event = state.shadow_answers[0]
    asking = state.shadows[event.command]
    return (join_shadow(asking, event, options_of(machine, asking.opened)),)


def options_of(machine: Machine, opened: Opened) -> dict[str, Option]:
    """The legal set as it was fixed."""
    moves = {move.option.action: move.option for move in machine.moves[opened.step]}
    return {action: moves[action] for action in opened.legal}


# --- limits, approvals, and the live transition


def _limit(machine: Machine, state: RunState) -> str:
    if state.decisions >= machine.limits.decisions:
        return decisions_reached(machine.limits.decisions)
    return _working_limit(machine, state)


def decisions_reached(limit: int) -> str:
    """What is said where the limit of decisions forces STOP."""
    return f"limit of {limit} decision{'' if limit == 1 else 's'} reached"


def _working_limit(machine: Machine, state: RunState) -> str:
    limit = machine.limits.working_s
    if limit is None or state.resting or state.working_s < limit - CLOSE:
        return ""
    return f"limit of {limit:g} s of working time reached"


def _used_up(machine: Machine, state: RunState) -> dict[str, str]:
    """The actions that would only go on in circles, and what is said when STOP is taken instead."""
    most = machine.limits.no_progress.end
    if most is None:
        return {}
    taken = taken_here(state).items()
    return {action: in_circles(state.step, action, times) for action, times in taken if times >= most}


def _models_closed(machine: Machine, state: RunState) -> str:
    limit = machine.limits.usd
    return "" if limit is None or state.usd < limit else f"budget of ${limit:g} is spent"


def _taken(machine: Machine, state: RunState, entries: Entries, facts: Facts) -> Entries:
    """Take the transition of what was settled, and see whether a person has to approve it first."""
    if not entries or not isinstance(settled := entries[-1], Settled):
        return entries
    arrived = machine.take(state.step, settled.action)
    if arrived != settled.to:
        raise IllegalAction(state.step, settled.action)
    approval = _approval(machine, state, settled, facts)
    if approval is None:
        return entries
    until = None if approval.deadline_s is None else state.now + approval.deadline_s
    return (*entries[:-1], replace(settled, approval=approval.name, approve_by=until))


def _approval(machine: Machine, state: RunState, settled: Settled, facts: Facts) -> Approval | None:
    if not machine.policy.approvals or settled.source in ("limit", "person") or settled.action == STOP:
        return None
    steps = machine.definition.steps
    phase = steps[settled.to].phase if settled.to in steps else ""
    entered: tuple[Any, ...] = (settled.to, phase if phase != steps[state.step].phase else settled.to)
    for each in machine.policy.approvals:
        if each.entering in entered and each.when.holds(facts):
            return each
    return None
