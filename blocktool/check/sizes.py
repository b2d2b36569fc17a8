"""Which sizes a sweep tries. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from blocktool.check.pattern import Pattern
from blocktool.errors import UsageError

Extent = tuple[int, ...]
"""One size, or height and width (of a video: and the number of frames before them)."""

_SIZE = re.compile(r"\d+([xX×]\d+){0,2}", re.ASCII)
_LARGEST = 1_000_000

# Tiny, even, odd, prime, square and not, and multiples of each power of two that are none of the
# next; the target's own size is added.
_MAPS: tuple[Extent, ...] = (
    *((1, 1), (2, 2), (3, 5), (7, 7), (8, 8), (12, 20), (16, 24), (31, 31)),
    *((32, 32), (33, 33), (45, 30), (14, 28), (64, 96)),
)
_TOKENS: tuple[int, ...] = (1, 2, 7, 16, 25, 49, 64, 97)
_FEW = 5
"""Sizes below which each is tried with every batch."""
_OTHERS = (1, 5, 16, 33)


def parse_extents(texts: Sequence[str]) -> tuple[Extent, ...]:
    """Read ``32,33,64x48`` (one text or several).

    Raises UsageError for anything that is no size.
    """
    extents = []
    for part in _parts(texts):
        if not _SIZE.fullmatch(part):
            raise UsageError(
                f"--size: '{part}' is not a size", hint="write 32 or 64x48, several with commas"
            )
        extent = tuple(int(size) for size in re.split("[xX×]", part))
        if min(extent) < 1 or max(extent) > _LARGEST:
            raise UsageError(f"--size: '{part}' is out of range", hint=f"from 1 to {_LARGEST}")
        extents.append(extent)
    return tuple(dict.fromkeys(extents))


def parse_batches(texts: Sequence[str]) -> tuple[int, ...]:
    """Read ``1,2,8``. Raises UsageError for anything that is no batch size."""
    batches = []
    for part in _parts(texts):
        if not part.isdecimal() or not 1 <= int(part) <= _LARGEST:
            raise UsageError(f"--batch: '{part}' is not a batch size", hint="for example 1,2,8")
        batches.append(int(part))
    return tuple(dict.fromkeys(batches))


def _parts(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from (part.strip() for part in text.split(","))


def sizes_of(
    pattern: Pattern, batches: Sequence[int] | None, extents: Sequence[Extent] | None
) -> list[dict[str, int]]:
    """The sizes of a sweep, as a value for every free symbol; None for the usual ones, which for
    the batch are 1 and, by turns, 2 and 3.

    Further symbols (the length of a context, channels that are free) go through values of their
    own meanwhile, at another pace than the batch, so that no two always change together.
    """
    base = pattern.base
    known: tuple[str, ...] = ("T", "H", "W", "N")
    spatial = [symbol for symbol in known if symbol in base]
    others = [symbol for symbol in base if symbol not in (*spatial, "B")]
    own = tuple(base[symbol] for symbol in spatial)
    found = []
    chosen = _extents(own, extents)
    for turn, extent in enumerate(chosen):
        sizes = dict(zip(spatial, extent, strict=True))
        for pace, symbol in enumerate(others, 2):
            values = _values(symbol, base[symbol])
            sizes[symbol] = values[turn // pace % len(values)]
        every = extent == own or len(chosen) < _FEW
        usual = (1, 2, 3) if every else (1, 2 + turn % 2)
        for batch in (usual if batches is None else batches) if "B" in base else (1,):
            found.append({**sizes, "B": batch} if "B" in base else sizes)
    return list({tuple(sorted(sizes.items())): sizes for sizes in found}.values())


def _values(symbol: str, base: int) -> tuple[int, ...]:
    return (base, 2 * base) if symbol.startswith("C") else (base, *_OTHERS)


def _extents(own: Extent, extents: Sequence[Extent] | None) -> list[Extent]:
    if not own:
        return [()]
    if extents is None:
        if len(own) == 1:
            usual: Sequence[Extent] = [*((size,) for size in _TOKENS), (own[0] + own[0] // 4,)]
        else:
            usual = [(*own[:-2], *extent) for extent in _MAPS]
            if own[-1] == own[-2] and own[-1] > 1:
                less = own[-1] - 1
                usual = [*usual, (*own[:-1], less), (*own[:-2], less, own[-1])]
            usual = [*usual, (*own[:-2], *(size + -(-size // 4) for size in own[-2:]))]
        return list(dict.fromkeys([*usual, own]))
    return list(dict.fromkeys(_fitted(extent, own) for extent in extents))


def _fitted(extent: Extent, own: Extent) -> Extent:
    """``32`` is 32x32 for a map; leading sizes that are not said stay the target's own."""
    count = len(own)
    if len(extent) == 1:
        return own[:-2] + extent * 2 if count > 1 else extent
    if len(extent) > count:
        raise UsageError(
            f"--size: {'x'.join(map(str, extent))} has {len(extent)} sizes, the input has {count}"
            " that vary",
            hint="write 64 for a number of tokens, 64x48 for height and width",
        )
    return own[: count - len(extent)] + extent
