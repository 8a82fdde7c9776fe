"""The hit rate that the benchmark of the cache reports, with its fixed seed; inputs that are not worth training on."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.genai")


def benchmark() -> Any:
    file = Path(__file__).parents[2] / "benchmarks" / "cache.py"
    spec = importlib.util.spec_from_file_location("benchmark_cache", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_hundred_runs_over_forty_inputs_hit_more_than_forty_percent(tmp_path: Path) -> None:
    cache = benchmark()
    runs = cache.drawn(cache.inputs(40, tmp_path, quick=True), 100, 7)
    assert len(runs) == 100
    assert len({str(each) for each in runs}) == 40
    rate, served, _, _ = asyncio.run(cache.measure(runs, "hybrid", cached=True))
    assert rate.share > 0.4
    assert served >= rate.misses, "a hit is no request; a miss is one, and a second one where the answer did not count"
