"""What only real data shows: whether eval repeats itself, and whether items of a batch mix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from blocktool.analysis.shape_checks import random_in_eval
from blocktool.results.shapes import Failed
from blocktool.results.specs import TensorSpec
from blocktool.results.trace import OpTrace
from blocktool.trace.guard import module_preserved, substitute_tensors, torch_preserved
from blocktool.trace.inputs import CallArguments, call_arguments, materialized
from blocktool.trace.standins import with_data
from blocktool.trace.structure import map_tensors, named_tensors

_TOLERANCE = 1e-4
"""Of the largest magnitude: other items of a batch may lead to other blockings of a product."""
_NOISE = 0.1


def check_values(
    build: Callable[[], nn.Module],
    inputs: Sequence[TensorSpec],
    record: OpTrace,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    skip: frozenset[str] = frozenset(),
) -> Failed | None:
    """Run the module with real tensors in eval mode, twice on one batch, and with all but the
    first and all but the last item exchanged.

    ``record`` is the trace of the same call, which tells what was at fault. What the forward
    raises is passed on.
    """
    with torch_preserved(), torch.inference_mode(False), ExitStack() as stack:
        torch.manual_seed(0)  # the same figures in every run
        module = build()
        stack.enter_context(module_preserved(module))
        where, kind = torch.device(device), getattr(torch, dtype)
        loose = with_data(where, None, copy=True)
        substitute_tensors(module, with_data(where, kind, copy=True), loose)
        torch.manual_seed(0)
        _unsettle(module)
        module.eval()
        with torch.no_grad():
            given = materialized(
                call_arguments(tuple(inputs)),
                torch.device(device),
                None,
                with_values=True,
                requires_grad=False,
            )
            first = _called(module, given)
            if "repeat" not in skip and (failed := _repeats(module, given, first, record)):
                return failed
            if "batch" not in skip:
                return _mixes(module, given, first)
    return None


def _unsettle(module: nn.Module) -> None:
    """Parameters that are all one number get some noise: a branch that begins at zero would hide
    what it does."""
    with torch.no_grad():
        for parameter in module.parameters():
            floating = parameter.is_floating_point() and parameter.numel() > 1
            if floating and bool((parameter == parameter.flatten()[0]).all()):
                parameter.add_(torch.randn_like(parameter) * _NOISE)


def _called(module: nn.Module, given: CallArguments) -> list[torch.Tensor]:
    """The outputs for copies of the inputs: forward may write into what it is given."""
    args = [map_tensors(value, torch.clone) for value in given.args]
    kwargs = {name: map_tensors(value, torch.clone) for name, value in given.kwargs.items()}
    return [tensor.detach().clone() for _, tensor in named_tensors(module(*args, **kwargs))]


def _repeats(
    module: nn.Module, given: CallArguments, first: list[torch.Tensor], record: OpTrace
) -> Failed | None:
    again = _called(module, given)
    if len(again) == len(first) and all(
        a.shape == b.shape for a, b in zip(again, first, strict=True)
    ):
        worst = max((_difference(a, b) for a, b in zip(again, first, strict=True)), default=0.0)
        if worst <= _TOLERANCE:
            return None
        what = f"differs by up to {worst:.2g} of the largest magnitude"
    else:
        what = "has another shape"
    drawn = random_in_eval(record)
    if drawn is None:
        hint = "does forward keep state from one call to the next (a counter, a running buffer)?"
        return Failed("repeat", f"a second run of eval on the same input {what}", hint=hint)
    op, path = drawn
    return Failed(
        "repeat",
        f"a second run of eval on the same input {what}: {op.op} draws random numbers",
        "the same result twice",
        f"it {what}",
        path,
        "dropout or noise that is on in eval mode: pass training=self.training",
    )


def _difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, as a share of the largest magnitude."""
    if a.numel() == 0:
        return 0.0
    if not a.is_floating_point():
        return float(not torch.equal(a, b))
    a, b = a.double().nan_to_num(), b.double().nan_to_num()
    scale = max(float(b.abs().max()), 1e-30)
    return float((a - b).abs().max()) / scale


@dataclass(frozen=True)
class _Seen:
    """A module's call: the item that is kept, of every tensor that it took and gave."""

    path: str
    taken: list[torch.Tensor]
    given: list[torch.Tensor]


def _mixes(module: nn.Module, given: CallArguments, first: list[torch.Tensor]) -> Failed | None:
    """Whether the first or the last item changes when all others are exchanged."""
    tensors = [tensor for _, tensor in named_tensors([given.args, given.kwargs])]
    batch = tensors[0].shape[0] if tensors and tensors[0].dim() > 1 else 1
    if batch < 2:
        return None
    for kept, name in ((0, "first"), (batch - 1, "last")):
        other = _exchanged(given, batch, kept)
        worst = 0.0
        for a, b in zip(_called(module, other), first, strict=False):
            if a.shape == b.shape and a.dim() and a.shape[0] == batch:
                worst = max(worst, _difference(a[kept], b[kept]))
        if worst > _TOLERANCE:
            return Failed(
                "batch",
                f"the {name} item of a batch changes with the others, by up to "
                f"{worst:.2g} of the largest magnitude",
                "each item by itself",
                "items mix",
                _first_that_mixes(module, given, other, batch, kept),
                "a reshape that mixes batch and space, a layer that takes the batch for the "
                "sequence, statistics of the batch in eval mode, or a softmax or mean over "
                "dimension 0?",
            )
    return None


def _exchanged(given: CallArguments, batch: int, kept: int) -> CallArguments:
    """The call with other values in all items but one."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point() or tensor.dim() < 2 or tensor.shape[0] != batch:
            return tensor
        other = 2.0 * torch.randn_like(tensor)
        other[kept] = tensor[kept]
        return other

    return CallArguments(
        tuple(map_tensors(value, change) for value in given.args),
        {name: map_tensors(value, change) for name, value in given.kwargs.items()},
    )


def _first_that_mixes(
    module: nn.Module, one: CallArguments, other: CallArguments, batch: int, kept: int
) -> str | None:
    """The innermost module before which the item that is kept is equal, and different after it."""
    before, after = (_watched(module, call, batch, kept) for call in (one, other))
    for a, b in zip(before, after, strict=False):
        if a.path != b.path or not a.taken:
            continue
        if _same(a.taken, b.taken) and not _same(a.given, b.given):
            return a.path
    return None


def _same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and _difference(x, y) <= _TOLERANCE for x, y in zip(a, b, strict=True)
    )


def _watched(module: nn.Module, call: CallArguments, batch: int, kept: int) -> list[_Seen]:
    """Every call of a module inside, innermost first."""
    seen: list[_Seen] = []

    def items(value: Any) -> list[torch.Tensor]:
        return [
            tensor[kept].detach().clone()
            for _, tensor in named_tensors(value)
            if tensor.dim() and tensor.shape[0] == batch
        ]

    with _hooks() as hooks:
        for path, submodule in module.named_modules():
            hooks.append(
                submodule.register_forward_hook(
                    lambda _, args, kwargs, out, path=path: seen.append(
                        _Seen(path, items([args, kwargs]), items(out))
                    ),
                    with_kwargs=True,
                )
            )
        _called(module, call)
    return seen


@contextmanager
def _hooks() -> Iterator[list[Any]]:
    handles: list[Any] = []
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()
