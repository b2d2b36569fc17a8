from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from conftest import Project

from blocktool.blocks import BottleneckBlock, CrossAttention, Stage, to_config
from blocktool.errors import ConfigError, ModuleError
from blocktool.results.specs import TensorSpec
from blocktool.targets.config import load_config

NET = """
    input: 2x3x32x32
    stem:
      out_channels: 8
      kernel_size: 3
    stages:
      - block: bottleneck
        num_blocks: 1
        out_channels: 16
      - block: residual
        num_blocks: 2
        out_channels: 32
        attn: se
    head:
      num_classes: 10
"""


def _refused(
    path: str = "net.yaml", overrides: tuple[tuple[str, object], ...] = (), *, build: bool = False
) -> ConfigError:
    def load() -> None:
        target = load_config(path, overrides)
        if build:
            with torch.device("meta"):
                target.build()

    with pytest.raises(ConfigError) as caught:
        load()
    assert "\n" not in caught.value.message
    return caught.value


def _params(overrides: tuple[tuple[str, object], ...] = ()) -> int:
    with torch.device("meta"):
        model = load_config("net.yaml", overrides).build()
    return sum(parameter.numel() for parameter in model.parameters())


def test_builds_what_the_file_says(project: Project) -> None:
    project.write("net.yaml", NET)
    target = load_config("net.yaml")
    assert (target.name, target.source) == ("net.yaml", "config")
    assert target.inputs == (TensorSpec((2, 3, 32, 32)),)
    model = target.build()
    assert [type(stage[0]).__name__ for stage in model.stages] == [
        "BottleneckBlock",
        "ResidualBlock",
    ]
    assert [len(stage) for stage in model.stages] == [1, 2]
    assert all(block.attn is not None for block in model.stages[1])
    assert model.stem.conv.conv.kernel_size == (3, 3)
    assert model(torch.zeros(target.inputs[0].shape)).shape == (2, 10)
    assert target.build() is not target.build()


def test_needs_no_torch_until_it_is_built(project: Project) -> None:
    project.write("net.yaml", NET)
    code = """
import sys
from blocktool.targets.config import load_config
target = load_config("net.yaml", [("head.num_classes", 3)])
assert "torch" not in sys.modules
import torch
with torch.device("meta"):
    model = target.build()
assert all(tensor.is_meta for tensor in model.parameters())
"""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("", (TensorSpec((1, 3, 224, 224)),)),
        ("in_channels: 1", (TensorSpec((1, 1, 224, 224)),)),
        ("input: [1x3x8x8, mask=1x8:bool]", None),
        ("input: null", (TensorSpec((1, 3, 224, 224)),)),
    ],
)
def test_default_input(project: Project, text: str, inputs: tuple[TensorSpec, ...] | None) -> None:
    project.write("net.yaml", f"{text}\nstages: [{{block: conv, num_blocks: 1, out_channels: 8}}]")
    several = (TensorSpec((1, 3, 8, 8)), TensorSpec((1, 8), "bool", "mask"))
    assert load_config("net.yaml").inputs == (inputs or several)


def test_out_indices_and_drop_path(project: Project) -> None:
    project.write(
        "net.yaml",
        """
        drop_path: 0.2
        out_indices: [0, -1]
        stages:
          - {block: residual, num_blocks: 2, out_channels: 8, drop_path: [0.5, 0.6]}
          - {block: residual, num_blocks: 2, out_channels: 8, checkpoint: true}
        """,
    )
    model = load_config("net.yaml").build()
    rates = [block.drop_path.drop_prob for stage in model.stages for block in stage]
    assert rates == pytest.approx([0.5, 0.6, 0.2 * 2 / 3, 0.2])
    assert model.feature_info == [(8, 2), (8, 4)]
    assert model.stages[1].checkpoint


# Overrides


@pytest.mark.parametrize(
    ("key", "value", "same_as"),
    [
        (
            "stages.1.num_blocks",
            3,
            "num_blocks: 2",
        ),
        ("stages.-1.num_blocks", 3, "num_blocks: 2"),
        ("head.num_classes", 3, "num_classes: 10"),
        ("stem.kernel_size", 3, "kernel_size: 3"),
    ],
)
def test_override_is_what_the_file_could_have_said(
    project: Project, key: str, value: int, same_as: str
) -> None:
    project.write("net.yaml", NET)
    overridden = _params(((key, value),))
    name = same_as.partition(":")[0]
    project.write("net.yaml", NET.replace(same_as, f"{name}: {value}"))
    assert overridden == _params()


