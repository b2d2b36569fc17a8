"""The cases of a sweep. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from blocktool.analysis.expressions import Node, NotWholeError, evaluate
from blocktool.check.pattern import Pattern
from blocktool.check.sizes import Extent, sizes_of
from blocktool.results.shapes import CaseMode
from blocktool.results.specs import TensorSpec

MODES: tuple[CaseMode, ...] = ("eval", "train")
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Sweep:
    """What to try, and what must hold; None and empty leave it to the defaults.

    ``arguments`` has several values for each constructor argument that is swept. ``where`` is the
    condition on sizes under which the module is to hold. ``inputs`` replace the target's own, and
    with ``as_given`` are the only ones; ``select`` narrows the target to a submodule, with the
    inputs that it receives.
    """

    batches: tuple[int, ...] | None = None
    extents: tuple[Extent, ...] | None = None
    dtypes: tuple[str, ...] | None = None
    modes: tuple[CaseMode, ...] | None = None
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expect: tuple[str, ...] = ()
    where: str | None = None
    skip: frozenset[str] = frozenset()
    inputs: tuple[TensorSpec, ...] | None = None
    as_given: bool = False
    channels_last: bool | None = None
    select: str | None = None


@dataclass(frozen=True)
class PlannedCase:
    """One call: the sizes of the pattern's symbols, or ``inputs`` just as they are."""

    sizes: Mapping[str, int]
    dtype: str
    mode: CaseMode
    channels_last: bool = False
    inputs: tuple[TensorSpec, ...] | None = None


def planned(
    pattern: Pattern, sweep: Sweep, where: Node | None, arguments: Mapping[str, int]
) -> list[PlannedCase]:
    """Every case of the sweep for a module with this pattern and these constructor arguments.

    What does not depend on the size is tried at few of them: dtypes beyond the first, unless they
    were asked for, and channels-last maps.
    """
    modes = sweep.modes or MODES
    floating = any(spec.dtype.startswith(("float", "bfloat")) for spec in pattern.inputs)
    dtypes = sweep.dtypes or (DTYPES if floating else DTYPES[:1])
    if sweep.as_given:
        sizes: Sequence[Mapping[str, int]] = [dict(pattern.base)]
    else:
        sizes = [
            each
            for each in sizes_of(pattern, sweep.batches, sweep.extents)
            if where is None or holds(where, {**arguments, **pattern.bindings(each)})
        ]
    if not sizes:
        return []
    cases = []
    if sweep.channels_last is not True:
        few = sizes if sweep.dtypes else _few(sizes)
        for mode, (turn, dtype) in product(modes, enumerate(dtypes)):
            cases += [PlannedCase(each, dtype, mode) for each in (few if turn else sizes)]
    maps = any(len(tensor.shape) == 4 for tensor in pattern.inputs)
    asked = sweep.channels_last or (sweep.channels_last is None and not sweep.as_given)
    if maps and asked and "layout" not in sweep.skip:
        chosen = sizes if sweep.channels_last else _few(sizes)[-1:]
        cases += [
            PlannedCase(each, dtype, mode, channels_last=True)
            for mode, dtype, each in product(modes, dtypes, chosen)
        ]
    return cases


def _few(sizes: Sequence[Mapping[str, int]]) -> list[Mapping[str, int]]:
    """One in the middle of the list, and the last ones: the target's own size."""
    middle = max(sizes[: len(sizes) // 2 + 1], key=lambda each: min(each.values(), default=1))
    last = [each for each in sizes if _without_batch(each) == _without_batch(sizes[-1])]
    return [*([] if middle in last else [middle]), *last]


def _without_batch(sizes: Mapping[str, int]) -> dict[str, int]:
    return {symbol: size for symbol, size in sizes.items() if symbol != "B"}


def holds(where: Node, sizes: Mapping[str, int]) -> bool:
    """Whether a condition is true of these sizes, and has a value at all."""
    try:
        return bool(evaluate(where, sizes))
    except NotWholeError:
        return False
