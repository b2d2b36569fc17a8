"""The smallest sizes: every block gives what output_shape says, or both raise ShapeError."""

from __future__ import annotations

import itertools

import pytest
import torch
from block_variants import Variant, every_variant, some_variants

from blocktool.blocks import ShapeError

SIZES = [(0, 4), (1, 1), (2, 1), (2, 2), (3, 7)]
CONTEXTS = [(1, 1), (0, 3)]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@every_variant
def test_small_sizes(variant: Variant, training: bool) -> None:
    block = variant.block().train(training)
    contexts = CONTEXTS if variant.context else CONTEXTS[:1]
    worked = 0
    for batch, size, context in itertools.product((0, 1, 3), SIZES, contexts):
        inputs = variant.inputs(batch, size, context)
        case = f"batch {batch}, size {size}, context {context}"
        try:
            promised = block.output_shape(*(x.shape for x in inputs))
        except ShapeError:
            with pytest.raises(ShapeError):
                block(*inputs)
            continue
        out = block(*inputs)
        assert tuple(out.shape) == promised, case
        assert torch.isfinite(out).all(), case
        worked += 1
    assert worked


@some_variants("conv", "se", "self-attention/window", "transformer", "residual", "cross-attention")
def test_one_sample_is_what_it_is_among_others(variant: Variant) -> None:
    block = variant.block().eval()
    for size in SIZES[1:3]:
        inputs = variant.inputs(3, size)
        among = block(*inputs)
        alone = block(*(x[1:2] for x in inputs))
        torch.testing.assert_close(among[1:2], alone, rtol=1e-4, atol=1e-5)


@every_variant
def test_no_samples_have_no_gradients(variant: Variant) -> None:
    """A batch of none can be trained on: every gradient is zero."""
    block = variant.block()
    inputs = variant.inputs(0, (3, 5))
    try:
        block.output_shape(*(x.shape for x in inputs))
    except ShapeError:
        pytest.skip("torch's instance norm takes no batch of none")
    block(*inputs).sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name
