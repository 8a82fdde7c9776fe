"""What-if at a look: `python benchmarks/whatif.py [--recordings DIR] [--rows N]`.

200 settings over a million decisions, each with the first changed decision of every run, and one setting over all
recordings once they are loaded. Every figure is the median of the rounds; the answers of the first and the last setting
are held against a count one decision at a time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from rich.console import Console

from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf
from stepladder.evaluation.columns import Columns
from stepladder.evaluation.pasts import past_of_recordings
from stepladder.evaluation.whatif import Past, WhatIf, past_of

SETTINGS = 200
FLOOR_S, GOAL_S, ONE_S = 1.0, 0.25, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description="What-if at a look.")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="recorded runs")
    parser.add_argument("--rows", type=int, default=1_000_000, help="decisions (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each figure (default: %(default)s)")
    options = parser.parse_args()
    console = Console(highlight=False)
    past, tried = made_up(options.rows), settings()
    hold_against_a_count(past, tried)
    taken = median_s(lambda: WhatIf(past).ask_all(tried), options.rounds)
    met = "goal met" if taken <= GOAL_S else "floor met" if taken <= FLOOR_S else "floor missed"
    console.print(f"{SETTINGS} settings over {past.rows:,} decisions of {len(past.runs):,} runs: {taken:.3f} s ({met})")
    if options.recordings is None:
        console.print("no --recordings: one setting over recordings is skipped")
        return
    one = Classifier(AnyOf({"again": ["repeated_calls >= 3"]}), AnyOf({"error": ["consecutive_errors > 0"]}))
    recorded = past_of_recordings(sorted(options.recordings.glob("*.jsonl.gz")), [one])
    taken = median_s(lambda: WhatIf(recorded).ask("one", one), options.rounds)
    told = f"one setting over {len(recorded.runs):,} recordings of {recorded.rows:,} steps: {taken * 1000:.1f} ms"
    console.print(f"{told} ({'met' if taken <= ONE_S else 'missed'})")


def made_up(rows: int) -> Past:
    random = np.random.default_rng(0)
    lengths = random.integers(5, 40, rows // 5)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), rows))]
    lengths = np.append(lengths, rows - lengths.sum())
    arrays = {
        "error_count": random.poisson(1.0, rows),
        "consecutive_errors": random.poisson(0.3, rows),
        "repeated_calls": 1 + random.poisson(0.5, rows),
        "repeated_results": 1 + random.poisson(0.4, rows),
        "score": random.random(rows),
    }
    base = random.random(rows)
    failed = random.random(len(lengths)) < 0.3
    return past_of(Columns.of_arrays(arrays), lengths, base < 0.02, (base > 0.02) & (base < 0.1), failed=failed)


def settings() -> dict[str, Classifier]:
    """Different ones; the threshold of `score`, a number with as many values as rows, is another one in each."""
    random = Random(1)
    draw = random.randrange
    return {
        str(number): Classifier(
            AnyOf({"failing": [f"error_count > {draw(2, 6)}"], "poor": [f"score < {random.random() / 50:.6f}"]}),
            AnyOf(
                {
                    "row": [f"consecutive_errors > {draw(3)}"],
                    "calls": [f"repeated_calls >= {draw(2, 6)}", f"repeated_results >= {draw(2, 5)}"],
                }
            ),
        )
        for number in range(SETTINGS)
    }


def hold_against_a_count(past: Past, tried: dict[str, Classifier]) -> None:
    """Raises AssertionError where an answer is not what counting gives."""
    asking, was = WhatIf(past), past.hybrid.flags().astype(int) + 2 * past.complex.flags()
    for name in (next(iter(tried)), list(tried)[-1]):
        answer, classifier = asking.ask(name, tried[name]), tried[name]
        now = np.zeros(past.rows, int)
        for code, any_of in ((1, classifier.hybrid), (2, classifier.complex)):
            for condition in any_of.named.values():
                holds = np.logical_and.reduce([past.columns.holds(each).flags() for each in condition.clauses])
                now[holds] = code
        run = np.repeat(np.arange(len(past.length)), past.length)
        differ = np.flatnonzero(now != was)
        runs, places = np.unique(run[differ], return_index=True)
        assert list(answer.at.items()) == [
            (past.runs[place], row - past.first[place]) for place, row in zip(runs, differ[places], strict=True)
        ]
        after = sum(
            past.first[place] + past.length[place] - 1 - row for place, row in zip(runs, differ[places], strict=True)
        )
        assert (answer.changed, answer.unknown) == (len(runs), after)
        assert answer.up == int((now > was)[differ[places]].sum())
        assert answer.escalates == int((now == 2).sum())


def median_s(call: Callable[[], object], rounds: int) -> float:
    call()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
