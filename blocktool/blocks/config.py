"""What a FeatureExtractor is built from, as plain frozen dataclasses. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blocktool.blocks.options import (
    ActSpec,
    HeadNormSpec,
    HeadPool,
    NormSpec,
    Padding,
    StemPool,
)


class ConfigurationError(ValueError):
    """A configuration that cannot be built; ``path`` leads to the part at fault.

    ``path`` is keys and indices, outermost first: ``("stages", 1, "num_blocks")``.
    """

    def __init__(self, path: tuple[str | int, ...], reason: str) -> None:
        super().__init__(f"{format_path(path)}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def format_path(path: Sequence[str | int]) -> str:
    """``("stages", 1, "num_blocks")`` as ``stages[1].num_blocks``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, kw_only=True)
class StemConfig:
    """A ConvBlock, then pooling (3x3, stride 2) unless ``pool`` is None."""

    out_channels: int
    kernel_size: int = 7
    stride: int = 2
    padding: Padding = None
    bias: bool | None = None
    norm: NormSpec = "batch"
    act: ActSpec = "relu"
    pool: StemPool = "max"


@dataclass(frozen=True, kw_only=True)
class PositionConfig:
    """Learned positions for maps of ``grid`` (a size or a pair), and a class token before them.

    With a class token, stages get tokens, which keep their number and their width. See
    blocktool.blocks.PositionEmbedding.
    """

    grid: int | tuple[int, int]
    class_token: bool = True


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """``num_blocks`` blocks; the first changes width and stride. See blocktool.blocks.Stage.

    ``block`` is a class, or the name of a block (``"bottleneck"``). ``drop_path``, as Stage takes
    it, overrides the model's for this stage; ``options`` are further arguments of the block's
    constructor, ``first`` those that the first block gets instead.
    """

    block: Callable[..., Any] | str
    num_blocks: int
    out_channels: int
    stride: int = 2
    drop_path: float | tuple[float, ...] | None = None
    checkpoint: bool = False
    first: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Norm and activation, global pooling, dropout and a linear classifier.

    ``norm`` is one for maps, or, where the stages end with tokens, one for tokens; pre-activation
    and pre-norm stages want one. ``pool="token"`` takes the class token.
    """

    num_classes: int = 1000
    norm: HeadNormSpec = None
    act: ActSpec = None
    pool: HeadPool = "avg"
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FeatureExtractorConfig:
    """A backbone: optional stem, positions and head, and stages.

    ``drop_path`` is the rate of the last block; the rates rise linearly from 0 at the first.
    ``out_indices`` are the stages whose maps are wanted, all of them when None; they do not go
    together with a head. ``channels_last`` keeps weights and maps in that memory format.
    """

    stages: tuple[StageConfig, ...]
    in_channels: int = 3
    stem: StemConfig | None = None
    positions: PositionConfig | None = None
    head: HeadConfig | None = None
    out_indices: tuple[int, ...] | None = None
    drop_path: float = 0.0
    channels_last: bool = False
