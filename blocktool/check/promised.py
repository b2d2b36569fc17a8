"""The contract of a block, its ``output_shape``, followed with symbols as the block itself is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.check.explore import Follow
from blocktool.check.prove import follow_module
from blocktool.results.symbolic import SymbolicTensor


class _Promised(nn.Module):
    """Gives tensors of the shapes that ``output_shape`` says, and raises what it raises."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Any:
        shapes = self.block.output_shape(tuple(x.shape))
        if shapes and isinstance(shapes[0], (tuple, list)):
            return [x.new_empty(shape) for shape in shapes]
        return x.new_empty(shapes)


def follow_promise(block: Block, inputs: Sequence[SymbolicTensor]) -> Follow:
    """The runs with symbols of a block's contract, for :func:`blocktool.check.prove.prove`."""
    return follow_module(_Promised(block), inputs)
