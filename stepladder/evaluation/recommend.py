"""What a workflow's history says about its rules, classifier, rungs and limits: each with the evidence and the command
that would look closer or apply it.

No share counts by itself: what counts is what it surely (Wilson, 95%) exceeds, of at least `FEWEST` decisions. Money
needs as many answers that were paid for.
"""

from __future__ import annotations

import operator
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from stepladder.clauses import Reading
from stepladder.evaluation.accepted import Watched
from stepladder.evaluation.intervals import lower_bound, wilson
from stepladder.evaluation.trial_runs import PastRun
from stepladder.orchestrator import DecisionRecord

_THRESHOLD: Final = re.compile(r"(\S+) ([<>]=?) -?[0-9.e+-]+")
FEWEST: Final = 20
About = Literal["rule", "classifier", "rung", "limit", "cost"]


class Recommendation(msgspec.Struct, frozen=True):
    """What to change (`about` what kind of thing, by `name`), why, and the command; what it would save, where known."""

    about: About
    name: str
    says: str
    evidence: str
    command: str
    saves_usd: float | None = None


def recommend(
    runs: Iterable[PastRun],
    file: str = "workflow.yaml",
    where: Sequence[str] = (),
    mined: Iterable[Watched] = (),
    policy: Mapping[str, Any] | None = None,
) -> list[Recommendation]:
    """Everything that these runs of one workflow say, what saves most first.

    The commands name the workflow's `file`, and the options `where` its runs are (`--journal FILE`). `mined` are the
    mined rules of the file with what came since, as `reviewed` has them; `policy` is what the file says of it, so that
    a command can change what is there.
    """
    kept, at = list(runs), _At(shlex.quote(file), "".join(f" {shlex.quote(each)}" for each in where), policy or {})
    records = [each for _, each in _decisions(kept)]
    found = [
        *_reviewed(mined, at),
        *_overruled(records, at),
        *_needless(records, at),
        *_failing(kept, at),
        *_limits(kept, at),
        *_costs(kept, records, at),
    ]
    return sorted(found, key=lambda each: -(each.saves_usd or 0.0))


def _decisions(runs: Iterable[PastRun]) -> Iterator[tuple[PastRun, DecisionRecord]]:
    for run in runs:
        yield from ((run, each) for each in run.records if each.opened.point == "next_action" and each.settled)


class _At(NamedTuple):
    """What the commands name: the workflow's file, the options that say where its runs are, and its policy."""

    file: str
    where: str
    policy: Mapping[str, Any]

    def value(self, key: str) -> Any:
        """What the file's policy has under this key, with dots; None where it has nothing."""
        found: Any = self.policy
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found


def _reviewed(rules: Iterable[Watched], at: _At) -> Iterable[Recommendation]:
    """Mined rules that later runs speak for, or against."""
    for each in rules:
        if each.fate in ("promote", "retire"):
            does = "can decide alone" if each.fate == "promote" else "no longer does what models choose"
            yield Recommendation(
                "rule",
                f"{each.step}.{each.name}",
                f"mined rule {each.name} in {each.step} {does}: {each.fate} it",
                each.because,
                f"stepladder mine --review {at.file} --apply{at.where}",
            )


def _overruled(records: Sequence[DecisionRecord], at: _At) -> Iterable[Recommendation]:
    """Rules that models or people overrule more often than not."""
    asked, over, instead = Counter[tuple[str, str]](), Counter[tuple[str, str]](), dict[tuple[str, str], Counter[str]]()
    usd = defaultdict[tuple[str, str], float](float)
    for each in records:
        key = each.opened.step, each.opened.rule or "STOP"
        if each.answered and each.settled and each.settled.relation in ("agreement", "override", "kept"):
            asked[key] += 1
            usd[key] += each.cost_usd
            if each.settled.relation == "override":
                over[key] += 1
                instead.setdefault(key, Counter())[each.settled.action] += 1
    for (step, rule), n in asked.items():
        hits = over[step, rule]
        if n >= FEWEST and lower_bound(hits, n) > 0.5:
            action, times = instead[step, rule].most_common(1)[0]
            yield Recommendation(
                "rule",
                f"{step}.{rule}",
                f"rule {rule} in {step} is overruled more often than not, mostly by {action}",
                f"overruled in {hits} of {n} decisions in which somebody was asked, surely {lower_bound(hits, n):.0%}; "
                f"{action} {times} times",
                f"stepladder mine --workflow {at.file}{at.where}",
                usd[step, rule],
            )


