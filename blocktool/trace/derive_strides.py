"""Quotients by a stride that is left open: ``(H + 1)//2``, ``(H + 2)//3``, ... as
``(H + S - 1)//S``.

To interpolation each of them is an unknown of its own. Here they get one name; whether the figures
are then the same in it at every stride is for the interpolation to find out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from blocktool.analysis.count_reading import Reader
from blocktool.analysis.counts import Count, atom_node
from blocktool.analysis.expressions import Name, Number, Operation, to_text
from blocktool.trace.argument_samples import Sample, strides_in

_FEWEST = 3
"""Two strides give the line on which what is added to a size lies; all others must lie on it."""

Offsets = dict[Count, int]
"""What is added to a size before it is divided, by the size."""


def with_one_name(
    samples: Sequence[Sample], free: Mapping[str, Sequence[str]]
) -> tuple[Sample, ...] | None:
    """The samples with strides above 1, with one name for such quotients; None where there is no
    stride among the arguments, or more than one, or the quotients have no common form."""
    strides = strides_in(free)
    if len(strides) != 1:
        return None
    (name,) = strides
    strided = [sample for sample in samples if sample.values[name] > 1]
    found = [_offsets(sample, sample.values[name]) for sample in strided]
    cores = {core for offsets in found if offsets is not None for core in offsets}
    if not cores or len({sample.values[name] for sample in strided}) < _FEWEST:
        return None
    forms: dict[Count, tuple[int, int]] = {}
    for core in cores:
        places: dict[int, int] = {}
        for sample, offsets in zip(strided, found, strict=True):
            if offsets is None or core not in offsets:
                return None
            if places.setdefault(sample.values[name], offsets[core]) != offsets[core]:
                return None
        form = _line(places)
        if form is None:
            return None
        forms[core] = form
    return tuple(_renamed(sample, name, forms) for sample in strided)


def _offsets(sample: Sample, stride: int) -> Offsets | None:
    """None where two different numbers are added to one size."""
    found: Offsets = {}
    for atom in dict.fromkeys(n for c in _counts(sample) for m in c.terms for n, _ in m):
        taken = _taken_apart(atom, stride)
        if taken is not None and found.setdefault(taken[0], taken[1]) != taken[1]:
            return None
    return found


def _counts(sample: Sample) -> Iterator[Count]:
    counted, trace = sample.derived.counted, sample.derived.trace
    yield from sample.figures.values()
    yield from counted.moments
    for row in counted.rows:
        for shape in (*row.input_shapes, *row.output_shapes):
            yield from map(Count.of, shape)
    for spec in (*trace.inputs, *trace.outputs):
        yield from map(Count.of, spec.shape)


def _taken_apart(atom: str, stride: int) -> tuple[Count, int] | None:
    """Of ``(H + 2)//3`` for a stride of 3, H and 2."""
    match atom_node(atom):
        case Operation("//", left, Number(divisor)) if divisor == stride:
            core, added = Reader().read(left).without_constant()
            return (core, added) if isinstance(added, int) else None
    return None


def _line(places: Mapping[int, int]) -> tuple[int, int] | None:
    """``p`` and ``q`` such that ``p*S + q`` is what is added at each stride S, but for multiples of
    S, which come out of the quotient whole. At large strides there are none."""
    (first, a), (last, b) = sorted(places.items())[-2:]
    if (b - a) % (last - first):
        return None
    p = (b - a) // (last - first)
    q = b - p * last
    fits = all((added - p * stride - q) % stride == 0 for stride, added in places.items())
    return (p, q) if fits else None


def _renamed(sample: Sample, name: str, forms: Mapping[Count, tuple[int, int]]) -> Sample:
    stride = sample.values[name]
    known: dict[str, Count] = {}
    for atom in dict.fromkeys(n for c in _counts(sample) for m in c.terms for n, _ in m):
        taken = _taken_apart(atom, stride)
        if taken is not None:
            core, added = taken
            p, q = forms[core]
            known[atom] = _quotient(core, name, p, q) + (added - p * stride - q) // stride

    def new(value: Any) -> Any:
        return value if isinstance(value, int) else _substituted(value, known)

    def shapes(many: Any) -> Any:
        return tuple(tuple(map(new, shape)) for shape in many)

    def specs(many: Any) -> Any:
        return tuple(replace(spec, shape=tuple(map(new, spec.shape))) for spec in many)

    derived = sample.derived
    counted = replace(
        derived.counted,
        moments=tuple(map(new, derived.counted.moments)),
        rows=tuple(
            replace(
                row, input_shapes=shapes(row.input_shapes), output_shapes=shapes(row.output_shapes)
            )
            for row in derived.counted.rows
        ),
    )
    trace = replace(
        derived.trace, inputs=specs(derived.trace.inputs), outputs=specs(derived.trace.outputs)
    )
    figures = {key: new(count) for key, count in sample.figures.items()}
    return Sample(sample.values, replace(derived, counted=counted, trace=trace), figures)


def _quotient(core: Count, name: str, p: int, q: int) -> Count:
    """``(core + p*S + q)//S``, the size first."""
    inner = core.node()
    for part in (Count.unknown(name) * p, Count.of(q)):
        if part:
            negative = next(iter(part.terms.values())) < 0
            sign, positive = ("-", -part) if negative else ("+", part)
            inner = Operation(sign, inner, positive.node())
    return Count.unknown(to_text(Operation("//", inner, Name(name))))


def _substituted(count: Count, known: Mapping[str, Count]) -> Count:
    total = Count({})
    for monomial, coefficient in count.terms.items():
        kept = tuple((n, power) for n, power in monomial if n not in known or power < 0)
        product = Count({kept: coefficient})
        for name, power in monomial:
            if name in known:
                for _ in range(power):
                    product *= known[name]
        total += product
    return total
