"""Output shapes of common operations on the meta device, without running torch's own meta kernels.

Those kernels are written in Python; the first use of most of them imports several hundred modules
(about as long as importing torch itself), and each call takes 0.1 to 1 ms. A rule here answers in
a few microseconds, and only for the plain case: meta tensors, contiguous (or all of one dense
layout), one floating dtype, arguments that fit. In every other case it returns
``NotImplemented`` and torch decides, which also keeps torch's error messages. The tests hold each
rule to the CPU's kernel, strides included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from blocktool.trace.asked import contiguous, same_shape
from blocktool.trace.layouts import (
    FLOATS,
    ShapeMismatchError,
    Tensor,
    broadcast,
    dense,
    elementwise,
    like,
    new,
    plain,
    present,
    same_kind,
)
from blocktool.trace.moving_shapes import clone, constant_pad, resized
from blocktool.trace.spatial_shapes import avg_pool, convolution, convolution_backward, max_pool

Rule = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def _unary(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One tensor and plain numbers."""
    x = args[0]
    if not isinstance(x, Tensor) or not x.is_meta or x.dtype not in FLOATS:
        return NotImplemented
    if any(isinstance(a, (Tensor, complex)) for a in args[1:]) or "dtype" in kwargs:
        return NotImplemented
    out = elementwise(x)
    return NotImplemented if out is None else out


