"""What a FeatureExtractor is built from, as plain frozen dataclasses. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from blocktool.blocks.options import (
    ActSpec,
    HeadNormSpec,
    HeadPool,
    NormSpec,
    Padding,
    StemPool,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _Section = TypeVar("_Section", bound=DataclassInstance)


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


_SHORT_KEYS = (
    *("num_stages", "blocks_per_stage", "channels", "strides", "block", "in_channels", "stem"),
    *("head", "out_indices", "drop_path"),
)


def read_config(config: object, default_block: Callable[..., Any]) -> FeatureExtractorConfig:
    """The configuration itself, or the one that a short form means.

    The long form is a mapping with the fields of FeatureExtractorConfig as keys, as in a file:
    ``stem``, ``positions``, ``head`` and each of ``stages`` are mappings as well, and what a stage
    says beside the fields of StageConfig are options of its blocks.

    The short form is any mapping, or any object with these attributes: ``num_stages``,
    ``blocks_per_stage`` (an int or one for each stage) and ``channels``; optionally ``block`` (a
    class, ``default_block`` when left out), ``strides`` (an int or one for each stage, 2 when left
    out), ``in_channels``, ``stem``, ``head``, ``out_indices`` and ``drop_path``.

    ``channels`` are the widths between the stages, ``num_stages + 1`` of them, the first being what
    goes into the first stage; or, with a stem or ``in_channels``, the ``num_stages`` widths
    that the stages give.

    Raises ConfigurationError for lengths that do not agree and keys that are missing or unknown.
    """
    if isinstance(config, FeatureExtractorConfig):
        return config
    if isinstance(config, Mapping):
        values = dict(config)
        if "stages" in values:
            return _read_long(values)
        for key in values:
            if key not in _SHORT_KEYS:
                raise ConfigurationError((str(key),), f"unknown; known: {', '.join(_SHORT_KEYS)}")
    else:
        values = {key: getattr(config, key) for key in _SHORT_KEYS if hasattr(config, key)}
    for key in _SHORT_KEYS[:3]:
        if key not in values:
            raise ConfigurationError((key,), "missing")

    num_stages: int = values["num_stages"]
    stem: StemConfig | None = values.get("stem")
    widths = list(values["channels"])
    in_channels = values.get("in_channels")
    if len(widths) == num_stages + 1:
        _check_first_width(widths.pop(0), in_channels, stem, values)
    elif len(widths) != num_stages or (stem is None and in_channels is None):
        wanted = f"{num_stages + 1} (the first goes into stage 0)"
        if stem is not None or in_channels is not None:
            wanted += f" or {num_stages}"
        raise ConfigurationError(
            ("channels",),
            f"{len(widths)} widths for num_stages={num_stages}; wanted {wanted}"
            + ("" if stem or in_channels else f", or {num_stages} with a stem or in_channels"),
        )
    depths = _per_stage("blocks_per_stage", values["blocks_per_stage"], num_stages)
    strides = _per_stage("strides", values.get("strides", 2), num_stages)
    block = values.get("block", default_block)
    indices = values.get("out_indices")
    return FeatureExtractorConfig(
        stages=tuple(
            StageConfig(block=block, num_blocks=depth, out_channels=width, stride=stride)
            for depth, width, stride in zip(depths, widths, strides, strict=True)
        ),
        in_channels=values["in_channels"] if values.get("in_channels") is not None else 3,
        stem=stem,
        head=values.get("head"),
        out_indices=None if indices is None else tuple(indices),
        drop_path=values.get("drop_path", 0.0),
    )


def _read_long(values: dict[str, Any]) -> FeatureExtractorConfig:
    """The configuration whose sections are written as mappings."""
    sections = {"stem": StemConfig, "positions": PositionConfig, "head": HeadConfig}
    for name, section in sections.items():
        if isinstance(values.get(name), Mapping):
            values[name] = _fill(section, values[name], (name,))
    values["stages"] = tuple(
        _read_stage(stage, index) if isinstance(stage, Mapping) else stage
        for index, stage in enumerate(values["stages"])
    )
    if values.get("out_indices") is not None:
        values["out_indices"] = tuple(values["out_indices"])
    return _fill(FeatureExtractorConfig, values, ())


def _read_stage(values: Mapping[str, Any], index: int) -> StageConfig:
    """A stage from a mapping; what is no field of it is an option of its blocks."""
    own = {field.name for field in fields(StageConfig)}
    said = {key: value for key, value in values.items() if key in own}
    others = {key: value for key, value in values.items() if key not in own}
    options = {**said.pop("options", {}), **others}
    return _fill(StageConfig, {**said, "options": options}, ("stages", index))


def _fill(
    section: type[_Section], values: Mapping[str, Any], path: tuple[str | int, ...]
) -> _Section:
    """A section from a mapping. Raises ConfigurationError for keys unknown or missing."""
    known = {field.name: field for field in fields(section)}
    for key in values:
        if key not in known:
            raise ConfigurationError((*path, str(key)), f"unknown; known: {', '.join(known)}")
    for key, own in known.items():
        if key not in values and own.default is own.default_factory is MISSING:
            raise ConfigurationError((*path, key), "missing")
    return section(**values)


def _check_first_width(
    first: int, in_channels: int | None, stem: StemConfig | None, values: dict[str, Any]
) -> None:
    """The first of ``num_stages + 1`` widths is what goes into stage 0; it may be said twice."""
    said = in_channels if stem is None else stem.out_channels
    if said is not None and said != first:
        name = "in_channels" if stem is None else "stem.out_channels"
        raise ConfigurationError(("channels",), f"starts with {first}, but {name} is {said}")
    if stem is None:
        values["in_channels"] = first


def _per_stage(name: str, value: int | Sequence[int], num_stages: int) -> list[int]:
    if isinstance(value, int):
        return [value] * num_stages
    values = list(value)
    if len(values) != num_stages:
        raise ConfigurationError((name,), f"{len(values)} values for num_stages={num_stages}")
    return values
