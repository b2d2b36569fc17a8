"""Self-attention over tokens and maps, in windows or without."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from attention_references import TOLERANCES, TorchAttention, packed_keys
from block_keys import State, as_linear
from block_references import (
    assert_same,
    copy_over,
    every_dtype,
    every_mode,
    no_fast_path,
    randomize,
    waves,
)
from torch import Tensor, nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import SelfAttention, ShapeError

TOKENS, MAP = waves(2, 13, 32), waves(2, 32, 7, 10)


@every_dtype
@every_mode
def test_equals_multihead_attention(training: bool, dtype: torch.dtype) -> None:
    ours = SelfAttention(32, 4, dtype=dtype).train(training)
    theirs = TorchAttention(32, 4, dtype=dtype).train(training)
    copy_over(ours, theirs, packed_keys)
    with no_fast_path():
        assert_same(ours, theirs, TOKENS.to(dtype), packed_keys, **TOLERANCES[dtype])


@every_dtype
@pytest.mark.parametrize("options", [{}, {"qkv_bias": False}, {"qk_norm": "layer"}])
def test_equals_timm_on_tokens(options: dict[str, Any], dtype: torch.dtype) -> None:
    import_timm()
    from timm.layers import Attention

    theirs = {"qkv_bias": True, **options}
    if options.get("qk_norm"):
        theirs |= {"qk_norm": True, "norm_layer": partial(nn.LayerNorm, eps=1e-6)}
    ours = SelfAttention(32, 4, **options, dtype=dtype)
    reference = Attention(32, num_heads=4, **theirs, dtype=dtype)
    copy_over(ours, reference)
    gradients = 1e-5 if dtype is torch.float32 else 1e-13
    assert_same(ours, reference, TOKENS.to(dtype), gradients=gradients)


@every_dtype
def test_equals_timm_on_maps(dtype: torch.dtype) -> None:
    import_timm()
    from timm.layers import Attention2d

    theirs = Attention2d(32, num_heads=4, bias=True, dtype=dtype)
    ours = SelfAttention(32, 4, dtype=dtype)
    copy_over(ours, theirs, as_linear)
    # A 1x1 convolution adds in another order than a linear layer.
    tolerance = 1e-5 if dtype is torch.float32 else 1e-13
    assert_same(ours, theirs, MAP.to(dtype), as_linear, tolerance=tolerance)


def test_a_map_is_its_tokens() -> None:
    attention = SelfAttention(32, norm="layer", residual=True)
    tokens = attention(MAP.flatten(2).transpose(1, 2))
    torch.testing.assert_close(attention(MAP).flatten(2).transpose(1, 2), tokens)


def test_memory_format_does_not_matter() -> None:
    attention = SelfAttention(32)
    last = MAP.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(attention(last), attention(MAP))


def test_residual_adds_the_input_and_norm_comes_first() -> None:
    plain = SelfAttention(32, 4)
    block = SelfAttention(32, 4, norm="layer", residual=True)
    block.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        block.norm.weight.uniform_(0.5, 2)
        block.norm.bias.uniform_(-1, 1)
    torch.testing.assert_close(block(TOKENS), TOKENS + plain(block.norm(TOKENS)))


@pytest.mark.parametrize("window", [2, 3, 5, (7, 10), (2, 4), 20])
def test_windows_do_not_see_each_other(window: int | tuple[int, int]) -> None:
    windowed = SelfAttention(32, 4, window=window)
    plain = SelfAttention(32, 4)
    plain.load_state_dict(windowed.state_dict())
    height, width = (window, window) if isinstance(window, int) else window
    wanted = torch.empty_like(MAP)
    for top in range(0, 7, height):
        for left in range(0, 10, width):
            place = (..., slice(top, top + height), slice(left, left + width))
            wanted[place] = plain(MAP[place])
    torch.testing.assert_close(windowed(MAP), wanted)


class _Swin(nn.Module):
    """torchvision's windowed attention, without its positions, on a map."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        from torchvision.models.swin_transformer import ShiftedWindowAttention

        self.attention = ShiftedWindowAttention(32, [4, 3], [0, 0], num_heads=4).to(dtype)
        del self.attention.relative_position_bias_table
        self.attention.get_relative_position_bias = lambda: torch.zeros((), dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@every_dtype
def test_window_equals_swin(dtype: torch.dtype) -> None:
    import_torchvision()

    def keys(state: State) -> State:
        found = {key.removeprefix("attention."): value for key, value in state.items()}
        found.pop("relative_position_index", None)
        return found

    ours, theirs = SelfAttention(32, 4, window=(4, 3), dtype=dtype), _Swin(dtype)
    copy_over(ours, theirs, keys)
    tolerance = 1e-5 if dtype is torch.float32 else 1e-13
    assert_same(ours, theirs, waves(2, 32, 8, 12, dtype=dtype), keys, tolerance=tolerance)


@pytest.mark.parametrize("options", [{}, {"norm": "layer", "residual": True, "qk_norm": "rms"}])
@pytest.mark.parametrize("window", [3, (7, 10)])
def test_windows_of_tokens_that_know_their_size(window: Any, options: dict[str, Any]) -> None:
    block = randomize(SelfAttention(32, 4, window=window, **options))
    tokens = block(MAP.flatten(2).transpose(1, 2), size=(7, 10))
    torch.testing.assert_close(block(MAP), tokens.transpose(1, 2).unflatten(2, (7, 10)))
    plain = SelfAttention(32, 4, **options)
    plain.load_state_dict(block.state_dict())
    assert torch.allclose(block(MAP), plain(MAP), atol=1e-6) == (window == (7, 10))


def test_residual_is_around_windows_and_norm() -> None:
    block = randomize(SelfAttention(32, 4, window=3, norm="rms", residual=True))
    bare = SelfAttention(32, 4, window=3)
    bare.load_state_dict({k: v for k, v in block.state_dict().items() if k != "norm.weight"})
    normed = block.norm(MAP.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(block(MAP), MAP + bare(normed))


def test_nothing_is_dropped_in_eval() -> None:
    dropping = SelfAttention(32, 4, attn_drop=0.5, proj_drop=0.5)
    plain = SelfAttention(32, 4)
    plain.load_state_dict(dropping.state_dict())
    assert torch.equal(dropping.eval()(TOKENS), plain(TOKENS))
    assert not torch.equal(dropping.train()(TOKENS), dropping(TOKENS))
    only_attn = SelfAttention(32, 4, attn_drop=0.5)
    assert not torch.equal(only_attn(TOKENS), only_attn(TOKENS))


@pytest.mark.parametrize(
    ("channels", "num_heads"),
    [(256, 8), (128, 8), (96, 4), (64, 4), (32, 2), (16, 1), (8, 1), (100, 4), (50, 2), (49, 1)],
)
def test_default_heads(channels: int, num_heads: int) -> None:
    attention = SelfAttention(channels)
    assert attention.num_heads == num_heads
    assert attention.extra_repr().startswith(
        f"{channels}, num_heads={num_heads}, head_dim={channels // num_heads}"
    )


def test_heads_have_stride_one() -> None:
    """Else attention on CPU leaves its fast kernel."""
    seen: list[tuple[int, ...]] = []
    real = nn.functional.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        seen.extend(tensor.stride()[-1:] for tensor in (q, k, v))
        return real(q, k, v, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "scaled_dot_product_attention", spy)
        SelfAttention(32)(MAP)
        SelfAttention(32, window=4, qk_norm="rms")(MAP)
    assert seen == [(1,)] * 6


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="channels=32 is not divisible by num_heads=5"):
        SelfAttention(32, 5)
    with pytest.raises(ValueError, match="unknown norm 'batch'; choose from layer, rms"):
        SelfAttention(32, norm="batch")
    with pytest.raises(ValueError, match="window must be a positive integer, got 0"):
        SelfAttention(32, window=0)
    with pytest.raises(ValueError, match="attn_drop must be at least 0 and below 1"):
        SelfAttention(32, attn_drop=1.0)
    with pytest.raises(ValueError, match="a mask cannot be combined with window"):
        SelfAttention(32, window=4)(MAP, mask=torch.ones(16, 16, dtype=torch.bool))


@pytest.mark.parametrize(
    ("shape", "window", "expected", "hint"),
    [
        ((2, 13, 16), None, "(B, N, C=32) or (B, C=32, H, W)", None),
        ((2, 32, 13), None, "(B, N, C=32) or (B, C=32, H, W)", "x.transpose(1, 2)"),
        ((2, 7, 10, 32), None, "(B, C=32, H, W)", "x.permute(0, 3, 1, 2)"),
        ((13, 32), None, "(B, N, C=32) or (B, C=32, H, W)", "x.unsqueeze(0)"),
        ((2, 13, 32), 4, "(B, C=32, H, W)", "window needs a map"),
    ],
)
def test_shape_errors(
    shape: tuple[int, ...], window: int | None, expected: str, hint: str | None
) -> None:
    attention = SelfAttention(32, window=window)
    for refuse in (lambda: attention(torch.zeros(shape)), lambda: attention.output_shape(shape)):
        with pytest.raises(ShapeError) as caught:
            refuse()
        assert caught.value.expected == expected
        assert caught.value.actual == shape
        assert (hint or "") in (caught.value.hint or "")
        assert (hint is None) == (caught.value.hint is None)


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((2, 70, 32), (7, 9), r"N: wanted 63, got 70 \(dim 1\)"),
        ((2, 32, 7, 10), (10, 7), "a map knows its size; leave size out"),
    ],
)
@pytest.mark.parametrize("window", [3, None])
def test_sizes_that_are_not_those_of_the_tokens(
    window: int | None, shape: tuple[int, ...], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        SelfAttention(32, window=window)(torch.zeros(shape), size=size)


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("shape", [(0, 32, 5, 5), (2, 32, 0, 5), (2, 32, 1, 1)])
def test_small_and_empty_maps(window: int | None, shape: tuple[int, ...]) -> None:
    assert SelfAttention(32, window=window)(torch.ones(shape)).shape == shape
