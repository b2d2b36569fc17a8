"""Formulas in arguments of a constructor, by exact interpolation over several values of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from blocktool.analysis.counts import Count
from blocktool.analysis.formula_report import PARAM_BYTES, report
from blocktool.analysis.formulas import FIGURES, Counted, undominated
from blocktool.analysis.interpolation import Interpolation
from blocktool.errors import TraceError, UsageError
from blocktool.results.formulas import Formulas, FormulaSymbol
from blocktool.results.summary import ModuleRow
from blocktool.trace.argument_samples import (
    MOST_SAMPLES,
    SPARE,
    Sample,
    kernels_in,
    powers_of_all,
    samples_of,
    widths_in,
)
from blocktool.trace.derive_least import least_of
from blocktool.trace.derive_shapes import shapes_in, specs_in
from blocktool.trace.derive_target import (
    Request,
    contradicted,
    other_conditions,
    symbols_of_run,
)
from blocktool.trace.derive_tiers import Tier, tiers_of

_MOST_FREE = 3
_TOLD = 8


def derive_arguments(request: Request, free: Mapping[str, Sequence[str]]) -> Formulas:
    """The formulas of a target whose arguments ``free`` (symbol to keys) are left open.

    Raises UsageError for more than three of them, and TraceError where too few values of them give
    a module.
    """
    if len(free) > _MOST_FREE:
        raise UsageError(
            f"{len(free)} arguments are left open: {', '.join(free)}",
            hint=f"at most {_MOST_FREE} can be; give the others numbers, or one symbol together",
        )
    options = powers_of_all(free)
    wanted = prod(map(len, options[0].values()))
    samples = samples_of(
        request, free, min((3 if kernels_in(free) else 2) * wanted + SPARE, MOST_SAMPLES)
    )
    tiers = tiers_of(samples, options, free)
    if not tiers:
        raise _too_few(free, samples)
    first = samples[0].derived
    notes = list(first.notes)
    rows, figures, tier = _interpolated(samples, tiers, notes, free)
    notes.insert(0, _checked_at(free, tier.samples))
    peak, where = _peak(samples, tiers, tier, notes, free)
    least, bounds = least_of(tier.samples)
    found = (c for sample in tier.samples for c in other_conditions(sample.derived))
    conditions = dict.fromkeys((*found, *bounds))
    symbols = (
        *(_symbol(name, keys, tier.samples) for name, keys in free.items()),
        *symbols_of_run(replace(first, least=least)),
    )
    told = {f"{symbol.name} >= {symbol.least}" for symbol in symbols}
    conditions.update(dict.fromkeys(text for text in tier.conditions if text not in told))
    traces = [sample.derived.trace for sample in tier.samples]
    inputs = specs_in([trace.inputs for trace in traces], tier.over)
    outputs = specs_in([trace.outputs for trace in traces], tier.over)
    if None in (*inputs, *outputs, *(s for r in rows for s in r.input_shapes + r.output_shapes)):
        notes.append(f"not a polynomial in {', '.join(free)}, so left out: some shapes")
    for sample in samples:
        notes.extend(note for note in contradicted(sample.derived) if note not in notes)
    return report(
        first.trace,
        symbols,
        tuple(conditions),
        rows,
        figures,
        peak,
        peak_where=where,
        inputs=inputs,
        outputs=outputs,
        compared=sum(sample.derived.compared for sample in samples),
        notes=notes,
        target=" ".join((request.target, *request.arguments)),
    )


def _too_few(free: Mapping[str, Sequence[str]], samples: Sequence[Sample]) -> TraceError:
    names = ", ".join(free)
    given = "; ".join(
        ", ".join(f"{name} = {value}" for name, value in sample.values.items())
        for sample in samples[:_TOLD]
    )
    shares = len(free) == 1 and not widths_in(free)
    return TraceError(
        f"too few values of {names} give a module: {given}",
        hint=(
            "more values divide other widths; or leave the widths open, too: in_channels=C"
            if shares
            else "leave fewer arguments open"
        ),
    )


def _checked_at(free: Mapping[str, Sequence[str]], samples: Sequence[Sample]) -> str:
    values = "; ".join(
        f"{name} = {', '.join(map(str, sorted({sample.values[name] for sample in samples})))}"
        for name in free
    )
    return f"interpolated over and checked at {len(samples)} values: {values}"


def _symbol(name: str, keys: Sequence[str], samples: Sequence[Sample]) -> FormulaSymbol:
    noun = "argument" if len(keys) == 1 else "arguments"
    least = min(sample.values[name] for sample in samples)
    return FormulaSymbol(name, f"{noun} {', '.join(keys)}", least, samples[0].values[name])


Found = tuple[tuple[ModuleRow, ...], dict[tuple[str, str], Count | None], Tier]


def _interpolated(
    samples: Sequence[Sample],
    tiers: Sequence[Tier],
    notes: list[str],
    free: Mapping[str, Sequence[str]],
) -> Found:
    """Rows with formulas, on the first tier on which most figures have one."""
    names = ", ".join(free)
    tables = []
    for tier in tiers:
        keys = [(row.path, name) for row in _common_rows(tier) for name in FIGURES]
        tables.append({key: tier.count(key) for key in [*keys, PARAM_BYTES]})
    best = max(sum(count is not None for count in table.values()) for table in tables)
    tier, figures = next(
        (tier, table)
        for tier, table in zip(tiers, tables, strict=True)
        if sum(count is not None for count in table.values()) == best
    )
    rows = _common_rows(tier)
    if len(rows) < len(tier.samples[0].derived.counted.rows):
        notes.append(f"which modules there are depends on {names}, so only totals are given")
    inexact = dict.fromkeys(name for (_, name), count in figures.items() if count is None)
    if inexact:
        notes.append(f"not a polynomial in {names}, so left out: {', '.join(inexact)}")
    wrong = frozenset().union(*(sample.derived.wrong for sample in samples))
    figures = {key: None if key in wrong else count for key, count in figures.items()}
    shown = [sample.derived.counted for sample in tier.samples]
    shaped = tuple(
        replace(
            row,
            input_shapes=shapes_in([each.rows[i].input_shapes for each in shown], tier.over),  # type: ignore[arg-type]
            output_shapes=shapes_in([each.rows[i].output_shapes for each in shown], tier.over),  # type: ignore[arg-type]
        )
        for i, row in enumerate(rows)
    )
    return shaped, figures, tier


def _common_rows(tier: Tier) -> tuple[ModuleRow, ...]:
    """The modules, where there are the same at all samples; otherwise the whole alone."""
    counted = [sample.derived.counted for sample in tier.samples]
    same = all(_structure(each) == _structure(counted[0]) for each in counted)
    return counted[0].rows if same else counted[0].rows[:1]


def _structure(counted: Counted) -> list[tuple[str, str, int]]:
    return [(row.path, row.type, row.calls) for row in counted.rows]


def _peak(
    samples: Sequence[Sample],
    tiers: Sequence[Tier],
    shown: Tier,
    notes: list[str],
    free: Mapping[str, Sequence[str]],
) -> tuple[list[Count] | None, tuple[str, ...]]:
    """The peak, if need be for fewer values than the other figures, and for which of them."""
    if any(("", "peak_live_bytes") in sample.derived.wrong for sample in samples):
        return None, ()
    for tier in tiers:
        found = _peak_of(tier.samples, tier.over) if tier.within(shown) else None
        if found is not None:
            return found, tuple(c for c in tier.conditions if c not in shown.conditions)
    notes.append(f"not a polynomial in {', '.join(free)}, so left out: peak_live_bytes")
    return None, ()


def _peak_of(samples: Sequence[Sample], over: Interpolation) -> list[Count] | None:
    moments = [sample.derived.counted.moments for sample in samples]
    if any(len(each) != len(moments[0]) for each in moments):
        return None
    counts: dict[Count, None] = {}
    for at_each in zip(*moments, strict=True):
        found = over.count(at_each)
        if found is None:
            return None
        counts[found] = None
    least, _ = least_of(samples)
    for name in samples[0].values:
        least[name] = min(sample.values[name] for sample in samples)
    return undominated(list(counts), least)
