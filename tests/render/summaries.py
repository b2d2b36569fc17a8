"""Summaries made by hand, for tests of what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from blocktool.results.environment import Environment
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import (
    ModuleRow,
    OpRow,
    PeakMemory,
    PhaseTotals,
    Summary,
    Totals,
    UncoveredOp,
)
from blocktool.results.trace import Fallback


def row(path: str, kind: str = "Conv2d", **figures: Any) -> ModuleRow:
    """A row with figures of its own, consistent among themselves (4-byte parameters)."""
    params, macs = figures.pop("params", 0), figures.pop("macs", 0)
    base = ModuleRow(
        path=path,
        type=kind,
        calls=1,
        depth=path.count(".") + 1 if path else 0,
        input_shapes=((1, 8, 16, 16),),
        output_shapes=((1, 8, 16, 16),),
        params=params,
        trainable_params=params,
        param_bytes=4 * params,
        macs=macs,
        flops=2 * macs,
        elementwise_flops=figures.pop("elementwise", 0),
        activation_bytes=figures.pop("activations", 0),
        read_bytes=figures.pop("read", 0),
        written_bytes=figures.pop("written", 0),
    )
    return replace(base, **figures)


def summary(rows: Sequence[ModuleRow], **changes: Any) -> Summary:
    """A summary of these rows; the first is the root and gives the totals."""
    root = rows[0]
    moved = root.read_bytes + root.written_bytes
    work = root.flops + root.elementwise_flops
    base = Summary(
        target="net.py:Net",
        root_type=root.type,
        mode="forward",
        traced_on="meta",
        fallbacks=(),
        attention="cpu",
        optimizer=None,
        environment=Environment("0.1.0", "2.13.0", "3.11.7", "Linux x86_64", {"timm": "1.0.31"}),
        inputs=(TensorSpec((1, 3, 32, 32)),),
        outputs=(TensorSpec((1, 10)),),
        totals=Totals(
            params=root.params,
            trainable_params=root.trainable_params,
            param_bytes=root.param_bytes,
            buffer_bytes=264,
            macs=root.macs,
            flops=root.flops,
            elementwise_flops=root.elementwise_flops,
            activation_bytes=root.activation_bytes,
            read_bytes=root.read_bytes,
            written_bytes=root.written_bytes,
            peak_live_bytes=3_000_000,
            arithmetic_intensity=work / moved if moved else 0.0,
        ),
        phases=(
            PhaseTotals(
                "forward",
                42,
                root.macs,
                root.flops,
                root.elementwise_flops,
                root.read_bytes,
                root.written_bytes,
            ),
        ),
        memory=PeakMemory(
            peak_live_bytes=3_000_000,
            phase="forward",
            op="aten.convolution",
            module="stem.conv",
            parameters=2_000_000,
            buffers=264,
            inputs=12_288,
            activations=987_448,
            gradients=0,
            optimizer=0,
            workspace=0,
        ),
        modules=tuple(rows),
        ops=(
            OpRow("aten.relu_", "elementwise", 5, 0, 0, 81_920, 0, 327_680, 327_680),
            OpRow("aten.convolution", "contraction", 7, root.macs, root.flops, 0, 900, 800, 700),
            OpRow("vision.warp", "uncovered", 2, 0, 0, 0, 640, 640, 640),
        ),
        uncovered_ops=(),
        notes=(),
    )
    return replace(base, **changes)


def backbone() -> Summary:
    """A stem, a stage of one wide and four equal blocks, a head, and a module never called."""
    block = {"params": 1_200, "macs": 1_500_000, "elementwise": 9_000, "activations": 65_536}
    conv = {"params": 600, "macs": 750_000, "activations": 32_768}
    rows = [
        row(
            "",
            "Backbone",
            params=56_420,
            macs=12_000_000,
            elementwise=81_920,
            activations=900_000,
            read=3_456_789,
            written=900_000,
            input_shapes=((1, 3, 32, 32),),
            output_shapes=((1, 10),),
        ),
        row("stem", "Sequential", params=1_000, macs=3_000_000, activations=131_072),
        row("stem.conv", params=936, macs=3_000_000, activations=65_536, detail="3, 8"),
        row("stem.norm", "BatchNorm2d", params=64, elementwise=32_768, activations=65_536),
        row("stage", "Stage", calls=0, params=54_800, macs=8_990_000, output_shapes=()),
        row("stage.0", "Block", params=50_000, macs=2_990_000, activations=80_000),
        row("stage.0.conv", params=50_000, macs=2_990_000, activations=80_000),
    ]
    for index in range(1, 5):
        rows += [
            row(f"stage.{index}", "Block", **block),
            row(f"stage.{index}.conv1", **conv),
            row(f"stage.{index}.conv2", **conv),
        ]
    rows += [
        row("head", "Linear", params=610, macs=10_000, output_shapes=((1, 10),)),
        row("auxiliary", "Linear", calls=0, params=10, input_shapes=(), output_shapes=()),
    ]
    return summary(rows)


def troubled() -> Summary:
    """A training step that needed a fallback, with operations that could not be counted, and with
    names that are markup, control characters, wide and long."""
    rows = [
        row("", "Net[bold]", params=20, macs=3_000, read=10, written=30, elementwise=5),
        row("[red]", "Evil\x1b[31m", params=10, macs=1_000, calls=3),
        row("畳み込み", "畳み込み層", params=10, macs=2_000),
        row("a_name_that_goes_on_and_on_and_does_not_end", "AndATypeThatDoesNotEndEither"),
    ]
    phases = (
        PhaseTotals("forward", 9, 1_000, 2_000, 5, 10, 30),
        PhaseTotals("backward", 12, 2_000, 4_000, 0, 0, 0),
    )
    return summary(
        rows,
        target="odd|names.py:`Net`",
        mode="training",
        traced_on="fake",
        optimizer="sgd",
        attention="cuda",
        fallbacks=(Fallback("meta", "the forward reads a value (item())"),),
        phases=phases,
        uncovered_ops=(
            UncoveredOp("vision.warp", 2, "[red]"),
            UncoveredOp("vision.warp", 1, ""),
            UncoveredOp("vision.sort", 1, "head"),
        ),
        notes=("the inputs were cast to bfloat16",),
    )
