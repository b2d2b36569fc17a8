from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import torch
from conftest import Project
from torch import nn

from blocktool.blocks.names import BLOCK_PATHS
from blocktool.errors import ModuleError, TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.block import block_target
from blocktool.targets.catalog import CATALOG, BlockEntry, find_block
from blocktool.targets.target import Target


def _runs(target: Target) -> bool:
    """Whether it takes its own default inputs and gives what it promises."""
    with torch.device("meta"):
        block: Any = target.build()
        first, *named = target.inputs
        out = block(
            torch.empty(first.shape), **{each.name: torch.empty(each.shape) for each in named}
        )
    return tuple(out.shape) == block.output_shape(first.shape)


every_entry = pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG.keys())


@every_entry
def test_name_works_alone(entry: BlockEntry) -> None:
    target = block_target(find_block(entry.name), {})
    assert _runs(target)
    assert (target.name, target.source) == (entry.name, "catalog")
    assert target.build() is not target.build()


@every_entry
def test_parameters_are_those_of_the_class(entry: BlockEntry) -> None:
    """Read from the source, they must be what Python itself says."""
    signature = inspect.signature(entry.load()).parameters
    wanted = {name: p for name, p in signature.items() if name not in ("device", "dtype")}
    assert list(entry.parameters) == list(wanted)
    module = importlib.import_module(entry.path.partition(":")[0])
    for name, parameter in entry.parameters.items():
        assert parameter.type == eval(wanted[name].annotation, vars(module)), name
        if name in entry.arguments:
            assert parameter.default == entry.arguments[name]
        elif wanted[name].default is not inspect.Parameter.empty:
            assert parameter.default == wanted[name].default
        assert not parameter.required  # the entry gives what the class requires


def test_names_are_those_of_the_library_and_in_its_order() -> None:
    assert {name: entry.path for name, entry in CATALOG.items()} == dict(BLOCK_PATHS)
    assert list(CATALOG) == list(BLOCK_PATHS)
    groups = [entry.group for entry in CATALOG.values()]
    assert groups == sorted(groups, key=["convolution", "attention", "residual"].index)


MAIN_OPTIONS = [
    ("conv", {"stride": 2, "norm": "layer", "act": "silu"}),
    ("conv", {"in_channels": 3, "order": "nac", "padding": "same"}),
    ("depthwise-separable", {"stride": 2, "depth_multiplier": 2, "mid_act": False}),
    ("grouped-conv", {"groups": 4, "shuffle": True}),
    ("dilated-conv", {"dilation": [2, 4]}),
    ("multi-head-attention", {"dim": 512, "num_heads": 16, "num_kv_heads": 4}),
    ("multi-head-attention", {"kv_dim": 768, "qk_norm": "rms"}),
    ("self-attention", {"window": 7, "norm": "layer", "residual": True}),
    ("cross-attention", {"context_channels": 768, "context_norm": "layer"}),
    ("cross-attention", {"channels": 96}),
    *(("feed-forward", {"kind": kind}) for kind in ("mlp", "glu", "geglu", "swiglu", "conv")),
    ("attention-block", {"window": [7, 5], "layer_scale": 1e-5}),
    ("transformer", {"dim": 768, "num_heads": 12, "drop_path": 0.1}),
    ("transformer", {"window": 7, "mlp": "conv"}),
    ("transformer", {"mlp": "swiglu", "norm": "rms"}),
    ("residual", {"out_channels": 128, "stride": 2, "shortcut": "avg"}),
    ("bottleneck", {"groups": 32, "base_width": 4, "attn": "se"}),
    ("preact", {"dilation": 2}),
    ("preact-bottleneck", {"out_channels": 512, "stride": 2}),
    ("se", {"reduction": 4, "gate": "hardsigmoid"}),
    ("se-residual", {"reduction": 8}),
]


@pytest.mark.parametrize(("name", "arguments"), MAIN_OPTIONS)
def test_default_inputs_suit_the_main_options(name: str, arguments: dict[str, object]) -> None:
    assert _runs(block_target(CATALOG[name], arguments))


def test_every_block_is_among_those_with_options() -> None:
    assert {name for name, _ in MAIN_OPTIONS} == set(CATALOG)


@every_entry
def test_has_a_line_about_itself(entry: BlockEntry) -> None:
    assert 10 < len(entry.summary) < 80
    assert entry.load().__doc__


