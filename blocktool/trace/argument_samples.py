"""Values of free arguments at which a target is tried, and what its formulas are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from blocktool.analysis.counts import Count
from blocktool.analysis.formula_report import PARAM_BYTES
from blocktool.errors import BlocktoolError
from blocktool.trace.derive import Derived, derive
from blocktool.trace.derive_target import Request

_WIDTHS = (
    *(64, 33, 240, 18, 16, 120, 20, 256, 48, 24, 30, 512, 480, 36, 128, 40, 1024, 28, 768, 96),
    *(12, 192, 144, 320, 22, 80, 112, 384, 360, 720),
)
_STRIDES = (2, 3, 4, 5, 1, 8, 6, 7, 9, 12, 11, 10, 13)
_COUNTS = (2, 1, 4, 3, 8, 6, 5, 7, 9, 12, 11, 10, 13)
_SHARES = (2, 1, 4, 8, 3, 16, 6, 32, 12, 64, 24, 128, 48, 256, 5, 10, 7, 9, 18, 15, 20, 96, 192)
_KERNELS = (3, 1, 2, 5, 7, 4, 9, 6, 11, 8, 13, 10, 15)
"""Even ones early: padding by half of them gives other sizes than for odd ones, and three symbols
leave each but five values; most of these are odd, so that these alone suffice, too."""
_WIDE = ("channel", "dim", "width", "feature", "hidden", "plane", "filter")
_WIDTH_POWERS = (0, 1, 2)
_COUNT_POWERS = (-1, 0, 1, 2)
_STRIDE_POWERS = (0, 1)
_SHARE_POWERS = (-1, 0, 1)
_ALONE = ((-1, 0, 1, 2, 3), (-1, 0, 1))
_KERNELS_ALONE = ((0, 1, 2, 3, 4), (0, 1, 2))
_SHARES_ALONE = ((-1, 0, 1), (-1, 0))
_WIDEST = 4096
SPARE = 16
MOST_SAMPLES = 80
_ATTEMPTS = 600


Powers = dict[str, tuple[int, ...]]
"""The powers of each symbol."""


@dataclass(frozen=True)
class Sample:
    """One set of values, and the counts there."""

    values: dict[str, int]
    derived: Derived
    figures: dict[tuple[str, str], Count]


def powers_of_all(free: Mapping[str, Sequence[str]]) -> list[Powers]:
    """The powers that each symbol (with the arguments it stands for) is expected to have; those to
    fall back upon, where there are few values, after the first."""
    if len(free) == 1:
        ((name, keys),) = free.items()
        return [{name: powers} for powers in _powers_alone(keys)]
    return [{name: _powers_of(keys) for name, keys in free.items()}]


def _powers_alone(keys: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    if _is_width(keys):
        return _ALONE
    if _is_kernel(keys):
        return _KERNELS_ALONE
    return _SHARES_ALONE if _is_share(keys) else _ALONE


def _powers_of(keys: Sequence[str]) -> tuple[int, ...]:
    if _is_width(keys) or _is_kernel(keys):
        return _WIDTH_POWERS
    if _is_stride(keys) and len(keys) == 1:
        return _STRIDE_POWERS
    return _SHARE_POWERS if _is_share(keys) else _COUNT_POWERS


def _is_share(keys: Sequence[str]) -> bool:
    """Whether it has to divide a width."""
    return all("group" in key.lower() or "head" in key.lower() for key in keys)


def _is_stride(keys: Sequence[str]) -> bool:
    return any("stride" in key.lower() for key in keys)


def _is_kernel(keys: Sequence[str]) -> bool:
    return all("kernel" in key.lower() for key in keys)


def _is_width(keys: Sequence[str]) -> bool:
    return any(word in key.lower() for key in keys for word in _WIDE)


def samples_of(request: Request, free: Mapping[str, Sequence[str]], wanted: int) -> list[Sample]:
    """Runs at values for which there is a module: groups, say, must divide the channels."""
    found: list[Sample] = []
    problem: BlocktoolError | None = None
    for values in _candidates(request, free):
        try:
            question = request.question(values)
            derived = derive(question, compare=1 if len(found) % 4 == 0 else 0)
        except BlocktoolError as error:
            problem = problem or error
            continue
        figures = derived.counted.figures()
        figures[PARAM_BYTES] = Count.of(derived.counted.param_bytes)
        found.append(Sample(values, derived, figures))
        if len(found) == wanted:
            break
    if not found and problem is not None:
        raise problem
    return found


def _candidates(request: Request, free: Mapping[str, Sequence[str]]) -> Iterator[dict[str, int]]:
    if len(free) == 1 and _is_share(next(iter(free.values()))):
        pools = [_shares_of(request)]
    else:
        pools = [_pool(keys) for keys in free.values()]
    places = sorted(
        product(*(range(len(pool)) for pool in pools)), key=lambda p: (max(p), sum(p), p)
    )
    for place in places[:_ATTEMPTS]:
        yield {name: pool[index] for name, pool, index in zip(free, pools, place, strict=True)}


def _pool(keys: Sequence[str]) -> tuple[int, ...]:
    if _is_width(keys):
        return _WIDTHS
    if _is_stride(keys):
        return _STRIDES
    return _KERNELS if _is_kernel(keys) else _COUNTS


def _shares_of(request: Request) -> tuple[int, ...]:
    """Numbers of groups or heads: what divides the widths that are given, and what divides usual
    ones."""
    texts = [item.partition("=")[2].strip() for item in request.arguments]
    given = [int(text) for text in texts if text.isdecimal() and int(text) <= _WIDEST]
    divisors = [n for width in given for n in range(1, width + 1) if width % n == 0]
    return tuple(dict.fromkeys((*_SHARES[:2], *divisors, *_SHARES)))


def widths_in(free: Mapping[str, Sequence[str]]) -> list[str]:
    """The symbols that stand for numbers of channels."""
    return [name for name, keys in free.items() if _is_width(keys)]


def kernels_in(free: Mapping[str, Sequence[str]]) -> list[str]:
    """The symbols that stand for kernel sizes."""
    return [name for name, keys in free.items() if _is_kernel(keys)]


def strides_in(free: Mapping[str, Sequence[str]]) -> list[str]:
    """The symbols that stand for strides."""
    return [name for name, keys in free.items() if _is_stride(keys)]
