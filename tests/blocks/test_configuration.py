"""From modules to configurations and back."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import Project
from torch import nn

import blocktool
from blocktool.blocks import (
    Block,
    BottleneckBlock,
    ConfigurationError,
    ConvBlock,
    FeatureExtractor,
    FeatureExtractorConfig,
    HeadConfig,
    PositionConfig,
    PositionEmbedding,
    ResidualBlock,
    SelfAttention,
    Stage,
    StageConfig,
    StemConfig,
    from_config,
    to_config,
)
from blocktool.blocks.names import BLOCK_PATHS, load_block
from blocktool.targets.config import load_config

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
GROUPS = ("group", {"num_groups": 4})

BLOCKS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "conv": ((8, 16, (3, 5), (2, 1), "valid"), {"norm": GROUPS, "act": None, "order": "nac"}),
    "depthwise-separable": ((8, 16), {"depth_multiplier": 2, "act": ("elu", {"alpha": 0.5})}),
    "grouped-conv": ((8, 16), {"groups": 4, "shuffle": True, "padding_mode": "reflect"}),
    "dilated-conv": ((8, 16), {"dilation": (1, 3), "bias": True, "norm": ("batch", {"eps": 0.1})}),
    "multi-head-attention": ((32, 4), {"kv_dim": 24, "num_kv_heads": 2, "qk_norm": "rms"}),
    "self-attention": ((32,), {"window": (7, 5), "norm": ("layer", {"eps": 1e-3})}),
    "cross-attention": ((32, 24), {"context_norm": "rms", "residual": True, "attn_drop": 0.1}),
    "feed-forward": ((32,), {"ratio": 2.5, "kind": "swiglu", "drop": 0.1, "bias": False}),
    "attention-block": ((32,), {"layer_scale": 1e-4, "drop_path": 0.2, "head_dim": 16}),
    "transformer": ((32,), {"mlp": "geglu", "mlp_ratio": 3, "norm": ("rms", {"eps": 1e-3})}),
    "residual": ((8, 16), {"stride": 2, "attn": ("se", {"reduction": 2}), "shortcut": "avg"}),
    "bottleneck": ((64, 128), {"groups": 4, "base_width": 32, "stride_on": "1x1", "norm": GROUPS}),
    "preact": ((8,), {"dilation": 2, "zero_init_last": False, "norm": GROUPS}),
    "preact-bottleneck": ((32,), {"bottleneck_channels": 12, "groups": 3, "drop_path": 0.5}),
    "se": ((32,), {"squeeze_channels": 4, "gate": "hardsigmoid", "act": ("elu", {"alpha": 2.0})}),
    "se-residual": ((8, 16), {"reduction": 2, "stride": 2, "act": "silu"}),
}


def _as_tuples(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(map(_as_tuples, value))
    if isinstance(value, Mapping):
        return {key: _as_tuples(item) for key, item in value.items()}
    return value


def _assert_equal(one: nn.Module, other: nn.Module) -> None:
    """The same class, layers and tensors, as far as construction decides them."""
    assert type(one) is type(other)
    assert repr(one) == repr(other)
    tensors = [
        [(name, tensor.shape, tensor.dtype) for name, tensor in module.state_dict().items()]
        for module in (one, other)
    ]
    assert tensors[0] == tensors[1]
    assert tensors[0]


def _plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _assert_returns(
    project: Project, module: nn.Module, *shapes: tuple[int, ...]
) -> dict[str, Any]:
    """There and back, in Python and through a file, is where it began."""
    config = to_config(module)
    assert _plain(config)
    with torch.device("meta"):
        back = from_config(config)
    _assert_equal(back, module)
    assert to_config(back) == config

    text = yaml.safe_dump(config, sort_keys=False)
    project.write("written.yaml", text)
    target = load_config("written.yaml")
    with torch.device("meta"):
        built = target.build()
    _assert_equal(built, module)
    assert to_config(built) == config
    if shapes:
        wanted, made = (blocktool.summarize(each, shapes[0]) for each in (module, built))
        assert made.totals == wanted.totals
        assert made.modules == wanted.modules
    return config


def test_every_block_is_here() -> None:
    assert list(BLOCKS) == list(BLOCK_PATHS)


@pytest.mark.parametrize("name", BLOCKS)
def test_block(project: Project, name: str) -> None:
    args, kwargs = BLOCKS[name]
    with torch.device("meta"):
        module = load_block(name)(*args, **kwargs)
        config = _assert_returns(project, module)
        back = from_config(config)
    assert config["block"] == name
    assert back.arguments == module.arguments
    assert set(config) == {"block", *module.arguments}
    assert set(kwargs) <= set(config)


def test_summary_of_what_was_written(project: Project) -> None:
    module = ResidualBlock(8, 16, stride=2, norm=GROUPS)
    _assert_returns(project, module, (1, 8, 32, 32))


def test_where_a_module_is_built_is_not_what_it_is() -> None:
    config = to_config(ConvBlock(3, 8, device="meta", dtype=torch.float64))
    assert config == {"block": "conv", "in_channels": 3, "out_channels": 8}
    module = from_config(config, device="meta", dtype=torch.bfloat16)
    assert {(p.device.type, p.dtype) for p in module.parameters()} == {("meta", torch.bfloat16)}
    assert from_config(config).conv.weight.device.type == "cpu"


def test_fusing_does_not_change_the_configuration() -> None:
    module = ConvBlock(3, 8, stride=2)
    before = to_config(module)
    assert to_config(module.eval().fuse()) == before


# Stages


def test_stage(project: Project) -> None:
    stage = Stage(
        "bottleneck",
        3,
        64,
        128,
        stride=1,
        drop_path=[0.0, 0.25, 0.5],
        checkpoint=True,
        first={"dilation": 1, "norm": ("group", {"num_groups": 2})},
        channels_last=True,
        dilation=2,
        norm=GROUPS,
    )
    config = _assert_returns(project, stage, (1, 64, 8, 8))
    assert config == {
        "block": "bottleneck",
        "num_blocks": 3,
        "in_channels": 64,
        "out_channels": 128,
        "stride": 1,
        "drop_path": [0.0, 0.25, 0.5],
        "checkpoint": True,
        "channels_last": True,
        "dilation": 2,
        "norm": ["group", {"num_groups": 4}],
        "first": {"dilation": 1, "norm": ["group", {"num_groups": 2}]},
    }
    assert list(config)[-1] == "first"
    back = from_config(config)
    assert back.checkpoint
    assert back.channels_last
    assert _as_tuples(back.arguments) == _as_tuples(stage.arguments)


def test_stage_of_a_class_is_written_by_its_name(project: Project) -> None:
    for block in (SelfAttention, "self-attention"):
        config = _assert_returns(project, Stage(block, 2, 16, 32), (1, 16, 8, 8))
        assert config["block"] == "self-attention"


def test_partial_as_a_stages_block(project: Project) -> None:
    block = functools.partial(
        functools.partial(BottleneckBlock, groups=4), base_width=32, act="silu"
    )
    config = _assert_returns(project, Stage(block, 2, 64, 128, act="elu"), (1, 64, 8, 8))
    assert config["block"] == "bottleneck"
    assert (config["groups"], config["base_width"], config["act"]) == (4, 32, "elu")


# Backbones


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(project: Project, path: Path) -> None:
    with torch.device("meta"):
        model = load_config(str(path)).build()
    config = _assert_returns(project, model)
    said = yaml.safe_load(path.read_text())
    said.pop("input", None)
    # Nothing is said that the file does not say, but for what is not by default.
    assert set(config) == set(said)
    for written, own in zip(config["stages"], said["stages"], strict=True):
        assert written.items() <= own.items()


def test_backbone_of_everything(project: Project) -> None:
    config = FeatureExtractorConfig(
        in_channels=1,
        stem=StemConfig(
            out_channels=32, kernel_size=4, stride=4, padding=(0, 1), norm="layer", pool=None
        ),
        positions=PositionConfig(grid=(8, 9), class_token=False),
        stages=(
            StageConfig(block=ResidualBlock, num_blocks=2, out_channels=32, stride=1),
            StageConfig(
                block=functools.partial(BottleneckBlock, expansion=2),
                num_blocks=2,
                out_channels=64,
                drop_path=(0.1, 0.2),
                checkpoint=True,
                first={"dilation": 3},
                options={"norm": GROUPS, "dilation": 2},
            ),
        ),
        out_indices=(-1, 0),
        drop_path=0.3,
        channels_last=True,
    )
    model = FeatureExtractor(config)
    written = _assert_returns(project, model, (1, 1, 32, 36))
    assert list(written) == [
        *("in_channels", "stem", "positions", "stages", "out_indices", "drop_path"),
        "channels_last",
    ]
    assert written["stages"] == [
        {"block": "residual", "num_blocks": 2, "out_channels": 32, "stride": 1},
        {
            "block": "bottleneck",
            "num_blocks": 2,
            "out_channels": 64,
            "drop_path": [0.1, 0.2],
            "checkpoint": True,
            "norm": ["group", {"num_groups": 4}],
            "dilation": 2,
            "expansion": 2,
            "first": {"dilation": 3},
        },
    ]
    back = from_config(written)
    assert [(info.channels, info.reduction) for info in back.feature_info] == [(64, 8), (32, 4)]
    rates = [m.drop_path.drop_prob if m.drop_path else 0.0 for stage in back.stages for m in stage]
    assert rates == pytest.approx([0, 0.1, 0.1, 0.2])


def test_backbone_from_the_short_form(project: Project) -> None:
    model = FeatureExtractor({"num_stages": 2, "blocks_per_stage": 1, "channels": (3, 8, 16)})
    assert _assert_returns(project, model, (1, 3, 32, 32)) == {
        "stages": [
            {"block": "residual", "num_blocks": 1, "out_channels": 8},
            {"block": "residual", "num_blocks": 1, "out_channels": 16},
        ]
    }


def test_a_head_of_defaults_is_a_head(project: Project) -> None:
    stages = (StageConfig(block="conv", num_blocks=1, out_channels=8),)
    model = FeatureExtractor(FeatureExtractorConfig(stages=stages, head=HeadConfig()))
    config = _assert_returns(project, model, (1, 3, 32, 32))
    assert config["head"] == {"num_classes": 1000}


# Callables


def test_callables_are_written_as_import_paths(project: Project) -> None:
    act = functools.partial(nn.LeakyReLU, negative_slope=0.25)
    module = ConvBlock(3, 8, norm=nn.BatchNorm2d, act=act)
    config = to_config(module)
    assert config["norm"] == "torch.nn:BatchNorm2d"
    assert config["act"] == ["torch.nn:LeakyReLU", {"negative_slope": 0.25}]
    _assert_returns(project, module, (1, 3, 8, 8))
    pair = ConvBlock(3, 8, norm=(nn.BatchNorm2d, {"eps": 0.5}))
    assert from_config(to_config(pair)).arguments == pair.arguments
    _assert_returns(project, PositionEmbedding(8, 4))


MINE = """
    from torch import nn
    from blocktool.blocks import Block, ConvBlock, Stage, FeatureExtractor

    class Mine(Block):
        def __init__(self, channels, *, depth=1, **options):
            super().__init__()
            self.convs = nn.Sequential(*[ConvBlock(channels, channels, **options)] * depth)

        def extra_repr(self):
            return f"depth={len(self.convs)}"

        def output_shape(self, shape):
            return tuple(shape)

        def forward(self, x):
            return self.convs(x)

    class Plain(nn.Conv2d):
        def __init__(self, in_channels, out_channels, stride=1):
            super().__init__(in_channels, out_channels, 3, stride, 1)

    class Odd(Block):
        def __init__(self, *sizes, block=None, options=None):
            super().__init__()

    class Outer:
        class Inner(ConvBlock):
            pass

    class MyStage(Stage):
        pass

    def norm(channels):
        return nn.BatchNorm2d(channels)

    number = 3
