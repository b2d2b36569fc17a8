"""Output shapes of common operations on the meta device, without running torch's own meta kernels.

Those kernels are written in Python; the first use of most of them imports several hundred modules
(about as long as importing torch itself), and each call takes 0.1 to 1 ms. A rule here answers in
a few microseconds, and only for the plain case: meta tensors, contiguous (or all of one dense
layout), one floating dtype, arguments that fit. In every other case it returns
``NotImplemented`` and torch decides, which also keeps torch's error messages. The tests hold each
rule to torch's kernel, strides included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Rule = Callable[[tuple[Any, ...], dict[str, Any]], Any]

Tensor = torch.Tensor
_FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
_WIDE = frozenset((torch.float32, torch.float64))


def _plain(*tensors: Any) -> bool:
    """Meta tensors of one floating dtype, contiguous."""
    dtype = tensors[0].dtype
    return dtype in _FLOATS and all(
        t.is_meta and t.dtype == dtype and t.is_contiguous() for t in tensors
    )


def _same_kind(*tensors: Any) -> bool:
    """Meta tensors of one floating dtype, in any layout."""
    dtype = tensors[0].dtype
    return dtype in _FLOATS and all(t.is_meta and t.dtype == dtype for t in tensors)


def _new(like: Tensor, shape: Any) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device="meta")


def _like(x: Tensor) -> Tensor:
    """``torch.empty_like``, which on meta is one of the slow ones: the same order of dimensions,
    without gaps."""
    if x.is_contiguous():
        return torch.empty(x.shape, dtype=x.dtype, device="meta")
    strides = [0] * x.dim()
    filled = 1
    for _, reverse_dim, size in sorted(
        (stride, -dim, size)
        for dim, (stride, size) in enumerate(zip(x.stride(), x.shape, strict=True))
    ):
        strides[-reverse_dim] = filled
        filled *= size
    return torch.empty_strided(x.shape, strides, dtype=x.dtype, device="meta")


def _broadcast(a: Any, b: Any) -> list[int] | None:
    if len(a) < len(b):
        a, b = b, a
    shape = list(a)
    offset = len(a) - len(b)
    for position, size in enumerate(b, offset):
        if shape[position] == 1:
            shape[position] = size
        elif size != 1 and size != shape[position]:
            return None
    return shape


def _unary(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One tensor and plain numbers in, the same layout out."""
    x = args[0]
    if not isinstance(x, Tensor) or not x.is_meta or x.dtype not in _FLOATS:
        return NotImplemented
    if any(isinstance(a, (Tensor, complex)) for a in args[1:]) or "dtype" in kwargs:
        return NotImplemented
    if not x.is_contiguous() and not _dense(x):
        return NotImplemented
    return _like(x)


