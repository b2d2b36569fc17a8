"""The figures of a comparison: what they are called, how they are written, what is good of them."""

from __future__ import annotations

from typing import Literal

from blocktool.render import units
from blocktool.results.comparison import MetricChange

Value = float | int | str | None
Tone = Literal["better", "worse", "neutral"]

NAMES = {
    "params": "Parameters",
    "trainable_params": "Trainable parameters",
    "param_bytes": "Parameter bytes",
    "buffer_bytes": "Buffer bytes",
    "macs": "MACs",
    "flops": "FLOPs",
    "elementwise_flops": "Elementwise FLOPs",
    "activation_bytes": "Activations",
    "read_bytes": "Bytes read",
    "written_bytes": "Bytes written",
    "moved_bytes": "Bytes moved",
    "peak_live_bytes": "Peak live bytes",
    "arithmetic_intensity": "FLOPs per byte",
    "operations": "Operations",
    "uncovered_operations": "Operations not counted",
    "calls": "Calls",
    "param_dtype": "Parameter dtype",
    "input_shapes": "Input shapes",
    "output_shapes": "Output shapes",
    "inputs": "Inputs",
    "outputs": "Outputs",
    "latency_ms.p50": "Latency, median",
    "latency_ms.p95": "Latency, p95",
    "latency_ms.p5": "Latency, p5",
    "throughput": "Throughput",
    "peak_bytes": "Peak bytes",
    "predicted_peak_bytes": "Predicted peak bytes",
    "roofline.predicted_ms": "Latency, predicted",
    "total_ms": "Time",
    "own_ms": "Own time",
    "max_batch.batch": "Largest batch",
    "max_batch.predicted": "Largest batch, predicted",
    "cases": "Cases",
    "passed": "Passed",
    "failed": "Failed",
    "skipped": "Skipped",
    "proved": "Proved",
    "refuted": "Refuted",
    "not_proved": "Not proved",
}
"""What people call each figure; one that is not here is called as in the JSON."""

_MORE_IS_BETTER = ("throughput", "max_batch", "gflops", "gbps", "passed", "proved")
_NEITHER = ("arithmetic_intensity", "cases", "skipped", "calls")
_OPERATION = "operations."
_PARTS = (_OPERATION, "phases_ms.")
_QUANTILES = ("latency_ms.p5", "latency_ms.p95")
_UP, _DOWN = ("increased", "added"), ("decreased", "removed")


def name(metric: str) -> str:
    """``MACs``, ``Latency, median``, ``MACs of backward``; of an unknown one its own name."""
    if metric in NAMES:
        return NAMES[metric]
    if metric.startswith("phases") and metric.count(".") == 2:
        _, phase, rest = metric.split(".")
        return f"Time of {phase}" if rest == "p50" else f"{name(rest)} of {phase}"
    if metric.startswith(_OPERATION):
        return f"Calls of {metric.removeprefix(_OPERATION)}"
    return metric


