"""Which cases of two profiles ask the same, and what a case is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from blocktool.results.specs import TensorSpec


class Case(Protocol):
    """What is asked: of a case that was measured, or is going to be."""

    @property
    def batch(self) -> int | None:
        """The leading size of the first input."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs as they are shown."""

    @property
    def dtype(self) -> str:
        """Of the computation."""

    @property
    def mode(self) -> str:
        """Inference, forward or training."""

    @property
    def variant(self) -> str:
        """Of the module."""

    @property
    def amp(self) -> bool:
        """Whether the dtype is that of autocast."""


CaseT = TypeVar("CaseT", bound=Case)
SEPARATOR = " · "


def matched(old: Sequence[CaseT], new: Sequence[CaseT]) -> list[tuple[CaseT | None, CaseT | None]]:
    """The old cases in their order, each with the new one that has the same batch, inputs, dtype,
    mode, variant and autocast (None: there is none), then the new ones that are left."""
    left = list(new)
    rows: list[tuple[CaseT | None, CaseT | None]] = []
    for case in old:
        partner = next((other for other in left if _question(other) == _question(case)), None)
        if partner is not None:
            left.remove(partner)
        rows.append((case, partner))
    return [*rows, *((None, case) for case in left)]


def _question(case: Case) -> object:
    """The names of the inputs are not part of it: they may be renamed."""
    shapes = tuple((each.shape, each.dtype) for each in case.inputs)
    return case.batch, shapes, case.dtype, case.mode, case.variant, case.amp


def labels(cases: Sequence[Case]) -> list[str]:
    """``"batch 8 · float32 · inference · eager"``: all that rules select by, in words.

    The inputs are named where cases differ in nothing else (``"batch 8 · 3x224x224 · ..."``), and
    ``"amp"`` where the dtype is that of autocast.
    """
    short = [_words(case) for case in cases]
    shapes: dict[str, set[object]] = {}
    for case, words in zip(cases, short, strict=True):
        shapes.setdefault(words, set()).add(tuple(each.shape for each in case.inputs))
    return [
        _words(case, size=True) if len(shapes[words]) > 1 else words
        for case, words in zip(cases, short, strict=True)
    ]


def _words(case: Case, *, size: bool = False) -> str:
    parts = ["no batch" if case.batch is None else f"batch {case.batch}"]
    if size:
        items = (
            spec.shape[1:] if spec.shape[:1] == (case.batch,) else spec.shape
            for spec in case.inputs
        )
        parts.append(", ".join("x".join(map(str, item)) or "scalar" for item in items) or "nothing")
    parts += [case.dtype, *(["amp"] if case.amp else []), case.mode, case.variant]
    return SEPARATOR.join(parts)
