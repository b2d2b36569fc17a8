"""In what the cases of a profile differ: the columns of their tables, and their names in a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blocktool.render import units
from blocktool.results.profile import ProfileCase
from blocktool.results.specs import TensorSpec

_FEW = 4  # so many cases are named, more are counted


@dataclass(frozen=True, slots=True)
class Key:
    """One thing in which cases differ: a column of their table, and how it is said in a line."""

    title: str
    show: Callable[[ProfileCase], str]
    say: Callable[[ProfileCase], str]
    right: bool = False


def batch(size: int | None) -> str:
    """``batch 8``."""
    return "no batch" if size is None else f"batch {size}"


def _batch(case: ProfileCase) -> str:
    return "-" if case.batch is None else str(case.batch)


def _dtype(case: ProfileCase) -> str:
    return f"{case.dtype} amp" if case.amp else case.dtype


KEYS = (
    Key("Batch", _batch, lambda case: batch(case.batch), right=True),
    Key("Input", lambda case: items_shape(case.inputs, case.batch), lambda case: _size(case)),
    Key("Dtype", _dtype, _dtype),
    Key("Mode", lambda case: case.mode, lambda case: case.mode),
    Key("Variant", lambda case: case.variant, lambda case: case.variant),
)
_NUMBER = Key("Case", lambda case: str(case.index), lambda case: f"case {case.index}", right=True)


def keys_of(cases: Sequence[ProfileCase]) -> tuple[Key, ...]:
    """The keys in which the cases differ; their number where they differ in none."""
    found = tuple(key for key in KEYS if len({key.show(case) for case in cases}) > 1)
    return found or ((_NUMBER,) if len(cases) > 1 else ())


def named(case: ProfileCase, keys: Sequence[Key]) -> str:
    """``batch 8, bf16``; empty without keys."""
    return ", ".join(key.say(case) for key in keys)


def items_shape(inputs: Sequence[TensorSpec], batch: int | None) -> str:
    """The shapes of one item of each input: ``3x224x224``; whole where there is no batch."""
    shapes = [
        spec.shape[1:] if batch is not None and spec.shape[:1] == (batch,) else spec.shape
        for spec in inputs
    ]
    return ", ".join(map(units.shape, shapes)) or "nothing"


def _size(case: ProfileCase) -> str:
    return f"size {items_shape(case.inputs, case.batch)}"


def shared(cases: Sequence[ProfileCase]) -> list[str]:
    """What is the same in all cases: input, dtype, mode, and the variant that is not eager."""
    if not cases:
        return []
    first, differ = cases[0], {key.title for key in keys_of(cases)}
    told = []
    if "Input" not in differ:
        whole = ", ".join(_whole(spec, first.dtype) for spec in first.inputs)
        item = f"{items_shape(first.inputs, first.batch)} an item"
        told.append(item if "Batch" in differ else whole or "nothing")
    told += [key.show(first) for key in KEYS[2:4] if key.title not in differ]
    if "Variant" not in differ and first.variant != "eager":
        told.append(first.variant)
    return told


def _whole(spec: TensorSpec, dtype: str) -> str:
    """The shape, with the name that an input has, and its dtype where it is not the case's."""
    name = f"{spec.name}=" if spec.name else ""
    kind = "" if "float" in spec.dtype or spec.dtype == dtype else f":{spec.dtype}"
    return f"{name}{units.shape(spec.shape)}{kind}"


def whose(indices: Sequence[int], cases: Sequence[ProfileCase]) -> str:
    """Which cases are meant: empty for all of them, their names for a few, else their number."""
    if not indices or len(set(indices)) >= len(cases):
        return ""
    keys = keys_of(cases)
    if len(indices) > _FEW:
        return f"{len(indices)} of {len(cases)} cases"
    return "; ".join(named(case, keys) for case in cases if case.index in indices)
