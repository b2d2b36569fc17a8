"""Multiply-accumulates of the contractions: convolution, matrix product, attention, recurrence.

Each formula takes an operation's ``(args, kwargs, out)`` as the dispatcher saw them and returns
MACs, without bias. One MAC is two FLOPs. The backward of a contraction costs one forward for each
gradient that was asked for; a fused attention backward also recomputes its scores
(Dao et al. 2022, https://arxiv.org/abs/2205.14135, algorithm 4), which makes five products of the
forward's two.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from blocktool.trace.amounts import most, whole

Formula = Callable[[tuple[Any, ...], dict[str, Any], Any], int]


def _mm(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    (n, k), (_, m) = args[0].shape, args[1].shape
    return whole(n * k * m)


def _bmm(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    (b, n, k), m = args[0].shape, args[1].shape[2]
    return whole(b * n * k * m)


def _mv(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    return whole(prod(args[0].shape))


def _after_first(formula: Formula) -> Formula:
    """For ``addmm`` and its kin: the first argument is what is added."""
    return lambda args, kwargs, out: formula(args[1:], kwargs, out)


def _linear(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    return whole(prod(args[0].shape) * args[1].shape[0])


def _linear_backward(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    self, _, weight, mask = args[:4]
    return whole(prod(self.shape) * weight.shape[0] * (mask[0] + mask[1]))


def _conv_once(x_shape: Any, w_shape: Any, out_shape: Any, transposed: bool) -> int:
    """Every output (transposed: input) element meets ``w_shape[1]`` channels of a kernel."""
    driver = x_shape if transposed else out_shape
    return whole(prod(driver) * prod(w_shape[1:]))


def _convolution(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    transposed = bool(args[6]) if len(args) > 6 else bool(kwargs.get("transposed", False))
    return _conv_once(args[0].shape, args[1].shape, out.shape, transposed)


def _plain_convolution(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """Vendor convolutions, which are never transposed."""
    return _conv_once(args[0].shape, args[1].shape, out.shape, False)


def _transposed_convolution(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    return _conv_once(args[0].shape, args[1].shape, out.shape, True)


def _convolution_backward(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    grad_out, x, w = args[:3]
    transposed, mask = args[7], args[10]
    # The gradients to input and to weight are each as dear as the forward, whatever the groups.
    return _conv_once(x.shape, w.shape, grad_out.shape, transposed) * int(mask[0] + mask[1])


def _attention_products(q: Any, k: Any, v: Any) -> tuple[int, int]:
    """MACs of the score product and of the value product; a causal mask does not lower them."""
    rows = prod(q.shape[:-1])
    keys = k.shape[-2]
    return whole(rows * keys * q.shape[-1]), whole(rows * keys * v.shape[-1])


def _sdpa(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    return sum(_attention_products(*args[:3]))


def _sdpa_backward(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    scores, values = _attention_products(*args[1:4])
    # Scores again, and the gradients to q and k (score-sized), to v and to the weights.
    return 3 * scores + 2 * values


def _native_mha(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    query, key, value, dim = args[:4]
    batch, rows, keys = query.shape[0], query.shape[1], key.shape[1]
    projections = dim * dim * batch * (2 * rows + keys + value.shape[1])
    return whole(projections + 2 * batch * rows * keys * dim)


def _encoder_layer(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    src, dim = args[0], args[1]
    hidden = args[14].shape[0]
    batch, rows = src.shape[0], src.shape[1]
    return whole(batch * rows * dim * (4 * dim + 2 * rows + 2 * hidden))


def _rnn_layer(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    x, w_input, w_hidden = args[:3]
    steps = prod(x.shape[:-1])
    return whole(steps * (prod(w_input.shape) + prod(w_hidden.shape)))


def _rnn_layer_backward(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    return 2 * _rnn_layer(args, kwargs, out)


def _cudnn_rnn(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    steps = prod(args[0].shape[:-1])
    return whole(steps * sum(prod(w.shape) for w in args[1] if w.dim() == 2))


def _trilinear(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """``nn.Bilinear``: the product over the common index space of all three tensors."""
    sizes: list[int] = []
    for position, tensor in enumerate(args[:3]):
        expand = args[3 + position]
        dims = iter(tensor.shape)
        rank = tensor.dim() + len(expand)
        sizes_here = [1 if d in expand else next(dims) for d in range(rank)]
        sizes = (
            sizes_here
            if not sizes
            else [most(a, b) for a, b in zip(sizes, sizes_here, strict=True)]
        )
    return whole(prod(sizes))


def _cdist(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    return whole(prod(out.shape) * args[0].shape[-1])


MACS: dict[str, Formula] = {
    "mm": _mm,
    "_int_mm": _mm,
    "_scaled_mm": _mm,
    "bmm": _bmm,
    "mv": _mv,
    "dot": _mv,
    "vdot": _mv,
    "addmm": _after_first(_mm),
    "_addmm_activation": _after_first(_mm),
    "baddbmm": _after_first(_bmm),
    "addbmm": _after_first(_bmm),
    "addmv": _after_first(_mv),
    "linear": _linear,
    "mkldnn_linear": _linear,
    "linear_backward": _linear_backward,
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "mkldnn_convolution": _plain_convolution,
    "cudnn_convolution": _plain_convolution,
    "_slow_conv2d_forward": _plain_convolution,
    "_conv_depthwise2d": _plain_convolution,
    "conv_depthwise3d": _plain_convolution,
    "slow_conv3d_forward": _plain_convolution,
    "slow_conv_dilated2d": _plain_convolution,
    "slow_conv_dilated3d": _plain_convolution,
    "cudnn_convolution_transpose": _transposed_convolution,
    "slow_conv_transpose2d": _transposed_convolution,
    "slow_conv_transpose3d": _transposed_convolution,
    "convolution_backward": _convolution_backward,
    "convolution_backward_overrideable": _convolution_backward,
    "_scaled_dot_product_flash_attention": _sdpa,
    "_scaled_dot_product_flash_attention_for_cpu": _sdpa,
    "_scaled_dot_product_efficient_attention": _sdpa,
    "_scaled_dot_product_cudnn_attention": _sdpa,
    "_scaled_dot_product_fused_attention_overrideable": _sdpa,
    "_scaled_dot_product_attention_math_for_mps": _sdpa,
    "_scaled_dot_product_flash_attention_backward": _sdpa_backward,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _sdpa_backward,
    "_scaled_dot_product_efficient_attention_backward": _sdpa_backward,
    "_scaled_dot_product_cudnn_attention_backward": _sdpa_backward,
    "_scaled_dot_product_fused_attention_overrideable_backward": _sdpa_backward,
    "_native_multi_head_attention": _native_mha,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _rnn_layer,
    "mkldnn_rnn_layer_backward": _rnn_layer_backward,
    "_cudnn_rnn": _cudnn_rnn,
    "_trilinear": _trilinear,
    "_cdist_forward": _cdist,
    "_euclidean_dist": _cdist,
}
"""MACs by aten name; an in-place variant (``addmm_``) shares its base's formula."""

HIGHER_ORDER: dict[str, Formula] = {
    "flex_attention": _sdpa,
    "flex_attention_backward": lambda args, kwargs, out: _sdpa_backward(
        (None, *args[:3]), kwargs, out
    ),
}
"""MACs of operators that take functions; a block mask does not lower them."""
