"""The catalog: blocks by name, with defaults that make each name work alone.

Reading it needs no torch: a block is imported when it is built. Other packages add blocks through
the entry-point group ``blocktool.blocks``; an entry point is named like the block and loads to a
:class:`BlockEntry` or to an ``nn.Module`` class.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from blocktool.errors import ModuleError, TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.parameters import ArgumentProblem, Parameter, check_arguments
from blocktool.targets.signatures import callable_parameters, class_parameters
from blocktool.targets.target import Target

if TYPE_CHECKING:
    from torch import nn

BLOCKS_GROUP = "blocktool.blocks"


@dataclass(frozen=True, kw_only=True)
class BlockEntry:
    """A block of the catalog.

    ``path`` is the import path of the class (``"blocktool.blocks.conv:ConvBlock"``), ``summary``
    one line about it, ``arguments`` what its constructor gets unless something else is said, and
    ``input`` the default input, in which ``{name}`` stands for an argument
    (``"1x{in_channels}x56x56"``); None where there is none.
    """

    name: str
    path: str
    summary: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)
    input: str | None = None

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The constructor's arguments in its order, with the entry's own values as defaults.

        Another package's class is imported for it. Raises TargetError where that fails.
        """
        if self.path.startswith("blocktool."):
            parameters = class_parameters(self.path)
        else:
            parameters = callable_parameters(self.load())
        return {
            name: Parameter(name, parameter.type, False, self.arguments[name])
            if name in self.arguments
            else parameter
            for name, parameter in parameters.items()
        }

    def load(self) -> Callable[..., nn.Module]:
        """Import the class. Raises TargetError where that fails (another package's, that is)."""
        module, _, name = self.path.partition(":")
        try:
            found = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except Exception as error:
            if self.path.startswith("blocktool."):
                raise
            from blocktool.targets.user_code import describe_exception, user_frames

            raise TargetError(
                f"block '{self.name}' ({self.path}) cannot be imported: "
                f"{describe_exception(error)}",
                details=user_frames(error),
            ) from error
        return found  # type: ignore[return-value]


_ENTRIES = (
    BlockEntry(
        name="conv",
        path="blocktool.blocks.conv:ConvBlock",
        summary="convolution, norm, activation",
        arguments={"in_channels": 64, "out_channels": 64},
        input="1x{in_channels}x56x56",
    ),
    BlockEntry(
        name="self-attention",
        path="blocktool.blocks.attention:SelfAttention",
        summary="multi-head self-attention over a map or tokens, in windows if asked",
        arguments={"channels": 256},
        input="1x{channels}x14x14",
    ),
    BlockEntry(
        name="residual",
        path="blocktool.blocks.residual:ResidualBlock",
        summary="basic block of ResNet: two 3x3 convolutions and a shortcut",
        arguments={"in_channels": 64},
        input="1x{in_channels}x56x56",
    ),
    BlockEntry(
        name="bottleneck",
        path="blocktool.blocks.residual:BottleneckBlock",
        summary="bottleneck of ResNet and ResNeXt: 1x1, 3x3, 1x1 and a shortcut",
        arguments={"in_channels": 256},
        input="1x{in_channels}x56x56",
    ),
    BlockEntry(
        name="se",
        path="blocktool.blocks.squeeze_excite:SqueezeExcite",
        summary="squeeze-and-excitation: a gate for each channel",
        arguments={"channels": 256},
        input="1x{channels}x56x56",
    ),
    BlockEntry(
        name="se-residual",
        path="blocktool.blocks.residual:ResidualBlock",
        summary="basic block with squeeze-and-excitation at the end of its branch",
        arguments={"in_channels": 64, "attn": "se"},
        input="1x{in_channels}x56x56",
    ),
)

CATALOG: Mapping[str, BlockEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""The built-in blocks by name, in the order of a listing."""


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
    spellings |= {known: known for known in CATALOG}
    wanted = name.lower().replace("_", "-")
    close = difflib.get_close_matches(wanted, spellings, n=1) or difflib.get_close_matches(
        wanted.replace("-", ""), spellings, n=1
    )
    hint = f"did you mean {spellings[close[0]]}?" if close else f"blocks: {', '.join(CATALOG)}"
    raise TargetError(f"unknown block '{name}'", hint=hint)


def block_target(entry: BlockEntry, arguments: Mapping[str, object]) -> Target:
    """The block with these constructor arguments, as YAML gives them.

    Raises TargetError for an argument that the block does not take, one that it needs, and a value
    of the wrong type; ``Target.build()`` for values that do not go together.
    """
    given = {**entry.arguments, **check_block_arguments(entry, arguments)}
    return Target(
        name=entry.name,
        source="catalog",
        build=lambda: _build(entry, given),
        inputs=_default_inputs(entry, given),
    )


def check_block_arguments(entry: BlockEntry, arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments as the types that the block's constructor wants.

    Raises TargetError for the first one that does not fit.
    """
    try:
        return check_arguments(arguments, entry.parameters)
    except ArgumentProblem as problem:
        raise TargetError(_word(entry.name, problem), hint=problem.hint) from None


def _word(name: str, problem: ArgumentProblem) -> str:
    if problem.kind == "unknown":
        return f"{name} takes no argument '{problem.name}'"
    if problem.kind == "missing":
        return f"{name} needs the argument '{problem.name}'"
    return f"{name}: argument '{problem.name}' must be {problem.wanted}, got {problem.got}"


def _build(entry: BlockEntry, arguments: Mapping[str, object]) -> nn.Module:
    make = entry.load()
    try:
        return make(**arguments)
    except Exception as error:
        from blocktool.targets.user_code import describe_exception, user_frames

        if not entry.path.startswith("blocktool."):
            raise ModuleError(
                f"{entry.name}: the constructor failed: {describe_exception(error)}",
                details=user_frames(error),
            ) from error
        if not isinstance(error, (ValueError, TypeError)):
            raise
        raise TargetError(f"{entry.name}: {str(error).splitlines()[0]}") from error


def _default_inputs(
    entry: BlockEntry, arguments: Mapping[str, object]
) -> tuple[TensorSpec, ...] | None:
    if entry.input is None:
        return None
    from blocktool.targets.inputs import parse_input

    defaults = {name: parameter.default for name, parameter in entry.parameters.items()}
    values = {**defaults, **arguments}
    sizes = {name: values.get(name) for name in re.findall(r"{(\w+)}", entry.input)}
    if not all(isinstance(size, int) and size > 0 for size in sizes.values()):
        return None  # the constructor will say what is wrong with it
    return (parse_input(entry.input.format_map(sizes)),)


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
