"""A profile as CSV: one row per case, plain numbers with units in the names of the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from operator import attrgetter

from blocktool.render import profile_figures as figures
from blocktool.render.view import View
from blocktool.results.profile import Profile, ProfileCase

_PHASES = ("forward", "backward", "optimizer")


def _within(part: str, *names: str) -> dict[str, Callable[[ProfileCase], object]]:
    """Columns that are fields of a part of the case, empty where the case does not have it."""

    def field(name: str) -> Callable[[ProfileCase], object]:
        return lambda case: getattr(getattr(case, part), name, None)

    return {name: field(name) for name in names}


def _phase(name: str) -> Callable[[ProfileCase], object]:
    return lambda case: next((p.p50 for p in case.phases_ms if p.phase == name), None)


_COLUMNS: dict[str, Callable[[ProfileCase], object]] = {
    **{name: attrgetter(name) for name in ("index", "batch")},
    "inputs": lambda case: ";".join(map(str, case.inputs)),
    **{name: attrgetter(name) for name in ("dtype", "amp", "mode", "variant", "outcome", "kind")},
    "reason": lambda case: case.reason,
    "time_ms": figures.time_ms,
    **{
        f"{name}_ms": column
        for name, column in _within("latency_ms", "p50", "p5", "p95", "iqr", "low", "high").items()
    },
    "precision": lambda case: case.precision,
    "samples": lambda case: len(case.latency_ms.samples) if case.latency_ms else None,
    **_within("latency_ms", "calls_per_sample"),
    "items_per_s": figures.throughput,
    "gflops": figures.gflops,
    "gbps": figures.gbps,
    **{f"{name}_ms": _phase(name) for name in _PHASES},
    **{name: attrgetter(name) for name in ("macs", "moved_bytes", "peak_bytes")},
    "predicted_peak_bytes": lambda case: case.predicted_peak_bytes,
    **_within("memory", "held_bytes", "reserved_bytes"),
    **_within("roofline", "compute_ms", "memory_ms", "overhead_ms", "attainable_ms"),
    **_within("roofline", "predicted_ms", "attained", "bound"),
    **_within("error", "reference", "max_relative_error", "sqnr_db", "eager_relative_error"),
    **_within("error", "same_top1"),
    "first_call_ms": lambda case: case.warmup.first_ms if case.warmup else None,
    "warmup_ms": lambda case: case.warmup.ms if case.warmup else None,
    "host_bound": lambda case: case.host_bound,
    "case_s": lambda case: case.seconds,
}


def render(profile: Profile, view: View) -> str:
    """Every case in its order, whatever the view; what a case does not have is left empty.

    The names are those of the JSON, with a unit where those have none. ``time_ms`` is the median,
    or the predicted time. Inputs read as after ``-i``, several separated by a semicolon. ``device``
    is where it ran, or the device that the times are predicted for.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    device = profile.assumed or (profile.machine.name if profile.machine else "")
    threads = profile.machine.threads if profile.machine else None
    writer.writerow(("target", "device", "threads", *_COLUMNS))
    for case in profile.cases:
        cells = [_cell(column(case)) for column in _COLUMNS.values()]
        writer.writerow((profile.target, device, threads, *cells))
    return out.getvalue().encode(errors="replace").decode()


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
