"""The public functions that only put others together."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from torch import nn

import blocktool
from blocktool.blocks import Stage, to_config
from blocktool.errors import ConfigError, InputError


def test_public_names_are_there() -> None:
    assert set(blocktool.__all__) == set(dir(blocktool))
    for name in blocktool.__all__:
        assert getattr(blocktool, name)
    with pytest.raises(AttributeError, match="no attribute 'sumarize'"):
        _ = blocktool.sumarize


def test_build_reads_a_configuration_as_the_command_line_does(tmp_path: Path) -> None:
    file = tmp_path / "stage.yaml"
    file.write_text("block: residual\nnum_blocks: 2\nin_channels: 8\nout_channels: 8\n")
    stage = blocktool.build(str(file), "stride=1", "layer_scale=1e-5")
    assert isinstance(stage, Stage)
    assert stage[0].layer_scale.init_value == 1e-5  # which YAML 1.1 takes for a word
    assert to_config(stage)["layer_scale"] == 1e-5
    with pytest.raises(ConfigError, match="num_block: unknown key"):
        blocktool.build(str(file), "num_block=1")


def test_build_makes_a_new_module_each_time() -> None:
    first, second = (blocktool.build("conv", "in_channels=3", "norm=null") for _ in range(2))
    assert first is not second
    assert isinstance(first.conv, nn.Conv2d)


def test_a_hint_is_seen_in_a_traceback() -> None:
    with pytest.raises(InputError) as caught:
        blocktool.fuse(nn.Sequential(nn.Conv2d(3, 8, 3)))
    assert f"hint: {caught.value.hint}" in "".join(traceback.format_exception(caught.value))
    assert "hint" not in str(caught.value)


def test_summaries_are_compared() -> None:
    old, new = (blocktool.summarize(nn.Linear(8, width), (2, 8)) for width in (16, 32))
    found = blocktool.compare(old, new)
    assert [each.text for each in found.statements] == ["out_features 16 -> 32"]
    assert not blocktool.compare(old, old).changed
    shapes = blocktool.check_shapes(nn.Linear(8, 16), (2, 8))
    with pytest.raises(TypeError, match="Summary and ShapeReport"):
        blocktool.compare(old, shapes)