def test_override_makes_and_removes_sections(project: Project) -> None:
    project.write("net.yaml", NET.replace("    head:\n      num_classes: 10\n", ""))
    without = _params()
    assert _params((("head.num_classes", 10),)) == without + 32 * 10 + 10
    project.write("net.yaml", NET)
    assert _params((("head", None),)) == without
    stage = {"block": "conv", "num_blocks": 1, "out_channels": 4}
    model = load_config("net.yaml", [("stages", [stage])]).build()
    assert len(model.stages) == 1


def test_later_override_wins(project: Project) -> None:
    project.write("net.yaml", NET)
    assert _params((("head", {"num_classes": 5}), ("head.num_classes", 7))) == _params(
        (("head.num_classes", 7),)
    )


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        (
            (("stages.1.depht", 2),),
            "net.yaml: stages.1.depht=2: stages[1].depht: unknown key",
            "known: ",
        ),
        (
            (("head.num_clases", 2),),
            "net.yaml: head.num_clases=2: head.num_clases: unknown key",
            "did you mean num_classes?",
        ),
        (
            (("stages.0.num_blocks", "x"),),
            "net.yaml: stages.0.num_blocks='x': stages[0].num_blocks: must be an integer, got 'x'",
            "YAML",
        ),
        (
            (("stages.7.num_blocks", 1),),
            "net.yaml: stages.7.num_blocks=1: stages has no item 7",
            "it has 2, counted from 0",
        ),
        (
            (("stages.first.num_blocks", 1),),
            "net.yaml: stages.first.num_blocks=1: 'first' is not an index of stages",
            "stages.0 is its first item",
        ),
        (
            (("head.num_classes.x", 1),),
            "net.yaml: head.num_classes.x=1: head.num_classes has no keys",
            "head.num_classes is one value",
        ),
        (
            (("stages.1.block", "resdual"),),
            "net.yaml: stages.1.block='resdual': stages[1].block: unknown block 'resdual'",
            "did you mean residual?",
        ),
        (
            (("stem", None), ("stem.pool", "avg")),
            "net.yaml: stem.pool='avg': stem.out_channels: missing",
            "out_channels is an integer",
        ),
        ((("stages", []),), "net.yaml: stages=[]: stages: there must be at least one", ""),
        ((("heads", 3),), "net.yaml: heads=3: heads: unknown key", "did you mean head?"),
        ((("input", "3xx"),), "net.yaml: input='3xx': input: input '3xx': a size is missing", ""),
    ],
)
def test_wrong_override_is_reported_as_such(
    project: Project, overrides: tuple[tuple[str, object], ...], message: str, hint: str
) -> None:
    project.write("net.yaml", NET)
    error = _refused(overrides=overrides)
    assert error.message == message
    assert hint in (error.hint or "")


def test_override_that_cannot_be_built_is_reported_as_such(project: Project) -> None:
    project.write("net.yaml", NET)
    error = _refused(overrides=(("stages.0.num_blocks", 0),), build=True)
    assert error.message == (
        "net.yaml: stages.0.num_blocks=0: stages[0].num_blocks: must be a positive integer, got 0"
    )


