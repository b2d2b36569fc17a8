"""Shapes in constructor arguments, by the same interpolation as the figures."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.analysis.counts import Count
from blocktool.analysis.interpolation import Interpolation
from blocktool.results.specs import TensorSpec

Sizes = tuple[int | Count, ...]


def shapes_in(
    many: Sequence[Sequence[Sequence[int | Count]]], over: Interpolation
) -> tuple[Sizes | None, ...]:
    """Each of the shapes that ``many`` have at the samples; None for one without a formula.

    Where the number of shapes depends on the arguments, none of the first sample's has one.
    """
    first = many[0]
    if any(len(shapes) != len(first) for shapes in many):
        return (None,) * len(first)
    return tuple(_shape(each, over) for each in zip(*many, strict=True))


def _shape(each: Sequence[Sequence[int | Count]], over: Interpolation) -> Sizes | None:
    if any(len(shape) != len(each[0]) for shape in each):
        return None
    sizes: list[int | Count] = []
    for at_each in zip(*each, strict=True):
        found = over.count([Count.of(size) for size in at_each])
        if found is None:
            return None
        number = found.number
        sizes.append(number if isinstance(number, int) else found)
    return tuple(sizes)


def specs_in(
    many: Sequence[tuple[TensorSpec, ...]], over: Interpolation
) -> tuple[TensorSpec | None, ...]:
    """The same of tensors."""
    shapes = shapes_in([[spec.shape for spec in specs] for specs in many], over)
    return tuple(
        None if shape is None else TensorSpec(shape, spec.dtype, spec.name)  # type: ignore[arg-type]
        for shape, spec in zip(shapes, many[0], strict=True)
    )
