"""The arguments that each block can be given, as hypothesis draws them; not all go together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from hypothesis import strategies as st
from torch import nn

from blocktool.blocks import (
    AttentionBlock,
    Block,
    BottleneckBlock,
    ConvBlock,
    CrossAttention,
    DepthwiseSeparableConv,
    DilatedConv,
    FeedForward,
    GroupedConv,
    LayerNorm2d,
    MultiHeadAttention,
    PositionEmbedding,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    SelfAttention,
    SEResidualBlock,
    SqueezeExcite,
    TransformerBlock,
)
from blocktool.blocks.options import (
    ActName,
    FeedForwardKind,
    NormName,
    PaddingMode,
    Shortcut,
    StrideOn,
    TokenNormName,
)

Strategy = st.SearchStrategy[Any]

WIDTHS = st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16, 32])
GROUPS = st.sampled_from([1, 1, 2, 3, 4])


def _or_pair(sizes: Strategy) -> Strategy:
    return st.one_of(sizes, st.tuples(sizes, sizes))


def _words(literal: Any) -> Strategy:
    return st.sampled_from(get_args(literal))


RATES = st.sampled_from([0.0, 0.0, 0.1, 0.9])
SCALES = st.sampled_from([None, 1e-5, 0.5, 1])
FLAGS = st.booleans()
NORMS = st.one_of(
    _words(NormName),
    st.sampled_from([None, LayerNorm2d, ("group", {"num_groups": 2}), ("batch", {"eps": 1e-3})]),
    st.sampled_from([("batch", {"track_running_stats": False}), ["instance", {"affine": False}]]),
)
TOKEN_NORMS = st.one_of(st.none(), _words(TokenNormName), st.just(("layer", {"bias": False})))
ACTS = st.one_of(_words(ActName), st.sampled_from([None, nn.Softplus, ("elu", {"alpha": 0.5})]))
ATTNS = st.sampled_from([None, "se", SqueezeExcite, ("se", {"reduction": 2})])

_KERNELS = _or_pair(st.integers(1, 5))
_STRIDES = _or_pair(st.integers(1, 3))
_PADDINGS = st.one_of(st.none(), _or_pair(st.integers(0, 3)), st.sampled_from(["same", "valid"]))
_CONV = {
    "in_channels": WIDTHS,
    "out_channels": WIDTHS,
    "kernel_size": _KERNELS,
    "stride": _STRIDES,
    "padding": _PADDINGS,
    "dilation": _or_pair(st.integers(1, 3)),
    "bias": st.sampled_from([None, True, False]),
    "padding_mode": _words(PaddingMode),
    "norm": NORMS,
    "act": ACTS,
}
_FULL_CONV = {**_CONV, "groups": GROUPS, "order": st.sampled_from(["cna", "nac"])}
_RESIDUAL = {
    "in_channels": WIDTHS,
    "out_channels": st.one_of(st.none(), WIDTHS),
    "stride": st.integers(1, 3),
    "dilation": st.integers(1, 3),
    "shortcut": _words(Shortcut),
    "drop_path": RATES,
    "layer_scale": SCALES,
    "zero_init_last": FLAGS,
    "norm": NORMS,
    "act": ACTS,
}
_BOTTLENECK = {
    **_RESIDUAL,
    "attn": ATTNS,
    "expansion": st.integers(1, 5),
    "bottleneck_channels": st.one_of(st.none(), WIDTHS),
    "groups": GROUPS,
    "base_width": st.sampled_from([1, 4, 64, 128]),
}
_HEADS = {
    "num_heads": st.sampled_from([None, 1, 2, 4]),
    "num_kv_heads": st.sampled_from([None, None, 1, 2]),
    "head_dim": st.sampled_from([None, None, 1, 4, 8]),
    "qkv_bias": FLAGS,
    "qk_norm": TOKEN_NORMS,
    "attn_drop": RATES,
    "proj_drop": RATES,
}
_WINDOWS = {"window": st.one_of(st.none(), _or_pair(st.integers(1, 9)))}
_BRANCH = {"norm": TOKEN_NORMS, "layer_scale": SCALES, "drop_path": RATES}
_RATIOS = st.sampled_from([0.01, 0.5, 1, 4.0])

_ARGUMENTS: dict[type[Block], dict[str, Strategy]] = {
    ConvBlock: _FULL_CONV,
    DepthwiseSeparableConv: {
        **_CONV,
        "depth_multiplier": st.integers(1, 3),
        "mid_norm": FLAGS,
        "mid_act": FLAGS,
    },
    GroupedConv: {**_FULL_CONV, "shuffle": FLAGS},
    DilatedConv: _FULL_CONV,
    MultiHeadAttention: {"dim": WIDTHS, "kv_dim": st.one_of(st.none(), WIDTHS), **_HEADS},
    SelfAttention: {
        "channels": WIDTHS,
        "norm": TOKEN_NORMS,
        "residual": FLAGS,
        **_WINDOWS,
        **_HEADS,
    },
    CrossAttention: {
        "channels": WIDTHS,
        "context_channels": st.one_of(st.none(), WIDTHS),
        "norm": TOKEN_NORMS,
        "context_norm": TOKEN_NORMS,
        "residual": FLAGS,
        **_HEADS,
    },
    FeedForward: {
        "dim": WIDTHS,
        "hidden_dim": st.one_of(st.none(), WIDTHS),
        "ratio": _RATIOS,
        "kind": _words(FeedForwardKind),
        "act": st.one_of(st.just("gelu"), ACTS),
        "drop": RATES,
        "bias": FLAGS,
    },
    AttentionBlock: {"channels": WIDTHS, **_BRANCH, **_WINDOWS, **_HEADS},
    TransformerBlock: {
        "dim": WIDTHS,
        "mlp_ratio": _RATIOS,
        "mlp": _words(FeedForwardKind),
        "act": st.one_of(st.just("gelu"), ACTS),
        **_BRANCH,
        **_WINDOWS,
        **_HEADS,
    },
    ResidualBlock: {**_RESIDUAL, "attn": ATTNS},
    SEResidualBlock: {**_RESIDUAL, "reduction": st.integers(1, 20)},
    BottleneckBlock: {**_BOTTLENECK, "stride_on": _words(StrideOn)},
    PreActBlock: {**_RESIDUAL, "attn": ATTNS},
    PreActBottleneck: _BOTTLENECK,
    SqueezeExcite: {
        "channels": WIDTHS,
        "reduction": st.integers(1, 20),
        "squeeze_channels": st.one_of(st.none(), WIDTHS),
        "divisor": st.integers(1, 9),
        "act": ACTS,
        "gate": ACTS,
    },
    PositionEmbedding: {
        "channels": WIDTHS,
        "grid": _or_pair(st.integers(1, 6)),
        "class_token": FLAGS,
    },
}
ARGUMENTS: Mapping[type[Block], Mapping[str, Strategy]] = MappingProxyType(_ARGUMENTS)
"""By the block's class, every argument but device and dtype."""

REQUIRED = frozenset({"in_channels", "channels", "dim", "grid"})
CONV_REQUIRED = REQUIRED | {"out_channels", "groups"}


@st.composite
def arguments(draw: Callable[[Strategy], Any], block: type[Block]) -> dict[str, Any]:
    """Some of the arguments of a block, and those that it needs."""
    known = ARGUMENTS[block]
    needed = CONV_REQUIRED if "kernel_size" in known else REQUIRED
    chosen = draw(st.sets(st.sampled_from(sorted(known)), max_size=6)) | (needed & known.keys())
    return {name: draw(strategy) for name, strategy in known.items() if name in chosen}


WRONG = st.sampled_from(
    [
        0,
        -1,
        -0.5,
        1.5,
        True,
        "3",
        "none",
        None,
        (),
        (1, 2, 3),
        ("a", 1),
        [3],
        {},
        float("nan"),
        object,
    ]
)
"""Values of which a given argument takes few or none."""
