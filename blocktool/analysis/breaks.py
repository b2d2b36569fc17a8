"""Membership along residue classes: where it changes."""

from __future__ import annotations

from bisect import bisect_right

Breaks = tuple[int, ...]
"""Where membership changes along a residue class, ascending; before the first one it is no."""

Classes = tuple[Breaks, ...]
"""The breaks of each residue class of a period."""

_SHORT = 64


def joined(spans: list[tuple[int, int | None]]) -> Breaks:
    """Half-open spans that do not overlap as breaks."""
    breaks: list[int] = []
    for begin, end in sorted(spans, key=lambda span: span[0]):
        if breaks and breaks[-1] == begin:
            breaks.pop()
        else:
            breaks.append(begin)
        if end is not None:
            breaks.append(end)
    return tuple(breaks)


def in_class(classes: Classes, residue: int, modulus: int) -> Breaks:
    """The breaks along a class of a larger period."""
    breaks = classes[residue % len(classes)]
    if modulus == len(classes):
        return breaks
    moved: list[int] = []
    for size in breaks:
        here = max(size, 1)
        here += (residue - here) % modulus
        if moved and moved[-1] == here:
            moved.pop()
        else:
            moved.append(here)
    return tuple(moved)


def reduced(breaks: Classes) -> Classes:
    """The same set with the smallest period."""
    factor = 2
    rest = len(breaks)
    while rest > 1:
        if rest % factor:
            factor += 1
            continue
        rest //= factor
        smaller = _merged(breaks, factor)
        if smaller is not None:
            breaks = smaller
    return breaks


def _merged(breaks: Classes, factor: int) -> Classes | None:
    """With a period ``factor`` times smaller, None where the set has no such period."""
    modulus = len(breaks) // factor
    result = []
    for residue in range(modulus):
        classes = [breaks[residue + turn * modulus] for turn in range(factor)]
        if len({len(own) % 2 for own in classes}) > 1:
            return None
        merged = _interleaved(classes, modulus)
        if merged is None:
            return None
        result.append(merged)
    return tuple(result)


def _interleaved(classes: list[Breaks], step: int) -> Breaks | None:
    """The breaks of several classes taken together, which all end alike.

    None where they differ on a long stretch: together they would change at each size.
    """
    large = step * len(classes)
    edges = sorted({edge for own in classes for edge in own})
    if not edges:
        return ()

    def inside_at(size: int) -> bool:
        return bisect_right(classes[size // step % len(classes)], size) % 2 == 1

    result: list[int] = []
    inside = False
    size = edges[0]
    while size <= edges[-1] + large:
        here = inside_at(size)
        if here != inside:
            inside = here
            result.append(size)
        position = bisect_right(edges, size)
        gap = edges[position] - size if position < len(edges) else 0
        if gap > 2 * large * _SHORT:
            # Up to the next edge nothing changes within a class: one turn tells them all.
            if len({inside_at(size + turn * step) for turn in range(1, len(classes) + 1)}) > 1:
                return None
            size += (gap // large - 1) * large
        size += step
    return tuple(result)