# Wrong content: each one line with file, line, key and reason


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("num_blocks: 2", "depht: 2", "net.yaml:10: stages[1].depht: unknown key", "known: "),
        (
            "attn: se",
            "atn: se",
            "net.yaml:12: stages[1].atn: unknown key",
            "did you mean attn?",
        ),
        (
            "attn: se",
            "in_channels: 8",
            "net.yaml:12: stages[1].in_channels: unknown key",
            "known",
        ),
        (
            "attn: se",
            "attn: [see, {}]",
            "net.yaml:12: stages[1].attn: must be 'se', [name, {...}], an import path or null, "
            "got ['see', {}]",
            "did you mean se?",
        ),
        (
            "block: residual",
            "block: resdual",
            "net.yaml:9: stages[1].block: unknown block 'resdual'",
            "did you mean residual?",
        ),
        ("block: residual", "block: 3", "net.yaml:9: stages[1].block: must be a string, got 3", ""),
        ("block: residual", "checkpoint: on", "net.yaml:9: stages[1].block: missing", "a string"),
        ("    num_blocks: 2\n", "", "net.yaml:9: stages[1].num_blocks: missing", "an integer"),
        ("num_blocks: 2", "num_blocks: two", "stages[1].num_blocks: must be an integer", ""),
        ("num_blocks: 2", "num_blocks: '2'", "must be an integer, got '2'", ""),
        ("num_blocks: 2", "num_blocks:", "must be an integer, got null", ""),
        ("num_blocks: 2", "num_blocks: 2.0", "must be an integer, got 2.0", ""),
        (
            "kernel_size: 3",
            "pool: mox",
            "net.yaml:4: stem.pool: must be 'avg', 'max' or null",
            "max",
        ),
        ("kernel_size: 3", "kernel: 3", "net.yaml:4: stem.kernel: unknown key", "kernel_size?"),
        ("head:", "heads:", "net.yaml:13: heads: unknown key", "did you mean head?"),
        ("stages:", "stage:", "net.yaml:5: stage: unknown key", "did you mean stages?"),
        ("  num_classes: 10", "  - 10", "net.yaml:13: head: must be {...} or null, got [10]", ""),
        (
            "input: 2x3x32x32",
            "input: 2x3x",
            "net.yaml:1: input: input '2x3x': a size is",
            "1x3x224",
        ),
        (
            "input: 2x3x32x32",
            "input: 3",
            "net.yaml:1: input: must be a string, [string, ...] or null",
            "",
        ),
        ("input: 2x3x32x32", "in_channels: x", "net.yaml:1: in_channels: must be an integer", ""),
    ],
)
def test_wrong_content(project: Project, old: str, new: str, message: str, hint: str) -> None:
    text = project.write("net.yaml", NET).read_text()
    assert old in text
    project.write("net.yaml", text.replace(old, new, 1))
    error = _refused()
    assert message in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_blocks: 2", "num_blocks: 0", "net.yaml:10: stages[1].num_blocks: must be a positive"),
        ("attn: se", "drop_path: 1.5", "net.yaml:12: stages[1].drop_path: must be at least 0 and"),
        ("attn: se", "norm: [group, {num_groups: 3}]", "net.yaml:9: stages[1]: num_channels (32)"),
        ("attn: se", "attn: [se, {foo: 3}]", "net.yaml:12: stages[1].attn: SqueezeExcite"),
        ("num_classes: 10", "num_classes: -1", "net.yaml:14: head.num_classes: must be a positive"),
        ("head:", "out_indices: [0]\nhead:", "net.yaml:13: out_indices: a model with a head"),
    ],
)
def test_what_cannot_be_built(project: Project, old: str, new: str, message: str) -> None:
    text = project.write("net.yaml", NET).read_text()
    project.write("net.yaml", text.replace(old, new, 1))
    assert message in _refused(build=True).message


# Wrong files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "net.yaml: the file is empty"),
        ("# only a comment\n", "net.yaml: the file is empty"),
        ("---\n", "net.yaml: the file is empty"),
        ("- 1\n- 2\n", "net.yaml:1: not a mapping of keys to values"),
        ("just words\n", "net.yaml:1: not a mapping of keys to values"),
        ("stages:\n  - {block: conv, num_blo", "net.yaml:2: not YAML: "),
        ("stages:\n  - block: conv\n num_blocks: 1\n", "net.yaml:3: not YAML: "),
        ("stages: [\n", "net.yaml:1: not YAML: "),
        ("a: 'x\nb: 3\n", "not YAML: "),
        ("a: 1\nb: 2\na: 3\n", "net.yaml:3: the key 'a' is given twice"),
        ("stem:\n  pool: max\n  pool: avg\n", "net.yaml:3: the key 'pool' is given twice"),
        ("a: 1\n---\nb: 2\n", "net.yaml:2: not YAML: "),
        ("a: *missing\n", "net.yaml:1: not YAML: "),
        ("[1, 2]: 3\n", "net.yaml:1: a key must be a word"),
        ("a: &a [*a]\n", "net.yaml:1: unfolds without end"),
        ("a: \x00\n", "net.yaml: not YAML: "),
        ("a: !!python/object:os.system x\n", "net.yaml:1: neither 'stages' nor 'block' is there"),
        ("{" * 3000, "not YAML: "),
        ("stages: null\n", "net.yaml:1: stages: must be [{...}, ...], got null"),
        ("stages: [3]\n", "net.yaml:1: stages: must be [{...}, ...], got [3]"),
        ("<<: 3\n", "net.yaml:1: '<<' takes a mapping"),
        ("3: x\n", "net.yaml:1: neither 'stages' nor 'block' is there"),
    ],
)
def test_wrong_file(project: Project, text: str, message: str) -> None:
    project.root.joinpath("net.yaml").write_text(text)
    assert message in _refused().message


