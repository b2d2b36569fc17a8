"""Scaled dot-product attention as the device in question would run it.

On the meta device ``scaled_dot_product_attention`` takes the unfused path, whose operations and
memory are not those of a real device. While a trace runs, the composite operation is routed to
the kernel that the chosen device would take, for every way of calling it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import torch

from blocktool.errors import UsageError
from blocktool.results.trace import AttentionDevice

_CPU_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_HALF = (torch.bfloat16, torch.float16)

Attention = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class _Call:
    """The arguments of one ``scaled_dot_product_attention``; tensors (B, H, N, D)."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    mask: torch.Tensor | None
    dropout: float
    causal: bool
    scale: float | None
    gqa: bool


def attention_for(device: str) -> Attention:
    """The attention of ``"cpu"``, ``"cuda"`` or ``"math"`` (the unfused path), with the signature
    of ``scaled_dot_product_attention``.

    Raises:
        UsageError: for another name.
    """
    kernels: dict[str, Callable[[_Call], torch.Tensor]] = {
        "cpu": _cpu,
        "cuda": _cuda,
        "math": _math,
    }
    if device not in kernels:
        raise UsageError(
            f"unknown attention device '{device}'",
            hint=f"choose one of {', '.join(get_args(AttentionDevice))}",
        )
    kernel = kernels[device]

    def attention(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        return kernel(_Call(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa))

    return attention


@contextmanager
def attention_routed(attention: Attention | None) -> Iterator[None]:
    """Send ``scaled_dot_product_attention`` on meta tensors to ``attention`` for a while; with None
    each device chooses for itself.

    The fast paths of ``nn.MultiheadAttention`` and ``nn.TransformerEncoderLayer`` are switched
    off meanwhile, so that attention is seen as what it consists of.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    library = torch.library.Library("aten", "IMPL")
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        if attention is not None:
            # Not "Meta": in inference mode the recorder meets the composite operation itself.
            library.impl("scaled_dot_product_attention", attention, "AutogradMeta")
        yield
    finally:
        library._destroy()
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _additive(mask: torch.Tensor | None, query: torch.Tensor) -> torch.Tensor | None:
    """A boolean mask as the additive one that torch makes of it before the unfused path."""
    if mask is None or mask.dtype != torch.bool:
        return mask

    def scalar(value: float) -> torch.Tensor:
        return torch.scalar_tensor(value, dtype=query.dtype, device=query.device)

    return torch.where(mask, scalar(0.0), scalar(float("-inf")))


def _dense(*tensors: torch.Tensor) -> bool:
    return all(
        t.dim() == 4 and t.stride(-1) == 1 and t.shape[1] > 0 and t.shape[2] > 0 for t in tensors
    )


def cpu_takes_flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None,
    dropout_p: float,
    enable_gqa: bool,
) -> bool:
    """Whether the CPU runs its flash kernel: 4-D, equal head sizes, rows in a dense last
    dimension, no dropout, no mask that needs a gradient (ATen, sdp_utils_cpp.cpp)."""
    if not torch.backends.cuda.flash_sdp_enabled():  # the CPU reads the same switch
        return False
    if not _dense(query, key, value) or query.dtype not in _CPU_DTYPES or dropout_p > 0:
        return False
    if not query.dtype == key.dtype == value.dtype:
        return False
    if query.shape[0] != key.shape[0] or key.shape[:3] != value.shape[:3]:
        return False
    if enable_gqa:
        if key.shape[1] == 0 or query.shape[1] % key.shape[1]:
            return False
    elif query.shape[1] != key.shape[1]:
        return False
    if not query.shape[-1] == key.shape[-1] == value.shape[-1]:
        return False
    if attn_mask is None:
        return True
    if attn_mask.requires_grad:
        return False
    return attn_mask.dim() in (2, 4) and all(
        m in (1, n)
        for m, n in zip(
            reversed(attn_mask.shape),
            (key.shape[2], query.shape[2], query.shape[1], query.shape[0]),
            strict=False,
        )
    )


def _math(call: _Call) -> torch.Tensor:
    out: torch.Tensor = torch.ops.aten._scaled_dot_product_attention_math(
        call.query,
        call.key,
        call.value,
        _additive(call.mask, call.query),
        call.dropout,
        call.causal,
        scale=call.scale,
        enable_gqa=call.gqa,
    )[0]
    return out


def _cpu(call: _Call) -> torch.Tensor:
    query, key, value = call.query, call.key, call.value
    if not cpu_takes_flash(query, key, value, call.mask, call.dropout, call.gqa):
        return _math(call)
    out: torch.Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query,
        key,
        value,
        call.dropout,
        call.causal,
        attn_mask=_additive(call.mask, query),
        scale=call.scale,
    )[0]
    return out


def _cuda(call: _Call) -> torch.Tensor:
    """Flash in half precision without a mask, the memory-efficient kernel otherwise, the unfused
    path in float64 or for shapes that neither takes (ATen, cuda/sdp_utils.cpp)."""
    query, key, value = call.query, call.key, call.value
    if not _dense(query, key, value) or not query.dtype == key.dtype == value.dtype:
        return _math(call)
    equal_heads = query.shape[1] == key.shape[1]
    head_dims = {query.shape[-1], key.shape[-1], value.shape[-1]}
    if (
        query.dtype in _HALF
        and call.mask is None
        and (equal_heads or call.gqa)
        and len(head_dims) == 1
        and query.shape[-1] <= 256
    ):
        return _cuda_flash(call)
    if equal_heads and query.dtype in (*_HALF, torch.float32):
        return _cuda_efficient(call)
    return _math(call)


def _cuda_efficient(call: _Call) -> torch.Tensor:
    query, key, value = call.query, call.key, call.value
    needs_logsumexp = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (query, key, value)
    )
    bias = _additive(call.mask, query)
    if bias is not None:
        bias = bias.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    out: torch.Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
        query,
        key,
        value,
        bias,
        needs_logsumexp,
        call.dropout,
        call.causal,
        scale=call.scale,
    )[0]
    return out


def _cuda_flash(call: _Call) -> torch.Tensor:
    """The flash kernel wants head sizes in eights: torch pads, and cuts the result."""
    head_dim = call.query.shape[-1]
    missing = -head_dim % 8
    tensors = (call.query, call.key, call.value)
    scale = call.scale
    if missing:
        scale = head_dim**-0.5 if scale is None else scale
        tensors = tuple(torch.nn.functional.pad(t, (0, missing)) for t in tensors)  # type: ignore[assignment]
    out: torch.Tensor = torch.ops.aten._scaled_dot_product_flash_attention(
        *tensors, call.dropout, call.causal, False, scale=scale
    )[0]
    return out[..., :head_dim] if missing else out
