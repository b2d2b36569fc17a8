"""Which of the values tried a formula in constructor arguments is asked to hold at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from blocktool.analysis.counts import Count
from blocktool.analysis.interpolation import Interpolation
from blocktool.trace.argument_samples import Powers, Sample, kernels_in, strides_in, widths_in
from blocktool.trace.derive_strides import with_one_name

_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""Where a figure is no polynomial of any width, because a quarter of it is rounded, say, or kernels
round it up to sixteens, it may be one of the widths that are such multiples."""


@dataclass(frozen=True)
class Tier:
    """The samples whose widths are multiples of a number, where ``odd``, whose kernel sizes are
    odd, and where ``strided``, whose stride is above 1, with the interpolation over them."""

    multiple: int
    odd: bool
    strided: bool
    conditions: tuple[str, ...]
    """What these samples have in common, in the language of conditions."""
    samples: tuple[Sample, ...]
    over: Interpolation

    def count(self, key: tuple[str, str]) -> Count | None:
        """One figure of one module, in the arguments."""
        return self.over.count([sample.figures[key] for sample in self.samples])

    def within(self, other: Tier) -> bool:
        """Whether all that is among these is among ``other``, too."""
        return (
            self.multiple >= other.multiple
            and self.odd >= other.odd
            and self.strided >= other.strided
        )


def tiers_of(
    samples: Sequence[Sample],
    options: Sequence[Powers],
    free: Mapping[str, Sequence[str]],
) -> list[Tier]:
    """All samples, then ever fewer of them, as far as they suffice; ``options`` are the powers to
    look for, of which the first is taken that the samples tell apart. Empty where not even all
    samples suffice."""
    found: list[Tier] = []
    for multiple, odd, chosen in _choices(samples, free):
        for strided, some in ((False, chosen), (True, with_one_name(chosen, free))):
            over = None if some is None else _over(some, options)
            if some is not None and over is not None:
                conditions = _conditions(multiple, free, odd=odd, strided=strided)
                found.append(Tier(multiple, odd, strided, conditions, some, over))
    return found if found and not found[0].conditions else []


def _over(samples: Sequence[Sample], options: Sequence[Powers]) -> Interpolation | None:
    for powers in options:
        with suppress(ValueError):
            return Interpolation([sample.values for sample in samples], powers)
    return None


def _choices(
    samples: Sequence[Sample], free: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, bool, tuple[Sample, ...]]]:
    widths, kernels = widths_in(free), kernels_in(free)
    for multiple in _MULTIPLES:
        multiples = [s for s in samples if all(s.values[n] % multiple == 0 for n in widths)]
        if multiple > 1 and not _told_apart(multiples, widths, 2 * multiple):
            continue
        yield multiple, False, tuple(multiples)
        # Padding by half a kernel keeps the size for odd ones only.
        odd = tuple(s for s in multiples if all(s.values[n] % 2 for n in kernels))
        if len(odd) < len(multiples):
            yield multiple, True, odd


def _told_apart(samples: Sequence[Sample], widths: Sequence[str], multiple: int) -> bool:
    """Whether some of the widths are no multiples of ``multiple``: otherwise what holds at these
    may hold at its multiples only."""
    return bool(widths) and all(any(s.values[n] % multiple for s in samples) for n in widths)


def _conditions(
    multiple: int, free: Mapping[str, Sequence[str]], *, odd: bool, strided: bool
) -> tuple[str, ...]:
    widths = [f"{name} % {multiple} == 0" for name in widths_in(free)] if multiple > 1 else []
    kernels = [f"{name} % 2 == 1" for name in kernels_in(free)] if odd else []
    strides = [f"{name} >= 2" for name in strides_in(free)] if strided else []
    return (*widths, *kernels, *strides)
