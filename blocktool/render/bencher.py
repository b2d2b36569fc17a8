"""Figures for Bencher: https://bencher.dev/docs/reference/bencher-metric-format/.

``bencher run --adapter json --file FILE`` takes them.
"""

from __future__ import annotations

import json

from blocktool.render.tracked import Metric, benchmarks
from blocktool.render.view import View
from blocktool.results.profile import Profile
from blocktool.results.summary import Summary


def render(result: Summary | Profile, view: View) -> str:
    """An object of benchmarks, each an object of measures by slug, whatever the view.

    ``latency`` (ns, with its 95% interval) and ``throughput`` (items per second) are measures that
    Bencher has; it makes ``macs``, ``parameters``, ``peak-memory``, ``predicted-peak-memory`` and
    ``activation-memory`` (bytes) when it first sees them. Raises UsageError where there is nothing
    to track.
    """
    report = {
        each.name: {metric.slug: _measure(metric) for metric in each.metrics}
        for each in benchmarks(result)
    }
    return json.dumps(report, indent=2, allow_nan=False) + "\n"


def _measure(metric: Metric) -> dict[str, float]:
    values = {"value": metric.value, "lower_value": metric.low, "upper_value": metric.high}
    if metric.unit == "ms":
        values = {name: _in_ns(value) for name, value in values.items()}
    return {name: value for name, value in values.items() if value is not None}


def _in_ns(ms: float | None) -> float | None:
    return None if ms is None else round(ms * 1e6, 3)