def _dense(x: Tensor) -> bool:
    """Whether ``x`` covers its memory without gaps or overlap, in whatever order."""
    expected = 1
    for stride, size in sorted(
        (stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size != 1
    ):
        if stride != expected:
            return False
        expected *= size
    return True


def _binary(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = args[0], args[1]
    if not isinstance(b, Tensor):
        return _unary(args, kwargs) if isinstance(b, (int, float)) else NotImplemented
    if not isinstance(a, Tensor) or any(isinstance(x, Tensor) for x in args[2:]):
        return NotImplemented
    if not _same_kind(a, b):
        return NotImplemented
    if a.shape == b.shape:
        if a.is_contiguous() and b.is_contiguous():
            return _new(a, a.shape)
        if a.stride() == b.stride() and _dense(a):
            return _like(a)
        return NotImplemented
    if not (a.is_contiguous() and b.is_contiguous()):
        return NotImplemented
    shape = _broadcast(a.shape, b.shape)
    return NotImplemented if shape is None else _new(a, shape)


def _inplace(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In place, elementwise: the answer is the tensor itself, if the others broadcast to it."""
    x = args[0]
    if not isinstance(x, Tensor) or not x.is_meta or x.dtype not in _FLOATS:
        return NotImplemented
    if not x.is_contiguous() and not _dense(x):
        return NotImplemented
    for other in args[1:]:
        if isinstance(other, Tensor):
            if not other.is_meta or other.dtype not in _FLOATS:
                return NotImplemented
            if other.shape != x.shape and _broadcast(x.shape, other.shape) != list(x.shape):
                return NotImplemented
        elif isinstance(other, complex):
            return NotImplemented
    if any(isinstance(value, Tensor) for value in kwargs.values()):
        return NotImplemented
    return x


def _spatial(values: Any, count: int) -> list[int]:
    """One value per dimension; -1, which no rule accepts, where their number does not fit."""
    if len(values) not in (1, count):
        return [-1] * count
    return list(values) * count if len(values) == 1 else list(values)


def _convolution(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) != 9:
        return NotImplemented
    x, w, bias, stride, padding, dilation, transposed, output_padding, groups = args
    rank = x.dim() - 2
    if rank < 1 or rank > 3 or w.dim() != rank + 2 or not _same_kind(x, w):
        return NotImplemented
    channels = w.shape[0] if transposed else w.shape[1] * groups
    out_channels = w.shape[1] * groups if transposed else w.shape[0]
    if groups < 1 or w.shape[0] % groups or w.shape[0] == 0:
        return NotImplemented
    if x.shape[1] != channels:
        # As the CPU says it; the meta kernel only says "invalid channel dimensions".
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(w.shape)}, expected input"
            f"{list(x.shape)} to have {channels} channels, but got {x.shape[1]} channels instead"
        )
    if bias is not None and (not _same_kind(x, bias) or tuple(bias.shape) != (out_channels,)):
        return NotImplemented
    shape = [x.shape[0], out_channels]
    settings = (stride, padding, dilation, output_padding)
    for size, kernel, s, p, d, extra in zip(
        x.shape[2:], w.shape[2:], *(_spatial(v, rank) for v in settings), strict=True
    ):
        if s < 1 or d < 1 or p < 0 or extra < 0 or kernel < 1:
            return NotImplemented
        if transposed:
            out = (size - 1) * s - 2 * p + d * (kernel - 1) + extra + 1
        else:
            out = (size + 2 * p - d * (kernel - 1) - 1) // s + 1
        if out < 1:
            return NotImplemented
        shape.append(out)
    return _laid_out(x, shape, _channels_last(x, w))


def _convolution_backward(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    grad_out, x, w, bias_sizes, mask = *args[:4], args[10]
    if not _same_kind(grad_out, x, w) or x.dim() != w.dim():
        return NotImplemented
    layout = _channels_last(x, w)
    grad_x = _laid_out(x, x.shape, layout) if mask[0] else None
    grad_w = _laid_out(w, w.shape, layout) if mask[1] else None
    if mask[2] and not bias_sizes:
        return NotImplemented
    return grad_x, grad_w, _new(x, bias_sizes) if mask[2] else None


def _channels_last(*tensors: Tensor) -> torch.memory_format:
    """Convolutions keep to channels-last where any operand is; torch's meta kernel forgets it."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensors[0].dim())
    if layout is not None:
        for tensor in tensors:
            if not tensor.is_contiguous() and tensor.is_contiguous(memory_format=layout):
                return layout
    return torch.contiguous_format


def _laid_out(like: Tensor, shape: Any, layout: torch.memory_format) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device="meta", memory_format=layout)


def _batch_norm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, training = args[0], args[5]
    if x.dtype not in _WIDE or x.dim() < 2 or not _same_kind(*_present(args[:5])):
        return NotImplemented
    channels = (x.shape[1],)
    if any(tuple(t.shape) != channels for t in _present(args[1:5])):
        return NotImplemented
    if not x.is_contiguous() and not _dense(x):
        return NotImplemented
    saved = channels if training else (0,)
    return _like(x), _new(x, saved), _new(x, saved)


def _present(tensors: Any) -> list[Any]:
    return [t for t in tensors if t is not None]


def _layer_norm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, normalized = args[0], list(args[1])
    if x.dtype not in _WIDE or not _plain(*_present((x, args[2], args[3]))):
        return NotImplemented
    axis = x.dim() - len(normalized)
    if axis < 0 or list(x.shape[axis:]) != normalized or not normalized:
        return NotImplemented
    if any(list(t.shape) != normalized for t in _present(args[2:4])):
        return NotImplemented
    saved = [*x.shape[:axis], *(1 for _ in normalized)]
    return _like(x), _new(x, saved), _new(x, saved)


def _group_norm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, batch, channels, groups = args[0], args[3], args[4], args[6]
    if x.dtype not in _WIDE or not _plain(*_present(args[:3])) or channels % groups:
        return NotImplemented
    if any(tuple(t.shape) != (channels,) for t in _present(args[1:3])):
        return NotImplemented
    return _like(x), _new(x, (batch, groups)), _new(x, (batch, groups))


def _softmax(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, dim, half_to_float = args
    if half_to_float or not _plain(x) or not -x.dim() <= dim < x.dim():
        return NotImplemented
    return _like(x)


def _mm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = args
    if a.dim() != 2 or b.dim() != 2 or not _same_kind(a, b):
        return NotImplemented
    if a.shape[1] != b.shape[0]:
        sizes = f"{a.shape[0]}x{a.shape[1]} and {b.shape[0]}x{b.shape[1]}"
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({sizes})")
    return _new(a, (a.shape[0], b.shape[1]))


def _addmm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = _mm(args[1:], {})
    if out is NotImplemented or not _same_kind(args[0], out):
        return NotImplemented
    return out if _broadcast(out.shape, args[0].shape) == list(out.shape) else NotImplemented


def _bmm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = args
    if a.dim() != 3 or b.dim() != 3 or not _same_kind(a, b):
        return NotImplemented
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        return NotImplemented
    return _new(a, (a.shape[0], a.shape[1], b.shape[2]))


def _max_pool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    shape = _pooled(args[0], args[1], *args[2:], kind="max")
    if shape is None:
        return NotImplemented
    return _new(args[0], shape), torch.empty(shape, dtype=torch.int64, device="meta")


def _avg_pool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    shape = _pooled(args[0], args[1], *args[2:4], kind="avg")
    return NotImplemented if shape is None or (len(args) > 4 and args[4]) else _new(args[0], shape)


def _pooled(
    x: Tensor,
    kernel: Any,
    stride: Any = (),
    padding: Any = (0,),
    dilation: Any = (1,),
    ceil_mode: bool = False,
    *,
    kind: str,
) -> list[int] | None:
    if x.dim() != 4 or ceil_mode or not _plain(x) or min(x.shape) < 1:
        return None
    kernel = _spatial(kernel, 2)
    stride = _spatial(stride, 2) if stride else kernel
    shape = list(x.shape[:2])
    for size, k, s, p, d in zip(
        x.shape[2:], kernel, stride, _spatial(padding, 2), _spatial(dilation, 2), strict=True
    ):
        out = (size + 2 * p - d * (k - 1) - 1) // s + 1 if s > 0 else 0
        if out < 1 or p < 0 or p > k // 2 or k < 1:
            return None
        shape.append(out)
    return shape


def _reduced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``mean.dim``, ``sum.dim_IntList``, ``amax``: (x, dims, keepdim)."""
    x = args[0]
    dims = args[1] if len(args) > 1 else None
    keep = bool(args[2]) if len(args) > 2 else False
    if kwargs or not dims or not _plain(x):
        return NotImplemented
    rank = x.dim()
    if any(not -rank <= d < rank for d in dims):
        return NotImplemented
    gone = {d % rank for d in dims}
    if len(gone) != len(dims):
        return NotImplemented
    if keep:
        return _new(x, [1 if d in gone else n for d, n in enumerate(x.shape)])
    return _new(x, [n for d, n in enumerate(x.shape) if d not in gone])


def _cat(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensors = args[0]
    dim = args[1] if len(args) > 1 else 0
    first = tensors[0]
    rank = first.dim()
    if rank < 2 or not -rank <= dim < rank or not _plain(*tensors):
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
    return _new(first, shape)


def _flash_for_cpu(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    q, k, v = args[:3]
    if not (q.is_meta and q.dim() == 4 and q.dtype in _FLOATS):
        return NotImplemented
    if k.shape != v.shape or q.shape[:2] != k.shape[:2] or q.shape[3] != k.shape[3]:
        return NotImplemented
    batch, heads, rows, _ = q.shape
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    logsumexp = torch.empty((batch, rows, heads), dtype=wide, device="meta").transpose(1, 2)
    return _like(q), logsumexp


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
_RULES: dict[str, Rule] = {
    "aten.convolution": _convolution,
    "aten.convolution_backward": _convolution_backward,
    "aten.native_batch_norm": _batch_norm,
    "aten.native_layer_norm": _layer_norm,
    "aten.native_group_norm": _group_norm,
    "aten._softmax": _softmax,
    "aten.mm": _mm,
    "aten.addmm": _addmm,
    "aten.bmm": _bmm,
    "aten.max_pool2d_with_indices": _max_pool,
    "aten.avg_pool2d": _avg_pool,
    "aten.mean": _reduced,
    "aten.sum": _reduced,
    "aten.amax": _reduced,
    "aten.cat": _cat,
    "aten._scaled_dot_product_flash_attention_for_cpu": _flash_for_cpu,
    **{f"aten.{name}": _unary for name in _UNARY},
    **{f"aten.{name}": _binary for name in _BINARY},
}


def rule_for(name: str, *, inplace: bool, pointwise: bool) -> Rule | None:
    """The rule for an operation, if there is one; ``pointwise`` includes fills and copies."""
    if inplace:
        return _inplace if pointwise else None
    return _RULES.get(name)


def _describe(value: Any) -> Any:
    """A hashable account of an argument, or ``NotImplemented`` where there is none."""
    if isinstance(value, Tensor):
        if not value.is_meta or value.dtype.is_complex:
            return NotImplemented
        return tuple(value.shape), value.stride(), value.dtype
    if value is None or isinstance(
        value, (bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
    ):
        return type(value), value
    if isinstance(value, (list, tuple)):
        parts = tuple(_describe(item) for item in value)
        return NotImplemented if any(part is NotImplemented for part in parts) else parts
    return NotImplemented


Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]


class ShapeMemo:
    """Remembers what torch's meta kernels answered: one question is asked only once.

    Only for operations without aliasing; an answer is kept only when each tensor in it fills a
    storage of its own. Bounded: it starts anew when it is full.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._answers: dict[Any, tuple[bool, tuple[Layout | None, ...]]] = {}

    def key(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A key for the question, or None where the arguments cannot be described."""
        parts = tuple(_describe(value) for value in args)
        named = tuple((name, _describe(value)) for name, value in kwargs.items())
        if any(part is NotImplemented for part in parts):
            return None
        if any(part is NotImplemented for _, part in named):
            return None
        return func, parts, named, torch.get_default_dtype()

    def answer(self, key: Any) -> Any:
        """New tensors laid out as torch answered before, or ``NotImplemented``."""
        known = self._answers.get(key)
        if known is None:
            return NotImplemented
        single, layouts = known
        tensors = tuple(
            None
            if layout is None
            else torch.empty_strided(layout[0], layout[1], dtype=layout[2], device="meta")
            for layout in layouts
        )
        return tensors[0] if single else tensors

    def learn(self, key: Any, args: tuple[Any, ...], out: Any) -> None:
        """Keep an answer, if it can be given again from its layout alone."""
        taken = {value.untyped_storage()._cdata for value in args if isinstance(value, Tensor)}
        single = isinstance(out, Tensor)
        tensors = (out,) if single else out
        if not isinstance(tensors, tuple):
            return
        layouts: list[Layout | None] = []
        for tensor in tensors:
            if tensor is None:
                layouts.append(None)
                continue
            if type(tensor) is not Tensor or not tensor.is_meta or tensor.storage_offset():
                return
            storage = tensor.untyped_storage()
            if storage._cdata in taken:
                # A view that the schema does not own up to (``_unsafe_view``).
                return
            if tensor.numel() * tensor.element_size() != storage.nbytes():
                return
            layouts.append((tuple(tensor.shape), tensor.stride(), tensor.dtype))
        if len(self._answers) >= self._limit:
            self._answers.clear()
        self._answers[key] = (single, tuple(layouts))
