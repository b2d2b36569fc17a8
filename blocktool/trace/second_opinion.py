"""A second opinion: the same forward, counted by fvcore.

Papers quote fvcore (https://github.com/facebookresearch/fvcore, ``FlopCountAnalysis``), so our
figure must be reconcilable with its. fvcore counts one multiply-accumulate as one "flop"; its
counts are therefore MACs. It needs real tensors and follows the forward with ``torch.jit``'s
tracer, which takes tensors as positional arguments only: the module is wrapped in one that takes
the tensors and rebuilds the call, as fvcore's documentation advises.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from blocktool.results.cross_check import SecondOpinion
from blocktool.results.specs import TensorSpec
from blocktool.results.trace import OpTrace
from blocktool.targets.loading import user_code_running
from blocktool.targets.target import Target
from blocktool.trace.fvcore_record import (
    WRAPPED,
    HandlerError,
    inside,
    note_each_op,
    skipped_ops,
    whole,
)
from blocktool.trace.guard import module_preserved, substitute_tensors, torch_preserved
from blocktool.trace.host_memory import available_memory, memory_needed
from blocktool.trace.inputs import CallArguments, Inputs, call_arguments, materialized
from blocktool.trace.limits import one_line
from blocktool.trace.standins import StandIn, with_data
from blocktool.trace.structure import map_tensors, named_tensors
from blocktool.trace.target import _received

_CPU = torch.device("cpu")


def second_opinion(
    module: nn.Module, inputs: Inputs, *, dtype: str | None = None, copy: bool = True
) -> SecondOpinion:
    """Count one forward of ``module`` on ``inputs`` with fvcore, on CPU, in eval mode.

    Arguments are those of :func:`blocktool.trace.tracer.trace`; ``copy=False`` lets a module that
    is not needed afterwards keep its tensors in place. The module is left exactly as it was
    found, also after an exception. Where fvcore cannot count, the result says so in
    ``unavailable``; nothing is raised for it.

    Raises:
        InputError: the inputs are malformed.
    """
    arguments = call_arguments(inputs)
    module = getattr(module, "_orig_mod", module)
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        try:
            import fvcore
            from fvcore.nn.flop_count import FlopCountAnalysis
        except ImportError as error:
            return SecondOpinion("fvcore", "", unavailable=f"fvcore is not there: {error}")
        version = str(getattr(fvcore, "__version__", "unknown"))
        stack.enter_context(torch_preserved())
        stack.enter_context(_no_fast_path())
        stack.enter_context(module_preserved(module))
        stack.enter_context(torch.no_grad())
        try:
            wrapper = _ready(module, arguments, getattr(torch, dtype) if dtype else None, copy)
        except (RuntimeError, MemoryError) as error:
            reason = f"there are no real tensors to count with: {one_line(error)}"
            return SecondOpinion("fvcore", version, unavailable=reason)
        return _counted(FlopCountAnalysis, version, wrapper)


def second_opinion_of_target(
    target: Target,
    trace: OpTrace,
    inputs: tuple[TensorSpec, ...] | None = None,
    *,
    dtype: str | None = None,
    select: str | None = None,
) -> SecondOpinion:
    """Build ``target`` with values, and count the forward that ``trace`` recorded of it.

    ``inputs``, ``dtype`` and ``select`` are those that the trace was made with. A target that
    needs more memory than there is, by the trace, is not built, and the result says so.

    Raises:
        TargetError, ModuleError, InputError: as :func:`blocktool.trace.target.trace_target` does.
    """
    available, needed = available_memory(), memory_needed(trace)
    if available is not None and needed > available:
        reason = (
            f"fvcore needs real tensors: about {needed / 2**30:.1f} GiB, "
            f"and {available / 2**30:.1f} GiB are available"
        )
        return SecondOpinion("fvcore", "", unavailable=reason)
    with user_code_running(), _quiet():
        module = target.build()
        inputs = inputs or target.inputs
        if not select:
            return second_opinion(module, inputs, dtype=dtype, copy=False)
        settings = {"mode": "forward", "dtype": dtype}
        arguments, _ = _received(target, module, select, inputs or (), settings)
        return second_opinion(module.get_submodule(select), arguments, dtype=dtype, copy=False)


def _ready(
    module: nn.Module, arguments: CallArguments, dtype: torch.dtype | None, copy: bool
) -> _Call:
    """The call to count, on real tensors."""
    substitute_tensors(module, _with_values(dtype, copy))
    arguments = materialized(arguments, _CPU, dtype, with_values=True, requires_grad=False)
    return _Call(module.eval(), arguments)


def _counted(analysis_class: Any, version: str, wrapper: _Call) -> SecondOpinion:
    analysis = analysis_class(wrapper, wrapper.tensors)
    analysis.tracer_warnings("none")
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counted = note_each_op(analysis)
    try:
        wrapper.settle()
        total = analysis.total()
    except Exception as error:
        text = str(error) if isinstance(error, HandlerError) else one_line(error)
        reason = f"fvcore cannot count this module: {text}"
        return SecondOpinion("fvcore", version, unavailable=reason)
    if wrapper.silent:
        reason = "fvcore follows the forward from its outputs, and this one returns no tensor"
        return SecondOpinion("fvcore", version, unavailable=reason)
    canonical = {
        path: analysis.canonical_module_name(path)
        for path, _ in wrapper.named_modules(remove_duplicate=False)
    }
    return SecondOpinion(
        tool="fvcore",
        version=version,
        total=whole(total),
        counted=tuple(counted),
        skipped=tuple(skipped_ops(analysis, sorted(set(canonical.values())))),
        uncalled=tuple(sorted(inside(path) for path in analysis.uncalled_modules() if path)),
        canonical=tuple(
            (inside(path), inside(name)) for path, name in canonical.items() if path != name
        ),
    )


class _Call(nn.Module):
    """One call of a module as a function of its tensors alone, with its output flattened."""

    def __init__(self, module: nn.Module, arguments: CallArguments) -> None:
        super().__init__()
        self.add_module(WRAPPED, module)
        self.silent = False
        """Whether the output held no tensor."""
        self._arguments = arguments
        self.tensors: tuple[torch.Tensor, ...] = tuple(
            tensor for _, tensor in named_tensors([arguments.args, arguments.kwargs])
        )

    def settle(self) -> None:
        """Let lazy modules take their shapes before anything is counted."""
        if any(is_lazy(tensor) for tensor in (*self.parameters(), *self.buffers())):
            self(*self.tensors)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = {id(own): tensor for own, tensor in zip(self.tensors, tensors, strict=True)}

        def following(own: torch.Tensor) -> torch.Tensor:
            return given.get(id(own), own)

        args = [map_tensors(value, following) for value in self._arguments.args]
        kwargs = {n: map_tensors(value, following) for n, value in self._arguments.kwargs.items()}
        out = self.get_submodule(WRAPPED)(*args, **kwargs)
        flat = tuple(tensor for _, tensor in named_tensors(out))
        self.silent = not flat
        return flat or tensors


def _with_values(dtype: torch.dtype | None, copy: bool) -> StandIn:
    """Real tensors on CPU; zeros for what lies on meta, since a count does not ask for values."""
    keep, adopt = with_data(_CPU, dtype, copy=copy), with_data(_CPU, dtype, copy=False)

    def stand_in(original: torch.Tensor) -> Any:
        if not original.is_meta or is_lazy(original):
            return keep(original)
        zeros = torch.zeros(original.shape, dtype=original.dtype)
        return adopt(nn.Parameter(zeros, False) if isinstance(original, nn.Parameter) else zeros)

    return stand_in


@contextmanager
def _no_fast_path() -> Iterator[None]:
    """The fused inference path of ``nn.MultiheadAttention`` is off, as in our trace."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """``torch.jit`` warns that it is deprecated; that is not news to who asked for a count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
