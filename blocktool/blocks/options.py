"""The words that blocks take as arguments, as types. Needs no torch.

A layer is named by a word, by a callable that makes it, by a pair of either with keyword
arguments (``("group", {"num_groups": 8})``), or is left out with None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

NormName: TypeAlias = Literal["batch", "group", "layer", "instance"]
TokenNormName: TypeAlias = Literal["layer", "rms"]
ActName: TypeAlias = Literal[
    "relu",
    "relu6",
    "leaky_relu",
    "prelu",
    "elu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "sigmoid",
    "tanh",
]
AttnName: TypeAlias = Literal["se"]

Factory: TypeAlias = Callable[..., Any]
Arguments: TypeAlias = Mapping[str, Any]

NormSpec: TypeAlias = NormName | tuple[NormName | Factory, Arguments] | Factory | None
TokenNormSpec: TypeAlias = (
    TokenNormName | tuple[TokenNormName | Factory, Arguments] | Factory | None
)
ActSpec: TypeAlias = ActName | tuple[ActName | Factory, Arguments] | Factory | None
AttnSpec: TypeAlias = AttnName | tuple[AttnName | Factory, Arguments] | Factory | None

HeadNormName: TypeAlias = Literal["batch", "group", "layer", "instance", "rms"]
HeadNormSpec: TypeAlias = HeadNormName | tuple[HeadNormName | Factory, Arguments] | Factory | None

Order: TypeAlias = Literal["cna", "nac"]
PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]
Padding: TypeAlias = int | tuple[int, int] | Literal["same", "valid"] | None
Shortcut: TypeAlias = Literal["conv", "avg"]
StrideOn: TypeAlias = Literal["3x3", "1x1"]
FeedForwardKind: TypeAlias = Literal["mlp", "glu", "geglu", "swiglu", "conv"]
HeadPool: TypeAlias = Literal["avg", "max", "token"]
StemPool: TypeAlias = Literal["avg", "max"] | None
