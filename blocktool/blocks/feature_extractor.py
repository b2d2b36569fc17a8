"""Backbones from a configuration: stem, positions, stages, head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_positive
from blocktool.blocks.config import (
    ConfigurationError,
    FeatureExtractorConfig,
    StageConfig,
)
from blocktool.blocks.config_reading import read_config
from blocktool.blocks.head import ClassifierHead
from blocktool.blocks.layers import Device, drop_path_rates
from blocktool.blocks.names import load_block
from blocktool.blocks.position import PositionEmbedding
from blocktool.blocks.residual import ResidualBlock
from blocktool.blocks.shapes import check_map, check_map_shape
from blocktool.blocks.stage import Stage, to_channels_last
from blocktool.blocks.stem import Stem
from blocktool.blocks.tokens import Size


class FeatureInfo(NamedTuple):
    """A map that a backbone gives: its channels, and how much smaller it is than the input."""

    channels: int
    reduction: int


class FeatureExtractor(Block):
    """A backbone: stem, positions, stages, and either a classifier or the maps of the stages.

    ``config`` is a :class:`~blocktool.blocks.config.FeatureExtractorConfig`, or anything with
    ``num_stages``, ``blocks_per_stage`` and ``channels``
    (:func:`~blocktool.blocks.config_reading.read_config` says how it is read). With a head, forward
    gives logits (B, num_classes); without one, a list of the maps of the stages in ``out_indices``
    (negative ones count from the end), which ``feature_info`` describes; tokens are given as maps,
    the class token left out. Stages behind the last one that is wanted are not built.

    Raises ConfigurationError (a ValueError) with the path of the part that cannot be built;
    ShapeError, in forward, for a tensor that is not (B, in_channels, H, W).
    """

    def __init__(
        self, config: object, *, device: Device = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        read = read_config(config, ResidualBlock)
        if not read.stages:
            raise ConfigurationError(("stages",), "there must be at least one")
        if read.head is not None and read.out_indices is not None:
            raise ConfigurationError(("out_indices",), "a model with a head gives no maps")
        with _located("in_channels"):
            check_positive(in_channels=read.in_channels)
        self.in_channels = read.in_channels
        self.out_indices = _resolve_indices(read)
        self.config = read
        like: dict[str, Any] = {"device": device, "dtype": dtype}

        width, reduction = read.in_channels, 1
        self.stem: Stem | None = None
        if read.stem is not None:
            with _located("stem"):
                self.stem = Stem(width, read.stem, **like)
            width, reduction = self.stem.out_channels, self.stem.stride
        self.positions: PositionEmbedding | None = None
        if read.positions is not None:
            with _located("positions"):
                own = read.positions
                embedding = PositionEmbedding(width, own.grid, class_token=own.class_token, **like)
            self.positions = embedding
        tokens = read.positions is not None and read.positions.class_token
        stages: list[Stage] = []
        info: list[FeatureInfo] = []
        for index, drop_path in enumerate(_stage_rates(read)[: max(self.out_indices) + 1]):
            with _located("stages", index):
                stages.append(_make_stage(read.stages[index], width, drop_path, like))
                if tokens and (stages[-1].stride != 1 or stages[-1].out_channels != width):
                    reason = f"must keep {width} channels and stride 1: there is a class token"
                    raise ConfigurationError((), reason)
            width, reduction = stages[-1].out_channels, reduction * stages[-1].stride
            info.append(FeatureInfo(width, reduction))
        self.stages = nn.ModuleList(stages)
        self.head: ClassifierHead | None = None
        if read.head is not None:
            with _located("head"):
                self.head = ClassifierHead(width, read.head, tokens=tokens, **like)
        self.feature_info = [info[index] for index in self.out_indices]
        self.out_channels = width if self.head is None else self.head.out_channels
        self.stride = reduction
        if read.channels_last:
            to_channels_last(self)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """(B, in_channels, H, W) -> (B, num_classes), or maps (B, channels, H / r, W / r)."""
        check_map(self, x, self.in_channels)
        if self.config.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        if self.stem is not None:
            x = self.stem(x)
        size = (x.shape[2], x.shape[3])
        if self.positions is not None:
            x = self.positions(x)
        wanted: dict[int, Tensor] = {}
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if self.head is None and index in self.out_indices:
                wanted[index] = x if x.ndim == 4 else self._as_map(x, size)
        if self.head is not None:
            return self.head(x)  # type: ignore[no-any-return]
        return [wanted[index] for index in self.out_indices]

    def _as_map(self, tokens: Tensor, size: Size) -> Tensor:
        """Tokens (B, 1 + H * W, C) without the class token, as (B, C, H, W)."""
        out: Tensor = tokens[:, 1:].transpose(1, 2).unflatten(2, size)
        if self.config.channels_last:
            return out.contiguous(memory_format=torch.channels_last)
        return out.contiguous()

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...] | list[tuple[int, ...]]:
        """The shape, or the list of shapes, that forward gives for this one, without running.

        Raises ShapeError where forward would fail.
        """
        shape = check_map_shape(self, input_shape, self.in_channels)
        if self.stem is not None:
            shape = self.stem.output_shape(shape)
        grid = shape[2:]
        if self.positions is not None:
            shape = self.positions.output_shape(shape)
        shapes: list[tuple[int, ...]] = []
        for stage in self.stages:
            shape = stage.output_shape(shape)  # type: ignore[operator]
            shapes.append(shape if len(shape) == 4 else (shape[0], shape[2], *grid))
        if self.head is not None:
            return self.head.output_shape(shape)
        return [shapes[index] for index in self.out_indices]

    def extra_repr(self) -> str:
        """Input channels, and the maps that it gives where it has no head."""
        if self.head is not None:
            return f"in_channels={self.in_channels}"
        return f"in_channels={self.in_channels}, out_indices={self.out_indices}"


@contextmanager
def _located(*path: str | int) -> Iterator[None]:
    """Say which part of the configuration it was that could not be built."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError((*path, *error.path), error.reason) from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(path, str(error)) from error