class _Asked(NamedTuple):
    """A decision that somebody was asked about for this reason: what it saw, whether they said what the rule says."""

    seen: tuple[Reading, ...]
    same: bool
    usd: float


def _needless(records: Sequence[DecisionRecord], at: _At) -> Iterable[Recommendation]:
    """Reasons of the classifier where models nearly always say what the rule says, up to some value at least."""
    asked = defaultdict[tuple[str, str], list[_Asked]](list)
    for each in records:
        if each.opened.route == "standard" or not each.answered:
            continue
        for fired in each.opened.fired[:1]:
            same = bool(each.settled and each.settled.relation == "agreement")
            asked[each.opened.route, fired.name].append(_Asked(fired.readings, same, each.cost_usd))
    for (route, name), all_ in asked.items():
        fewer = _fewer(all_)
        if fewer is None:
            continue
        of, clause = fewer
        n, hits, there = len(of), sum(each.same for each in of), "" if len(of) == len(all_) else " there"
        looks = all_[-1].seen[0].clause if all_[-1].seen else name
        looked = f"stepladder whatif --workflow {at.file} --set {shlex.quote(clause or looks)}{at.where}"
        key = f"classifier.{route}.{name}"
        change = shlex.quote(f"{key}=[{clause}]") if clause else f"--remove {shlex.quote(key)}"
        known = at.value(key) == [each.clause for each in all_[-1].seen]
        yield Recommendation(
            "classifier",
            name,
            f"who is asked because of {name} says what the rule says" + (f", unless {clause}" if there else ""),
            f"agreed in {hits} of {n} decisions{there}, surely {lower_bound(hits, n):.0%}",
            f"stepladder set {at.file} {change}   # look first: {looked}"
            if known
            else f"{looked}   # a higher threshold",
            sum(each.usd for each in of),
        )


def _fewer(asked: Sequence[_Asked]) -> tuple[list[_Asked], str] | None:
    """The decisions that need not be asked about, and the clause that asks about the others; None where there are none.

    Where the reason is one threshold that is the farthest value up to which models surely (95%) agree in over 95%,
    and in as many at that value itself; beyond what was seen people go on to be asked.
    """
    seen = asked[-1].seen
    found = _THRESHOLD.fullmatch(seen[0].clause) if len(seen) == 1 else None
    if found is None:
        return (list(asked), "") if _surely(asked) else None
    sign = 1 if found[2][0] == ">" else -1
    here = [each for each in asked if [one.clause for one in each.seen] == [seen[0].clause]]
    for value in sorted({sign * each.seen[0].value for each in here}, reverse=True):
        of, there = (
            [each for each in here if test(sign * each.seen[0].value, value)] for test in (operator.le, operator.eq)
        )
        if _surely(of) and sum(each.same for each in there) >= 0.95 * len(there):
            return of, f"{found[1]} {found[2][0]} {sign * value:.12g}"
    return None


def _surely(asked: Sequence[_Asked]) -> bool:
    return len(asked) >= FEWEST and lower_bound(sum(each.same for each in asked), len(asked)) > 0.95


class _Tried(msgspec.Struct):
    """A rung under one prompt: its answers, those that could not be used, why, and the newest run of these."""

    answers: int = 0
    lost: int = 0
    why: Counter[str] = msgspec.field(default_factory=Counter)
    newest: str = ""


