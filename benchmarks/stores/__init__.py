"""One small module per durable peer, imported only in the process that measures it.

Each has

* `NAME`, `DISTRIBUTION` and `DETAIL`: what it is, where it comes from, and in which configuration it was measured;
* `BACKENDS`: what it can keep runs in, of "sqlite" and "postgres";
* `opened(place, load)`: an asynchronous context in which runs are kept at `place`. It gives a function that makes one
  whole run and returns the steps it visited, `done` included. Each agent goes through `load`, which takes the times.

A peer persists the way it does: its own schema, its own number of commits, its settings as they come, except that
nothing may be put off until after the step (LangGraph's `durability="sync"`). With one run in flight it is given its
synchronous persistence, which is faster there; with many, the asynchronous one.
"""

import peers  # noqa: F401 - no peer may call home, or trace
