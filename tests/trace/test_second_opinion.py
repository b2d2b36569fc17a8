"""fvcore's count, taken without changing anything and without noise."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Project
from torch import nn

from blocktool.results.specs import TensorSpec
from blocktool.results.trace import OpTrace, StorageLife
from blocktool.targets.resolve import resolve
from blocktool.trace import second_opinion as subject
from blocktool.trace.host_memory import available_memory, memory_needed
from blocktool.trace.second_opinion import second_opinion, second_opinion_of_target
from blocktool.trace.target import trace_target
from blocktool.trace.tracer import trace


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)
        self.spare = nn.Linear(2, 2)
        self.same_head = self.head
        self.fails = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.norm(self.conv(x)))
        if self.fails:
            raise ValueError("as asked")
        y = x.mean((2, 3))
        out: torch.Tensor = self.head(y) + self.same_head(y) + F.gelu(y).sum()
        return out


X = (2, 3, 8, 8)
COUNTS = {
    ("conv", "conv"): 2 * 64 * 8 * 27,
    ("norm", "batch_norm"): 2 * 2 * 64 * 8,
    ("head", "linear"): 2 * 2 * 8 * 5,
}


def test_counts_by_module_and_operation_are_fvcores_own() -> None:
    opinion = second_opinion(Small(), X)
    counts: Counter[tuple[str, str]] = Counter()
    for op in opinion.counted:
        counts[op.path, op.op] += op.macs
    assert counts == COUNTS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        plain = FlopCountAnalysis(Small().eval(), torch.randn(X))
        plain.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        assert opinion.total == plain.total() == sum(COUNTS.values())
        skipped = plain.unsupported_ops()
    assert Counter({op.op: op.calls for op in opinion.skipped if op.path == ""}) == skipped
    assert ("same_head", "head") in opinion.canonical
    assert opinion.uncalled == ("spare",)
    assert opinion.unavailable is None


def test_shapes_are_noted() -> None:
    op = next(op for op in second_opinion(Small(), X).counted if op.op == "conv")
    assert op.shapes[:2] == (X, (8, 3, 3, 3))


def test_nothing_is_printed_logged_or_warned(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("error")
        second_opinion(Small(), X)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if "fvcore" in record.name] == []


@pytest.mark.parametrize("fails", [False, True])
def test_the_module_and_torch_are_as_they_were(fails: bool) -> None:
    module = Small()
    module.norm.eval()
    module.fails = fails
    before = {name: (id(t), t.detach().clone()) for name, t in module.state_dict().items()}
    identities = {name: id(p) for name, p in module.named_parameters()}
    flags = [m.training for m in module.modules()]
    random_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
    opinion = second_opinion(module, X)
    assert (opinion.unavailable is not None) == fails
    assert {name: id(p) for name, p in module.named_parameters()} == identities
    assert [m.training for m in module.modules()] == flags
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name][1])
    for submodule in module.modules():
        assert not submodule._forward_hooks
        assert not submodule._forward_pre_hooks
    assert torch.equal(torch.get_rng_state(), random_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch._C._get_tracing_state() is None


def test_buffers_that_the_forward_changes_are_not_changed() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    mean = module[1].running_mean
    second_opinion(module, X)
    assert module[1].running_mean is mean
    assert torch.equal(mean, torch.zeros(4))
    assert int(module[1].num_batches_tracked) == 0


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(8, 4)

    def forward(self, batch: dict[str, Any], *, flag: bool) -> dict[str, Any]:
        return {"out": [self.module(batch["x"])] if flag else None, "label": "text"}


def test_nested_and_named_inputs_and_outputs() -> None:
    inputs = {"batch": {"x": torch.randn(3, 8), "note": "text"}, "flag": True}
    opinion = second_opinion(Nested(), inputs)
    assert [(op.path, op.macs) for op in opinion.counted] == [("module", 3 * 8 * 4)]


def test_modules_on_meta_and_lazy_modules() -> None:
    with torch.device("meta"):
        module = Small()
    assert second_opinion(module, X).total == sum(COUNTS.values())
    assert module.conv.weight.is_meta
    lazy = nn.Sequential(nn.LazyConv2d(4, 3, padding=1))
    assert second_opinion(lazy, X).total == 2 * 64 * 4 * 27
    assert isinstance(lazy[0], nn.LazyConv2d)


def test_half_precision() -> None:
    opinion = second_opinion(nn.Linear(8, 4), (3, 8), dtype="bfloat16")
    assert opinion.total == 3 * 8 * 4


class Vector(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ x[0]


class Silent(nn.Module):
    def forward(self, x: torch.Tensor) -> None:
        x @ x


class OnlyTensors(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("Not while tracing\nand more")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Vector(), "its handler of aten::matmul fails on 8x8, 8 in '' (IndexError: list index"),
        (Silent(), "returns no tensor"),
        (OnlyTensors(), "cannot count this module: RuntimeError: Not while tracing"),
    ],
)
def test_what_fvcore_cannot_count_is_said_in_one_line(module: nn.Module, reason: str) -> None:
    opinion = second_opinion(module, (8, 8))
    assert opinion.unavailable is not None
    assert reason in opinion.unavailable
    assert "\n" not in opinion.unavailable
    assert opinion.counted == ()
    assert opinion.total == 0


SOURCE = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 6)
            self.second = nn.Linear(6, 4)

        def forward(self, x):
            return self.second(self.first(x))
"""


def test_a_target_and_a_selected_submodule(project: Project) -> None:
    project.write("net.py", SOURCE)
    target = resolve("net.py:Net", [])
    inputs = (TensorSpec((3, 8)),)
    record = trace_target(target, inputs)
    opinion = second_opinion_of_target(target, record, inputs)
    assert opinion.total == 3 * (8 * 6 + 6 * 4)
    record = trace_target(target, inputs, select="second")
    opinion = second_opinion_of_target(target, record, inputs, select="second")
    assert opinion.total == 3 * 6 * 4


def test_a_target_that_needs_too_much_memory_is_not_built(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("net.py", SOURCE)
    target = resolve("net.py:Net", [])
    inputs = (TensorSpec((3, 8)),)
    record = trace_target(target, inputs)
    monkeypatch.setattr(subject, "available_memory", lambda: memory_needed(record) - 1)
    opinion = second_opinion_of_target(target, record, inputs)
    assert opinion.unavailable is not None
    assert opinion.unavailable.startswith("fvcore needs real tensors: about 0.0 GiB")
    monkeypatch.setattr(subject, "available_memory", lambda: memory_needed(record))
    assert second_opinion_of_target(target, record, inputs).unavailable is None


def _with_storages(record: OpTrace, *lives: StorageLife) -> OpTrace:
    import dataclasses

    return dataclasses.replace(record, storages=lives)


def test_memory_is_what_was_there_and_the_most_that_lives_at_once() -> None:
    record = trace(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.ReLU()), (4, 8))
    assert len(record.ops) >= 3
    lives = [
        StorageLife(0, 100, -1, None, "parameters"),
        StorageLife(1, 10, 0, 1, "activations"),
        StorageLife(2, 20, 1, 2, "activations"),
        StorageLife(3, 5, 2, None, "activations"),
    ]
    assert memory_needed(_with_storages(record, *lives)) == 100 + 10 + 20
    backward = StorageLife(4, 1000, len(record.ops), None, "gradients")
    assert memory_needed(_with_storages(record, *lives, backward)) == 100 + 10 + 20


def test_available_memory_is_plausible() -> None:
    available = available_memory()
    assert available is None or 2**20 < available < 2**50
