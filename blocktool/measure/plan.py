"""From what the user asked for to the cases that are run, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.errors import InputError, UsageError
from blocktool.measure.request import CaseSpec, Request
from blocktool.measure.subject import Subject
from blocktool.results.specs import TensorSpec
from blocktool.targets.inputs import parse_dtype, with_batch, with_size
from blocktool.trace.tracer import torch_dtype

_LOW = ("bfloat16", "float16")


def cases_of(request: Request, subject: Subject) -> tuple[CaseSpec, ...]:
    """Every combination of size, batch, dtype, mode and variant; variants of the same stand side by
    side.

    Raises InputError for batches and sizes that do not fit the inputs, UsageError for a dtype that
    is none, and for autocast without a dtype for it.
    """
    found: list[CaseSpec] = []
    for inputs, as_given in _inputs(request, subject):
        batch = inputs[0].shape[0] if inputs and inputs[0].shape else None
        for dtype, amp, cast in _dtypes(request, subject):
            for mode in request.modes:
                for variant in request.variants:
                    found.append(
                        CaseSpec(
                            len(found), batch, inputs, dtype, mode, variant, amp, cast, as_given
                        )
                    )
    return tuple(found)


def _inputs(request: Request, subject: Subject) -> Iterator[tuple[tuple[TensorSpec, ...], bool]]:
    own = subject.inputs
    if not own and (request.batches or request.sizes):
        raise InputError(
            f"{subject.name} takes no tensors, so that there is nothing to vary",
            hint="leave out --batch and --size",
        )
    for size in request.sizes or (None,):
        sized = own if size is None else with_size(own, size)
        for batch in request.batches or (None,):
            made = sized if batch is None else with_batch(sized, batch)
            yield made, made == own


def _dtypes(request: Request, subject: Subject) -> list[tuple[str, bool, bool]]:
    """Dtype, whether by autocast, and whether the module is converted."""
    names = [parse_dtype(text) for text in request.dtypes]
    for name in names:
        torch_dtype(name)
    if not request.amp:
        return [(name, False, True) for name in names] or [(subject.dtype, False, False)]
    if names and not any(name in _LOW for name in names):
        raise UsageError(
            f"--amp has nothing to do with --dtype {','.join(names)}",
            hint="autocast computes in bfloat16 or float16: add one of them, or leave out --dtype",
        )
    return [(name, name in _LOW, name not in _LOW) for name in names or ["bfloat16"]]