def figure(metric: str, value: Value) -> str:
    """A value in its unit: ``4.089 G``, ``97.49 MiB``, ``12.34 ms``, ``812.0/s``; none: ``-``."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    unit = _unit(metric)
    if unit == "bytes":
        return units.size(round(value))
    if unit == "ms":
        return units.duration(value)
    if metric == "throughput":
        return f"{units.figure(value)}/s"
    return units.count(round(value)) if value == round(value) else units.figure(value)


def before_and_after(change: MetricChange) -> tuple[str, str]:
    """Both sides in their unit; to the last digit where they would read alike otherwise."""
    old, new = change.old, change.new
    texts = figure(change.metric, old), figure(change.metric, new)
    if texts[0] != texts[1] or old == new:
        return texts
    return _exact(change.metric, old), _exact(change.metric, new)


def difference(change: MetricChange) -> str:
    """New less old with its sign, ``+36.864 K``; nothing where there is none, or no number."""
    old, new = change.old, change.new
    if isinstance(old, str) or isinstance(new, str):
        return ""
    value = (new or 0) - (old or 0)
    return f"{'+' if value > 0 else '-'}{figure(change.metric, abs(value))}" if value else ""


def share(part: float) -> str:
    """The size of a share: ``12.3%``, ``1,900%``; two digits of a small one, ``0.012%``."""
    percent = 100 * abs(part)
    if percent >= 999.5:
        return f"{percent:,.0f}%"
    if percent >= 0.1 or not percent:
        return f"{percent:.1f}%"
    return f"{percent:.1g}%" if percent >= 0.001 else "<0.001%"


def signed(part: float) -> str:
    """A change as a share, with its sign: ``+12.3%``, ``-0.4%``, ``0.0%``."""
    return f"{'+' if part > 0 else '-' if part < 0 else ''}{share(part)}"


def change_text(change: MetricChange) -> str:
    """The change as a share, or as a difference where a share makes no sense."""
    if change.change is not None:
        return signed(change.change)
    if change.verdict == "same":
        return ""
    both = change.old is not None and change.new is not None
    return difference(change) if both else ""


def change_or_verdict(change: MetricChange) -> str:
    """The change as a number, or a word for what has none: ``changed``, ``added``."""
    return change_text(change) or ("" if change.verdict == "same" else change.verdict)


def verdict(change: MetricChange, threshold: float) -> str:
    """``12.3% slower (9.8% – 14.9%)``, ``3.0% less``, ``the same to within 5%``, ``added``; of
    what is inconclusive the bounds that are known (the reason is :attr:`MetricChange.reason`)."""
    if change.verdict == "same":
        measured = change.lane == "measured"
        return f"the same to within {100 * threshold:g}%" if measured else "the same"
    if change.verdict not in ("increased", "decreased", "inconclusive"):
        return change.verdict
    if change.verdict == "inconclusive":
        told = "inconclusive"
    elif change.change is None:
        told = change.verdict
    else:
        told = f"{share(change.change)} {_direction(change)}"
    bounds = _bounds(change)
    return f"{told} ({bounds})" if bounds else told


def is_detail(change: MetricChange) -> bool:
    """Whether the figure is a part of another, or tells more of it than is asked at first."""
    return change.metric.startswith(_PARTS) or change.metric in _QUANTILES


def tone(change: MetricChange) -> Tone:
    """Whether the change is for the better; most figures are costs."""
    if change.verdict not in (*_UP, *_DOWN):
        return "neutral"
    last = change.metric.split(".")
    if last[0] in _NEITHER or last[-1] in _NEITHER:
        return "neutral"
    good = last[0] in _MORE_IS_BETTER
    return "better" if good == (change.verdict in _UP) else "worse"


def _direction(change: MetricChange) -> str:
    up = change.verdict == "increased"
    if _unit(change.metric) == "ms":
        return "slower" if up else "faster"
    if change.metric == "throughput":
        return "higher" if up else "lower"
    return "more" if up else "less"


def _bounds(change: MetricChange) -> str:
    low, high = change.low, change.high
    if low is None or high is None:
        return ""
    if change.verdict != "inconclusive" and low * high > 0:
        near, far = sorted((abs(low), abs(high)))
        return f"{share(near)} – {share(far)}"
    return f"{signed(low)} to {signed(high)}"


def _unit(metric: str) -> Literal["bytes", "ms", ""]:
    parts = metric.split(".")
    if any(part.endswith("_bytes") for part in parts):
        return "bytes"
    return "ms" if any(part.endswith("_ms") for part in parts) else ""


def _exact(metric: str, value: Value) -> str:
    unit = {"bytes": " B", "ms": " ms"}.get(_unit(metric), "")
    if isinstance(value, float) and value != round(value):
        return f"{value:,.9g}{unit}"
    return f"{value:,}{unit}" if isinstance(value, int | float) else str(value)
