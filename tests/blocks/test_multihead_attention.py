"""Multi-head attention against torch's and timm's, with caches and shared heads."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from attention_references import TOLERANCES, TorchAttention, packed_keys, separate_keys
from block_references import (
    assert_same,
    copy_over,
    every_dtype,
    every_mode,
    no_fast_path,
    randomize,
    waves,
)
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from zoo_stub import import_timm

from blocktool.blocks import MultiHeadAttention, SelfAttention

X, CONTEXT = waves(2, 13, 32), waves(2, 9, 24) + 0.2


@every_dtype
@every_mode
@pytest.mark.parametrize("num_heads", [1, 4, 8])
def test_equals_torchs_on_itself(num_heads: int, training: bool, dtype: torch.dtype) -> None:
    ours = MultiHeadAttention(32, num_heads, dtype=dtype).train(training)
    theirs = TorchAttention(32, num_heads, dtype=dtype).train(training)
    copy_over(ours, theirs, packed_keys)
    with no_fast_path():
        assert_same(ours, theirs, X.to(dtype), packed_keys, **TOLERANCES[dtype])


@every_dtype
@every_mode
def test_equals_torchs_on_a_context(training: bool, dtype: torch.dtype) -> None:
    ours = MultiHeadAttention(32, 4, kv_dim=24, dtype=dtype).train(training)
    theirs = TorchAttention(32, 4, kdim=24, vdim=24, dtype=dtype).train(training)
    copy_over(ours, theirs, separate_keys)
    inputs = (X.to(dtype), CONTEXT.to(dtype))
    with no_fast_path():
        assert_same(ours, theirs, inputs, separate_keys, **TOLERANCES[dtype])


@every_dtype
@every_mode
def test_packed_equals_torchs_on_a_context(training: bool, dtype: torch.dtype) -> None:
    ours = MultiHeadAttention(32, 4, dtype=dtype).train(training)
    theirs = TorchAttention(32, 4, dtype=dtype).train(training)
    copy_over(ours, theirs, packed_keys)
    inputs = (X.to(dtype), waves(2, 9, 32, dtype=dtype) + 0.2)
    with no_fast_path():
        assert_same(ours, theirs, inputs, packed_keys, **TOLERANCES[dtype])


@every_dtype
@pytest.mark.parametrize(
    "options", [{}, {"qkv_bias": False}, {"head_dim": 12}, {"qk_norm": "layer"}]
)
def test_equals_timms(options: dict[str, Any], dtype: torch.dtype) -> None:
    import_timm()
    from timm.layers import Attention

    theirs = {"qkv_bias": True, **options}
    if "head_dim" in theirs:
        theirs["attn_head_dim"] = theirs.pop("head_dim")
    if theirs.get("qk_norm"):
        theirs |= {"qk_norm": True, "norm_layer": partial(nn.LayerNorm, eps=1e-6)}
    ours = MultiHeadAttention(32, 4, **options, dtype=dtype)
    reference = Attention(32, 4, **theirs, dtype=dtype)
    copy_over(ours, reference)
    gradients = 1e-5 if dtype is torch.float32 else 1e-13
    assert_same(ours, reference, X.to(dtype), gradients=gradients)


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 2}, {"qk_norm": "rms"}])
@pytest.mark.parametrize("kv_dim", [None, 32, 24])
def test_kept_keys_and_values_change_nothing(kv_dim: int | None, options: dict[str, Any]) -> None:
    block = randomize(MultiHeadAttention(32, 8, kv_dim=kv_dim, **options)).eval()
    context = waves(2, 9, kv_dim or 32) + 0.2
    kv = block.project_kv(context)
    assert kv[0].shape == kv[1].shape == (2, block.num_kv_heads, 9, 4)
    for x in (X, X.flip(1)[:, :5]):
        assert torch.equal(block(x, kv=kv), block(x, context))
    mask = torch.arange(9) < 4
    assert torch.equal(block(X, kv=kv, mask=mask), block(X, context, mask=mask))
    assert not torch.allclose(block(X, kv=kv, mask=mask), block(X, kv=kv), atol=1e-3)


@every_dtype
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_shared_heads_are_repeated_ones(num_kv_heads: int, dtype: torch.dtype) -> None:
    """Exactly those of torch, and those of a module whose weights are repeated."""
    shared = randomize(MultiHeadAttention(32, 4, num_kv_heads=num_kv_heads, dtype=dtype))
    x, times = X.to(dtype), 4 // num_kv_heads
    rows = shared.qkv.weight.shape[0]
    assert rows == 8 * (4 + 2 * num_kv_heads)
    q = nn.functional.linear(x, shared.qkv.weight[:32], shared.qkv.bias[:32])
    q = q.view(2, 13, 4, 8).transpose(1, 2)
    k, v = (each.repeat_interleave(times, 1) for each in shared.project_kv(x))
    heads = scaled_dot_product_attention(q, k, v)
    wanted = shared.proj(heads.transpose(1, 2).flatten(2))
    assert torch.equal(shared(x, x), wanted)

    full = MultiHeadAttention(32, 4, dtype=dtype)
    state = shared.state_dict()
    for name in ("qkv.weight", "qkv.bias"):
        sizes = [32, 8 * num_kv_heads, 8 * num_kv_heads]
        own, *parts = state[name].split(sizes)
        repeated = [
            part.unflatten(0, (num_kv_heads, 8)).repeat_interleave(times, 0).flatten(0, 1)
            for part in parts
        ]
        state[name] = torch.cat([own, *repeated])
    full.load_state_dict(state)
    tolerance = 1e-6 if dtype is torch.float32 else 1e-14
    torch.testing.assert_close(shared(x), full(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kv_dim", [None, 24])
@pytest.mark.parametrize(
    ("qk_norm", "normed"),
    [
        ("layer", lambda x, w, b: nn.functional.layer_norm(x, (8,), w, b, 1e-6)),
        ("rms", lambda x, w, b: x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * w),
    ],
)
def test_is_the_papers_formula(qk_norm: Any, normed: Any, kv_dim: int | None) -> None:
    """Softmax by hand, in double precision, with queries and keys normed within each head."""
    block = MultiHeadAttention(32, 3, head_dim=8, kv_dim=kv_dim, qk_norm=qk_norm)
    block = randomize(block).double()
    x, context = X.double(), (X if kv_dim is None else CONTEXT).double()
    if kv_dim is None:
        q, k, v = block.qkv(x).chunk(3, dim=2)
    else:
        q, (k, v) = block.q(x), block.kv(context).chunk(2, dim=2)
    q, k, v = (each.unflatten(2, (3, 8)).transpose(1, 2) for each in (q, k, v))
    q = normed(q, block.q_norm.weight, getattr(block.q_norm, "bias", None))
    k = normed(k, block.k_norm.weight, getattr(block.k_norm, "bias", None))
    weights = (q @ k.transpose(2, 3) / math.sqrt(8)).softmax(-1)
    wanted = block.proj((weights @ v).transpose(1, 2).flatten(2))
    mine = block(x) if kv_dim is None else block(x, context)
    torch.testing.assert_close(mine, wanted, rtol=1e-12, atol=1e-12)


def test_drops_in_training_only() -> None:
    block = randomize(MultiHeadAttention(32, 4, attn_drop=0.5, proj_drop=0.5))
    plain = MultiHeadAttention(32, 4)
    plain.load_state_dict(block.state_dict())
    assert torch.equal(block.eval()(X), plain(X))
    assert (block.train()(X) == 0).float().mean() > 0.3
    only = MultiHeadAttention(32, 4, attn_drop=0.5)
    assert not torch.equal(only(X), only(X))


def test_starts_as_torchs() -> None:
    ours, theirs = MultiHeadAttention(256, 4), nn.MultiheadAttention(256, 4)
    for mine, wanted in (
        (ours.qkv.weight, theirs.in_proj_weight),
        (ours.qkv.bias, theirs.in_proj_bias),
        (ours.proj.bias, theirs.out_proj.bias),
    ):
        torch.testing.assert_close(mine.std(), wanted.std(), rtol=0.05, atol=0)


def test_self_attention_is_the_same() -> None:
    ours, other = MultiHeadAttention(32, 4, num_kv_heads=2), SelfAttention(32, 4, num_kv_heads=2)
    copy_over(ours, other)
    assert_same(ours, other, X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 5}, "dim=32 is not divisible by num_heads=5"),
        ({"num_kv_heads": 3, "num_heads": 4}, "num_heads=4 is not divisible by num_kv_heads=3"),
        ({"head_dim": 5}, "dim=32 is not divisible by head_dim=5"),
        ({"kv_dim": 0}, "kv_dim must be a positive integer, got 0"),
        ({"attn_drop": 1.0}, "attn_drop must be at least 0 and below 1, got 1.0"),
        ({"qk_norm": "batch"}, "unknown qk_norm 'batch'; choose from layer, rms"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(32, **options)


def test_context_or_kept_keys_and_values() -> None:
    block = MultiHeadAttention(32, 4, kv_dim=24)
    with pytest.raises(ValueError, match="kv_dim=24 is not the width of x, 32; give context"):
        block(X)
    with pytest.raises(ValueError, match="give context or kv, not both"):
        block(X, CONTEXT, kv=block.project_kv(CONTEXT))
