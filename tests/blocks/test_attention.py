from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from block_keys import multihead_attention_keys
from block_references import assert_same, copy_over
from torch import Tensor, nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import SelfAttention, ShapeError

TOKENS = torch.linspace(-3, 3, 2 * 13 * 32).sin().view(2, 13, 32)
MAP = torch.linspace(-3, 3, 2 * 32 * 7 * 10).sin().view(2, 32, 7, 10)


class _Query(nn.Module):
    """nn.MultiheadAttention with one argument, as self-attention."""

    def __init__(self, attention: nn.MultiheadAttention, mask: Tensor | None = None) -> None:
        super().__init__()
        self.attention = attention
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0]


def _keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return multihead_attention_keys({key.removeprefix("attention."): state[key] for key in state})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
def test_equals_multihead_attention(training: bool, dtype: torch.dtype) -> None:
    # In eval nn.MultiheadAttention would take its fast path, which rounds differently.
    ours = SelfAttention(32, 4, dtype=dtype).train(training)
    theirs = _Query(nn.MultiheadAttention(32, 4, batch_first=True, dtype=dtype)).train(training)
    copy_over(ours, theirs, _keys)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        tolerance = 1e-5 if dtype is torch.float32 else 1e-14
        assert_same(ours, theirs, TOKENS.to(dtype), _keys, tolerance=tolerance)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@pytest.mark.parametrize("options", [{}, {"qkv_bias": False}, {"qk_norm": "layer"}])
def test_equals_timm_on_tokens(options: dict[str, Any]) -> None:
    import_timm()
    from timm.layers import Attention

    theirs = {"qkv_bias": True, **options}
    if options.get("qk_norm"):
        theirs |= {"qk_norm": True, "norm_layer": partial(nn.LayerNorm, eps=1e-6)}
    ours, reference = SelfAttention(32, 4, **options), Attention(32, num_heads=4, **theirs)
    copy_over(ours, reference, dict)
    assert_same(ours, reference, TOKENS, dict, tolerance=1e-5)


def test_equals_timm_on_maps() -> None:
    import_timm()
    from timm.layers import Attention2d

    def keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {key: value.flatten(1) if value.ndim == 4 else value for key, value in state.items()}

    theirs = Attention2d(32, num_heads=4, bias=True)
    ours = SelfAttention(32, 4)
    ours.load_state_dict(keys(theirs.state_dict()))
    torch.testing.assert_close(ours(MAP), theirs(MAP), rtol=1e-5, atol=1e-6)


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


def test_window_equals_swin() -> None:
    import_torchvision()
    from torchvision.models.swin_transformer import ShiftedWindowAttention

    theirs = ShiftedWindowAttention(32, [4, 4], [0, 0], num_heads=4)
    nn.init.zeros_(theirs.relative_position_bias_table)
    ours = SelfAttention(32, 4, window=4)
    state = {key: v for key, v in theirs.state_dict().items() if "relative" not in key}
    ours.load_state_dict(state)
    x = torch.linspace(-3, 3, 2 * 32 * 8 * 12).sin().view(2, 32, 8, 12)
    wanted = theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours(x), wanted)


def test_mask_is_that_of_sdpa() -> None:
    ours = SelfAttention(32, 4)
    causal = torch.ones(13, 13, dtype=torch.bool).tril()
    theirs = _Query(nn.MultiheadAttention(32, 4, batch_first=True), ~causal)  # True hides there
    copy_over(ours, theirs, _keys)
    torch.testing.assert_close(ours(TOKENS, mask=causal), theirs(TOKENS))
    added = torch.zeros(13, 13).masked_fill(~causal, -math.inf)
    torch.testing.assert_close(ours(TOKENS, mask=added), theirs(TOKENS))


def test_a_query_that_sees_nothing_gives_zeros() -> None:
    attention = SelfAttention(32, 4)
    mask = torch.ones(13, 13, dtype=torch.bool)
    mask[5] = False
    x = TOKENS.clone().requires_grad_()
    out = attention(x, mask=mask)
    torch.testing.assert_close(out[:, 5], attention.proj.bias.expand(2, 32))
    out.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_nothing_is_dropped_in_eval() -> None:
    # MONAI's SABlock drops in eval as well.
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
