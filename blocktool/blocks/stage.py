"""A stage: blocks in a row, the first of which changes width and stride."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as run_checkpointed

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_positive
from blocktool.blocks.conv import ConvBlock
from blocktool.blocks.layers import Device, drop_path_rates
from blocktool.blocks.names import load_block


class Stage(Block, nn.Sequential):
    """``num_blocks`` blocks: (B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride).

    The first block changes width and stride, the others keep them. A ``block`` that cannot do so
    (its constructor takes ``channels`` rather than ``in_channels`` and ``out_channels``, like
    SelfAttention's) is preceded by a ConvBlock without activation, ``downsample``, where stride or
    width change. ``block`` may also be a block's name (``"bottleneck"``). ``block_options`` go to
    every block's constructor, ``first`` to that of the first block instead: a stage that dilates
    rather than strides begins with the dilation of the stage before it,
    ``stride=1, dilation=2, first={"dilation": 1}`` (https://arxiv.org/abs/1706.05587).

    ``drop_path`` is one rate for each block, or the rate of the last, to which they rise linearly
    from 0 at the first (a single block gets 0; ``[rate]`` gives it one).
    ``checkpoint=True`` recomputes the blocks in the backward pass instead of keeping their
    activations, in training; batch statistics are then taken twice in each step, as they are with
    any checkpointing. ``channels_last=True`` keeps weights and maps in that memory format.

    Raises ValueError for sizes that are not positive, drop-path rates of another number than the
    blocks, and a block that takes no drop path; and what the block's constructor raises.
    """

    stride: int

    def __init__(
        self,
        block: Callable[..., nn.Module] | str,
        num_blocks: int,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 2,
        drop_path: float | Sequence[float] = 0.0,
        checkpoint: bool = False,
        first: Mapping[str, Any] | None = None,
        channels_last: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **block_options: Any,
    ) -> None:
        super().__init__()
        check_positive(num_blocks=num_blocks, in_channels=in_channels, out_channels=out_channels)
        check_positive(stride=stride)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.checkpoint = checkpoint
        self.channels_last = channels_last
        if isinstance(block, str):
            block = load_block(block)
        # Only what is asked for: another library's block may take neither.
        like: dict[str, Any] = {} if device is None else {"device": device}
        if dtype is not None:
            like["dtype"] = dtype
        changes_width, takes_drop_path = _abilities(block)
        rates = _rates(drop_path, num_blocks)
        if any(rates) and not takes_drop_path:
            name = getattr(block, "__name__", repr(block))
            raise ValueError(f"drop_path: {name} takes none")

        if not changes_width and (stride != 1 or in_channels != out_channels):
            kernel_size = 3 if stride > 1 else 1
            downsample = ConvBlock(in_channels, out_channels, kernel_size, stride, act=None, **like)
            self.add_module("downsample", downsample)
        for index, rate in enumerate(rates):
            options = {**block_options, **(first or {} if index == 0 else {}), **like}
            if rate:
                options["drop_path"] = rate
            if not changes_width:
                made = block(out_channels, **options)
            elif index == 0:
                made = block(in_channels, out_channels, stride=stride, **options)
            else:
                made = block(out_channels, out_channels, **options)
            self.add_module(str(index), made)
        if channels_last:
            to_channels_last(self)

    def __getitem__(self, index: int | slice) -> Any:
        """A block, or an nn.Sequential of several."""
        if isinstance(index, slice):
            return nn.Sequential(*list(self)[index])
        return super().__getitem__(index)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride), rounded up."""
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        recompute = self.checkpoint and self.training and torch.is_grad_enabled()
        for block in self:
            x = run_checkpointed(block, x, use_reentrant=False) if recompute else block(x)
        return x

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that forward gives for this one, without running.

        Every block must have an ``output_shape`` itself, as those of blocktool do. Raises
        ShapeError where forward would fail.
        """
        shape = tuple(input_shape)
        for block in self.children():
            shape = block.output_shape(shape)  # type: ignore[operator]
        return shape

    def extra_repr(self) -> str:
        """Widths and stride."""
        text = f"{self.in_channels}, {self.out_channels}, stride={self.stride}"
        return f"{text}, checkpoint=True" if self.checkpoint else text


def _abilities(block: Callable[..., nn.Module]) -> tuple[bool, bool]:
    """Whether a block's constructor takes ``out_channels``, and whether it takes ``drop_path``."""
    parameters = inspect.signature(block).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return "channels" not in parameters, True
    return "out_channels" in parameters, "drop_path" in parameters


def _rates(drop_path: float | Sequence[float], num_blocks: int) -> list[float]:
    if isinstance(drop_path, (int, float)):
        return drop_path_rates(drop_path, num_blocks)
    rates = list(drop_path)
    if len(rates) != num_blocks:
        raise ValueError(f"drop_path: {len(rates)} rates for {num_blocks} blocks")
    return rates


def to_channels_last(module: nn.Module) -> None:
    """Bring the weights of convolutions into that memory format, in place."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