def _binary(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Two tensors of one dtype, or one and a number."""
    a, b = args[0], args[1]
    if not isinstance(b, Tensor):
        return _unary(args, kwargs) if isinstance(b, (int, float)) else NotImplemented
    if not isinstance(a, Tensor) or any(isinstance(x, Tensor) for x in args[2:]):
        return NotImplemented
    if not same_kind(a, b):
        return NotImplemented
    out = elementwise(a, b)
    return NotImplemented if out is None else out


def _inplace(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In place, elementwise: the answer is the tensor itself, if the others broadcast to it."""
    x = args[0]
    if not isinstance(x, Tensor) or not x.is_meta or x.dtype not in FLOATS:
        return NotImplemented
    if not contiguous(x) and not dense(x):
        return NotImplemented
    for other in args[1:]:
        if isinstance(other, Tensor):
            if not other.is_meta or other.dtype not in FLOATS:
                return NotImplemented
            if same_shape(other.shape, x.shape):
                continue
            joint = broadcast(x.shape, other.shape)
            if joint is None or not same_shape(joint, x.shape):
                return NotImplemented
        elif isinstance(other, complex):
            return NotImplemented
    if any(isinstance(value, Tensor) for value in kwargs.values()):
        return NotImplemented
    return x


def _batch_norm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, training = args[0], args[5]
    if x.dtype not in FLOATS or x.dim() < 2 or not same_kind(*present(args[:5])) or not x.numel():
        return NotImplemented
    channels = (x.shape[1],)
    if any(tuple(t.shape) != channels for t in present(args[1:5])):
        return NotImplemented
    if not contiguous(x) and (x.dim() < 4 or not dense(x)):
        return NotImplemented
    saved = channels if training else (0,)
    return like(x), new(x, saved), new(x, saved)


def _batch_norm_backward(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Only the gradients that are asked for; torch's meta kernel makes them all."""
    grad_out, x, weight, mask = args[0], args[1], args[2], args[9]
    if x.dtype not in FLOATS or not same_kind(grad_out, x) or not x.numel() or x.dim() < 2:
        return NotImplemented
    if not (contiguous(x) or dense(x)) or (weight is not None and weight.dtype != x.dtype):
        return NotImplemented
    channels = (x.shape[1],)
    return (
        like(x) if mask[0] else None,
        new(x, channels) if mask[1] else None,
        new(x, channels) if mask[2] else None,
    )


def _layer_norm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, normalized = args[0], list(args[1])
    if x.dtype not in FLOATS or not same_kind(*present((x, args[2], args[3]))):
        return NotImplemented
    axis = x.dim() - len(normalized)
    if axis < 0 or list(x.shape[axis:]) != normalized or not normalized:
        return NotImplemented
    if any(list(t.shape) != normalized for t in present(args[2:4])):
        return NotImplemented
    saved = [*x.shape[:axis], *(1 for _ in normalized)]
    return new(x, x.shape), new(x, saved), new(x, saved)  # contiguous, whatever the input


def _group_norm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, batch, channels, groups = args[0], args[3], args[4], args[6]
    if x.dtype not in FLOATS or not plain(*present(args[:3])) or channels % groups:
        return NotImplemented
    if any(tuple(t.shape) != (channels,) for t in present(args[1:3])):
        return NotImplemented
    return like(x), new(x, (batch, groups)), new(x, (batch, groups))


def _softmax(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, dim, half_to_float = args
    if half_to_float or not same_kind(x) or not -x.dim() <= dim < x.dim():
        return NotImplemented
    return new(x, x.shape)  # contiguous, whatever the input


def _mm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = args
    if a.dim() != 2 or b.dim() != 2 or not same_kind(a, b):
        return NotImplemented
    if a.shape[1] != b.shape[0]:
        sizes = f"{a.shape[0]}x{a.shape[1]} and {b.shape[0]}x{b.shape[1]}"
        raise ShapeMismatchError(f"mat1 and mat2 shapes cannot be multiplied ({sizes})")
    return new(a, (a.shape[0], b.shape[1]))


def _addmm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = _mm(args[1:], {})
    if out is NotImplemented or not same_kind(args[0], out):
        return NotImplemented
    return out if broadcast(out.shape, args[0].shape) == list(out.shape) else NotImplemented


def _bmm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = args
    if a.dim() != 3 or b.dim() != 3 or not same_kind(a, b):
        return NotImplemented
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        return NotImplemented
    return new(a, (a.shape[0], a.shape[1], b.shape[2]))


def _reduced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``mean.dim``, ``sum.dim_IntList``, ``amax``: (x, dims, keepdim)."""
    x = args[0]
    dims = args[1] if len(args) > 1 else None
    keep = bool(args[2]) if len(args) > 2 else False
    if kwargs or not dims or not plain(x) or not x.numel():
        return NotImplemented
    rank = x.dim()
    if any(not -rank <= d < rank for d in dims):
        return NotImplemented
    gone = {d % rank for d in dims}
    if len(gone) != len(dims):
        return NotImplemented
    if keep:
        return new(x, [1 if d in gone else n for d, n in enumerate(x.shape)])
    return new(x, [n for d, n in enumerate(x.shape) if d not in gone])


def _cat(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensors = args[0]
    if not tensors:
        return NotImplemented
    dim = args[1] if len(args) > 1 else 0
    first = tensors[0]
    rank = first.dim()
    if rank < 2 or not -rank <= dim < rank or not plain(*tensors):
        return NotImplemented
    dim %= rank
    shape = list(first.shape)
    for tensor in tensors[1:]:
        if tensor.dim() != rank:
            return NotImplemented
        if any(
            a != b for d, (a, b) in enumerate(zip(tensor.shape, shape, strict=True)) if d != dim
        ):
            return NotImplemented
        shape[dim] += tensor.shape[dim]
    return new(first, shape)


def _flash_for_cpu(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    q, k, v = args[:3]
    if not (q.is_meta and q.dim() == 4 and q.dtype in FLOATS):
        return NotImplemented
    if k.shape != v.shape or q.shape[:2] != k.shape[:2] or q.shape[3] != k.shape[3]:
        return NotImplemented
    batch, heads, rows, _ = q.shape
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    logsumexp = torch.empty((batch, rows, heads), dtype=wide, device="meta").transpose(1, 2)
    return like(q), logsumexp


_UNARY = frozenset(
    """
    relu gelu silu sigmoid tanh exp log sqrt rsqrt neg abs sin cos erf hardswish hardsigmoid
    hardtanh elu leaky_relu mish softplus reciprocal square clamp clamp_min clamp_max
    """.split()
)
_BINARY = frozenset(
    """
    add sub mul div threshold_backward gelu_backward silu_backward hardswish_backward
    hardsigmoid_backward sigmoid_backward tanh_backward leaky_relu_backward
    """.split()
)
_RESIZED = (
    *("nearest1d", "nearest2d", "nearest3d"),
    *("linear1d", "bilinear2d", "bicubic2d", "trilinear3d"),
)
_INPLACE = frozenset(
    f"aten.{name}_"
    for name in (
        "relu gelu silu sigmoid tanh hardswish hardsigmoid hardtanh leaky_relu elu clamp clamp_min "
        "exp sqrt rsqrt neg abs add sub mul div addcmul addcdiv copy zero normal uniform bernoulli"
    ).split()
)
_RULES: dict[str, Rule] = {
    "aten.convolution": convolution,
    "aten.convolution_backward": convolution_backward,
    "aten.native_batch_norm": _batch_norm,
    "aten.native_batch_norm_backward": _batch_norm_backward,
    "aten.native_layer_norm": _layer_norm,
    "aten.native_group_norm": _group_norm,
    "aten._softmax": _softmax,
    "aten.mm": _mm,
    "aten.addmm": _addmm,
    "aten.bmm": _bmm,
    "aten.max_pool2d_with_indices": max_pool,
    "aten.avg_pool2d": avg_pool,
    "aten.mean": _reduced,
    "aten.sum": _reduced,
    "aten.amax": _reduced,
    "aten.cat": _cat,
    "aten.clone": clone,
    "aten.constant_pad_nd": constant_pad,
    "aten._scaled_dot_product_flash_attention_for_cpu": _flash_for_cpu,
    **{f"aten.upsample_{name}": resized for name in _RESIZED},
    **{f"aten.{name}": _unary for name in _UNARY},
    **{f"aten.{name}": _binary for name in _BINARY},
}


def rule_for(name: str, *, inplace: bool) -> Rule | None:
    """The rule for an operation, if there is one."""
    return _inplace if inplace and name in _INPLACE else _RULES.get(name)
