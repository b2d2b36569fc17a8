"""Work that is not a contraction: elementwise, normalisation, reduction, pooling, resampling.

The convention, in FLOPs: an elementwise operation does one per output element whatever the
function; a reduction one per input element; a normalisation the count of its passes over the
input; average pooling one per window element, and max pooling one comparison; interpolation a
multiplication and an addition per tap; a fast Fourier transform 5 n log2 n
(https://www.fftw.org/speed/method.html). The bias of a convolution or a matrix product is one
addition per output element.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2, prod
from typing import Any

from blocktool.trace.amounts import whole

Work = Callable[[tuple[Any, ...], dict[str, Any], Any], int]


def _first(out: Any) -> Any:
    while isinstance(out, (tuple, list)):
        out = next((item for item in out if item is not None), None)
    return out


def _numel(value: Any) -> int:
    return whole(value.numel()) if hasattr(value, "numel") else 1


def per_output(factor: int = 1) -> Work:
    """``factor`` FLOPs for each element of the first output."""
    return lambda args, kwargs, out: factor * _numel(_first(out))


def per_input(factor: int = 1) -> Work:
    """``factor`` FLOPs for each element of the first tensor argument."""
    return lambda args, kwargs, out: factor * _numel(_first(args[0]))


def nothing(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """Moves, views and creations do not compute."""
    return 0


def every_tensor(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """For ``_foreach`` operations: one FLOP per element of every tensor in the first list."""
    return sum(_numel(tensor) for tensor in args[0])


def _batch_norm(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """Subtract, scale, shift and add (4); with batch statistics two more passes of 2 each."""
    training = args[5] if len(args) > 5 else kwargs.get("training", False)
    return (8 if training else 4) * _numel(args[0])


def _windowed(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    first = _first(out)
    kernel = list(args[1])
    if len(kernel) == 1:
        kernel *= max(first.dim() - 2, 1)
    return whole(prod(kernel) * _numel(first))


def per_source(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """One addition per element of what is scattered: ``(self, dim, index, source)``."""
    return _numel(args[3] if len(args) > 3 else kwargs.get("src", kwargs.get("source")))


def _bag(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """One addition per element of every row that is looked up."""
    return whole(args[1].numel() * args[0].shape[-1])


def _taps(per_dim: int, dims: int) -> Work:
    return per_output(2 * per_dim**dims)


def _fft(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    tensor, dims = args[0], args[1]
    sizes = (out if out.dim() else tensor).shape
    n = prod(max(tensor.shape[d], sizes[d]) for d in dims)
    count = max(tensor.numel(), out.numel()) // max(n, 1)
    return int(5 * n * log2(n) * count) if n > 1 else 0


def bias_of_product(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """The addition in ``addmm`` and its kin."""
    return _numel(out)


def bias_of_convolution(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """One addition per output element where the convolution has a bias."""
    bias = args[2] if len(args) > 2 else kwargs.get("bias")
    return _numel(out) if bias is not None else 0


def bias_of_convolution_backward(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """The bias gradient is a sum over the output gradient."""
    return _numel(args[0]) if args[10][2] else 0


def softmax_of_scores(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """Scale and softmax (max, subtract, exp, sum, divide) of every score in a fused attention."""
    q, k = args[0], args[1]
    return whole(6 * prod(q.shape[:-1]) * k.shape[-2])


def softmax_of_scores_backward(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """As the forward, recomputed, and four more per score for its gradient."""
    q, k = args[1], args[2]
    return whole(10 * prod(q.shape[:-1]) * k.shape[-2])


def _gates(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """LSTM cell: four gate activations, two products, a sum and a tanh per hidden unit, plus the
    two biases and the sum of the two projections on each of the four gates."""
    hidden = args[2].shape[1]
    return whole(prod(args[0].shape[:-1]) * hidden * (4 + 5 + 12))


NORMALIZATION: dict[str, Work] = {
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": per_input(4),
    "_batch_norm_with_update": per_input(8),
    "_batch_norm_no_update": per_input(4),
    "cudnn_batch_norm": _batch_norm,
    "native_layer_norm": per_input(8),
    "native_group_norm": per_input(8),
    "_fused_rms_norm": per_input(4),
    "_softmax": per_input(5),
    "_safe_softmax": per_input(5),
    "_masked_softmax": per_input(5),
    "_log_softmax": per_input(5),
    "_weight_norm_interface": per_input(4),
    "renorm": per_input(3),
    "native_batch_norm_backward": per_input(11),
    "batch_norm_backward": per_input(11),
    "cudnn_batch_norm_backward": per_input(11),
    "native_layer_norm_backward": per_input(11),
    "native_group_norm_backward": per_input(11),
    "_fused_rms_norm_backward": per_input(8),
    "_softmax_backward_data": per_input(4),
    "_log_softmax_backward_data": per_input(4),
    "_weight_norm_interface_backward": per_input(8),
}

POOLING: dict[str, Work] = {
    "avg_pool1d": _windowed,
    "avg_pool2d": _windowed,
    "avg_pool3d": _windowed,
    "max_pool2d_with_indices": _windowed,
    "max_pool3d_with_indices": _windowed,
    "fractional_max_pool2d": _windowed,
    "fractional_max_pool3d": _windowed,
    "adaptive_avg_pool1d": per_input(),
    "adaptive_avg_pool2d": per_input(),
    "adaptive_avg_pool3d": per_input(),
    "_adaptive_avg_pool2d": per_input(),
    "_adaptive_avg_pool3d": per_input(),
    "adaptive_max_pool2d": per_input(),
    "adaptive_max_pool3d": per_input(),
    "max_unpool2d": nothing,
    "max_unpool3d": nothing,
    "avg_pool2d_backward": per_output(),
    "avg_pool3d_backward": per_output(),
    "max_pool2d_with_indices_backward": per_input(),
    "max_pool3d_with_indices_backward": per_input(),
    "adaptive_max_pool2d_backward": per_input(),
    "adaptive_max_pool3d_backward": per_input(),
    "fractional_max_pool2d_backward": per_input(),
    "fractional_max_pool3d_backward": per_input(),
    "_adaptive_avg_pool2d_backward": per_output(),
    "_adaptive_avg_pool3d_backward": per_output(),
}

RESAMPLING: dict[str, Work] = {
    **{f"upsample_nearest{d}d{b}": nothing for d in (1, 2, 3) for b in ("", "_backward")},
    **{f"_upsample_nearest_exact{d}d{b}": nothing for d in (1, 2, 3) for b in ("", "_backward")},
    "upsample_linear1d": _taps(2, 1),
    "upsample_bilinear2d": _taps(2, 2),
    "upsample_trilinear3d": _taps(2, 3),
    "upsample_bicubic2d": _taps(4, 2),
    "_upsample_bilinear2d_aa": _taps(2, 2),
    "_upsample_bicubic2d_aa": _taps(4, 2),
    "grid_sampler_2d": _taps(2, 2),
    "grid_sampler_3d": _taps(2, 3),
    "cudnn_grid_sampler": _taps(2, 2),
    "affine_grid_generator": per_output(6),
    "upsample_linear1d_backward": per_input(4),
    "upsample_bilinear2d_backward": per_input(8),
    "upsample_trilinear3d_backward": per_input(16),
    "upsample_bicubic2d_backward": per_input(32),
    "_upsample_bilinear2d_aa_backward": per_input(8),
    "_upsample_bicubic2d_aa_backward": per_input(32),
    "grid_sampler_2d_backward": per_input(16),
    "grid_sampler_3d_backward": per_input(32),
}

REDUCTION: dict[str, Work] = {
    name: per_input()
    for name in """
        sum mean prod amax amin aminmax max min argmax argmin any all count_nonzero cumsum
        cumprod cummax cummin logcumsumexp nansum median nanmedian mode kthvalue trace equal
        sort topk _cummax_helper _cummin_helper _logcumsumexp histc bincount unique_dim _unique
        _unique2 unique_consecutive is_nonzero _is_all_true _is_any_true searchsorted bucketize
        isin
    """.split()
} | {
    "norm": per_input(2),
    "linalg_vector_norm": per_input(2),
    "linalg__powsum": per_input(2),
    "dist": per_input(3),
    "logsumexp": per_input(4),
    "var": per_input(4),
    "std": per_input(4),
    "var_mean": per_input(4),
    "std_mean": per_input(4),
    "_embedding_bag": _bag,
    "_embedding_bag_forward_only": _bag,
    "segment_reduce": per_input(),
}

TRANSFORM: dict[str, Work] = {"_fft_c2c": _fft, "_fft_r2c": _fft, "_fft_c2r": _fft}

ELEMENTWISE: dict[str, Work] = {
    name: per_output()
    for name in """
        hardswish hardswish_backward hardsigmoid_backward hardtanh_backward leaky_relu_backward
        elu_backward glu glu_backward softplus_backward log_sigmoid_forward log_sigmoid_backward
        hardshrink_backward softshrink_backward _prelu_kernel _prelu_kernel_backward polar
        complex floor_divide tril triu _masked_scale where cross linalg_cross masked_fill
        rrelu_with_noise _conj_physical gelu_ index_fill cumulative_trapezoid addr
        diagonal_backward _add_relu fake_quantize_per_tensor_affine_cachemask
        fake_quantize_per_channel_affine_cachemask quantize_per_tensor dequantize mse_loss
        mse_loss_backward smooth_l1_loss huber_loss smooth_l1_loss_backward huber_loss_backward
        binary_cross_entropy binary_cross_entropy_backward binary_cross_entropy_with_logits
        soft_margin_loss soft_margin_loss_backward nll_loss_forward nll_loss_backward
        nll_loss2d_forward nll_loss2d_backward copysign heaviside gcd lcm eq ne lt le gt ge
        _amp_foreach_non_finite_check_and_unscale _amp_update_scale
    """.split()
} | {
    "native_dropout": per_output(2),
    "native_dropout_backward": per_output(2),
    "_fused_dropout": per_output(2),
    "_thnn_fused_lstm_cell": per_input(3),
    "_thnn_fused_lstm_cell_backward_impl": per_input(6),
    "_thnn_fused_gru_cell": per_input(3),
    "_thnn_fused_gru_cell_backward": per_input(6),
    "index_add": per_source,
    "scatter_add": per_source,
    "scatter_reduce": per_source,
    "_transform_bias_rescale_qkv": per_input(2),
    "_fused_adam": every_tensor,
    "_fused_adamw": every_tensor,
    "_fused_sgd": every_tensor,
}

BESIDE_CONTRACTION: dict[str, Work] = {
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv", "_addmm_activation"), bias_of_product),
    **dict.fromkeys(
        """convolution _convolution mkldnn_convolution convolution_overrideable linear""".split(),
        bias_of_convolution,
    ),
    "convolution_backward": bias_of_convolution_backward,
    **{
        f"_scaled_dot_product_{name}": softmax_of_scores
        for name in (
            "flash_attention",
            "flash_attention_for_cpu",
            "efficient_attention",
            "cudnn_attention",
        )
    },
    **{
        f"_scaled_dot_product_{name}_backward": softmax_of_scores_backward
        for name in (
            "flash_attention",
            "flash_attention_for_cpu",
            "efficient_attention",
            "cudnn_attention",
        )
    },
    "mkldnn_rnn_layer": _gates,
}
"""Elementwise work that a contraction does on the side; it never enters the MACs."""
