"""Attention of tokens or maps to a context, against torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from attention_references import TOLERANCES, TorchAttention, separate_keys
from block_references import (
    assert_same,
    copy_over,
    every_dtype,
    every_mode,
    no_fast_path,
    randomize,
    waves,
)
from torch import Tensor

from blocktool.blocks import CrossAttention, MultiHeadAttention, ShapeError

X, CONTEXT = waves(2, 35, 32), waves(2, 12, 24) + 0.2


def _map(tokens: Tensor, height: int) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, (height, -1))


@every_dtype
@every_mode
@pytest.mark.parametrize("width", [24, 32])
def test_equals_torchs(width: int, training: bool, dtype: torch.dtype) -> None:
    """Also where the widths are equal: the projections stay apart."""
    ours = CrossAttention(32, None if width == 32 else width, 4, dtype=dtype).train(training)
    theirs = TorchAttention(32, 4, kdim=width, vdim=width, dtype=dtype)
    if width == 32:  # torch would pack them
        theirs.attention._qkv_same_embed_dim = False
        weight = theirs.attention.in_proj_weight
        for name, part in zip("qkv", weight.detach().chunk(3), strict=True):
            theirs.attention.register_parameter(
                f"{name}_proj_weight", torch.nn.Parameter(part.clone())
            )
        theirs.attention.in_proj_weight = None
    copy_over(ours, theirs.train(training), separate_keys)
    inputs = (X.to(dtype), waves(2, 12, width, dtype=dtype) + 0.2)
    with no_fast_path():
        assert_same(ours, theirs, inputs, separate_keys, **TOLERANCES[dtype])


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 2}, {"qk_norm": "layer", "head_dim": 12}])
def test_equals_multi_head_attention(options: dict[str, Any]) -> None:
    ours = CrossAttention(32, 24, 4, **options)
    theirs = MultiHeadAttention(32, 4, kv_dim=24, **options)
    copy_over(ours, theirs)
    mask = torch.arange(12) < 7
    assert_same(ours, theirs, (X, CONTEXT))
    assert torch.equal(ours(X, CONTEXT, mask=mask), theirs(X, CONTEXT, mask=mask))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_maps_are_their_tokens(memory_format: torch.memory_format) -> None:
    block = randomize(CrossAttention(32, 24, 4, norm="layer", context_norm="rms", residual=True))
    x, context = _map(X, 5), _map(CONTEXT, 3).contiguous(memory_format=memory_format)
    x = x.contiguous(memory_format=memory_format)
    wanted = block(X, CONTEXT)
    for given, source, out in (
        (X, context, wanted),
        (x, CONTEXT, _map(wanted, 5)),
        (x, context, _map(wanted, 5)),
    ):
        torch.testing.assert_close(block(given, source), out)
    assert block(x, context).is_contiguous(memory_format=memory_format)


@every_dtype
def test_norms_and_residual_by_hand(dtype: torch.dtype) -> None:
    block = randomize(
        CrossAttention(32, 24, 4, norm="layer", context_norm="rms", residual=True, dtype=dtype)
    )
    bare = MultiHeadAttention(32, 4, kv_dim=24, dtype=dtype)
    state = {key: value for key, value in block.state_dict().items() if "norm" not in key}
    bare.load_state_dict(state)
    x, context = X.to(dtype), CONTEXT.to(dtype)
    wanted = x + bare(block.norm(x), block.context_norm(context))
    assert torch.equal(block(x, context), wanted)


@pytest.mark.parametrize("options", [{}, {"context_norm": "layer", "qk_norm": "rms"}])
def test_kept_keys_and_values_change_nothing(options: dict[str, Any]) -> None:
    block = randomize(CrossAttention(32, 24, 4, **options)).eval()
    for context in (CONTEXT, _map(CONTEXT, 3)):
        kv = block.project_kv(context)
        assert torch.equal(block(X, kv=kv), block(X, context))


def test_every_token_sees_the_whole_context_and_no_other_token() -> None:
    block = randomize(CrossAttention(32, 24, 4))
    x, context = X.clone(), CONTEXT.clone()
    x[1, 4] += 1
    assert (block(x, CONTEXT) != block(X, CONTEXT)).any(2).nonzero().tolist() == [[1, 4]]
    context[1, 7] += 1
    moved = (block(X, context) != block(X, CONTEXT)).any(2)
    assert moved.tolist() == [[False] * 35, [True] * 35]


@pytest.mark.parametrize(
    ("context", "expected", "hint"),
    [
        ((2, 12, 32), "context (B, N, C=24) or (B, C=24, H, W)", None),
        ((2, 24, 12), "context (B, N, C=24) or (B, C=24, H, W)", "x.transpose(1, 2)"),
        ((2, 3, 4, 24), "(B, C=24, H, W)", "x.permute(0, 3, 1, 2)"),
        ((12, 24), "context (B, N, C=24) or (B, C=24, H, W)", "x.unsqueeze(0)"),
        ((3, 12, 24), "context (B=2, M, C=24)", None),
    ],
)
def test_contexts_that_do_not_fit(
    context: tuple[int, ...], expected: str, hint: str | None
) -> None:
    with pytest.raises(ShapeError) as caught:
        CrossAttention(32, 24)(X, torch.zeros(context))
    error = caught.value
    assert (error.expected, error.actual) == (expected, context)
    assert (hint or "") in (error.hint or "")
    assert (hint is None) == (error.hint is None)


def test_a_context_is_required() -> None:
    block = CrossAttention(32, 24)
    with pytest.raises(ValueError, match="CrossAttention: give context or kv"):
        block(X)
    with pytest.raises(ValueError, match="give context or kv, not both"):
        block(X, CONTEXT, kv=block.project_kv(CONTEXT))
    with pytest.raises(ValueError, match="context_channels must be a positive integer, got 0"):
        CrossAttention(32, 0)


def test_output_shape() -> None:
    block = CrossAttention(32, 24)
    assert block.output_shape((2, 35, 32), (2, 12, 24)) == (2, 35, 32)
    assert block.output_shape((2, 32, 5, 7)) == (2, 32, 5, 7)
    with pytest.raises(ShapeError, match="C: wanted 24, got 20"):
        block.output_shape((2, 35, 32), (2, 12, 20))
