"""What signals count by: calls, results and tools, each by its key."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import msgspec

from stepladder.signals.signal import MESSAGE, Observation


def result_key(seen: Observation) -> tuple[str, str]:
    """What equals another result's key where step and output are equal; the digest of a text that is kept in part."""
    sha = seen.output.get("sha")
    return seen.name, sha if isinstance(sha, str) else repr(seen.output)


class Tally(msgspec.Struct, frozen=True):
    """How often each key has come: the newest one (`times`), the most frequent one (`most`), and how often one came
    that had come before (`again`)."""

    counts: Mapping[Hashable, int] = {}
    times: int = 0
    most: int = 0
    again: int = 0

    def add(self, key: Hashable) -> Tally:
        """With one more of `key`."""
        times = self.counts.get(key, 0) + 1
        most = self.most if self.most > times else times
        return Tally({**self.counts, key: times}, times, most, self.again + (times > 1))


def count_calls(memory: Tally, seen: Observation) -> Tally:
    """The calls that returned: same step, agent and arguments. A wait calls nobody."""
    return memory.add(seen.call) if seen.call else memory


def count_results(memory: Tally, seen: Observation) -> Tally:
    """The results, by who gave them and what they say."""
    return memory.add(result_key(seen))


def count_tools(memory: dict[str, int], seen: Observation) -> dict[str, int]:
    """The tools that were called, or actions taken, by name."""
    return memory if seen.name == MESSAGE else {**memory, seen.name: memory.get(seen.name, 0) + 1}
