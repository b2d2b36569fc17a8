"""The inputs of a module that says itself what it takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from blocktool.blocks.block import Block
from blocktool.blocks.feature_extractor import FeatureExtractor
from blocktool.errors import InputError
from blocktool.targets.catalog import CATALOG
from blocktool.targets.inputs import parse_inputs, with_batch
from blocktool.trace.inputs import CallArguments, Inputs, call_arguments

_BATCH = 2


def default_inputs(module: nn.Module) -> Inputs:
    """A class's own ``example_inputs``, timm's ``pretrained_cfg``, or the catalog's for a block.

    Raises InputError where the module says nothing.
    """
    own = inspect.getattr_static(module, "example_inputs", None)
    if isinstance(own, str):
        return call_arguments(parse_inputs([own]))
    if isinstance(own, (list, tuple)) and all(isinstance(item, str) for item in own):
        return call_arguments(parse_inputs(own))
    config: Any = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    if isinstance(config, Mapping):
        size = config.get("input_size")
    else:
        size = getattr(config, "input_size", None)
    if size is not None:
        return CallArguments((call_arguments((_BATCH, *size)).args[0],), {})
    specs = _of_block(module) if isinstance(module, Block) else None
    if specs is None:
        raise InputError(
            f"{type(module).__name__} does not say what it takes",
            hint="pass inputs: a tensor, a shape such as (2, 3, 224, 224), or a tuple of them",
        )
    return specs


def _of_block(block: Block) -> Inputs | None:
    path = f"{type(block).__module__}:{type(block).__qualname__}"
    for entry in CATALOG.values():
        if entry.path == path:
            inputs = entry.default_inputs(block.arguments)
            return inputs and with_batch(inputs, _BATCH)
    if isinstance(block, FeatureExtractor):
        return (_BATCH, block.in_channels, 224, 224)
    return None