"""


@pytest.fixture
def mine(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    project.write("my_blocks.py", MINE)
    monkeypatch.syspath_prepend(str(project.root))
    import importlib

    return importlib.import_module("my_blocks")


def test_blocks_of_the_users(project: Project, mine: Any) -> None:
    config = _assert_returns(project, mine.Mine(8, depth=2, norm=mine.norm), (1, 8, 4, 4))
    assert config == {
        "block": "my_blocks:Mine",
        "channels": 8,
        "depth": 2,
        "norm": "my_blocks:norm",
    }
    assert to_config(mine.Outer.Inner(3, 4))["block"] == "my_blocks:Outer.Inner"
    config = _assert_returns(project, Stage(mine.Plain, 2, 3, 8), (1, 3, 8, 8))
    assert config["block"] == "my_blocks:Plain"
    stages = (StageConfig(block=mine.Plain, num_blocks=1, out_channels=8),)
    _assert_returns(project, FeatureExtractor(FeatureExtractorConfig(stages=stages)))


def _local() -> type[Block]:
    class Local(ConvBlock):
        pass

    return Local


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: ConvBlock(3, 8, norm=lambda c: nn.BatchNorm2d(c)), "norm: .*<lambda> cannot"),
        (
            lambda _: ConvBlock(3, 8, norm=(lambda c, eps: nn.Identity(), {"eps": 1})),
            r"norm\[0\]: .*<lambda> cannot be imported by name; define it at the top level",
        ),
        (
            lambda _: Stage("conv", 1, 3, 8, act=functools.partial(nn.Softplus, 1)),
            "act: partial cannot be imported by name",
        ),
        (
            lambda _: ConvBlock(3, 8, act=("elu", {"alpha": torch.tensor(1.0)})),
            r"act\[1\].alpha: a Tensor cannot be written",
        ),
        (lambda _: _local()(3, 8), "block: .*Local cannot be imported by name"),
        (lambda _: Stage(_local(), 1, 3, 8), "block: .*Local cannot be imported by name"),
        (
            lambda _: Stage(functools.partial(ResidualBlock, dtype=torch.float64), 1, 3, 8),
            "block: a partial that sets dtype cannot be written; the stage sets it",
        ),
        (
            lambda _: Stage(functools.partial(ResidualBlock, drop_path=0.1), 1, 3, 8),
            "block: a partial that sets drop_path cannot be written",
        ),
        (
            lambda _: FeatureExtractor(
                {"num_stages": 1, "blocks_per_stage": 1, "channels": (3, 8), "block": _local()}
            ),
            r"stages\[0\].block: .*Local cannot be imported by name",
        ),
        (lambda _: nn.Conv2d(3, 8, 3), "Conv2d is no block that a configuration can name"),
        (lambda mine: mine.MyStage("conv", 1, 3, 8), "MyStage is no block"),
        (lambda mine: mine.Odd(1, 2), "sizes: an argument of Odd that a configuration cannot give"),
        (lambda mine: mine.Odd(block=1), "block: an argument of Odd"),
        (
            lambda mine: mine.Odd(options="a.b:c"),
            "options: 'a.b:c' would be read as an import path",
        ),
        (lambda mine: mine.Odd(options={1: 2}), "options: a key must be a string, got 1"),
    ],
)
def test_what_cannot_be_written(mine: Any, make: Callable[[Any], nn.Module], message: str) -> None:
    module = make(mine)
    with pytest.raises(ConfigurationError, match=f"^{message}|: {message}"):
        to_config(module)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "block: missing, and so is stages"),
        ({"num_blocks": 2}, "block: missing"),
        (3, "a configuration is a mapping, got a int"),
        ({"block": "botleneck"}, "block: unknown block 'botleneck'; .*did you mean 'bottleneck'"),
        ({"block": 3}, "block: must be a block's name or a class, got 3"),
        ({"block": "conv", "in_chanels": 3}, "in_chanels: unknown; did you mean in_channels"),
        ({"block": "conv", "zzz": 3}, "zzz: unknown; known: in_channels, out_channels"),
        ({"block": "conv", "device": "cpu"}, "device: unknown"),
        ({"block": "conv", "in_channels": 3}, "missing .*'out_channels'"),
        ({"block": "conv", "in_channels": 3, "out_channels": 0}, "out_channels must be a positive"),
        ({"block": "torch.nn:Conv2x"}, "block: 'torch.nn:Conv2x': torch.nn has no 'Conv2x'"),
        ({"block": "no_such.module:X"}, "block: 'no_such.module:X': there is no module 'no_such'"),
        ({"block": "os:getcwd"}, "block: made a str, not a module"),
        (
            {"block": "conv", "num_blocks": 1, "in_channels": 3, "out_channels": 8, "atc": "relu"},
            "atc: unknown; did you mean act",
        ),
        (
            {"block": "se", "num_blocks": 1, "in_channels": 3, "out_channels": 8, "channels": 8},
            "channels: unknown; did you mean in_channels",
        ),
        ({"stages": 3}, "stages: must be a list of mappings"),
        ({"stages": ["conv"]}, "stages: must be a list of mappings"),
        ({"stages": []}, "stages: there must be at least one"),
        ({"stages": [{"block": "conv"}]}, r"stages\[0\].num_blocks: missing"),
        (
            {"stages": [{"block": "conv", "num_blocks": 1, "out_channels": 8, "norm": "a:b"}]},
            r"stages\[0\].norm: 'a:b': there is no module 'a'",
        ),
        ({"stages": [], "hed": {}}, "hed: unknown; known: "),
    ],
)
def test_what_cannot_be_built(config: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        from_config(config)
    assert "\n" not in str(caught.value)


def test_input_is_for_the_command_line() -> None:
    config = {"block": "conv", "in_channels": 3, "out_channels": 8, "input": "1x3x8x8"}
    assert "input" not in to_config(from_config(config))
    assert config["input"] == "1x3x8x8"  # and the mapping is as it was


def test_callables_may_stand_where_import_paths_could() -> None:
    module = from_config({"block": ConvBlock, "in_channels": 3, "out_channels": 8, "act": nn.Mish})
    assert to_config(module)["act"] == "torch.nn:Mish"


def test_what_a_module_raises_while_it_is_imported_passes(project: Project, mine: Any) -> None:
    project.write("broken.py", "1 / 0")
    project.write("needs.py", "import no_such_module")
    with pytest.raises(ZeroDivisionError):
        from_config({"block": "broken:X"})
    with pytest.raises(ConfigurationError, match="No module named 'no_such_module'"):
        from_config({"block": "needs:X"})


def test_of_a_script(project: Project) -> None:
    """What a script defines cannot be found again by name; it is refused, not written wrongly."""
    code = """
from blocktool.blocks import ConvBlock, to_config
class Mine(ConvBlock):
    pass
try:
    to_config(Mine(3, 8))
except ValueError as error:
    print(error)
print(to_config(ConvBlock(3, 8)))
"""
    root = str(Path(__file__).parents[2])
    out = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root},
    ).stdout.splitlines()
    assert out[0].startswith("block: Mine cannot be imported by name")
    assert json.loads(out[1].replace("'", '"'))["block"] == "conv"