def _failing(runs: Sequence[PastRun], at: _At) -> Iterable[Recommendation]:
    """Rungs that often give nothing that can be used under their newest prompt: the prompt, model or deadline."""
    tried = defaultdict[tuple[str, str], _Tried](_Tried)
    newest = dict[str, str]()
    for run, each in _decisions(runs):
        prompts = {rung.rung: rung.prompt for rung in each.asked if rung.models}
        newest |= prompts
        for answer in each.answered:
            if answer.rung in prompts and answer.outcome != "vote":
                found = tried[answer.rung, prompts[answer.rung]]
                found.answers += 1
                if answer.outcome in ("failed", "invalid"):
                    found.lost += 1
                    found.why[re.split("[:;]", answer.cause)[0]] += 1
                    found.newest = run.run_id
    for rung, prompt in newest.items():
        found = tried[rung, prompt]
        n, lost = found.answers, found.lost
        if n < FEWEST or lower_bound(lost, n) <= 0.05:
            continue
        cause, times = found.why.most_common(1)[0]
        evidence = (
            f"{lost} of {n} answers failed or were invalid, surely {lower_bound(lost, n):.0%}; {cause} {times} times"
        )
        look = f"stepladder show {shlex.quote(found.newest)}{at.where}"
        command = f"{look}   # the newest of them; after a change of the prompt `ab --by prompt` compares both"
        others = {name: each for (other, name), each in tried.items() if other == rung and each.answers >= FEWEST}
        best = min(others, key=lambda name: wilson(others[name].lost, others[name].answers).high)
        better = others[best]
        if (
            wilson(better.lost, better.answers).high < wilson(lost, n).low
            and at.value(f"rungs.{rung}.prompt") == prompt
        ):
            evidence += f"; under {best} it were {better.lost} of {better.answers}"
            command = f"stepladder set {at.file} {shlex.quote(f'rungs.{rung}.prompt={best}')}   # look first: {look}"
        says = f"rung {rung} (prompt {prompt}) often gives nothing that can be used"
        yield Recommendation("rung", rung, says, evidence, command)


def _limits(runs: Sequence[PastRun], at: _At) -> Iterable[Recommendation]:
    """Limits that end runs. One is to be raised where runs that ended well came near it; otherwise runs go in circles,
    or dwell, and are to be looked at."""
    if len(runs) < FEWEST:
        return
    ends, newest = Counter[str](), dict[str, str]()
    for run in runs:
        stopped = [each for each in run.records if each.settled and each.settled.source == "limit"]
        if stopped:
            ends[stopped[-1].reason] += 1
            newest[stopped[-1].reason] = run.run_id
    for reason, hits in ends.items():
        low, high = wilson(hits, len(runs))
        if lower_bound(hits, len(runs)) > 0.05:
            near, command = _raised(runs, reason, at)
            yield Recommendation(
                "limit",
                reason,
                f"a limit often ends runs: {reason}",
                f"{hits} of {len(runs)} runs ({low:.0%} to {high:.0%}) ended there{near}",
                command or f"stepladder show {shlex.quote(newest[reason])}{at.where}   # the newest of them",
            )


def _raised(runs: Sequence[PastRun], reason: str, at: _At) -> tuple[str, str]:
    """How near to the limit the runs came that ended well, and the command that doubles it if that was over half."""
    for name, pattern in _REASONS.items():
        if found := re.match(pattern, reason):
            limit, most = float(found[1]), max((_used(run, name) for run in runs if run.success), default=0.0)
            near = f"; of those that ended well, none used more than {most:.3g}"
            raised = f"stepladder set {at.file} limits.{name}={2 * limit:.12g}   # it is {limit:.12g}"
            return near, raised if most > limit / 2 else ""
    return "", ""


_REASONS: Final = {
    "decisions": r"limit of (\d+) decisions? reached",
    "working_s": r"limit of (\S+) s of working time reached",
    "usd": r"budget of \$(\S+) is spent",
}
"""How the reason of a STOP names the limit that forced it."""


def _used(run: PastRun, limit: str) -> float:
    if limit == "decisions":
        return len(run.records) if run.counted is None else run.counted
    working_s = run.time_s if run.working_s is None else run.working_s
    return (working_s if limit == "working_s" else run.usd) or 0.0


def _costs(runs: Sequence[PastRun], records: Sequence[DecisionRecord], at: _At) -> Iterable[Recommendation]:
    """Money for answers that changed nothing."""
    spent = sum(each.cost_usd for each in records)
    same = sum(each.cost_usd for each in records if each.settled and each.settled.relation in ("agreement", "kept"))
    answers = sum(bool(each.cost_usd) for each in records)
    if answers >= FEWEST and same > 0.5 * spent:
        yield Recommendation(
            "cost",
            "answers",
            "most of what models cost goes into answers that change nothing",
            f"${same:.4g} of ${spent:.4g} in {len(runs)} runs were for answers that agreed with the rule or lost to it",
            f"stepladder mine --workflow {at.file}{at.where}   # rules that settle what is always answered the same",
            same,
        )
