"""What is foretold holds four times of five; what is recommended is surely so, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

from stepladder.clauses import Fired, Reading
from stepladder.evaluation.forecast import Course, forecast
from stepladder.evaluation.recommend import recommend
from stepladder.evaluation.trial_runs import PastRun
from stepladder.events import Usage
from stepladder.orchestrator import DecisionRecord, ModelCall
from stepladder.record import Answered, Asked, Opened, Settled, Verdict

STEPS = ("planning", "executing", "responding")


def course(random: np.random.Generator, number: int) -> Course:
    """Planning again and again, then the rest; each decision costs and takes something."""
    rounds = 1 + int(random.geometric(0.4))
    steps = ("planning",) * rounds + STEPS[1:]
    costs, times = random.exponential(0.01, len(steps)), random.exponential(2.0, len(steps))
    left = [float(costs[place + 1 :].sum()) for place in range(len(steps))]
    return Course(
        str(number), steps, tuple(left), tuple(float(times[place:].sum()) for place in range(len(steps))), True
    )


@pytest.mark.parametrize("at", [1, 2])
def test_four_of_five_runs_are_in_the_range(at: int) -> None:
    random = np.random.default_rng(at)
    past, inside = [course(random, number) for number in range(60)], {"decisions": 0, "usd": 0, "seconds": 0}
    fresh = [each for number in range(400) if len((each := course(random, number)).steps) > at + 1]
    for each in fresh:
        found = forecast(each.steps[at - 1], at, past)
        assert found is not None
        true = (len(each.steps) - at, each.usd_left[at - 1], each.seconds_left[at - 1])
        for name, value in zip(inside, true, strict=True):
            inside[name] += getattr(found, name).low <= value <= getattr(found, name).high
    for count in inside.values():
        assert count >= stats.binom.ppf(0.001, len(fresh), 0.75)


def test_who_is_alike() -> None:
    long = [Course(str(n), ("a", "a", "b"), (0.2, 0.1, 0.0), (9.0, 5.0, 1.0)) for n in range(12)]
    found = forecast("a", 2, long)
    assert found is not None
    assert (found.alike, found.runs, found.decisions.middle) == ("after 2 decisions, in a", 12, 1)
    assert (found.usd.middle, found.seconds.high, found.success) == (0.1, 5.0, None)
    other = forecast("b", 1, long)
    assert other is not None
    assert (other.alike, other.decisions.middle) == ("in b", 0)
    few = forecast("elsewhere", 1, long[:3])
    assert few is not None
    assert (few.alike, few.runs, few.decisions.middle) == ("of this workflow", 3, 2)
    assert forecast("a", 1, []) is None


@pytest.mark.parametrize(("runs", "known"), [(1, False), (8, False), (9, True)])
def test_few_runs_give_no_range(runs: int, known: bool) -> None:
    found = forecast("a", 1, [Course(str(n), ("a", "b"), (0.1 * n, 0.0), (float(n), 0.0)) for n in range(1, runs + 1)])
    assert found is not None
    for each in (found.decisions, found.usd, found.seconds):
        assert (each.low is not None, each.high is not None) == (known, known)
    assert found.seconds.middle == (runs + 1) / 2
    if known:
        assert (found.seconds.low, found.seconds.high) == (1.0, 9.0)


def test_a_run_that_decided_nothing_yet_has_all_before_it() -> None:
    found = forecast("a", 0, [Course("r", ("a", "b"), (0.1, 0.0), (3.0, 1.0), usd=0.3, seconds=4.0)])
    assert found is not None
    assert (found.decisions.middle, found.usd.middle, found.seconds.middle) == (2, 0.3, 4.0)


def record(relation: str, outcome: str = "accepted", source: str = "model", cause: str = "") -> DecisionRecord:
    fired = (Fired("odd", (Reading("error_count > 1", 2),)),)
    opened = Opened(1, "planning", ("RETRY", "GIVE_UP"), Verdict("GIVE_UP"), "give_up", route="hybrid", fired=fired)
    action = "RETRY" if relation == "override" else "GIVE_UP"
    settled = Settled(1, action, "planning", cause, source=source, relation=relation)  # type: ignore[arg-type]
    calls = (ModelCall(1, "first", "x:y", usage=Usage(10, 10, 0.02)),)
    asked, answered = (Asked(1, "first", (1,), ("x:y",), "p@1"),), (Answered(1, "first", outcome, 1, cause=cause),)  # type: ignore[arg-type]
    return DecisionRecord("r", opened, 0.0, asked=asked, calls=calls, answered=answered, settled=settled)


def past(*records: DecisionRecord) -> list[PastRun]:
    return [PastRun(str(number), 0.0, {}, (each,), True) for number, each in enumerate(records)]


OVER, SAME = record("override"), record("agreement", "agrees", "rule")
LOST, LIMIT = record("none", "failed", "rule", "late"), record("none", "failed", "limit", "limits.decisions")


@pytest.mark.parametrize(
    ("records", "about", "says"),
    [
        (
            [OVER] * 30 + [SAME] * 5,
            "rule",
            "rule give_up in planning is overruled more often than not, mostly by RETRY",
        ),
        ([SAME] * 80, "classifier", "who is asked because of odd says what the rule says"),
        ([SAME] * 80, "cost", "most of what models cost"),
        ([OVER] * 30 + [LOST] * 15, "rung", "rung first (prompt p@1) often gives nothing"),
        ([OVER] * 30 + [LIMIT] * 15, "limit", "a limit often ends runs: limits.decisions"),
    ],
)
def test_what_is_recommended(records: list[DecisionRecord], about: str, says: str) -> None:
    found = [each for each in recommend(past(*records), "w.yaml") if each.about == about]
    assert len(found) == 1
    assert found[0].says.startswith(says)
    assert found[0].command.startswith("stepladder ")
    assert found[0].evidence


@pytest.mark.parametrize("records", [[], [OVER] * 10, [OVER] * 15 + [SAME] * 14, [SAME] * 25 + [OVER] * 24])
def test_what_is_not_sure_is_not_recommended(records: list[DecisionRecord]) -> None:
    assert [each for each in recommend(past(*records)) if each.about != "cost"] == []


def at_errors(value: int, relation: str) -> DecisionRecord:
    one = SAME if relation == "agreement" else OVER
    fired = (Fired("odd", (Reading("error_count > 1", value),)),)
    return replace(one, opened=replace(one.opened, fired=fired))


FILE = {"classifier": {"hybrid": {"odd": ["error_count > 1"]}}}


@pytest.mark.parametrize(
    ("counts", "command"),
    [
        ({2: (80, 0), 3: (0, 30)}, "set w.yaml 'classifier.hybrid.odd=[error_count > 2]'"),
        ({2: (80, 0), 3: (80, 0), 4: (0, 1)}, "set w.yaml 'classifier.hybrid.odd=[error_count > 3]'"),
        ({2: (80, 0), 5: (40, 0)}, "set w.yaml 'classifier.hybrid.odd=[error_count > 5]'"),
        ({2: (0, 30), 3: (80, 0)}, ""),
        ({2: (15, 0), 3: (0, 30)}, ""),
    ],
)
def test_a_threshold_is_raised_as_far_as_the_evidence_goes(counts: dict[int, tuple[int, int]], command: str) -> None:
    records = [
        at_errors(value, relation)
        for value, each in counts.items()
        for relation, times in zip(("agreement", "override"), each, strict=True)
        for _ in range(times)
    ]
    found = [each for each in recommend(past(*records), "w.yaml", policy=FILE) if each.about == "classifier"]
    assert [each.command.partition("   # look first: stepladder whatif ")[0] for each in found] == (
        [f"stepladder {command}"] if command else []
    )
    elsewhere = [each for each in recommend(past(*records), "w.yaml") if each.about == "classifier"]
    assert [each.command.startswith("stepladder whatif ") for each in elsewhere] == [True] * len(found)


ENDED = record("none", "failed", "limit", "limit of 8 decisions reached")


@pytest.mark.parametrize(("most", "raised"), [(4, False), (5, True), (8, True)])
def test_a_limit_is_raised_where_good_runs_come_near_it(most: int, raised: bool) -> None:
    good = PastRun("good", 0.0, {}, (SAME,) * most, True)
    ended = [PastRun(f"over-{n}", 0.0, {}, (ENDED,), False) for n in range(15)]
    (found,) = [each for each in recommend([good] * 30 + ended, "w.yaml") if each.about == "limit"]
    assert found.evidence.endswith(f"; of those that ended well, none used more than {most}")
    assert found.command.startswith(
        "stepladder set w.yaml limits.decisions=16 " if raised else "stepladder show over-14"
    )


def test_decisions_are_counted_as_the_limit_counts_them() -> None:
    """Twelve in all, but a person answered after every third."""
    good = PastRun("good", 0.0, {}, (SAME,) * 12, True, counted=3)
    ended = [PastRun(f"over-{n}", 0.0, {}, (ENDED,), False) for n in range(15)]
    (found,) = [each for each in recommend([good] * 30 + ended, "w.yaml") if each.about == "limit"]
    assert found.evidence.endswith("none used more than 3")
    assert found.command.startswith("stepladder show")
