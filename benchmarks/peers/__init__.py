"""One small module per peer, imported only when it is measured.

Each has

* `NAME` and `DETAIL`: what it is, and in which configuration it was measured;
* `make()`: builds what may be shared by runs (graph, machine) and returns a function that makes one whole run on
  fresh run objects and returns the steps it visited, read from the trail in its final state, `done` included;
* where one run needs something built or entered that is no step, `make_setup()`: a function that does only that.

Every peer is given the fastest documented way of running this workload, and takes its decisions by its own means, from
the scores in the state. What was tried and was slower stands at the top of its module.
"""

import os

# Read by the peers when they are imported: nothing here may call home, or trace.
os.environ.update(
    LANGSMITH_TRACING="false",
    LANGSMITH_TRACING_V2="false",
    LANGCHAIN_TRACING_V2="false",
    BURR_TELEMETRY_ENABLED="false",
    LOGFIRE_SEND_TO_LOGFIRE="false",
    OTEL_SDK_DISABLED="true",
)
