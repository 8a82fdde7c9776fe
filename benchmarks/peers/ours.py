"""stepladder as people use it: an Orchestrator, here without a journal. Every ratio is to this row.

To fill in: build the workflow and the Orchestrator once in `make`, with asynchronous agents around `workload.AGENTS`
and rules on `plan_score < ACCEPTED` and `failed_checks > 0`; then return `timing.on_loop(run_once)`, where `run_once`
starts a new run on `workload.start()` and returns the trail of its final state plus the name of the end it reached.
Say `make_setup = timing.enter_loop` below `DETAIL`.
"""

from collections.abc import Callable

NAME = "stepladder"
DETAIL = "Orchestrator built once, no journal, asynchronous"


def make() -> Callable[[], list[str]]:
    raise NotImplementedError("not there yet")
