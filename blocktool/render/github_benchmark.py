"""Figures for https://github.com/benchmark-action/github-action-benchmark.

The tool to name there is ``customSmallerIsBetter``.
"""

from __future__ import annotations

import json
from typing import Any

from blocktool.render.tracked import Benchmark, Metric, benchmarks
from blocktool.render.view import View
from blocktool.results.profile import Profile
from blocktool.results.summary import Summary


def render(result: Summary | Profile, view: View) -> str:
    """A list of figures of which less is better, whatever the view.

    Throughput is left out: the action takes one direction to a file, and the latency says the
    same. ``range`` is half the 95% interval of a measured time. Raises UsageError where there is
    nothing to track.
    """
    entries = [
        _entry(each, metric)
        for each in benchmarks(result)
        for metric in each.metrics
        if not metric.larger_is_better
    ]
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def _entry(benchmark: Benchmark, metric: Metric) -> dict[str, Any]:
    entry = {
        "name": f"{benchmark.name} - {metric.slug.replace('-', ' ')}",
        "unit": metric.unit,
        "value": metric.value,
    }
    if metric.low is not None and metric.high is not None:
        half = max(metric.high - metric.value, metric.value - metric.low)
        entry["range"] = f"± {half:.3g}"
    return {**entry, "extra": "\n".join(benchmark.facts)}
