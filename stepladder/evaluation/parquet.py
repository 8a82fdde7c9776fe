"""What was judged, as a Parquet file: a row for each step, for notebooks and other tools. Needs pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from stepladder.errors import InputError, cause_of
from stepladder.evaluation.agent_policy import AgentPolicy
from stepladder.evaluation.extras import needed
from stepladder.evaluation.steps import Read
from stepladder.evaluation.verdicts import ROUTES

FORMAT: Final = "1"


def write_columns(read: Read, policy: AgentPolicy, file: Path) -> None:
    """Write run, place in it, route, risk, and every signal that was folded.

    What came of the runs is not among the columns: nothing that reads them can decide on it.

    Raises:
        InputError: the file cannot be written.
        StepladderError: pyarrow is not installed.
    """
    arrow = needed("pyarrow", "writing columns")
    parquet = needed("pyarrow.parquet", "writing columns")
    codes, risk = policy.routes(read.steps)
    runs = arrow.DictionaryArray.from_arrays(read.steps.run.astype(np.int32), list(read.truth.run))
    routes = arrow.DictionaryArray.from_arrays(codes.astype(np.int8), list(ROUTES))
    columns = {"run": runs, "step": read.steps.place.astype(np.int32), "route": routes, "risk": risk}
    columns |= {name: values for name, values in read.steps.values.items() if name not in columns}
    table = arrow.table(columns).replace_schema_metadata({"stepladder": FORMAT, "recordings": read.digest})
    try:
        parquet.write_table(table, str(file), compression="zstd")
    except OSError as error:
        raise InputError("columns", str(file), cause_of(error), "a file to write") from None
