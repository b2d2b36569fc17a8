"""Least sizes of the inputs where these depend on constructor arguments, as for a kernel without
padding."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.analysis.counts import Count
from blocktool.analysis.formulas import value
from blocktool.analysis.interpolation import Interpolation
from blocktool.trace.argument_samples import Sample


def least_of(samples: Sequence[Sample]) -> tuple[dict[str, int], tuple[str, ...]]:
    """The least sizes at all samples, and conditions (``H >= K``) where more is needed at some.

    Where no sum of products of the arguments is what is needed, the least size is the most that
    any sample needs.
    """
    least: dict[str, int] = {}
    conditions = []
    for name in samples[0].derived.least:
        needed = [sample.derived.least.get(name, 1) for sample in samples]
        least[name] = max(needed)
        bound = _bound(samples, needed)
        if bound is not None:
            least[name] = min(needed)
            conditions.append(f"{name} >= {bound.text()}")
    return least, tuple(conditions)


def _bound(samples: Sequence[Sample], needed: Sequence[int]) -> Count | None:
    """What the sizes must reach beside the least of them."""
    low = min(needed)
    more = [index for index, size in enumerate(needed) if size > low]
    if not more:
        return None
    powers = dict.fromkeys(samples[0].values, (0, 1))
    try:
        over = Interpolation([samples[index].values for index in more], powers)
    except ValueError:
        return None
    found = over.count([Count.of(needed[index]) for index in more])
    if found is None:
        return None
    told = [max(low, value(found, sample.values)) for sample in samples]
    return found if told == list(needed) else None