def _make_stage(
    config: StageConfig, in_channels: int, drop_path: float | Sequence[float], like: dict[str, Any]
) -> Stage:
    block: object = config.block  # which may come from anywhere
    if isinstance(block, str):
        with _located("block"):
            block = load_block(block)
    if not callable(block):
        reason = f"must be a class or a block's name, got {block!r}"
        raise ConfigurationError(("block",), reason)
    return Stage(
        block,
        config.num_blocks,
        in_channels,
        config.out_channels,
        stride=config.stride,
        drop_path=drop_path,
        checkpoint=config.checkpoint,
        first=config.first,
        **config.options,
        **like,
    )


def _stage_rates(config: FeatureExtractorConfig) -> list[float | Sequence[float]]:
    """The drop-path rates of each stage: its own, or its share of the model's."""
    for index, stage in enumerate(config.stages):
        with _located("stages", index):
            check_positive(num_blocks=stage.num_blocks)
    with _located("drop_path"):
        rates = drop_path_rates(config.drop_path, sum(stage.num_blocks for stage in config.stages))
    result: list[float | Sequence[float]] = []
    start = 0
    for stage in config.stages:
        end = start + stage.num_blocks
        result.append(rates[start:end] if stage.drop_path is None else stage.drop_path)
        start = end
    return result


def _resolve_indices(config: FeatureExtractorConfig) -> tuple[int, ...]:
    """The stages whose maps are given, counted from 0; the last one where there is a head."""
    count = len(config.stages)
    if config.head is not None:
        return (count - 1,)
    if config.out_indices is None:
        return tuple(range(count))
    if not config.out_indices:
        raise ConfigurationError(("out_indices",), "there must be at least one")
    for position, index in enumerate(config.out_indices):
        if not -count <= index < count:
            raise ConfigurationError(
                ("out_indices", position), f"{index} is not one of the {count} stages"
            )
    return tuple(index % count for index in config.out_indices)
