"""AttentionBlock: a residual around normed self-attention."""

from __future__ import annotations

import pytest
import torch
from block_keys import renamed
from block_references import every_dtype, randomize, waves
from torch import nn

from blocktool.blocks import AttentionBlock, SelfAttention, TransformerBlock

TOKENS, MAP = waves(2, 13, 32), waves(2, 32, 5, 7)


@every_dtype
@pytest.mark.parametrize("x", [TOKENS, MAP], ids=["tokens", "map"])
def test_attention_block_is_a_residual_around_normed_attention(
    x: torch.Tensor, dtype: torch.dtype
) -> None:
    block = randomize(AttentionBlock(32, 4, layer_scale=0.5, dtype=dtype))
    other = SelfAttention(32, 4, norm="layer", dtype=dtype)
    state = {key.removeprefix("attn."): value for key, value in block.state_dict().items()}
    gamma = state.pop("layer_scale.gamma")
    other.load_state_dict(state)
    x = x.to(dtype)
    gamma = gamma[:, None, None] if x.ndim == 4 else gamma
    tolerance = 1e-6 if dtype is torch.float32 else 1e-14
    torch.testing.assert_close(block(x), x + gamma * other(x), rtol=tolerance, atol=tolerance)


def test_attention_block_is_the_first_half_of_a_transformers() -> None:
    whole = randomize(TransformerBlock(32, 4, layer_scale=0.5, qk_norm="rms"))
    half = AttentionBlock(32, 4, layer_scale=0.5, qk_norm="rms")
    nn.init.zeros_(whole.layer_scale2.gamma)
    state = renamed(
        whole.state_dict(), (r"^norm1\.", "norm."), (r"^layer_scale1\.", "layer_scale.")
    )
    half.load_state_dict({key: value for key, value in state.items() if key in half.state_dict()})
    assert torch.equal(half(TOKENS), whole(TOKENS))


def test_drops_branches_in_training_only() -> None:
    x = waves(64, 5, 16)
    block = randomize(AttentionBlock(16, 1, drop_path=0.25))
    plain = AttentionBlock(16, 1)
    plain.load_state_dict(block.state_dict())
    branch = plain(x) - x
    torch.testing.assert_close(block.eval()(x), plain(x), rtol=0, atol=0)
    torch.manual_seed(0)
    factor = ((block.train()(x) - x) * branch).sum((1, 2)) / branch.square().sum((1, 2))
    kept = factor > 0.5
    torch.testing.assert_close(
        factor[kept], torch.full_like(factor[kept], 1 / 0.75), rtol=1e-3, atol=0
    )
    assert factor[~kept].abs().max() < 1e-3
    assert 0.5 < kept.float().mean() < 0.95
