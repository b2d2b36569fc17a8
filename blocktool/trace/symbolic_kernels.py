"""Answers operations on tensors without data whose sizes are symbols.

torch has three kinds of answers for them: shape functions written in Python, decompositions into
operations that have one, and a few kernels in C++ that understand symbols; everything else
refuses. ``FakeTensorMode`` picks among them in this order, and so does this mode; unlike it, it
asks our own rules first, which are fast and compare nothing but what must fit, and stays on the
meta device, so that attention is routed as in every other trace.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from blocktool.trace.asked import contiguous
from blocktool.trace.classify import traits_of
from blocktool.trace.limits import RungUnavailableError, raised_in_torch
from blocktool.trace.structure import named_tensors

_aten = torch.ops.aten
_CPU, _META = torch.device("cpu"), torch.device("meta")
_UNDERSTANDS_SYMBOLS = frozenset(
    (
        _aten.empty.memory_format,
        _aten.empty_strided.default,
        _aten.as_strided.default,
        _aten.as_strided_.default,
        _aten.as_strided_scatter.default,
        _aten.zeros.default,
        _aten.detach.default,
        _aten.view_as_real.default,
        _aten.view_as_complex.default,
    )
)
_VIEWS = frozenset((_aten.view.default, _aten._unsafe_view.default))
_ONLY_DECOMPOSED = frozenset((_aten.constant_pad_nd.default, _aten.rot90.default))
"""Not registered for meta tensors, because compiled functions would see them differently."""
_ALGEBRA = ("/sympy/", "/torch/utils/_sympy/", "/torch/fx/experimental/")
_REFUSALS = (
    "SymIntArrayRef",
    "INTERNAL ASSERT",
    "symbolic sizes",
    "symbolic shape",
    "SymInt",
    "SymNode",
    "expected to contain only concrete integers",
)


class SymbolicKernels(TorchDispatchMode):
    """Answers operations, and those that their answers consist of."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # As in Recorder.

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return self.answer(func, args, kwargs or {})

    def answer(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What ``func`` gives, as tensors without data.

        Raises RungUnavailableError, naming the operation, where torch has no answer.
        """
        if isinstance(func, HigherOrderOperator):
            return func(*args, **kwargs)
        rule = traits_of(func).rule
        if rule is not None:
            out = rule(args, kwargs)
            if out is not NotImplemented:
                return out
        try:
            return self._answered(func, args, kwargs)
        except RungUnavailableError:
            raise
        except (RuntimeError, NotImplementedError, TypeError) as error:
            unanswered = isinstance(error, NotImplementedError) and raised_in_torch(error)
            if unanswered or refused(error):
                raise RungUnavailableError(_why_not(func)) from error
            raise

    def _answered(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not has_symbols((args, kwargs)):
            return func(*args, **kwargs)
        if _makes_on_cpu(func, args, kwargs):
            # No device has tensors with symbols for sizes; what is made there is moved here next.
            kwargs = {**kwargs, "device": _META}
        return self._ask_torch(func, args, kwargs)

    def _ask_torch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from torch._decomp import decomposition_table, meta_table

        if func in _VIEWS and not kwargs:
            out = _view(*args)
            if out is not NotImplemented:
                return out
        understood = func in meta_table and func not in _ONLY_DECOMPOSED
        if understood or func in _UNDERSTANDS_SYMBOLS or torch.Tag.view_copy in func.tags:
            return func(*args, **kwargs)
        if func in decomposition_table:
            with self:
                return decomposition_table[func](*args, **kwargs)
        if hasattr(func, "prim_meta_impl"):
            with self:
                return func.prim_meta_impl(*args, **kwargs)
        with self:
            out = func.decompose(*args, **kwargs)
        return func(*args, **kwargs) if out is NotImplemented else out


def _why_not(func: Any) -> str:
    name = func._schema.name.replace("::", ".")
    if torch.Tag.dynamic_output_shape in func.tags:
        return f"the sizes of what {name} gives depend on values"
    return f"{name} cannot be traced with symbolic sizes"


def _view(x: torch.Tensor, shape: Any) -> Any:
    """A view of a tensor in row-major order, where it fits as it is written; torch asks more."""
    if x.layout is not torch.strided or not contiguous(x):
        return NotImplemented
    sizes = list(shape)
    if any(type(size) is int and size < 0 for size in sizes):
        return NotImplemented
    held: Any = prod(x.shape)
    wanted: Any = prod(sizes)
    if not isinstance(held, torch.SymInt) or not isinstance(wanted, torch.SymInt):
        return NotImplemented
    if held.node.expr != wanted.node.expr:
        return NotImplemented
    strides: list[Any] = []
    filled: Any = 1
    for size in reversed(sizes):
        strides.insert(0, filled)
        filled *= size
    return torch.as_strided(x, sizes, strides, x.storage_offset())


def refused(error: BaseException) -> bool:
    """Whether torch has no answer for symbols, or its algebra fails, rather than the module."""
    if _in_algebra(error):
        return not isinstance(error, ZeroDivisionError)
    return raised_in_torch(error) and any(sign in str(error) for sign in _REFUSALS)


def _in_algebra(error: BaseException) -> bool:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    file = traceback.tb_frame.f_code.co_filename if traceback is not None else ""
    return any(part in file.replace("\\", "/") for part in _ALGEBRA)


def _makes_on_cpu(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a tensor is made on the CPU out of sizes alone."""
    takes_device = any(argument.name == "device" for argument in func._schema.arguments)
    if not takes_device or kwargs.get("device") not in (None, _CPU):
        return False
    return next(named_tensors((args, kwargs)), None) is None


def has_symbols(value: Any) -> bool:
    """Whether a tensor in ``value`` has a symbolic size, or a symbol stands in it as it is."""
    return _holds_symbol(value) or any(
        tensor._has_symbolic_sizes_strides for _, tensor in named_tensors(value)
    )


def _holds_symbol(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_holds_symbol(item) for item in value)
    if isinstance(value, dict):
        return any(_holds_symbol(item) for item in value.values())
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))
