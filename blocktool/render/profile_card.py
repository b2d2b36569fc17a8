"""One case of a profile that stands alone: a card with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from blocktool.render import profile_figures as figures
from blocktool.render import units
from blocktool.render.charts import sparkline, timeline
from blocktool.render.facts import Fact, fact_lines
from blocktool.render.profile_cases import detail_lines
from blocktool.render.profile_words import is_predicted, reason
from blocktool.render.styled import Glyphs, Line, bar, clean, wrap
from blocktool.render.summary_totals import peak_bar
from blocktool.render.view import View
from blocktool.results.profile import Latency, MemoryUse, Profile, ProfileCase
from blocktool.results.roofline import Ceilings, Roofline

_CURVE = 60  # columns of a curve at most


def card_lines(profile: Profile, case: ProfileCase, view: View, glyphs: Glyphs) -> list[Line]:
    """Time, spread, rates, limits, warm-up and memory of the case, or why there are none."""
    if case.outcome != "passed" and not is_predicted(case):
        return _refused(case, view)
    times = [
        *_time_rows(case, view, glyphs),
        *_phase_rows(case, glyphs),
        *_rate_rows(profile.ceilings, case),
        *_accuracy_rows(case),
    ]
    memory = [*_memory_rows(case, view, glyphs)]
    return fact_lines([*times, *([None] if times and memory else []), *memory], view)


def _refused(case: ProfileCase, view: View) -> list[Line]:
    style = "bold red" if case.outcome == "failed" else "yellow"
    head = f"{case.outcome}: "
    first, *rest = wrap(clean(head + reason(case), unicode=view.unicode), view.width, indent=2)
    lines: list[Line] = [[(head, style), (first[len(head) :], "")], *([(r, "")] for r in rest)]
    return [*lines, *detail_lines(case.details, view)]


def _room(view: View) -> int:
    """The columns that a curve or a bar may take beside label and figure."""
    return max(10, min(_CURVE, view.width - 34))


def _time_rows(case: ProfileCase, view: View, glyphs: Glyphs) -> Iterator[Fact]:
    taken = case.latency_ms
    if taken is None:
        ms = figures.time_ms(case) or 0.0
        yield Fact("Predicted time", units.duration(ms), "operation by operation; nothing was run")
        return
    interval = units.durations(taken.low, taken.high)
    told = f"{units.precision(case.precision)}; " if case.precision is not None else ""
    yield Fact("Time", units.duration(taken.p50), f"{told}median, 95% interval {interval}")
    yield Fact(
        "Spread",
        units.duration(taken.iqr),
        f"between the quartiles; p5 – p95: {units.durations(taken.p5, taken.p95)}",
    )
    curve: Line = [(sparkline(taken.samples, _room(view), glyphs), "green")]
    yield Fact("Samples", f"{len(taken.samples):,}", _samples(taken), (curve,), "")
    if (warm := case.warmup) is not None:
        calls = "1 call" if warm.calls == 1 else f"{warm.calls} calls"
        told = "" if warm.stable else "; the times had not settled"
        yield Fact(
            "Warm-up",
            units.duration(warm.ms),
            f"{calls}, the first {units.duration(warm.first_ms)}{told}",
            style="",
        )


def _samples(taken: Latency) -> str:
    between = units.durations(min(taken.samples), max(taken.samples))
    calls = taken.calls_per_sample
    each = f" of {calls} calls each" if calls > 1 else ""
    return f"{between}{each}, in the order taken"


def _rate_rows(ceilings: Ceilings | None, case: ProfileCase) -> Iterator[Fact]:
    if (items := figures.throughput(case)) is not None:
        yield Fact("Throughput", f"{units.figure(items)} items/s", "")
    if (rate := figures.gflops(case)) is not None:
        work = _flops(case.macs) if case.macs is not None else ""
        limit = ceilings.gflops.get(case.dtype) if ceilings is not None else None
        top = f"at most {units.gflops(limit)} in {case.dtype}" if limit else ""
        tf32 = ceilings.gflops.get("tf32") if ceilings is not None else None
        if tf32 and case.dtype == "float32":
            top += f", {units.gflops(tf32)} in TF32 (convolutions)"
        yield Fact("Arithmetic", units.gflops(rate), "; ".join(filter(None, (work, top))))
    if (rate := figures.gbps(case)) is not None:
        work = f"{units.size(case.moved_bytes)} a call" if case.moved_bytes is not None else ""
        top = f"at most {units.gbytes(ceilings.gbps)}" if ceilings is not None else ""
        yield Fact("Memory traffic", units.gbytes(rate), "; ".join(filter(None, (work, top))))
    if case.roofline is not None:
        yield _limit_row(case.roofline)


def _flops(macs: int) -> str:
    number = units.count(2 * macs)
    return f"{number}{'' if ' ' in number else ' '}FLOPs a call"


def _limit_row(line: Roofline) -> Fact:
    parts = ", ".join(
        f"{name} {units.duration(ms)}"
        for name, ms in (
            ("arithmetic", line.compute_ms),
            ("memory", line.memory_ms),
            ("overhead", line.overhead_ms),
        )
    )
    if line.attained is None:
        return Fact("Bound", line.bound, parts)
    told = f"at best {units.duration(line.attainable_ms)}, bound by {line.bound}: {parts}"
    return Fact("Of limit", units.whole_percent(line.attained), told)


def _phase_rows(case: ProfileCase, glyphs: Glyphs) -> Iterator[Fact]:
    whole = sum(phase.p50 for phase in case.phases_ms)
    for phase in case.phases_ms if len(case.phases_ms) > 1 else ():
        share = phase.p50 / whole if whole else 0.0
        drawn = bar(share, 20, glyphs)
        yield Fact(
            f"  {phase.phase}",
            units.duration(phase.p50),
            f"{units.percent(share).rjust(5)} {drawn}",
            style="",
        )


def _accuracy_rows(case: ProfileCase) -> Iterator[Fact]:
    error = case.error
    if error is None:
        return
    told = [f"largest difference from {error.reference}, over its largest magnitude"]
    if case.variant != "eager":
        told.append(f"eager's own is {units.error(error.eager_relative_error)}")
    if error.sqnr_db is not None:
        told.append(f"SQNR {error.sqnr_db:.0f} dB")
    if error.same_top1 is not None:
        told.append(f"same top-1 for {units.percent(error.same_top1)}")
    yield Fact("Error", units.error(error.max_relative_error), "; ".join(told), style="")


def _memory_rows(case: ProfileCase, view: View, glyphs: Glyphs) -> Iterator[Fact]:
    used, foreseen = case.memory, case.predicted_memory
    if case.peak_bytes is not None:
        told = _held(used) if used is not None else ""
        below = _curve(used, view, glyphs) if used is not None else ()
        yield Fact("Peak memory", units.size(case.peak_bytes), told, below)
    if used is not None and used.reserved_bytes is not None:
        yield Fact(
            "Reserved", units.size(used.reserved_bytes), "by the caching allocator", style=""
        )
    if case.predicted_peak_bytes is not None:
        narrow = replace(view, width=_room(view))
        parts = peak_bar(foreseen, narrow, glyphs, indent=0) if foreseen is not None else []
        yield Fact(
            "Predicted peak",
            units.size(case.predicted_peak_bytes),
            "; ".join(filter(None, (_off(case), _reached(case)))),
            tuple(parts),
            style="",
        )


def _held(used: MemoryUse) -> str:
    run = used.peak_bytes - used.held_bytes
    return f"{units.size(used.held_bytes)} held, {units.size(run)} by the run ({used.source})"


def _curve(used: MemoryUse, view: View, glyphs: Glyphs) -> tuple[Line, ...]:
    drawn, peak = timeline(used.timeline, _room(view), glyphs)
    if peak is None:
        return ()
    values = [value for _, value in used.timeline]
    at = next(ms for ms, value in used.timeline if value == max(values))
    start, end = used.timeline[0][0], used.timeline[-1][0]
    told = (
        f"{units.size(min(values))} – {units.size(max(values))} over "
        f"{units.duration(end - start)}, peak at {units.duration(at - start)}"
    )
    return (
        [(drawn[:peak], "cyan"), (drawn[peak], "bold red"), (drawn[peak + 1 :], "cyan")],
        *([(clean(line, unicode=view.unicode), "dim")] for line in wrap(told, _room(view))),
    )


def _off(case: ProfileCase) -> str:
    if not case.peak_bytes or case.predicted_peak_bytes is None:
        return ""
    off = case.predicted_peak_bytes / case.peak_bytes - 1
    if not off:
        return "as measured"
    return f"{units.percent(abs(off))} {'more' if off > 0 else 'less'} than measured"


def _reached(case: ProfileCase) -> str:
    memory = case.predicted_memory
    if memory is None or not memory.op:
        return ""
    where = f"in {memory.module}" if memory.module else "in the module itself"
    return f"reached {where} ({memory.op})"