def test_half_a_file_is_recognised_wherever_it_stops(project: Project) -> None:
    text = project.write("net.yaml", NET).read_text()
    refused = []
    for end in range(0, len(text), 7):
        project.root.joinpath("net.yaml").write_text(text[:end])
        with contextlib.suppress(ConfigError):
            load_config("net.yaml")  # what is left can be a smaller network
            continue
        refused.append(_refused())
    assert len(refused) > 20
    assert all(error.message.startswith("net.yaml") for error in refused)


def test_a_file_that_stops_in_brackets_is_asked_whether_it_is_whole(project: Project) -> None:
    project.write("net.yaml", "stages:\n  - {block: conv,")
    assert _refused().hint == "is the file whole?"


def test_aliases_of_aliases(project: Project) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    project.root.joinpath("net.yaml").write_text("\n".join(lines))
    assert "unfolds without end" in _refused().message


def test_anchors_and_merging(project: Project) -> None:
    project.write(
        "net.yaml",
        """
        stages:
          - &first {block: residual, num_blocks: 2, out_channels: 8}
          - {<<: *first, out_channels: 16}
          - {<<: [{num_blocks: 1}, *first], depht: 3}
        """,
    )
    error = _refused()
    assert error.message == "net.yaml:4: stages[2].depht: unknown key"
    model = load_config(
        "net.yaml", [("stages.2", {"block": "conv", "num_blocks": 1, "out_channels": 8})]
    )
    widths = [stage.out_channels for stage in model.build().stages]
    assert widths == [8, 16, 8]


def test_missing_files(project: Project) -> None:
    project.write("resnet50.yaml", NET)
    error = _refused("resnet5O.yaml")
    assert error.message == "no such file: resnet5O.yaml"
    assert error.hint == "did you mean resnet50.yaml?"
    assert _refused("zzz.yaml").hint.startswith("looked in ")
    assert _refused("no/where.yaml").hint == "there is no folder no"
    project.root.joinpath("dir.yaml").mkdir()
    assert _refused("dir.yaml").message == "dir.yaml is a folder, not a YAML file"
    project.root.joinpath("bytes.yaml").write_bytes(b"\xff\xfe\x00a")
    assert _refused("bytes.yaml").message == "bytes.yaml: not a text file in UTF-8"


def test_unreadable_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("net.yaml", NET)

    def refuse(self: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)  # as root, permissions would not
    assert _refused().message == "net.yaml: cannot be read: Permission denied"


def test_values_follow_yaml_1_2(project: Project) -> None:
    """As KEY=VALUE does: ``1e-3`` is a number, ``on`` is a word."""
    text = project.write("net.yaml", NET).read_text()
    project.write("net.yaml", text.replace("attn: se", "layer_scale: 1e-3"))
    assert load_config("net.yaml").build().stages[1][0].layer_scale.init_value == 1e-3
    project.write("net.yaml", text.replace("attn: se", "checkpoint: on"))
    assert _refused().message == (
        "net.yaml:12: stages[1].checkpoint: must be true or false, got 'on'"
    )


# Stages and blocks of their own

STAGE = """
    block: bottleneck
    num_blocks: 2
    in_channels: 16
    out_channels: 32
    first: {stride_on: 1x1}
    norm: [group, {num_groups: 4}]
"""
ATTENTION = "{block: self-attention, num_blocks: 1, in_channels: 32, out_channels: 32}"
BLOCK = """
    block: cross-attention
    channels: 32
    context_channels: 48
    qk_norm: rms
"""


def test_stage(project: Project) -> None:
    project.write("net.yaml", STAGE)
    target = load_config("net.yaml", [("first.stride_on", "3x3"), ("drop_path", [0, 0.5])])
    assert target.inputs == (TensorSpec((1, 16, 56, 56)),)
    stage = target.build()
    assert isinstance(stage, Stage)
    assert [type(block) for block in stage] == [BottleneckBlock] * 2
    assert [block.conv2.stride for block in stage] == [2, 1]
    assert [block.conv1.stride for block in load_config("net.yaml").build()] == [2, 1]
    assert stage[1].drop_path.drop_prob == 0.5
    assert stage[1].conv1.norm.num_groups == 4
    assert stage(torch.zeros(1, 16, 6, 6)).shape == (1, 32, 3, 3)


