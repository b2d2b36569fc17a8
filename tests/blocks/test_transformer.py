"""Transformer blocks against torchvision's, timm's and torch's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from block_keys import State, renamed
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
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import (
    AttentionBlock,
    FeedForward,
    SelfAttention,
    ShapeError,
    TransformerBlock,
)

TOKENS, MAP = waves(2, 13, 32), waves(2, 32, 5, 7)


def _loose(dtype: torch.dtype) -> dict[str, float]:
    # Only the gradients of the packed projection, where torch has the batch in the middle.
    if dtype is torch.float32:
        return {"tolerance": 1e-6, "gradients": 1e-5}
    return {"tolerance": 1e-14, "gradients": 1e-13}


@every_dtype
@every_mode
def test_equals_torchvisions(training: bool, dtype: torch.dtype) -> None:
    import_torchvision()
    from torchvision.models.vision_transformer import EncoderBlock

    def keys(state: State) -> State:
        return renamed(
            state,
            (r"^ln_(\d)\.", r"norm\1."),
            (r"^self_attention\.in_proj_", "attn.qkv."),
            (r"^self_attention\.out_proj\.", "attn.proj."),
            (r"^mlp\.0\.", "mlp.fc1."),
            (r"^mlp\.3\.", "mlp.fc2."),
        )

    theirs = EncoderBlock(4, 32, 128, 0.0, 0.0).to(dtype).train(training)
    ours = TransformerBlock(32, 4, dtype=dtype).train(training)
    copy_over(ours, theirs, keys)
    with no_fast_path():
        assert_same(ours, theirs, TOKENS.to(dtype), keys, **_loose(dtype))


@every_dtype
@every_mode
def test_equals_torchs(training: bool, dtype: torch.dtype) -> None:
    def keys(state: State) -> State:
        return renamed(
            state,
            (r"^self_attn\.in_proj_", "attn.qkv."),
            (r"^self_attn\.out_proj\.", "attn.proj."),
            (r"^linear([12])\.", r"mlp.fc\1."),
        )

    theirs = nn.TransformerEncoderLayer(
        32, 4, 96, 0.0, "gelu", norm_first=True, batch_first=True, dtype=dtype
    )
    # Its norms have torch's eps.
    norm: Any = ("layer", {"eps": 1e-5})
    ours = TransformerBlock(32, 4, mlp_ratio=3, norm=norm, dtype=dtype)
    copy_over(ours.train(training), theirs.train(training), keys)
    with no_fast_path():
        assert_same(ours, theirs, TOKENS.to(dtype), keys, **_loose(dtype))


def _timm_keys(state: State) -> State:
    return renamed(state, (r"^ls([12])\.", r"layer_scale\1."))


@every_dtype
@every_mode
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {"qkv_bias": True}),
        ({"qkv_bias": False, "qk_norm": "layer"}, {"qk_norm": True}),
        (
            {"layer_scale": 0.1, "mlp_ratio": 2.0},
            {"qkv_bias": True, "init_values": 0.1, "mlp_ratio": 2.0},
        ),
        ({"act": "relu"}, {"qkv_bias": True, "act_layer": nn.ReLU}),
    ],
)
def test_equals_timms(
    options: dict[str, Any], theirs: dict[str, Any], training: bool, dtype: torch.dtype
) -> None:
    import_timm()
    from timm.models.vision_transformer import Block

    norm = partial(nn.LayerNorm, eps=1e-6)
    reference = Block(32, 4, **theirs, norm_layer=norm, dtype=dtype).train(training)
    ours = TransformerBlock(32, 4, **options, dtype=dtype).train(training)
    copy_over(ours, reference, _timm_keys)
    gradients = 1e-5 if dtype is torch.float32 else 1e-13
    assert_same(ours, reference, TOKENS.to(dtype), _timm_keys, gradients=gradients)


@every_mode
def test_dropout_and_drop_path_equal_timms(training: bool) -> None:
    """In training with the same random numbers: as many are drawn, at the same places."""
    import_timm()
    from timm.models.vision_transformer import Block

    rates = {"drop_path": 0.3, "proj_drop": 0.2}
    norm = partial(nn.LayerNorm, eps=1e-6)
    theirs = Block(32, 4, qkv_bias=True, init_values=0.1, norm_layer=norm, **rates)
    ours = TransformerBlock(32, 4, layer_scale=0.1, **rates)
    copy_over(ours.train(training), theirs.train(training), _timm_keys)
    x = waves(16, 13, 32)
    torch.manual_seed(0)
    mine = ours(x)
    torch.manual_seed(0)
    torch.testing.assert_close(mine, theirs(x), rtol=1e-6, atol=1e-6)
    assert torch.equal(ours(x), mine) != training


def test_rms_norm_and_swiglu_by_hand() -> None:
    """The block of recent language models (https://arxiv.org/abs/2302.13971)."""
    block = randomize(TransformerBlock(32, 4, norm="rms", mlp="swiglu", num_kv_heads=2))

    def rms(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight

    attention = SelfAttention(32, 4, num_kv_heads=2)
    attention.load_state_dict(block.attn.state_dict())
    x = TOKENS + attention(rms(TOKENS, block.norm1.weight))
    value, gate = block.mlp.fc1(rms(x, block.norm2.weight)).chunk(2, dim=-1)
    wanted = x + block.mlp.fc2(value * gate * gate.sigmoid())
    torch.testing.assert_close(block(TOKENS), wanted)


@pytest.mark.parametrize("options", [{}, {"window": 3}, {"window": 3, "mlp": "conv"}])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_map_is_its_tokens(options: dict[str, Any], memory_format: torch.memory_format) -> None:
    x = MAP.contiguous(memory_format=memory_format)
    tokens = MAP.flatten(2).transpose(1, 2)
    blocks = [TransformerBlock(32, 4, **options)]
    if "mlp" not in options:
        blocks.append(AttentionBlock(32, 4, **options))
    for block in map(randomize, blocks):
        wanted = block(tokens, size=(5, 7)).transpose(1, 2).unflatten(2, (5, 7))
        torch.testing.assert_close(block(x), wanted)
        assert block(x).is_contiguous(memory_format=memory_format)


def test_masks_reach_the_attention() -> None:
    causal = torch.ones(13, 13, dtype=torch.bool).tril()
    changed = TOKENS.clone()
    changed[:, 7:] *= waves(32)  # a norm would undo a plain factor or sum
    for block in (TransformerBlock(32, 4), AttentionBlock(32, 4)):
        randomize(block)
        seen = block(changed, mask=causal), block(TOKENS, mask=causal)
        assert torch.equal(seen[0][:, :7], seen[1][:, :7])
        assert not torch.allclose(block(changed)[:, :7], block(TOKENS)[:, :7], atol=1e-3)


def test_parts_have_the_arguments_given() -> None:
    block = TransformerBlock(
        32, 2, mlp_ratio=2, mlp="geglu", head_dim=8, proj_drop=0.1, attn_drop=0.2
    )
    assert (block.attn.num_heads, block.attn.head_dim, block.attn.attn_drop) == (2, 8, 0.2)
    assert isinstance(block.mlp, FeedForward)
    assert (block.mlp.kind, block.mlp.hidden_dim) == ("geglu", 64)
    assert [block.attn.proj_drop.p, block.mlp.drop1.p, block.mlp.drop2.p] == [0.1] * 3


@pytest.mark.parametrize("block", [AttentionBlock, TransformerBlock])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_path": 1.0}, "drop_path must be at least 0 and below 1, got 1.0"),
        ({"num_heads": 5}, "channels=32 is not divisible by num_heads=5"),
        ({"norm": "batch"}, "unknown norm 'batch'; choose from layer, rms"),
        ({"window": 0}, "window must be a positive integer, got 0"),
    ],
)
def test_bad_arguments(block: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block(32, **options)


@pytest.mark.parametrize("block", [AttentionBlock, TransformerBlock])
@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 32, 13), "x.transpose(1, 2)"),
        ((2, 5, 7, 32), "x.permute(0, 3, 1, 2)"),
        ((13, 32), "x.unsqueeze(0)"),
        ((2, 13, 32), "window needs a map"),
    ],
)
def test_shape_errors(block: type, shape: tuple[int, ...], hint: str) -> None:
    made = block(32, window=4)
    for refuse in (lambda: made(torch.zeros(shape)), lambda: made.output_shape(shape)):
        with pytest.raises(ShapeError) as caught:
            refuse()
        assert caught.value.actual == shape
        assert hint in caught.value.hint


def test_a_size_that_is_not_that_of_the_tokens() -> None:
    with pytest.raises(ShapeError, match=r"TransformerBlock: .*\n.*N: wanted 12, got 13"):
        TransformerBlock(32, window=2)(TOKENS, size=(3, 4))
