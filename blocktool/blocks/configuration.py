"""Blocks, stages and backbones from configurations, and back.

A configuration is a mapping of plain values, as a YAML file holds it, of one of three kinds:

- with ``stages``, a FeatureExtractor, whose keys are those of
  :class:`~blocktool.blocks.config.FeatureExtractorConfig`;
- with ``num_blocks``, a Stage: the arguments of its constructor, those of its blocks among them;
- else a block: ``block`` and the arguments of its constructor.

``block`` is a block's name (``bottleneck``). It may also be the import path of a class
(``package.module:Class``), and so may any norm, activation or other layer that a block takes as a
callable. What an import path names is imported, which runs code: build only what you would run.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

import torch
from torch import nn

from blocktool.blocks.block import Block
from blocktool.blocks.config import ConfigurationError, StageConfig
from blocktool.blocks.feature_extractor import FeatureExtractor
from blocktool.blocks.layers import Device
from blocktool.blocks.names import BLOCK_PATHS, load_block, name_of
from blocktool.blocks.plain import Path, callable_to_plain, from_plain, to_plain
from blocktool.blocks.stage import Stage

_ELSEWHERE = ("block", "num_blocks", "stages", "input")  # keys that say what a configuration is
_SECTIONS = ("in_channels", "stem", "positions", "stages", "head", "out_indices")
_SET_BY_STAGE = frozenset(inspect.signature(Stage).parameters) | {"channels", "dim"}


def to_config(module: nn.Module) -> dict[str, Any]:
    """The configuration from which :func:`from_config`, or a YAML file, builds an equal module.

    It says with what the module was constructed, the defaults left out: weights, device, dtype and
    later changes (``fuse()``) are not in it. Lists stand for tuples; classes and functions are
    written as import paths, a partial as the pair of both.

    Raises ConfigurationError, with the path of the part, for what cannot be written: a lambda, a
    class inside a function, a module that is no block of ours and none derived from Block.
    """
    if type(module) is FeatureExtractor:
        return _written_model(module)
    if type(module) is Stage:
        return _written_stage(dict(module.arguments), ())
    kind = type(module)
    if not isinstance(module, Block) or isinstance(module, (Stage, FeatureExtractor)):
        raise ConfigurationError((), f"{kind.__name__} is no block that a configuration can name")
    arguments = module.arguments
    by_position = _by_position(kind)
    for name in arguments:
        if name in _ELSEWHERE or name in by_position:
            reason = f"an argument of {kind.__name__} that a configuration cannot give"
            raise ConfigurationError((name,), reason)
    return {"block": name_of(kind) or callable_to_plain(kind, ("block",)), **_written(arguments)}


def _written(values: Mapping[str, Any], path: Path = ()) -> dict[str, Any]:
    return {name: to_plain(value, (*path, name)) for name, value in values.items()}


def _written_model(model: FeatureExtractor) -> dict[str, Any]:
    config = model.config
    own = {field.name: field for field in fields(config)}
    order = [*_SECTIONS, *(name for name in own if name not in _SECTIONS)]
    written: dict[str, Any] = {}
    for name in order:
        value = getattr(config, name)
        if name == "stages":
            written[name] = [
                _written_stage(_stage_values(stage), ("stages", index))
                for index, stage in enumerate(value)
            ]
        elif value != _default(own[name]):
            section = name in ("stem", "positions", "head")
            written[name] = _section(value, name) if section else to_plain(value, (name,))
    return written


def _section(section: Any, name: str) -> dict[str, Any]:
    """The fields of a section that are not as by default, and its first, which says what it is."""
    first, *others = fields(section)
    said = [first, *(own for own in others if getattr(section, own.name) != _default(own))]
    return _written({own.name: getattr(section, own.name) for own in said}, (name,))


def _stage_values(stage: StageConfig) -> dict[str, Any]:
    """The fields of a stage that are not as by default, its options among them."""
    said = {own.name: getattr(stage, own.name) for own in fields(stage)}
    for own in fields(stage):
        if said[own.name] == _default(own):
            del said[own.name]
    options = said.pop("options", {})
    return {**said, **options}


def _default(own: Field[Any]) -> Any:
    return own.default_factory() if own.default_factory is not MISSING else own.default


def _written_stage(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """A stage's keys, ``block`` by its name; what a partial adds to its block is options too."""
    block = values.pop("block")
    if isinstance(block, functools.partial):
        if block.args:
            reason = "a partial with positional arguments cannot be written; give them by name"
            raise ConfigurationError((*path, "block"), reason)
        for name in block.keywords:
            if name in _SET_BY_STAGE:
                reason = f"a partial that sets {name} cannot be written; the stage sets it"
                raise ConfigurationError((*path, "block"), reason)
        # As a call would: what the stage says overrides what the partial says.
        values = {**values, **{k: v for k, v in block.keywords.items() if k not in values}}
        block = block.func
    if not isinstance(block, str):
        known = name_of(block) if isinstance(block, type) else None
        block = known or callable_to_plain(block, (*path, "block"))
    if "first" in values:
        values["first"] = values.pop("first")  # behind what it differs from
    return {"block": block, **_written(values, path)}