def test_needs_no_torch() -> None:
    code = """
import sys
from blocktool.targets.block import block_target
from blocktool.targets.catalog import CATALOG
for entry in CATALOG.values():
    assert [parameter.type_name for parameter in entry.parameters.values()]
    block_target(entry, {})
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("bottleneck", {"in_channels": 512}, (1, 512, 56, 56)),
        ("self-attention", {"channels": 96}, (1, 96, 14, 14)),
        ("conv", {"padding": 0, "in_channels": 3}, (1, 3, 56, 56)),
    ],
)
def test_default_input_follows_the_arguments(
    name: str, arguments: dict[str, object], shape: tuple[int, ...]
) -> None:
    assert block_target(CATALOG[name], arguments).inputs == (TensorSpec(shape),)


def test_inputs_by_name() -> None:
    context = block_target(CATALOG["cross-attention"], {"context_channels": 96}).inputs
    assert context == (TensorSpec((1, 196, 256)), TensorSpec((1, 64, 96), name="context"))
    context = block_target(CATALOG["cross-attention"], {"channels": 32}).inputs
    assert context == (TensorSpec((1, 196, 32)), TensorSpec((1, 64, 32), name="context"))
    assert block_target(CATALOG["multi-head-attention"], {}).inputs == (TensorSpec((1, 196, 384)),)
    assert block_target(CATALOG["conv"], {"in_channels": -1}).inputs is None


def test_an_import_path_stands_for_a_layer() -> None:
    arguments = {"norm": "torch.nn:InstanceNorm2d", "act": ["torch.nn:Hardtanh", {"max_val": 2}]}
    block: Any = block_target(CATALOG["conv"], arguments).build()
    assert isinstance(block.norm, nn.InstanceNorm2d)
    assert block.act.max_val == 2
    for path, reason in (
        ("torch.nn:InstanceNorm3x", "torch.nn has no attribute 'InstanceNorm3x'"),
        ("no_such_module:X", "there is no module 'no_such_module'"),
    ):
        target = block_target(CATALOG["conv"], {"norm": path})
        with pytest.raises(TargetError, match=f"conv: argument 'norm': {reason}"):
            target.build()
    with pytest.raises(TargetError, match="'padding_mode' must be 'zeros'"):
        block_target(CATALOG["conv"], {"padding_mode": "torch.nn:InstanceNorm2d"})


def test_arguments_reach_the_constructor() -> None:
    arguments = {
        "in_channels": 8,
        "out_channels": 16,
        "kernel_size": [3, 5],
        "norm": ["group", {"num_groups": 4}],
        "act": None,
    }
    block = block_target(CATALOG["conv"], arguments).build()
    assert block.conv.kernel_size == (3, 5)
    assert block.norm.num_groups == 4
    assert block.act is None
    scaled = block_target(CATALOG["residual"], {"layer_scale": 1}).build()
    assert scaled.layer_scale.init_value == 1.0
    assert block_target(CATALOG["se-residual"], {"reduction": 4}).build().attn is not None


@pytest.mark.parametrize(
    ("name", "arguments", "message", "hint"),
    [
        (
            "bottleneck",
            {"grups": 2},
            "bottleneck takes no argument 'grups'",
            "did you mean groups?",
        ),
        ("conv", {"zzz": 2}, "conv takes no argument 'zzz'", "known: in_channels, out_channels"),
        ("conv", {"device": "cpu"}, "conv takes no argument 'device'", "known"),
        (
            "conv",
            {"stride": "x"},
            "'stride' must be an integer or [integer, integer], got 'x'",
            "1 is",
        ),
        ("conv", {"kernel_size": [3]}, "got [3]", "3 is the default"),
        ("conv", {"groups": True}, "'groups' must be an integer, got true", "1 is the default"),
        ("conv", {"groups": 2.0}, "'groups' must be an integer, got 2.0", "1 is the default"),
        ("conv", {"bias": 1}, "'bias' must be true or false or null, got 1", "null is the default"),
        (
            "conv",
            {"norm": "bacth"},
            "'norm' must be 'batch', 'group', 'layer', ",
            "did you mean batch?",
        ),
        ("conv", {"norm": ["gruop", {}]}, "got ['gruop', {}]", "did you mean group?"),
        ("conv", {"norm": ["group", 3]}, "got ['group', 3]", "'batch' is the default"),
        ("conv", {"act": "rleu"}, "got 'rleu'", "did you mean relu?"),
        ("residual", {"drop_path": None}, "'drop_path' must be a number, got null", "0.0 is"),
        ("residual", {"shortcut": "pool"}, "must be 'conv' or 'avg', got 'pool'", "'conv' is the"),
        (
            "self-attention",
            {"norm": "batch"},
            "'layer', 'rms', [name, {...}], an import path or null",
            "",
        ),
    ],
)
def test_wrong_arguments(name: str, arguments: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        block_target(CATALOG[name], arguments)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


def test_missing_argument() -> None:
    entry = BlockEntry(name="bare", path="blocktool.blocks.conv:ConvBlock")
    with pytest.raises(TargetError, match="bare needs the argument 'in_channels'") as caught:
        block_target(entry, {"out_channels": 3})
    assert caught.value.hint == "in_channels is an integer"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("conv", {"groups": 7}, "conv: in_channels=64 is not divisible by groups=7"),
        ("conv", {"in_channels": 0}, "conv: in_channels must be a positive integer, got 0"),
        (
            "conv",
            {"norm": ["group", {"groups": 3}]},
            "conv: .*unexpected keyword argument 'groups'",
        ),
        ("self-attention", {"num_heads": 7}, "channels=256 is not divisible by num_heads=7"),
        ("residual", {"drop_path": 1.5}, "drop_path must be at least 0 and below 1, got 1.5"),
    ],
)
def test_arguments_that_do_not_go_together(
    name: str, arguments: dict[str, object], message: str
) -> None:
    target = block_target(CATALOG[name], arguments)
    with pytest.raises(TargetError, match=message) as caught:
        target.build()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("botleneck", "bottleneck"),
        ("BottleneckBlock", "bottleneck"),
        ("SelfAttention", "self-attention"),
        ("self_attention", "self-attention"),
        ("ConvBlock", "conv"),
        ("ResidualBlock", "residual"),
        ("resdual", "residual"),
        ("TransformerBlock", "transformer"),
        ("transformer_block", "transformer"),
        ("transformer-block", "transformer"),
        ("depthwise_separable_conv", "depthwise-separable"),
        ("DepthwiseSeparableConv", "depthwise-separable"),
        ("grouped", "grouped-conv"),
        ("dilated_conv", "dilated-conv"),
        ("MultiHeadAttention", "multi-head-attention"),
        ("mha", "multi-head-attention"),
        ("cross_attention", "cross-attention"),
        ("FeedForward", "feed-forward"),
        ("feedforward", "feed-forward"),
        ("FFN", "feed-forward"),
        ("AttentionBlock", "attention-block"),
        ("PreActBlock", "preact"),
        ("preact_bottleneck", "preact-bottleneck"),
        ("SqueezeExcite", "se"),
        ("squeeze_excite", "se"),
        ("SEResidualBlock", "se-residual"),
        ("BasicBlock", "residual"),
    ],
)
def test_misspelt_names(name: str, meant: str) -> None:
    with pytest.raises(TargetError) as caught:
        find_block(name)
    assert caught.value.message == f"unknown block '{name}'"
    assert caught.value.hint == f"did you mean {meant}?"


def test_a_name_like_no_other() -> None:
    with pytest.raises(TargetError) as caught:
        find_block("zzz")
    assert caught.value.hint.startswith("blocks: conv, depthwise-separable, grouped-conv")


def _install(monkeypatch: pytest.MonkeyPatch, **values: str) -> list[str]:
    """Entry points as if another package were installed; returns the names that are asked for."""
    asked: list[str] = []

    def entry_points(*, group: str, name: str) -> list[EntryPoint]:
        asked.append(name)
        assert group == "blocktool.blocks"
        return [EntryPoint(name, values[name], group)] if name in values else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    return asked


THEIRS = """
    from torch import nn
    from blocktool.targets.catalog import BlockEntry

    class Mixer(nn.Conv2d):
        '''Mixes.

        At length.
        '''
        def __init__(self, width: int, depth: int = 2, mode: str = "a"):
            if mode == "fail":
                raise RuntimeError("cannot mix")
            super().__init__(width, depth, 1)

    ENTRY = BlockEntry(
        name="mixer", path="theirs:Mixer", arguments={"width": 4}, inputs=("2x{width}x8x8",)
    )
    NOTHING = 3
