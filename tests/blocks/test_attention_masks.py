"""Masks, contexts and kept keys: those that hide what they should, and those that are refused."""

from __future__ import annotations

import math

import pytest
import torch
from attention_references import TorchAttention, packed_keys, separate_keys
from block_references import assert_same, copy_over, every_dtype, randomize, waves
from torch import Tensor

from blocktool.blocks import MultiHeadAttention, ShapeError

X, CONTEXT = waves(2, 13, 32), waves(2, 9, 24) + 0.2


def _masks(kind: str, queries: int, keys: int) -> tuple[Tensor, dict[str, Tensor]]:
    """A mask for ours, and the same for torch's module, in which True hides."""
    generator = torch.Generator().manual_seed(0)
    if kind == "keys":
        keep = torch.arange(keys) < torch.tensor([[keys], [keys // 2]])
        return keep[:, None, None], {"key_padding_mask": ~keep}
    if kind == "causal":
        keep = torch.ones(queries, keys, dtype=torch.bool).tril()
        return keep, {"attn_mask": ~keep}
    if kind == "float":
        bias = torch.randn(queries, keys, generator=generator)
        return bias, {"attn_mask": bias}
    # Of each sample and head.
    bias = torch.randn(2, 4, queries, keys, generator=generator)
    bias[:, :, :, 3] = -math.inf
    return bias, {"attn_mask": bias.flatten(0, 1)}


@every_dtype
@pytest.mark.parametrize("kind", ["keys", "causal", "float", "each"])
@pytest.mark.parametrize("cross", [False, True])
def test_masks_equal_torchs(cross: bool, kind: str, dtype: torch.dtype) -> None:
    mask, theirs = _masks(kind, 13, 9 if cross else 13)
    as_dtype = {
        name: each if each.dtype is torch.bool else each.to(dtype) for name, each in theirs.items()
    }
    reference = TorchAttention(
        32, 4, kdim=24 if cross else None, vdim=24 if cross else None, dtype=dtype, mask=as_dtype
    )
    keys = separate_keys if cross else packed_keys
    ours = MultiHeadAttention(32, 4, kv_dim=24 if cross else None, dtype=dtype)
    copy_over(ours, reference, keys)
    inputs = (X.to(dtype), CONTEXT.to(dtype)) if cross else X.to(dtype)
    tolerance = 1e-5 if dtype is torch.float32 else 1e-13
    # A float mask in another precision than the tokens' is brought to theirs.
    assert_same(ours, reference, inputs, keys, tolerance=tolerance, mask=mask)
    given = inputs if cross else (inputs,)
    assert not torch.allclose(ours(*given), ours(*given, mask=mask), atol=1e-3)


@pytest.mark.parametrize("num_kv_heads", [4, 2])
@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
@pytest.mark.parametrize(
    "shape",
    [
        (),
        (13,),
        (1, 13),
        (13, 1),
        (13, 13),
        (4, 1, 13),
        (2, 1, 1, 13),
        (2, 4, 13, 13),
        (1, 4, 1, 1),
    ],
)
def test_masks_are_broadcast(shape: tuple[int, ...], dtype: torch.dtype, num_kv_heads: int) -> None:
    block = randomize(MultiHeadAttention(32, 4, num_kv_heads=num_kv_heads))
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    mask = mask > 0.3 if dtype is torch.bool else mask
    torch.testing.assert_close(block(X, mask=mask), block(X, mask=mask.expand(2, 4, 13, 13)))


@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("num_kv_heads", [4, 2])
def test_a_query_that_sees_nothing_gives_zeros(num_kv_heads: int, kind: str) -> None:
    block = randomize(MultiHeadAttention(32, 4, num_kv_heads=num_kv_heads))
    keep = torch.ones(13, 13, dtype=torch.bool)
    keep[5] = False
    mask = keep if kind == "bool" else torch.zeros(13, 13).masked_fill(~keep, -math.inf)
    leaf = X.clone().requires_grad_()
    out = block(leaf, mask=mask)
    torch.testing.assert_close(out[:, 5], block.proj.bias.expand(2, 32))
    out.square().sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in block.parameters())


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_a_mask_of_numbers_is_not_added(dtype: torch.dtype) -> None:
    # Added, ones and zeros would hide nothing.
    with pytest.raises(ValueError, match=r"a mask is boolean, True keeps, .* try mask.bool\(\)"):
        MultiHeadAttention(32, 4)(X, mask=torch.ones(13, 13, dtype=dtype))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 13, 13), "mask[:, None]"),
        ((2, 13), "mask[:, None, None]"),
        ((13, 9), None),
        ((3, 1, 1, 13), None),
        ((1, 2, 4, 13, 13), None),
    ],
)
def test_masks_that_do_not_fit(shape: tuple[int, ...], hint: str | None) -> None:
    with pytest.raises(ShapeError) as caught:
        MultiHeadAttention(32, 4)(X, mask=torch.ones(shape, dtype=torch.bool))
    error = caught.value
    assert error.expected == "a mask that broadcasts to (B=2, heads=4, N=13, M=13)"
    assert error.actual == shape
    assert (hint or "") in (error.hint or "")
    assert (hint is None) == (error.hint is None)


@pytest.mark.parametrize(
    ("shape", "expected", "reason"),
    [
        ((2, 9, 32), "context (B, N, C=24)", "context: C: wanted 24, got 32 (dim 2)"),
        ((9, 24), "context (B, N, C=24)", "context: 2 dimensions"),
        ((3, 9, 24), "context (B=2, M, C=24)", "B: context has 3, x has 2 (dim 0)"),
        ((1, 9, 24), "context (B=2, M, C=24)", "B: context has 1, x has 2 (dim 0)"),
    ],
)
def test_contexts_that_do_not_fit(shape: tuple[int, ...], expected: str, reason: str) -> None:
    block = MultiHeadAttention(32, 4, kv_dim=24)
    with pytest.raises(ShapeError) as caught:
        block(X, torch.zeros(shape))
    error = caught.value
    assert (error.expected, error.reason, error.actual) == (expected, reason, shape)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2, 2, 9, 8), (2, 2, 9, 8)], "keys (B, heads=4, M, head_dim=8)"),
        ([(2, 1, 9, 8), (2, 1, 9, 8)], "keys (B, heads=4, M, head_dim=8)"),
        ([(2, 4, 9, 16), (2, 4, 9, 16)], "keys (B, heads=4, M, head_dim=8)"),
        ([(2, 9, 32), (2, 9, 32)], "keys (B, heads=4, M, head_dim=8)"),
        ([(2, 4, 9, 8), (2, 9, 32)], "values (B, heads=4, M, head_dim=8)"),
        ([(1, 4, 9, 8), (1, 4, 9, 8)], "kv (B=2, heads=4, M, head_dim=8)"),
        ([(2, 4, 9, 8), (2, 4, 5, 8)], "values of the keys' shape"),
    ],
)
def test_kept_keys_and_values_that_do_not_fit(shapes: list[tuple[int, ...]], expected: str) -> None:
    k, v = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ShapeError) as caught:
        MultiHeadAttention(32, 4)(X, kv=(k, v))
    assert caught.value.expected == expected
