"""The catalog: blocks by name, with defaults that make each name work alone.

Reading it needs no torch: a block is imported when it is built. Other packages add blocks through
the entry-point group ``blocktool.blocks``; an entry point is named like the block and loads to a
:class:`BlockEntry` or to an ``nn.Module`` class.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from blocktool.blocks.names import BLOCK_PATHS
from blocktool.errors import TargetError
from blocktool.targets.entry import BlockEntry

__all__ = ["BLOCKS_GROUP", "CATALOG", "BlockEntry", "find_block"]

BLOCKS_GROUP = "blocktool.blocks"

_CONVOLUTION, _ATTENTION, _RESIDUAL = "convolution", "attention", "residual"


def _entry(name: str, group: str, summary: str, *inputs: str, **arguments: object) -> BlockEntry:
    """A block of ours; ``arguments`` are what a name alone stands for."""
    return BlockEntry(
        name=name,
        path=BLOCK_PATHS[name],
        summary=summary,
        group=group,
        arguments=arguments,
        inputs=inputs,
    )


# The sizes are those of a network for 224x224 images in which the block is at home. Blocks that
# take maps as well as tokens get a map: their windows and convolutions need one.
_ENTRIES = (
    _entry(
        "conv",
        _CONVOLUTION,
        "convolution, norm, activation",
        "1x{in_channels}x56x56",
        in_channels=64,
        out_channels=64,
    ),
    _entry(
        "depthwise-separable",
        _CONVOLUTION,
        "convolution within each channel, then 1x1 across them (MobileNet)",
        "1x{in_channels}x56x56",
        in_channels=64,
        out_channels=128,
    ),
    _entry(
        "grouped-conv",
        _CONVOLUTION,
        "convolution in groups of channels, which it can shuffle (ShuffleNet)",
        "1x{in_channels}x56x56",
        in_channels=128,
        out_channels=128,
        groups=32,
    ),
    _entry(
        "dilated-conv",
        _CONVOLUTION,
        "convolution with holes: sees further at the same cost",
        "1x{in_channels}x28x28",
        in_channels=256,
        out_channels=256,
    ),
    _entry(
        "multi-head-attention",
        _ATTENTION,
        "attention of tokens to themselves, or to a context of width kv_dim",
        "1x196x{dim}",
        "context=1x64x{kv_dim}",
        dim=384,
    ),
    _entry(
        "self-attention",
        _ATTENTION,
        "multi-head self-attention over a map or tokens, in windows if asked",
        "1x{channels}x14x14",
        channels=256,
    ),
    _entry(
        "cross-attention",
        _ATTENTION,
        "attention of a map or tokens to a context of its own width",
        "1x196x{channels}",
        "context=1x64x{context_channels|channels}",
        channels=256,
    ),
    _entry(
        "feed-forward",
        _ATTENTION,
        "two linear layers at each position: plain, gated, or with a convolution",
        "1x{dim}x14x14",
        dim=256,
    ),
    _entry(
        "attention-block",
        _ATTENTION,
        "norm, self-attention and a shortcut, to stand between convolutional blocks",
        "1x{channels}x14x14",
        channels=256,
    ),
    _entry(
        "transformer",
        _ATTENTION,
        "block of ViT: attention and feed-forward network, each with norm and shortcut",
        "1x{dim}x14x14",
        dim=384,
    ),
    _entry(
        "residual",
        _RESIDUAL,
        "basic block of ResNet: two 3x3 convolutions and a shortcut",
        "1x{in_channels}x56x56",
        in_channels=64,
    ),
    _entry(
        "bottleneck",
        _RESIDUAL,
        "bottleneck of ResNet and ResNeXt: 1x1, 3x3, 1x1 and a shortcut",
        "1x{in_channels}x56x56",
        in_channels=256,
    ),
    _entry(
        "preact",
        _RESIDUAL,
        "basic block of ResNet-v2: norm and activation before each convolution",
        "1x{in_channels}x56x56",
        in_channels=64,
    ),
    _entry(
        "preact-bottleneck",
        _RESIDUAL,
        "bottleneck of ResNet-v2: norm and activation before each convolution",
        "1x{in_channels}x56x56",
        in_channels=256,
    ),
    _entry(
        "se",
        _RESIDUAL,
        "squeeze-and-excitation: a gate for each channel",
        "1x{channels}x56x56",
        channels=256,
    ),
    _entry(
        "se-residual",
        _RESIDUAL,
        "basic block with squeeze-and-excitation at the end of its branch",
        "1x{in_channels}x56x56",
        in_channels=64,
    ),
)

CATALOG: Mapping[str, BlockEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""The built-in blocks by name, in the order of a listing."""

# What the field calls them, where it is not the name of the class.
_ALSO_KNOWN_AS = {
    "mha": "multi-head-attention",
    "ffn": "feed-forward",
    "mlp": "feed-forward",
    "basicblock": "residual",
    "depthwise": "depthwise-separable",
    "separableconv": "depthwise-separable",
    "encoder": "transformer",
    "vit": "transformer",
    "senet": "se-residual",
}


def find_block(name: str) -> BlockEntry:
    """The block of this name: a built-in one, else another package's.

    Raises TargetError, with a suggestion, for a name that nobody knows.
    """
    if name in CATALOG:
        return CATALOG[name]
    entry = _third_party(name)
    if entry is not None:
        return entry
    # What people write who know the class: SelfAttention, self_attention, residual_block.
    spellings = {entry.path.rpartition(":")[2].lower(): entry.name for entry in reversed(_ENTRIES)}
    spellings |= {spelling.removesuffix("block"): block for spelling, block in spellings.items()}
    spellings |= _ALSO_KNOWN_AS | {known: known for known in CATALOG}
    wanted = name.lower().replace("_", "-")
    exact = [spelling for spelling in (wanted, wanted.replace("-", "")) if spelling in spellings]
    close = exact or difflib.get_close_matches(wanted, spellings, n=1)
    close = close or difflib.get_close_matches(wanted.replace("-", ""), spellings, n=1)
    hint = f"did you mean {spellings[close[0]]}?" if close else f"blocks: {', '.join(CATALOG)}"
    raise TargetError(f"unknown block '{name}'", hint=hint)


def _third_party(name: str) -> BlockEntry | None:
    """The block of another package. The environment is searched, so only for names we lack."""
    from importlib.metadata import entry_points

    for point in entry_points(group=BLOCKS_GROUP, name=name):
        try:
            loaded: Any = point.load()
        except Exception as error:
            from blocktool.targets.user_code import describe_exception, user_frames

            raise TargetError(
                f"block '{name}' ({point.value}) cannot be imported: {describe_exception(error)}",
                details=user_frames(error),
            ) from error
        if isinstance(loaded, BlockEntry):
            return loaded
        if callable(loaded):
            summary = (loaded.__doc__ or "").strip().partition("\n")[0]
            return BlockEntry(name=name, path=point.value, summary=summary)
        raise TargetError(
            f"block '{name}' ({point.value}) is neither a BlockEntry nor a class of modules"
        )
    return None