def test_block(project: Project) -> None:
    project.write("net.yaml", BLOCK)
    target = load_config("net.yaml", [("num_heads", 2)])
    assert target.inputs == (TensorSpec((1, 196, 32)), TensorSpec((1, 64, 48), name="context"))
    block = target.build()
    assert isinstance(block, CrossAttention)
    assert (block.num_heads, block.kv_dim) == (2, 48)
    project.write("net.yaml", BLOCK + "    input: [1x3x32, context=1x5x48]\n")
    given = (TensorSpec((1, 3, 32)), TensorSpec((1, 5, 48), name="context"))
    assert load_config("net.yaml").inputs == given


def test_blocks_and_stages_need_no_torch_until_they_are_built(project: Project) -> None:
    project.write("stage.yaml", STAGE + "    act: torch.nn:Softplus\n")
    project.write("block.yaml", BLOCK)
    code = """
import sys
from blocktool.targets.config import load_config
load_config("stage.yaml"), load_config("block.yaml")
assert "torch" not in sys.modules
"""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("text", "overrides", "message", "hint"),
    [
        (STAGE, ("num_bloks", 2), "num_bloks=2: num_bloks: unknown key", "did you mean num_blocks"),
        (STAGE, ("dim", 2), "dim=2: dim: unknown key", "known: block, num_blocks, in_channels"),
        (STAGE, ("first", 3), "first=3: first: must be {...} or null, got 3", ""),
        (STAGE, ("first.stride_om", 1), "first.stride_om: unknown key", "did you mean stride_on?"),
        (STAGE, ("first.stride_on", "x"), "first.stride_on: must be '3x3' or '1x1', got 'x'", ""),
        (STAGE, ("first.out_channels", 8), "first.out_channels: unknown key", "known"),
        (STAGE, ("block", "conv"), "net.yaml:5: first.stride_on: unknown key", "known"),
        (STAGE, ("block", "grouped-conv"), "net.yaml:1: groups: missing", "groups is an integer"),
        (STAGE, ("block", 3), "block=3: block: must be a string, got 3", ""),
        (STAGE, ("in_channels", "x"), "in_channels: must be an integer, got 'x'", ""),
        (STAGE, ("input", "3xx"), "input='3xx': input: input '3xx': a size is missing", ""),
        (ATTENTION, ("channels", 3), "channels=3: channels: unknown key", "mean in_channels?"),
        (BLOCK, ("chanels", 3), "chanels=3: chanels: unknown key", "did you mean channels?"),
        (BLOCK, ("block", "cross-atention"), "block: unknown block 'cross-atention'", "did you"),
        (BLOCK, ("block", None), "block=null: block: must be a string, got null", ""),
        (BLOCK, ("qk_norm", "batch"), "qk_norm: must be 'layer', 'rms', [name, {...}], an", ""),
        ("block: conv", ("in_channels", 3), "net.yaml:1: out_channels: missing", "an integer"),
        ("blok: conv", ("in_channels", 3), "net.yaml:1: blok: unknown key", "did you mean block?"),
        ("head: {}", ("head.norm", "rms"), "net.yaml:1: neither 'stages' nor 'block'", "a stage"),
        (NET, ("positions.gird", 3), "positions.gird: unknown key", "did you mean grid?"),
        (NET, ("positions.class_token", 3), "positions.grid: missing", ""),
        (NET, ("stages.0.first", {"strid": 1}), "stages[0].first.strid: unknown key", "known"),
        (NET, ("stages.0.block", "se:"), "stages[0].block: unknown block 'se:'", "did you mean se"),
        (NET, ("stages.0.block", "no.such:X"), "stages[0].block: there is no module 'no'", ""),
        (NET, ("stages.0.block", "math:pi"), "stages[0].block: math:pi is no class and no", ""),
    ],
)
def test_wrong_stages_and_blocks(
    project: Project, text: str, overrides: tuple[str, object], message: str, hint: str
) -> None:
    project.write("net.yaml", text)
    error = _refused(overrides=(overrides,))
    assert message in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        (STAGE, ("num_blocks", 0), "num_blocks=0: num_blocks: must be a positive integer, got 0"),
        (STAGE, ("in_channels", 0), "in_channels=0: in_channels: must be a positive integer"),
        (STAGE, ("drop_path", [0.1]), "drop_path=[0.1]: drop_path: 1 rates for 2 blocks"),
        (STAGE, ("first.norm", "torch.nn:X"), "first.norm: torch.nn has no attribute 'X'"),
        (BLOCK, ("channels", 0), "channels=0: channels: must be a positive integer, got 0"),
        (
            BLOCK,
            ("num_heads", 5),
            "net.yaml:2: channels: channels=32 is not divisible by num_heads=5",
        ),
        (NET, ("positions", {"grid": 0}), "positions={...}: positions.grid: must be a positive"),
    ],
)
def test_stages_and_blocks_that_cannot_be_built(
    project: Project, text: str, override: tuple[str, object], message: str
) -> None:
    project.write("net.yaml", text)
    assert message in _refused(overrides=(override,), build=True).message