def from_config(
    config: Mapping[str, Any], *, device: Device = None, dtype: torch.dtype | None = None
) -> nn.Module:
    """The block, Stage or FeatureExtractor that a configuration describes.

    Lists become tuples, import paths what they name (what that module runs when it is imported, it
    runs); callables may stand where import paths could. ``input``, which is for the command line,
    is passed over.

    Raises ConfigurationError (a ValueError), with the path of the part, for keys that are unknown
    or missing and values that cannot be built.
    """
    given: object = config
    if not isinstance(given, Mapping):
        reason = f"a configuration is a mapping, got a {type(given).__name__}"
        raise ConfigurationError((), reason)
    values = from_plain({key: value for key, value in config.items() if key != "input"})
    like: dict[str, Any] = {} if device is None else {"device": device}
    if dtype is not None:
        like["dtype"] = dtype
    if "stages" in values:
        stages = values["stages"]
        if not isinstance(stages, tuple) or not all(isinstance(each, dict) for each in stages):
            raise ConfigurationError(("stages",), "must be a list of mappings")
        return FeatureExtractor(values, **like)
    if "block" not in values:
        missing = "missing" if "num_blocks" in values else "missing, and so is stages"
        raise ConfigurationError(("block",), missing)
    block = _block(values["block"])
    if "num_blocks" in values:
        return _built(Stage, values, like, _stage_keywords(block))
    del values["block"]
    return _built(block, values, like, _keywords(block))


def _block(block: object) -> Callable[..., Any]:
    if isinstance(block, str):
        try:
            return load_block(block)
        except ValueError as error:
            raise ConfigurationError(("block",), str(error)) from error
    if not callable(block):
        reason = (
            f"must be a block's name or a class, got {block!r}; names: {', '.join(BLOCK_PATHS)}"
        )
        raise ConfigurationError(("block",), reason)
    return block


def _built(
    make: Callable[..., Any],
    values: Mapping[str, Any],
    like: dict[str, Any],
    known: Iterable[str] | None,
) -> nn.Module:
    for name in values:
        if known is not None and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            raise ConfigurationError((name,), f"unknown; {hint}")
    try:
        made = make(**values, **like)
    except ConfigurationError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigurationError((), str(error)) from error
    if not isinstance(made, nn.Module):
        raise ConfigurationError(("block",), f"made a {type(made).__name__}, not a module")
    return made


def _keywords(function: Callable[..., Any]) -> list[str] | None:
    """The arguments that a callable takes by keyword, None where it takes any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    not_said = {*_by_position(function), "device", "dtype"}
    return [parameter.name for parameter in parameters if parameter.name not in not_said]


def _stage_keywords(block: Callable[..., Any]) -> list[str] | None:
    """What a stage of these blocks may say: its own arguments and theirs; None where anything."""
    of_block = _keywords(block)
    if of_block is None:
        return None
    if "out_channels" not in of_block:
        of_block = of_block[1:]  # the width, which is the stage's
    own = [name for name in inspect.signature(Stage).parameters if name != "block_options"]
    return list(dict.fromkeys([*own, *of_block]))


def _by_position(function: Callable[..., Any]) -> set[str]:
    """The arguments that can be given by position only."""
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    return {parameter.name for parameter in parameters if parameter.kind in kinds}
