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
_COUNTS = (2, 1, 4, 3, 8, 6, 5, 7, 9, 12, 11, 10, 13)
_KERNELS = (3, 1, 5, 7, 9, 11, 13, 2, 4)
_WIDE = ("channel", "dim", "width", "feature", "hidden", "plane", "filter")
_WIDTH_POWERS = (0, 1, 2)
_COUNT_POWERS = (-1, 0, 1, 2)
_SHARE_POWERS = (-1, 0, 1)
_ALONE = (-1, 0, 1, 2, 3)
SPARE = 16
MOST_SAMPLES = 80
_ATTEMPTS = 600


@dataclass(frozen=True)
class Sample:
    """One set of values, and the counts there."""

    values: dict[str, int]
    derived: Derived
    figures: dict[tuple[str, str], Count]


def powers_of_all(free: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """The powers that each symbol (with the arguments it stands for) is expected to have."""
    if len(free) == 1:
        return dict.fromkeys(free, _ALONE)
    return {name: _powers_of(keys) for name, keys in free.items()}


def _powers_of(keys: Sequence[str]) -> tuple[int, ...]:
    if _is_width(keys) or all("kernel" in key for key in keys):
        return _WIDTH_POWERS
    shares = all("group" in key or "head" in key for key in keys)
    return _SHARE_POWERS if shares else _COUNT_POWERS


def _is_width(keys: Sequence[str]) -> bool:
    return any(word in key.lower() for key in keys for word in _WIDE)


def samples_of(request: Request, free: Mapping[str, Sequence[str]], wanted: int) -> list[Sample]:
    """Runs at values for which there is a module: groups, say, must divide the channels."""
    found: list[Sample] = []
    problem: BlocktoolError | None = None
    for values in _candidates(free):
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


def _candidates(free: Mapping[str, Sequence[str]]) -> Iterator[dict[str, int]]:
    pools = [_pool(keys) for keys in free.values()]
    places = sorted(
        product(*(range(len(pool)) for pool in pools)), key=lambda p: (max(p), sum(p), p)
    )
    for place in places[:_ATTEMPTS]:
        yield {name: pool[index] for name, pool, index in zip(free, pools, place, strict=True)}


def _pool(keys: Sequence[str]) -> tuple[int, ...]:
    if _is_width(keys):
        return _WIDTHS
    return _KERNELS if all("kernel" in key for key in keys) else _COUNTS


def widths_in(free: Mapping[str, Sequence[str]]) -> list[str]:
    """The symbols that stand for numbers of channels."""
    return [name for name, keys in free.items() if _is_width(keys)]
