"""Reading what a FeatureExtractor is built from: objects, mappings, the short form. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

from blocktool.blocks.config import (
    ConfigurationError,
    FeatureExtractorConfig,
    HeadConfig,
    PositionConfig,
    StageConfig,
    StemConfig,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _Section = TypeVar("_Section", bound=DataclassInstance)

_SECTIONS: dict[str, type[Any]] = {
    "stem": StemConfig,
    "positions": PositionConfig,
    "head": HeadConfig,
}
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

    Raises ConfigurationError for lengths that do not agree, keys that are missing or unknown, and
    what is no section, list or number where one is wanted.
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

    _read_sections(values)
    num_stages: int = values["num_stages"]
    if type(num_stages) is not int or num_stages < 1:
        raise ConfigurationError(("num_stages",), f"must be a positive integer, got {num_stages!r}")
    stem: StemConfig | None = values.get("stem")
    widths = _list_of_integers(("channels",), values["channels"])
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
    return FeatureExtractorConfig(
        stages=tuple(
            StageConfig(block=block, num_blocks=depth, out_channels=width, stride=stride)
            for depth, width, stride in zip(depths, widths, strides, strict=True)
        ),
        in_channels=values["in_channels"] if values.get("in_channels") is not None else 3,
        stem=stem,
        head=values.get("head"),
        out_indices=values.get("out_indices"),
        drop_path=values.get("drop_path", 0.0),
    )


def _read_long(values: dict[str, Any]) -> FeatureExtractorConfig:
    """The configuration whose sections are written as mappings."""
    _read_sections(values)
    stages = values["stages"]
    if isinstance(stages, (str, Mapping)) or not isinstance(stages, Iterable):
        raise ConfigurationError(("stages",), f"must be a list of stages, got {stages!r}")
    values["stages"] = tuple(_read_stage(stage, index) for index, stage in enumerate(stages))
    return _fill(FeatureExtractorConfig, values, ())


def _read_sections(values: dict[str, Any]) -> None:
    """Make sections of the mappings, and a tuple of the indices, in place."""
    for name, section in _SECTIONS.items():
        value = values.get(name)
        if value is not None and not isinstance(value, section):
            values[name] = _fill(section, value, (name,))
    if values.get("out_indices") is not None:
        indices = _list_of_integers(("out_indices",), values["out_indices"])
        values["out_indices"] = tuple(indices)


def _read_stage(values: object, index: int) -> StageConfig:
    """A stage from a mapping; what is no field of it is an option of its blocks."""
    if isinstance(values, StageConfig):
        return values
    path = ("stages", index)
    said = _mapping(values, path)
    own = {field.name for field in fields(StageConfig)}
    options = dict(_mapping(said.get("options") or {}, (*path, "options")))
    options |= {key: value for key, value in said.items() if key not in own}
    first = _mapping(said.get("first") or {}, (*path, "first"))
    kept = {key: value for key, value in said.items() if key in own}
    return _fill(StageConfig, {**kept, "options": options, "first": first}, path)


def _fill(section: type[_Section], values: object, path: tuple[str | int, ...]) -> _Section:
    """A section from a mapping. Raises ConfigurationError for keys unknown or missing."""
    said = _mapping(values, path)
    known = {field.name: field for field in fields(section)}
    for key in said:
        if key not in known:
            raise ConfigurationError((*path, str(key)), f"unknown; known: {', '.join(known)}")
    for key, own in known.items():
        if key not in said and own.default is own.default_factory is MISSING:
            raise ConfigurationError((*path, key), "missing")
    return section(**said)


def _mapping(value: object, path: tuple[str | int, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(path, f"must be keys and values, got {value!r}")
    return value


def _list_of_integers(path: tuple[str | int, ...], value: object) -> list[int]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise ConfigurationError(path, f"must be a list of integers, got {value!r}")
    values = list(value)
    for index, each in enumerate(values):
        if type(each) is not int:
            raise ConfigurationError((*path, index), f"must be an integer, got {each!r}")
    return values


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
    values = _list_of_integers((name,), value)
    if len(values) != num_stages:
        raise ConfigurationError((name,), f"{len(values)} values for num_stages={num_stages}")
    return values
