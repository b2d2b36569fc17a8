"""The options of each block that a sweep of the catalog goes through.

Each block declares grids; a grid has the values of some options, of which every combination is
tried. Widths are small, since what breaks does not depend on them. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from blocktool.targets.sweep_words import SweepWords, as_yaml


def _grid(*skip: str, **options: object) -> SweepWords:
    """A grid; a tuple holds the values of an option, anything else is its only value. ``skip``
    names checks that are not made."""
    values = {
        name: value if isinstance(value, tuple) else (value,) for name, value in options.items()
    }
    arguments = {name: tuple(map(as_yaml, each)) for name, each in values.items()}
    return SweepWords(arguments=arguments, skip=skip)


_IN = {"in_channels": 16}
_PAIR = {"in_channels": 16, "out_channels": 24}
_RESIDUAL = (
    _grid(**_IN, out_channels=(16, 32), stride=(1, 2)),
    _grid(**_IN, out_channels=32, stride=2, norm=("layer", "group")),
    _grid(**_IN, out_channels=32, stride=(1, 2), shortcut="avg", dilation=(1, 2)),
    _grid(**_IN, attn="se", drop_path=0.1, layer_scale=0.1, act="silu"),
)
_BOTTLENECK = (
    _grid(in_channels=32, out_channels=(32, 64), stride=(1, 2), groups=(1, 4)),
    _grid(in_channels=32, out_channels=64, stride=2, shortcut=("conv", "avg")),
    _grid(in_channels=32, attn="se", expansion=2, dilation=2, drop_path=0.1),
)

CATALOG_SWEEPS: Mapping[str, tuple[SweepWords, ...]] = MappingProxyType(
    {
        "conv": (
            _grid(**_PAIR, kernel_size=(1, 2, 3, [3, 5]), stride=(1, 2, [2, 1])),
            _grid(**_PAIR, padding=("same", "valid", 0, [1, 3])),
            _grid(**_PAIR, padding_mode=("reflect", "replicate", "circular")),
            _grid(**_PAIR, order=("cna", "nac"), norm=("group", "layer", None)),
            # torch's own instance norm makes row-major maps of channels-last ones.
            _grid("layout", **_PAIR, order=("cna", "nac"), norm="instance"),
            _grid(**_PAIR, dilation=(2, 3), groups=(4, 8), act="prelu"),
        ),
        "depthwise-separable": (
            _grid(**_PAIR, kernel_size=(3, 5), stride=(1, 2), depth_multiplier=(1, 2)),
            _grid(**_PAIR, mid_norm=False, mid_act=False, dilation=2),
        ),
        "grouped-conv": (_grid(**_PAIR, groups=(2, 8), stride=(1, 2), shuffle=(False, True)),),
        "dilated-conv": (_grid(**_PAIR, dilation=(2, 3), kernel_size=(3, 5), stride=(1, 2)),),
        "multi-head-attention": (
            _grid(dim=32, num_heads=(1, 4), qk_norm=(None, "rms")),
            _grid(dim=32, num_heads=4, num_kv_heads=(1, 2), kv_dim=(None, 24), head_dim=(None, 16)),
            _grid(dim=32, qkv_bias=False, attn_drop=0.1, proj_drop=0.1),
        ),
        "self-attention": (
            _grid(channels=32, num_heads=(1, 4), window=(None, 4, [2, 7])),
            _grid(channels=32, norm="layer", residual=True, qk_norm=("layer", "rms")),
            _grid(channels=32, num_heads=4, num_kv_heads=2, attn_drop=0.1, qkv_bias=False),
        ),
        "cross-attention": (
            _grid(channels=32, context_channels=(None, 24), num_heads=(1, 4)),
            _grid(channels=32, norm="layer", context_norm="layer", residual=True),
            _grid(channels=32, num_heads=4, num_kv_heads=2, attn_drop=0.1),
        ),
        "feed-forward": (
            _grid(dim=32, kind=("mlp", "glu", "geglu", "swiglu", "conv"), bias=(True, False)),
            _grid(dim=32, hidden_dim=48, drop=0.1, act="relu"),
        ),
        "attention-block": (
            _grid(channels=32, norm=("layer", "rms"), window=(None, 4)),
            _grid(channels=32, layer_scale=0.1, drop_path=0.1, num_heads=4, num_kv_heads=2),
        ),
        "transformer": (
            _grid(dim=32, mlp=("mlp", "swiglu", "conv"), window=(None, 4)),
            _grid(dim=32, norm="rms", qk_norm="rms", layer_scale=0.1, drop_path=0.1),
        ),
        "residual": _RESIDUAL,
        "bottleneck": (*_BOTTLENECK, _grid(in_channels=32, stride=2, stride_on="1x1")),
        "preact": _RESIDUAL,
        "preact-bottleneck": _BOTTLENECK,
        "se": (_grid(channels=40, reduction=(4, 16), gate=("sigmoid", "hardsigmoid")),),
        "se-residual": (_grid(**_IN, out_channels=(16, 32), stride=(1, 2)),),
    }
)
"""The grids of each block, in the order of the catalog."""
