"""YAML configurations: a FeatureExtractor, described in a file.

::

    input: 1x3x224x224        # or a list; 1x<in_channels>x224x224 when left out
    in_channels: 3
    drop_path: 0.1
    stem: {out_channels: 64}
    stages:
      - {block: bottleneck, num_blocks: 3, out_channels: 256, stride: 1, groups: 32}
      - ...
    head: {num_classes: 1000}

The keys are the fields of the dataclasses in :mod:`blocktool.blocks.config`; ``block`` is a name
of the catalog, and whatever else a stage says goes to the block's constructor. Everything is
checked before torch is imported.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from blocktool.blocks.config import (
    ConfigurationError,
    FeatureExtractorConfig,
    HeadConfig,
    StageConfig,
    StemConfig,
    format_path,
)
from blocktool.errors import ConfigError, InputError, TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.catalog import BlockEntry, find_block
from blocktool.targets.parameters import ArgumentProblem, Parameter, check_arguments, show_value
from blocktool.targets.signatures import dataclass_parameters
from blocktool.targets.target import Target
from blocktool.targets.yaml_file import KeyPath, YamlFile

if TYPE_CHECKING:
    from blocktool.blocks import FeatureExtractor

_MANAGED = ("in_channels", "out_channels", "channels", "stride")  # of a block: set by its stage


def load_config(path: str, overrides: Sequence[tuple[str, object]] = ()) -> Target:
    """The target that a configuration file describes, with dotted keys overridden.

    ``overrides`` are pairs such as ``("stages.2.num_blocks", 5)``, applied before anything is
    checked; a section that is not there (``head``) is made.

    Raises ConfigError, naming file, line and key, or the override, for whatever is wrong with
    them; ``Target.build()`` does so too, for values that do not go together.
    """
    source = _Source(path)
    for key, value in overrides:
        source.override(key, value)
    config, entries, inputs = _read_model(source)
    return Target(
        name=path,
        source="config",
        build=lambda: _build(source, config, entries),
        inputs=inputs,
    )


class _Source:
    """The values of a configuration and where each came from."""

    def __init__(self, path: str) -> None:
        self.file = YamlFile(path)
        self.values = self.file.values
        self._overridden: dict[KeyPath, str] = {}

    def override(self, key: str, value: object) -> None:
        """Set the value at a dotted key."""
        said = f"{key}={show_value(value)}"
        *parents, last = key.split(".")
        container: Any = self.values
        path: KeyPath = ()
        for name in parents:
            part = self._part(container, path, name, said)
            path = (*path, part)
            if isinstance(container, dict) and container.get(name) is None:
                container[name] = {}
                self._overridden[path] = said
            container = container[part]
        part = self._part(container, path, last, said)
        container[part] = value
        self._overridden[(*path, part)] = said

    def _part(self, container: Any, path: KeyPath, name: str, said: str) -> str | int:
        where = format_path(path)
        if isinstance(container, dict):
            return name
        if not isinstance(container, list):
            raise ConfigError(
                f"{self.file.name}: {said}: {where} has no keys", hint=f"{where} is one value"
            )
        if not re.fullmatch(r"-?\d{1,9}", name):
            raise ConfigError(
                f"{self.file.name}: {said}: '{name}' is not an index of {where}",
                hint=f"{where} is a list: {'.'.join(map(str, path))}.0 is its first item",
            )
        index = int(name)
        if not -len(container) <= index < len(container):
            raise ConfigError(
                f"{self.file.name}: {said}: {where} has no item {index}",
                hint=f"it has {len(container)}, counted from 0",
            )
        return index % len(container)

    def error(self, path: KeyPath, reason: str, hint: str | None = None) -> ConfigError:
        """The error for the value at ``path``: in which line it is, or by what override."""
        key = format_path(path)
        for length in range(len(path), 0, -1):
            said = self._overridden.get(path[:length])
            if said is not None:
                return ConfigError(f"{self.file.name}: {said}: {key}: {reason}", hint=hint)
        return ConfigError(f"{self.file.name}:{self.file.line(path)}: {key}: {reason}", hint=hint)

    def check(
        self, path: KeyPath, values: Mapping[str, object], parameters: Mapping[str, Parameter]
    ) -> dict[str, Any]:
        """The values of a section as the types that are wanted."""
        try:
            return check_arguments(values, parameters)
        except ArgumentProblem as problem:
            reasons = {
                "unknown": "unknown key",
                "missing": "missing",
                "type": f"must be {problem.wanted}, got {problem.got}",
            }
            raise self.error((*path, problem.name), reasons[problem.kind], problem.hint) from None


def _read_model(
    source: _Source,
) -> tuple[FeatureExtractorConfig, list[BlockEntry], tuple[TensorSpec, ...]]:
    """The configuration, the block of each stage, and the default inputs."""
    checked = source.check((), source.values, _model_parameters())
    said = checked.pop("input", None)
    for name, section in (("stem", StemConfig), ("head", HeadConfig)):
        if checked.get(name) is not None:
            checked[name] = section(
                **source.check((name,), checked[name], dataclass_parameters(section))
            )
    if not checked["stages"]:
        raise source.error(("stages",), "there must be at least one")
    stages, entries = [], []
    for index, values in enumerate(checked.pop("stages")):
        stage, entry = _read_stage(source, ("stages", index), values)
        stages.append(stage)
        entries.append(entry)
    config = FeatureExtractorConfig(stages=tuple(stages), **checked)
    return config, entries, _read_inputs(source, said, config.in_channels)


def _model_parameters() -> dict[str, Parameter]:
    parameters = dataclass_parameters(FeatureExtractorConfig)
    section = dict[str, Any]
    return {
        "input": Parameter("input", str | list[str] | None, required=False),
        **parameters,
        "stem": Parameter("stem", section | None, required=False),
        "head": Parameter("head", section | None, required=False),
        "stages": Parameter("stages", list[section], required=True),
    }


def _read_stage(
    source: _Source, path: KeyPath, values: Mapping[str, object]
) -> tuple[StageConfig, BlockEntry]:
    own = dataclass_parameters(StageConfig)
    del own["options"]
    own["block"] = Parameter("block", str, required=True)
    if not isinstance(values.get("block"), str):
        source.check(path, {key: values[key] for key in own if key in values}, own)
    try:
        entry = find_block(str(values["block"]))
        parameters = entry.parameters
    except TargetError as error:
        raise source.error((*path, "block"), error.message, error.hint) from None
    for_block = {k: p for k, p in parameters.items() if k not in _MANAGED and k not in own}
    checked = source.check(path, values, {**own, **for_block})
    # The class itself is imported when the model is built; until then its name stands for it.
    stage = {name: checked.pop(name) for name in own if name in checked}
    return StageConfig(**stage, options=checked), entry


def _read_inputs(
    source: _Source, said: str | list[str] | None, in_channels: int
) -> tuple[TensorSpec, ...]:
    from blocktool.targets.inputs import parse_inputs

    texts = [said] if isinstance(said, str) else said
    if not texts:
        return (TensorSpec((1, in_channels, 224, 224)),)
    try:
        return parse_inputs(texts)
    except InputError as error:
        raise source.error(("input",), error.message, error.hint) from None


def _build(
    source: _Source, config: FeatureExtractorConfig, entries: Sequence[BlockEntry]
) -> FeatureExtractor:
    from blocktool.blocks import FeatureExtractor

    stages = []
    for stage, entry in zip(config.stages, entries, strict=True):
        block = entry.load()
        preset = {key: v for key, v in entry.arguments.items() if key not in _MANAGED}
        if preset:
            block = functools.partial(block, **preset)
        stages.append(dataclasses.replace(stage, block=block))
    try:
        return FeatureExtractor(dataclasses.replace(config, stages=tuple(stages)))
    except ConfigurationError as error:
        path = error.path
        # "num_blocks must be positive" lies with the key that it names.
        named = re.match(r"\w+", error.reason)
        if named and source.file.has((*path, named[0])):
            path = (*path, named[0])
        reason = error.reason.splitlines()[0].removeprefix(f"{path[-1]} ")
        raise source.error(path, reason) from error
