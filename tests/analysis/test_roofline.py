"""Rooflines by arithmetic: on operations made up by hand, and on traced modules."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from blocktool.analysis.roofline import (
    OPTIMIZER,
    VIEW_SHARE,
    ceiling_notes,
    module_rooflines,
    roofline,
    under_autocast,
)
from blocktool.results.roofline import Ceilings
from blocktool.results.trace import OpKind, OpRecord, Phase, TensorRef
from blocktool.trace.tracer import trace

# 1 TFLOP/s, 100 GB/s: 1 MFLOP and 100 kB are a µs each.
CEILINGS = Ceilings("a device", {"float32": 1000.0, "bfloat16": 4000.0}, 100.0, 5.0, "by hand")


def op(
    macs: int = 0,
    moved: int = 0,
    *,
    kind: OpKind = "contraction",
    dtype: str = "float32",
    name: str = "aten.mm",
    phase: Phase = "forward",
) -> OpRecord:
    """An operation that does so much, half of its bytes read and half written."""
    tensor = TensorRef((1,), dtype, 0)
    return OpRecord(
        index=0,
        op=name,
        overload="default",
        kind=kind,
        phase=phase,
        call=0,
        inputs=(tensor,),
        outputs=(tensor,),
        macs=macs,
        elementwise_flops=0,
        read_bytes=moved // 2,
        written_bytes=moved - moved // 2,
        new_bytes=0,
    )


def test_three_times_by_hand() -> None:
    ops = [
        op(10_000_000, 400_000),  # 20 µs of arithmetic, 4 µs of traffic
        op(0, 3_000_000, kind="elementwise"),  # 30 µs of traffic
        op(0, 100, kind="elementwise"),  # nothing but its start
    ]
    place = roofline(ops, CEILINGS, measured_ms=0.1)
    assert place.compute_ms == pytest.approx(0.020)
    assert place.memory_ms == pytest.approx(0.034001)
    assert place.overhead_ms == pytest.approx(0.015)
    assert place.attainable_ms == pytest.approx(0.034001)
    assert place.attained == pytest.approx(0.34001)
    assert place.predicted_ms == pytest.approx(0.020 + 0.030 + 0.005)
    assert place.bound == "memory"


@pytest.mark.parametrize(
    ("ops", "bound"),
    [
        ([op(50_000_000, 100)], "compute"),
        ([op(50_000, 90_000_000)], "memory"),
        ([op(50_000, 10_000)] * 3, "overhead"),
        ([], "compute"),
    ],
)
def test_the_bound_is_the_largest_time(ops: list[OpRecord], bound: str) -> None:
    place = roofline(ops, CEILINGS, None)
    assert place.bound == bound
    assert place.attained is None


def test_views_cost_a_part_of_a_start() -> None:
    views = [op(kind="view"), op(kind="bookkeeping")]
    assert roofline(views, CEILINGS, None).overhead_ms == pytest.approx(2 * VIEW_SHARE * 0.005)


def test_each_operation_comes_under_its_own_dtype() -> None:
    place = roofline([op(2_000_000), op(2_000_000, dtype="bfloat16")], CEILINGS, None)
    assert place.compute_ms == pytest.approx(0.004 + 0.001)


def test_the_weights_of_a_mixed_product_do_not_decide() -> None:
    mixed = replace(
        op(2_000_000),
        inputs=(TensorRef((1,), "int8", 0), TensorRef((1,), "bfloat16", 1)),
    )
    assert roofline([mixed], CEILINGS, None).compute_ms == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("dtype", "rates", "taken"),
    [
        ("float16", {"float32": 1.0, "bfloat16": 4.0}, 4.0),
        ("bfloat16", {"float32": 1.0, "float16": 8.0}, 8.0),
        ("float16", {"float32": 1.0, "float64": 0.5}, 1.0),
        ("float64", {"float32": 1.0, "bfloat16": 4.0}, 1.0),
        ("float64", {"bfloat16": 4.0, "float16": 8.0}, 4.0),
        ("qint8", {"float32": 1.0, "int8": 9.0}, 9.0),
        ("qint8", {"float32": 1.0}, 1.0),
    ],
)
def test_a_dtype_without_a_limit(dtype: str, rates: dict[str, float], taken: float) -> None:
    ceilings = replace(CEILINGS, gflops=rates)
    ops = [op(500_000_000, dtype=dtype)]
    assert roofline(ops, ceilings, None).compute_ms == pytest.approx(1000 / taken)
    notes = ceiling_notes(ops, ceilings)
    known = "int8" if dtype == "qint8" else dtype
    if known in rates:
        assert notes == ()
    else:
        (note,) = notes
        assert note.startswith(f"no limit of {known} arithmetic is known for a device")
        assert next(name for name, rate in rates.items() if rate == taken) in note


def test_operations_without_arithmetic_need_no_limit_of_it() -> None:
    ops = [op(0, 100, dtype="float64", kind="elementwise")]
    assert ceiling_notes(ops, CEILINGS) == ()
    nothing = replace(CEILINGS, gflops={})
    assert roofline([op(1_000_000, 200_000)], nothing, None).compute_ms == 0
    assert ceiling_notes([op(1)], nothing) == (
        "no limit of arithmetic is known for a device: none is applied",
    )


def test_convolutions_use_tf32_where_products_do_not() -> None:
    ceilings = replace(CEILINGS, gflops={"float32": 1000.0, "tf32": 8000.0, "bfloat16": 16000.0})
    both = [op(4_000_000), op(4_000_000, name="aten.convolution")]
    assert roofline(both, ceilings, None).compute_ms == pytest.approx(0.008 + 0.001)
    half = op(4_000_000, name="aten.convolution", dtype="bfloat16")
    assert roofline([half], ceilings, None).compute_ms == pytest.approx(0.0005)
    assert ceiling_notes([*both, half], ceilings) == ()


def test_under_autocast_float32_runs_at_its_rate() -> None:
    ceilings = replace(CEILINGS, gflops={"float64": 500.0, "float32": 1000.0, "bfloat16": 4000.0})
    work = [op(4_000_000), op(4_000_000, name="aten.convolution"), op(4_000_000, dtype="float64")]
    place = roofline(work, under_autocast(ceilings, "bfloat16"), None)
    assert place.compute_ms == pytest.approx(0.002 + 0.002 + 0.016)
    assert ceiling_notes(work, ceilings, autocast="bfloat16") == ()


@pytest.mark.parametrize(("wanted", "ms"), [("float16", 0.002), ("bfloat16", 0.002)])
def test_autocast_without_a_limit_of_its_own(wanted: str, ms: float) -> None:
    ceilings = replace(CEILINGS, gflops={"float32": 1000.0, "float16": 4000.0})
    place = roofline([op(4_000_000)], under_autocast(ceilings, wanted), None)
    assert place.compute_ms == pytest.approx(ms)
    notes = ceiling_notes([op(4_000_000)], ceilings, autocast=wanted)
    assert [("bfloat16" in note, "float16 is used" in note) for note in notes] == (
        [] if wanted == "float16" else [(True, True)]
    )
    for gflops in ({}, {"float32": 1000.0, "tf32": 2000.0}):
        alone = replace(CEILINGS, gflops=gflops)
        assert under_autocast(alone, wanted) == alone


def test_efficiency_is_for_predictions_alone() -> None:
    ops = [op(10_000_000, 400_000), op(0, 3_000_000, kind="elementwise"), op()]
    described = replace(CEILINGS, efficiency={"compute": 0.5, "memory": 0.75})
    place = roofline(ops, described, 1.0)
    assert place.predicted_ms == pytest.approx(0.040 + 0.040 + 0.005)
    assert replace(place, predicted_ms=0.0) == replace(
        roofline(ops, CEILINGS, 1.0), predicted_ms=0.0
    )
    partly = replace(CEILINGS, efficiency={"memory": 0.75})
    assert roofline(ops, partly, None).predicted_ms == pytest.approx(0.020 + 0.040 + 0.005)


def test_a_traced_linear_layer() -> None:
    module = nn.Linear(256, 512)
    place = roofline(trace(module, (64, 256)).ops, CEILINGS, None)
    assert place.compute_ms == pytest.approx(2 * 64 * 256 * 512 / 1e9)
    moved = 4 * (64 * 256 + 256 * 512 + 512 + 64 * 512)
    assert place.memory_ms == pytest.approx(moved / 1e8)
    # The weight is transposed by a view.
    assert place.overhead_ms == pytest.approx(0.005 * (1 + VIEW_SHARE))
    assert place.predicted_ms == pytest.approx(2 * 64 * 256 * 512 / 1e9 + 0.005 * VIEW_SHARE)


def test_a_traced_convolution_in_half_precision() -> None:
    module = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    record = trace(module, (2, 16, 20, 20), dtype="bfloat16")
    place = roofline(record.ops, CEILINGS, None)
    macs = 2 * 32 * 20 * 20 * 16 * 9
    assert place.compute_ms == pytest.approx(2 * macs / 4e9)
    moved = 2 * (2 * 16 * 400 + 32 * 16 * 9 + 2 * 32 * 400)
    assert place.memory_ms == pytest.approx(moved / 1e8)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Linear(32, 32), nn.ReLU())
        self.right = nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.left(x) + self.right(self.right(x))


def test_modules_have_what_runs_below_them() -> None:
    record = trace(Branches(), (8, 32))
    places = module_rooflines(record, CEILINGS, {"": 0.5, "left": 0.25})
    assert places.keys() == {"", "left", "left.0", "left.1", "right"}
    one = 2 * 8 * 32 * 32 / 1e9
    assert places["left"].compute_ms == pytest.approx(one)
    assert places["left.1"].compute_ms == 0
    assert places["right"].compute_ms == pytest.approx(2 * one)  # called twice
    assert places["left"].memory_ms == pytest.approx(
        places["left.0"].memory_ms + places["left.1"].memory_ms
    )
    whole = roofline(record.ops, CEILINGS, 0.5)
    assert places[""].predicted_ms == pytest.approx(whole.predicted_ms)
    assert places[""].attained == pytest.approx(whole.attained)
    assert places["left"].attained == pytest.approx(places["left"].attainable_ms / 0.25)
    assert places["right"].attained is None


def test_a_training_step() -> None:
    record = trace(Branches(), (8, 32), mode="training", optimizer="sgd")
    places = module_rooflines(record, CEILINGS, {"left": 0.5})
    one = 2 * 8 * 32 * 32 / 1e9
    # Each product has two gradients; the input of the module needs none.
    assert places["left"].compute_ms == pytest.approx(2 * one)
    assert places["right"].compute_ms == pytest.approx((2 + 3) * one)
    assert places["left"].attained == pytest.approx(places["left"].attainable_ms / 0.5)
    assert places[OPTIMIZER].compute_ms == 0
    assert places[OPTIMIZER].memory_ms > 0
    whole = roofline(record.ops, CEILINGS, None)
    assert places[""].predicted_ms == pytest.approx(whole.predicted_ms)
    assert places[""].compute_ms == pytest.approx(7 * one)
