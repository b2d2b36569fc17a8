"""YAML configurations: a backbone, a stage or a block, described in a file.

Which of them it is, its keys tell. With ``stages``, a FeatureExtractor::

    input: 1x3x224x224        # or a list; 1x<in_channels>x224x224 when left out
    stem: {out_channels: 64}
    stages:
      - {block: bottleneck, num_blocks: 3, out_channels: 256, stride: 1, groups: 32}
      - ...
    head: {num_classes: 1000}

whose keys are the fields of the dataclasses in :mod:`blocktool.blocks.config`; whatever else a
stage says goes to its blocks. With ``num_blocks``, one Stage::

    {block: bottleneck, num_blocks: 3, in_channels: 64, out_channels: 256, stride: 1, groups: 32}

and else a block with the arguments of its constructor::

    {block: conv, in_channels: 64, out_channels: 64, norm: [group, {num_groups: 8}]}

``block`` is a name of the catalog, or an import path (``package.module:Class``, ``file.py:Class``);
norms, activations and the like may be import paths too. :func:`blocktool.blocks.to_config` writes
such mappings. Everything is checked before torch is imported, unless it is another's block.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from blocktool.blocks.config import (
    ConfigurationError,
    FeatureExtractorConfig,
    HeadConfig,
    PositionConfig,
    StageConfig,
    StemConfig,
)
from blocktool.errors import InputError, ModuleError, TargetError, UsageError
from blocktool.results.specs import TensorSpec
from blocktool.targets.config_block import NamedBlock, named_block
from blocktool.targets.config_source import ConfigSource
from blocktool.targets.parameters import Parameter
from blocktool.targets.references import load_references
from blocktool.targets.signatures import class_parameters, dataclass_parameters
from blocktool.targets.sweep_words import SweepWords, read_sweep
from blocktool.targets.target import Target
from blocktool.targets.yaml_file import KeyPath

if TYPE_CHECKING:
    from torch import nn

SWEEP = "sweep"
_SECTIONS = {"stem": StemConfig, "positions": PositionConfig, "head": HeadConfig}
_STAGE = "blocktool.blocks.stage:Stage"
_INPUT = Parameter("input", str | list[str] | None, required=False)
_BLOCK = Parameter("block", str, required=True)

Read = tuple[dict[str, Any], list[NamedBlock], tuple[TensorSpec, ...] | None]
"""A checked configuration as blocktool.blocks.from_config takes it, its blocks, its inputs."""


def load_config(path: str, overrides: Sequence[tuple[str, object]] = ()) -> Target:
    """The target that a configuration file describes, with dotted keys overridden.

    ``overrides`` are pairs such as ``("stages.2.num_blocks", 5)``, applied before anything is
    checked; a section that is not there (``head``) is made.

    Raises ConfigError, naming file, line and key, or the override, for whatever is wrong with
    them; ``Target.build()`` does so too, for values that do not go together, and raises ModuleError
    for what another's block raises.
    """
    source = ConfigSource(path)
    for key, value in overrides:
        source.override(key, value)
    source.values.pop(SWEEP, None)  # what check-shapes tries, and no part of the module
    values, blocks, inputs = _reader(source)(source)
    return Target(
        name=path,
        source="config",
        build=lambda: _build(source, values, blocks),
        inputs=inputs,
    )


def sweep_of(path: str) -> SweepWords:
    """The sweep that stands in a configuration under ``sweep:``, empty where none does.

    Raises ConfigError, naming file, line and key, for what is wrong with it.
    """
    source = ConfigSource(path)
    said = source.values.get(SWEEP)
    if said is None:
        return SweepWords()
    try:
        return read_sweep(said)
    except UsageError as error:
        raise source.error((SWEEP,), error.message, error.hint) from None


def _reader(source: ConfigSource) -> Callable[[ConfigSource], Read]:
    """How to read it, by its keys."""
    for key, reader in (("stages", _read_model), ("num_blocks", _read_stage)):
        if key in source.values:
            return reader
    if "block" in source.values:
        return _read_block
    for key in source.values:
        close = difflib.get_close_matches(key, ("stages", "num_blocks", "block"), n=1, cutoff=0.8)
        if close:
            raise source.error((key,), "unknown key", f"did you mean {close[0]}?")
    raise source.error(
        (),
        "neither 'stages' nor 'block' is there",
        "a network has 'stages:', a stage 'block:' and 'num_blocks:', a block 'block:'",
    )


def _read_model(source: ConfigSource) -> Read:
    section = dict[str, Any]
    checked = source.check(
        (),
        source.values,
        {
            "input": _INPUT,
            **dataclass_parameters(FeatureExtractorConfig),
            **{name: Parameter(name, section | None, required=False) for name in _SECTIONS},
            "stages": Parameter("stages", list[section], required=True),
        },
    )
    said = checked.pop("input", None)
    for name, cls in _SECTIONS.items():
        if checked.get(name) is not None:
            checked[name] = source.check((name,), checked[name], dataclass_parameters(cls))
    if not checked["stages"]:
        raise source.error(("stages",), "there must be at least one")
    own = dataclass_parameters(StageConfig)
    del own["options"]
    blocks = []
    for index, values in enumerate(checked["stages"]):
        checked["stages"][index], block = _check_stage(source, ("stages", index), values, own)
        blocks.append(block)
    in_channels = checked.get("in_channels", FeatureExtractorConfig.in_channels)
    return checked, blocks, _inputs(source, said, TensorSpec((1, max(in_channels, 1), 224, 224)))


def _read_stage(source: ConfigSource) -> Read:
    own = {**class_parameters(_STAGE), "input": _INPUT}
    checked, block = _check_stage(source, (), source.values, own)
    said = checked.pop("input", None)
    usual = TensorSpec((1, max(checked["in_channels"], 1), 56, 56))
    return checked, [block], _inputs(source, said, usual)


def _check_stage(
    source: ConfigSource,
    path: KeyPath,
    values: Mapping[str, object],
    own: Mapping[str, Parameter],
) -> tuple[dict[str, Any], NamedBlock]:
    """A stage's keys, and its block. ``own`` are those that are not its blocks'."""
    own = {**own, "block": _BLOCK}
    if not isinstance(values.get("block"), str):
        source.check(path, {key: values[key] for key in own if key in values}, own)
    block = named_block(source, (*path, "block"), str(values["block"])).in_stage()
    # The stage's own keys first, in every listing of what is known.
    known = {**own, **block.parameters_for(values), **own}
    checked = source.check(path, values, known)
    checked["block"] = block.maker()
    if checked.get("first"):
        first = block.parameters_for(checked["first"])
        optional = {
            name: Parameter(name, each.type, False, each.default) for name, each in first.items()
        }
        checked["first"] = source.check((*path, "first"), checked["first"], optional)
    return checked, block


def _read_block(source: ConfigSource) -> Read:
    name = source.values["block"]
    if not isinstance(name, str):
        source.check((), {"block": name}, {"block": _BLOCK})
    block = named_block(source, ("block",), str(name))
    known = {**block.parameters_for(source.values), "input": _INPUT, "block": _BLOCK}
    checked = source.check((), source.values, known)
    said = checked.pop("input", None)
    checked["block"] = block.maker()
    inputs = _inputs(source, said, None) or block.default_inputs(checked)
    return checked, [block], inputs


def _inputs(
    source: ConfigSource, said: str | list[str] | None, usual: TensorSpec | None
) -> tuple[TensorSpec, ...] | None:
    from blocktool.targets.inputs import parse_inputs

    texts = [said] if isinstance(said, str) else said
    if not texts:
        return None if usual is None else (usual,)
    try:
        return parse_inputs(texts)
    except InputError as error:
        raise source.error(("input",), error.message, error.hint) from None


def _build(
    source: ConfigSource, values: Mapping[str, Any], blocks: Sequence[NamedBlock]
) -> nn.Module:
    from blocktool.blocks import from_config
    from blocktool.targets.user_code import describe_exception, user_frames

    def wrap(path: KeyPath, error: TargetError) -> TargetError:
        return source.error(path, error.message, error.hint, error.details)

    loaded = load_references(values, wrap)
    foreign = not all(block.is_ours for block in blocks)
    try:
        return from_config(loaded)
    except ConfigurationError as error:
        details = user_frames(error.__cause__) if foreign and error.__cause__ else ()
        raise source.refusal(error.path, error.reason, details) from error
    except Exception as error:
        if not foreign:
            raise
        raise ModuleError(
            f"{source.file.name}: a block's constructor failed: {describe_exception(error)}",
            details=user_frames(error),
        ) from error