# Other people's blocks

MIXER = """
    from torch import nn

    class Mixer(nn.Conv2d):
        def __init__(self, in_channels: int, out_channels: int, stride: int = 1, depth: int = 1):
            if depth == 13:
                raise ValueError("depth 13 brings bad luck")
            if depth == 14:
                raise RuntimeError("no\\nmore")
            super().__init__(in_channels, out_channels, 3, stride, 1)
            self.depth = depth

    class Open(nn.Identity):
        def __init__(self, channels: int, **options):
            super().__init__()
            self.options = options

    def norm(channels):
        return nn.BatchNorm2d(channels, eps=0.5)
"""
MIXED = """
    stages:
      - {block: my/mixer.py:Mixer, num_blocks: 2, out_channels: 8, depth: 2}
      - {block: conv, num_blocks: 1, out_channels: 8, norm: my/mixer.py:norm}
"""


def test_the_users_blocks_and_layers(project: Project) -> None:
    project.write("my/mixer.py", MIXER)
    project.write("net.yaml", MIXED)
    model = load_config("net.yaml").build()
    assert [block.depth for block in model.stages[0]] == [2, 2]
    assert model.stages[1][0].norm.eps == 0.5
    project.write("net.yaml", "{block: 'my/mixer.py:Open', channels: 3, input: 1x3, odd: [1]}")
    target = load_config("net.yaml")
    assert target.build().options == {"odd": (1,)}
    assert target.inputs == (TensorSpec((1, 3)),)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (("stages.0.depth", "x"), "stages[0].depth: must be an integer, got 'x'"),
        (("stages.0.width", 1), "stages[0].width: unknown key"),
        (("stages.0.block", "my/mixer.py:Mixxer"), "stages[0].block: my/mixer.py has no attribute"),
        (("stages.0.block", "my/mixr.py:Mixer"), "stages[0].block: no such file: my/mixr.py"),
    ],
)
def test_the_users_blocks_are_checked(
    project: Project, override: tuple[str, object], message: str
) -> None:
    project.write("my/mixer.py", MIXER)
    project.write("net.yaml", MIXED)
    assert message in _refused(overrides=(override,)).message


def test_what_the_users_blocks_raise(project: Project) -> None:
    project.write("my/mixer.py", MIXER)
    project.write("net.yaml", MIXED)
    with pytest.raises(ConfigError, match=r"depth=13: .*13 brings bad luck") as caught:
        load_config("net.yaml", [("stages.0.depth", 13)]).build()
    assert 'File "my/mixer.py", line 6, in __init__' in caught.value.details
    with pytest.raises(ModuleError, match=r"net.yaml: .*RuntimeError: no$") as raised:
        load_config("net.yaml", [("stages.0.depth", 14)]).build()
    assert 'File "my/mixer.py", line 8, in __init__' in raised.value.details


def test_blocks_of_other_packages(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry's own values hold in a stage too, but for those that the stage gives."""
    project.write(
        "theirs.py",
        MIXER
        + """
    from blocktool.targets.catalog import BlockEntry

    ENTRY = BlockEntry(
        name="mixer",
        path="theirs:Mixer",
        arguments={"in_channels": 4, "out_channels": 4, "depth": 5},
        inputs=("2x{in_channels}x8x8",),
    )
""",
    )
    monkeypatch.syspath_prepend(str(project.root))

    def entry_points(*, group: str, name: str) -> list[EntryPoint]:
        return [EntryPoint("mixer", "theirs:ENTRY", group)] if name == "mixer" else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    project.write("net.yaml", "stages: [{block: mixer, num_blocks: 2, out_channels: 8}]")
    model = load_config("net.yaml").build()
    assert [(block.in_channels, block.depth) for block in model.stages[0]] == [(3, 5), (8, 5)]
    assert to_config(model)["stages"][0]["block"] == "theirs:Mixer"
    project.write("net.yaml", "{block: mixer, depth: 2}")
    target = load_config("net.yaml")
    assert (target.build().in_channels, target.build().depth) == (4, 2)
    assert target.inputs == (TensorSpec((2, 4, 8, 8)),)
