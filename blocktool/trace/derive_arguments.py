"""Formulas in arguments of a constructor, by exact interpolation over several values of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod

from blocktool.analysis.counts import Count
from blocktool.analysis.formula_report import PARAM_BYTES, report
from blocktool.analysis.formulas import FIGURES, Counted, undominated
from blocktool.analysis.interpolation import Interpolation
from blocktool.errors import TraceError, UsageError
from blocktool.results.formulas import Formulas, FormulaSymbol
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import ModuleRow
from blocktool.trace.argument_samples import (
    MOST_SAMPLES,
    SPARE,
    Sample,
    powers_of_all,
    samples_of,
    widths_in,
)
from blocktool.trace.derive_target import (
    Request,
    contradicted,
    other_conditions,
    symbols_of_run,
)

_MOST_FREE = 3
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""Where a figure is no polynomial of any width, because a quarter of it is rounded, say, or kernels
round it up to sixteens, it may be one of the widths that are such multiples."""


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
    powers = powers_of_all(free)
    wanted = prod(map(len, powers.values()))
    samples = samples_of(request, free, min(2 * wanted + SPARE, MOST_SAMPLES))
    tiers = list(_tiers(samples, powers, free))
    if not tiers or tiers[0].multiple != 1:
        raise TraceError(
            f"too few values of {', '.join(free)} give a module",
            hint="leave fewer arguments open",
        )
    first = samples[0].derived
    notes = [_checked_at(free, samples), *first.notes]
    rows, figures, tier = _interpolated(samples, tiers, notes, free)
    whole = tier.over
    peak = _peak(samples, tiers, tier, notes, free)
    conditions = dict.fromkeys(c for s in samples for c in other_conditions(s.derived))
    if tier.multiple > 1:
        conditions.update({f"{n} % {tier.multiple} == 0": None for n in widths_in(free)})
    symbols = (
        *(_symbol(name, keys, samples) for name, keys in free.items()),
        *symbols_of_run(replace(first, least=_least(samples))),
    )
    shown = replace(
        first.trace,
        inputs=_specs([s.derived.trace.inputs for s in tier.samples], whole),
        outputs=_specs([s.derived.trace.outputs for s in tier.samples], whole),
    )
    for sample in samples:
        notes.extend(note for note in contradicted(sample.derived) if note not in notes)
    return report(
        shown,
        symbols,
        tuple(conditions),
        rows,
        figures,
        peak,
        compared=sum(sample.derived.compared for sample in samples),
        notes=notes,
        target=" ".join((request.target, *request.arguments)),
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


@dataclass(frozen=True)
class _Tier:
    """The samples whose widths are multiples of a number, and the interpolation over them."""

    multiple: int
    samples: tuple[Sample, ...]
    over: Interpolation

    def count(self, key: tuple[str, str]) -> Count | None:
        """One figure of one module, in the arguments."""
        return self.over.count([sample.figures[key] for sample in self.samples])


def _tiers(
    samples: Sequence[Sample],
    powers: Mapping[str, Sequence[int]],
    free: Mapping[str, Sequence[str]],
) -> Iterator[_Tier]:
    widths = widths_in(free)
    for multiple in _MULTIPLES:
        chosen = tuple(
            each for each in samples if all(each.values[n] % multiple == 0 for n in widths)
        )
        if multiple == 1 or _told_apart(chosen, widths, 2 * multiple):
            with suppress(ValueError):
                yield _Tier(multiple, chosen, Interpolation([s.values for s in chosen], powers))


def _told_apart(samples: Sequence[Sample], widths: Sequence[str], multiple: int) -> bool:
    """Whether some of the widths are no multiples of ``multiple``: otherwise what holds at these
    may hold at its multiples only."""
    return bool(widths) and all(any(s.values[n] % multiple for s in samples) for n in widths)


Found = tuple[tuple[ModuleRow, ...], dict[tuple[str, str], Count | None], _Tier]


def _interpolated(
    samples: Sequence[Sample],
    tiers: Sequence[_Tier],
    notes: list[str],
    free: Mapping[str, Sequence[str]],
) -> Found:
    """Rows with formulas, on the first tier on which most figures have one."""
    counted = [sample.derived.counted for sample in samples]
    rows = counted[0].rows
    names = ", ".join(free)
    if any(_structure(each) != _structure(counted[0]) for each in counted):
        notes.append(f"which modules there are depends on {names}, so only totals are given")
        rows = rows[:1]
    keys = [(row.path, name) for row in rows for name in FIGURES] + [PARAM_BYTES]
    tables = [{key: tier.count(key) for key in keys} for tier in tiers]
    best = max(sum(count is not None for count in table.values()) for table in tables)
    tier, figures = next(
        (tier, table)
        for tier, table in zip(tiers, tables, strict=True)
        if sum(count is not None for count in table.values()) == best
    )
    inexact = dict.fromkeys(name for (_, name), count in figures.items() if count is None)
    if inexact:
        notes.append(f"not a polynomial in {names}, so left out: {', '.join(inexact)}")
    wrong = frozenset().union(*(sample.derived.wrong for sample in samples))
    figures = {key: None if key in wrong else count for key, count in figures.items()}
    shown = [sample.derived.counted for sample in tier.samples]
    shaped = tuple(
        replace(
            row,
            input_shapes=_shapes([each.rows[i].input_shapes for each in shown], tier.over),
            output_shapes=_shapes([each.rows[i].output_shapes for each in shown], tier.over),
        )
        for i, row in enumerate(rows)
    )
    return shaped, figures, tier


def _structure(counted: Counted) -> list[tuple[str, str, int]]:
    return [(row.path, row.type, row.calls) for row in counted.rows]


def _peak(
    samples: Sequence[Sample],
    tiers: Sequence[_Tier],
    shown: _Tier,
    notes: list[str],
    free: Mapping[str, Sequence[str]],
) -> list[Count] | None:
    """The peak, if need be for fewer values than the other figures."""
    if any(("", "peak_live_bytes") in sample.derived.wrong for sample in samples):
        return None
    for tier in tiers:
        found = _peak_of(tier.samples, tier.over) if tier.multiple >= shown.multiple else None
        if found is not None and tier.multiple > shown.multiple:
            names = " and ".join(widths_in(free))
            notes.append(f"peak_live_bytes: for {names} in multiples of {tier.multiple} only")
        if found is not None:
            return found
    notes.append(f"not a polynomial in {', '.join(free)}, so left out: peak_live_bytes")
    return None


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
    least = _least(samples)
    for name in samples[0].values:
        least[name] = min(sample.values[name] for sample in samples)
    return undominated(list(counts), least)


def _least(samples: Sequence[Sample]) -> dict[str, int]:
    """The least sizes for which every sample's formulas hold."""
    names = samples[0].derived.least
    return {name: max(s.derived.least.get(name, 1) for s in samples) for name in names}


def _specs(many: Sequence[tuple[TensorSpec, ...]], whole: Interpolation) -> tuple[TensorSpec, ...]:
    shapes = _shapes([tuple(spec.shape for spec in specs) for specs in many], whole)
    return tuple(
        TensorSpec(shape, spec.dtype, spec.name)
        for shape, spec in zip(shapes, many[0], strict=True)
    )


def _shapes(
    many: Sequence[tuple[tuple[int, ...], ...]], whole: Interpolation
) -> tuple[tuple[int, ...], ...]:
    """Shapes in the arguments; those of the first sample where they have no formula."""
    shapes = []
    for each in zip(*many, strict=True):
        sizes = []
        for at_each in zip(*each, strict=True):
            found = whole.count([Count.of(size) for size in at_each])
            number = None if found is None else found.number
            sizes.append(number if number is not None else found or at_each[0])
        shapes.append(tuple(sizes))
    return tuple(shapes)  # type: ignore[arg-type]
