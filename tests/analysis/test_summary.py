"""The summary as a pure function of the trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import blocktool
from blocktool.analysis.summary import ancestors, summarize_trace
from blocktool.trace.tracer import trace


class Inner(nn.Module):
    def __init__(self, shared: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.act = shared

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(x))


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        shared = nn.Conv2d(4, 4, 1, bias=False)
        self.blocks = nn.ModuleList([Inner(shared), Inner(shared)])
        self.unused = nn.Linear(3, 3)
        self.helpers = [nn.Linear(4, 2, bias=False)]

    def forward(self, x: torch.Tensor, *, flag: bool = False) -> dict[str, torch.Tensor]:
        for block in self.blocks:
            x = block(x)
        return {"map": x, "pooled": x.mean((2, 3))}


CONV, SHARED = 2 * 36 * 4 * 4 * 9, 2 * 36 * 4 * 4


def test_parents_include_their_children_and_containers_theirs() -> None:
    summary = summarize_trace(trace(Outer(), (2, 4, 6, 6)))
    rows = {row.path: row for row in summary.modules}
    assert rows["blocks.0.conv"].macs == CONV
    assert rows["blocks.0"].macs == CONV + SHARED
    assert rows["blocks"].macs == rows[""].macs == 2 * (CONV + SHARED) == summary.totals.macs
    assert rows["blocks"].calls == 0
    assert rows["blocks.0"].output_shapes == ((2, 4, 6, 6),)
    for field in ("elementwise_flops", "activation_bytes", "read_bytes", "written_bytes"):
        assert getattr(rows[""], field) == getattr(summary.totals, field)
        assert getattr(rows["blocks"], field) == sum(
            getattr(rows[f"blocks.{i}"], field) for i in (0, 1)
        )


def test_a_shared_module_is_seen_where_it_is_called_and_counted_once() -> None:
    summary = summarize_trace(trace(Outer(), (2, 4, 6, 6)))
    rows = {row.path: row for row in summary.modules}
    assert rows["blocks.0.act"].calls == rows["blocks.1.act"].calls == 1
    assert rows["blocks.0.act"].params == rows["blocks.1.act"].params == 16
    assert rows["blocks"].params == 2 * (4 * 4 * 9 + 4) + 16
    assert summary.totals.params == rows["blocks"].params + 12


def test_a_module_that_never_runs_has_a_row() -> None:
    row = next(
        r for r in summarize_trace(trace(Outer(), (2, 4, 6, 6))).modules if r.path == "unused"
    )
    assert (row.calls, row.params, row.macs, row.output_shapes) == (0, 12, 0, ())


def test_depth_counts_the_callers() -> None:
    depths = {r.path: r.depth for r in summarize_trace(trace(Outer(), (2, 4, 6, 6))).modules}
    assert depths[""] == 0
    assert depths["blocks"] == depths["blocks.0"] == depths["unused"] == 1
    assert depths["blocks.0.conv"] == 2


def test_outputs_are_named() -> None:
    summary = summarize_trace(trace(Outer(), (2, 4, 6, 6)))
    assert [(spec.name, spec.shape) for spec in summary.outputs] == [
        ("map", (2, 4, 6, 6)),
        ("pooled", (2, 4)),
    ]


def test_operations_add_up_to_the_totals() -> None:
    summary = summarize_trace(trace(Outer(), (2, 4, 6, 6), mode="training"))
    for field in ("macs", "elementwise_flops", "read_bytes", "written_bytes"):
        total = getattr(summary.totals, field)
        assert sum(getattr(row, field) for row in summary.ops) == total
        assert sum(getattr(row, field) for row in summary.phases) == total
    assert [phase.phase for phase in summary.phases] == ["forward", "backward"]


def test_trainable_parameters_are_told_apart() -> None:
    module = Outer()
    module.blocks[0].conv.weight.requires_grad_(False)
    totals = summarize_trace(trace(module, (2, 4, 6, 6))).totals
    assert totals.params - totals.trainable_params == 4 * 4 * 9


def test_an_operation_of_no_known_kind_is_uncovered() -> None:
    @torch.library.custom_op("blocktool_tests::odd", mutates_args=())
    def odd(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @odd.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    class Uses(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return odd(odd(x))

    summary = summarize_trace(trace(nn.Sequential(Uses()), (2, 4)))
    (row,) = summary.uncovered_ops
    assert (row.op, row.calls, row.module) == ("blocktool_tests.odd", 2, "0")


def test_a_registered_formula_covers_a_custom_operation() -> None:
    from torch.utils.flop_counter import register_flop_formula

    @torch.library.custom_op("blocktool_tests::product", mutates_args=())
    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b

    @product.register_fake
    def _(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a.new_empty(a.shape[0], b.shape[1])

    @register_flop_formula(torch.ops.blocktool_tests.product)
    def _(a_shape: tuple[int, int], b_shape: tuple[int, int], **_: object) -> int:
        return 2 * a_shape[0] * a_shape[1] * b_shape[1]

    class Uses(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return product(a, b)

    summary = summarize_trace(trace(Uses(), [torch.zeros(3, 4), torch.zeros(4, 5)]))
    assert summary.uncovered_ops == ()
    assert summary.totals.macs == 60


def test_bytes_are_those_of_eager_execution() -> None:
    totals = summarize_trace(trace(nn.Linear(4, 5), (2, 4))).totals
    assert totals.read_bytes == 4 * (2 * 4 + 4 * 5 + 5)
    assert totals.written_bytes == totals.activation_bytes == 4 * 2 * 5
    assert totals.arithmetic_intensity == pytest.approx((2 * 40 + 10) / (132 + 40))
    copied = summarize_trace(trace(nn.Flatten(), (2, 4, 4))).totals
    assert copied.read_bytes == copied.written_bytes == 0


def test_an_embedding_reads_the_rows_it_gives() -> None:
    totals = summarize_trace(trace(nn.Embedding(1000, 8), torch.zeros(3, dtype=torch.int64))).totals
    assert totals.read_bytes == 3 * 8 * 4 + 3 * 8
    assert totals.macs == 0


def test_the_public_functions() -> None:
    summary = blocktool.summarize(nn.Conv2d(8, 16, 3, padding=1), (2, 8, 10, 10))
    assert summary.totals.macs == 2 * 100 * 8 * 16 * 9
    assert summary.target == "Conv2d"
    record = blocktool.trace(nn.Linear(4, 5), {"input": torch.zeros(2, 4)}, name="mine")
    assert record.target == "mine"
    assert record.inputs[0].name == "input"


def test_ancestors() -> None:
    assert list(ancestors("a.b.c")) == ["a.b.c", "a.b", "a", ""]
    assert list(ancestors("")) == [""]