"""


@pytest.fixture
def theirs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("theirs.py", THEIRS)
    project.write("broken.py", "1 / 0")
    monkeypatch.syspath_prepend(str(project.root))


@pytest.mark.usefixtures("theirs")
def test_class_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _install(monkeypatch, mixer="theirs:Mixer")
    entry = find_block("mixer")
    assert entry.summary == "Mixes."
    target = block_target(entry, {"width": 8})
    block: Any = target.build()
    assert isinstance(block, nn.Conv2d)
    assert (block.in_channels, block.out_channels) == (8, 2)
    assert target.inputs is None
    with pytest.raises(TargetError, match="mixer needs the argument 'width'"):
        block_target(entry, {})
    with pytest.raises(TargetError, match="'depth' must be an integer, got 'x'"):
        block_target(entry, {"width": 8, "depth": "x"})
    with pytest.raises(ModuleError, match="mixer: the constructor failed: RuntimeError") as caught:
        block_target(entry, {"width": 8, "mode": "fail"}).build()
    assert any("cannot mix" in line for line in caught.value.details)
    find_block("conv")
    assert asked == ["mixer"]  # the environment is searched for names that we lack only


@pytest.mark.usefixtures("theirs")
def test_entry_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, mixer="theirs:ENTRY", nothing="theirs:NOTHING", broken="broken:X")
    target = block_target(find_block("mixer"), {})
    assert target.inputs == (TensorSpec((2, 4, 8, 8)),)
    assert target.build().in_channels == 4
    with pytest.raises(TargetError, match="neither a BlockEntry nor a class"):
        find_block("nothing")
    with pytest.raises(TargetError, match=r"block 'broken' \(broken:X\) cannot be imported"):
        find_block("broken")
