"""Every block as a program of torch.export: one for all sizes, equal to eager."""

from __future__ import annotations

import pytest
import torch
from block_variants import Variant, distinct_variants, exported, plain_variants, some_variants
from torch import nn
from torch.export import Dim

from blocktool.blocks import ShapeError

Size = tuple[int, int]
OTHERS: tuple[tuple[int, Size, Size], ...] = ((3, (7, 11), (6, 3)), (1, (16, 12), (4, 4)))
"""Batches, sizes, and sizes of the context, that are not those of the export."""


@distinct_variants()
def test_one_program_for_all_sizes(variant: Variant) -> None:
    program, block = exported(variant).module(), variant.block().eval()
    least = tuple(max(size, 2) for size in variant.exported)
    for batch, size, context_size in (*OTHERS, (2, least, (2, 2))):
        inputs = variant.inputs(batch, size, context_size)
        torch.testing.assert_close(program(*inputs), block(*inputs), rtol=1e-5, atol=1e-5)


@distinct_variants()
def test_nothing_else_is_asked_of_the_sizes(variant: Variant) -> None:
    ranges = exported(variant).range_constraints.values()
    named = {dim for dims in variant.sizes() for dim in dims.values()}
    assert len(ranges) == len(named)  # none is fixed, none follows from another
    assert all(found.upper == torch.utils._sympy.numbers.int_oo for found in ranges)
    assert all(found.lower <= max(variant.exported) for found in ranges)
    checks = {"aten._assert_scalar.default", "aten.sym_constrain_range_for_size.default"}
    targets = {str(node.target) for node in exported(variant).graph.nodes}
    assert not targets & checks


@pytest.mark.parametrize(
    ("arguments", "least"), [((3, 2, 1), 3), ((4, 2, 1), 4), ((3, 1, 0), 4), ((3, 1, 1), 1)]
)
def test_the_least_sizes_are_those_of_torch(arguments: tuple[int, ...], least: int) -> None:
    """nn.Conv2d alone asks whether it makes more than one row."""

    def export(smallest: int) -> None:
        height = Dim("height", min=smallest) if smallest > 1 else Dim("height")
        module, shapes = nn.Conv2d(16, 24, *arguments), ({2: height},)
        torch.export.export(module, (torch.zeros(2, 16, 9, 10),), dynamic_shapes=shapes)

    export(least)
    if least > 1:
        with pytest.raises(torch._dynamo.exc.UserError, match="Constraints violated"):
            export(least - 1)


@some_variants("conv", "transformer/window", "cross-attention/options", "residual/options")
def test_fixed_sizes_and_train_mode(variant: Variant) -> None:
    block = variant.block()
    for module in block.modules():
        if isinstance(module, nn.Dropout) or hasattr(module, "drop_prob"):
            module.eval()
        if hasattr(module, "attn_drop"):
            module.attn_drop = 0.0
    state = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    program = torch.export.export(block, variant.inputs()).module()
    out = program(*variant.inputs())
    block.load_state_dict(state)
    torch.testing.assert_close(out, block(*variant.inputs()), rtol=1e-5, atol=1e-5)


@plain_variants()
def test_a_wrong_width_is_refused_as_in_eager(variant: Variant) -> None:
    x, *rest = variant.inputs()
    wrong = x[:, :8] if x.ndim == 4 else x[..., :8]
    with pytest.raises(ShapeError, match="wanted 16, got 8"):
        torch.export.export(variant.block().eval(), (wrong, *rest))
