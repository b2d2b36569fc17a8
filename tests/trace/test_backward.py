"""Training: phases, attribution of the backward, checkpointing, optimizers."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from blocktool.analysis.memory import live_bytes, peak_memory
from blocktool.analysis.summary import summarize_trace
from blocktool.trace.optimizers import OPTIMIZERS
from blocktool.trace.tracer import trace

NET = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU6(inplace=True),
    nn.Conv2d(8, 8, 3, padding=1, groups=4),
    nn.SiLU(inplace=True),
    nn.Flatten(),
    nn.Linear(8 * 64, 10),
)
X = (2, 3, 8, 8)


def test_each_module_pays_for_its_own_backward() -> None:
    rows = {
        r.path: r for r in summarize_trace(trace(NET, X, mode="training", input_grad=True)).modules
    }
    forward = {r.path: r for r in summarize_trace(trace(NET, X)).modules}
    for path in ("0", "3", "6", ""):
        assert rows[path].macs == 3 * forward[path].macs > 0


def test_no_backward_is_left_to_the_root() -> None:
    record = trace(NET, X, mode="training")
    strays = Counter(
        op.op for op in record.ops if op.phase == "backward" and record.calls[op.call].path == ""
    )
    # The gradient that starts it all, and nothing else.
    assert set(strays) <= {"aten.ones", "aten.expand"}
    names = {op.op for op in record.ops if record.calls[op.call].path == "4"}
    assert "aten.silu_backward" in names


def test_a_module_used_twice_gets_both_backwards() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(torch.relu(self.linear(x)))

    summary = summarize_trace(trace(Twice(), (2, 16), mode="training", input_grad=True))
    row = next(r for r in summary.modules if r.path == "linear")
    assert row.calls == 2
    assert row.macs == 2 * 3 * 2 * 16 * 16


class Checkpointed(nn.Module):
    def __init__(self, on: bool, reentrant: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64)) for _ in range(4)
        )
        self.on = on
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + (checkpoint(block, x, use_reentrant=self.reentrant) if self.on else block(x))
        return x


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_costs_a_forward_and_saves_memory(reentrant: bool) -> None:
    plain = trace(Checkpointed(False), (64, 64), mode="training", input_grad=True)
    saved = trace(Checkpointed(True, reentrant), (64, 64), mode="training", input_grad=True)
    forward = sum(op.macs for op in plain.ops if op.phase == "forward")
    again = sum(op.macs for op in saved.ops if op.phase == "recompute")
    # The kind that is not reentrant stops before the last layer, whose result nobody needs.
    expected = forward if reentrant else forward // 2
    assert again == expected
    assert sum(op.macs for op in saved.ops) == 3 * forward + expected
    assert peak_memory(saved).peak_live_bytes < peak_memory(plain).peak_live_bytes
    rows = {row.path: row for row in summarize_trace(saved).modules}
    assert rows["blocks.0"].macs == (3 * forward + expected) // 4
    assert rows["blocks.0"].calls == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_steps(name: str) -> None:
    record = trace(NET, X, mode="training", optimizer=name)
    assert {op.phase for op in record.ops} == {"forward", "backward", "optimizer"}
    params = sum(t.nbytes for t in record.tensors if not t.buffer)
    held = sum(life.nbytes for life in record.storages if life.category == "optimizer")
    expected = {"sgd": 0, "sgd-momentum": 1, "adam": 2, "adamw": 2, "adagrad": 1}.get(name)
    if expected is not None:
        steps = 4 * sum(1 for t in record.tensors if not t.buffer)
        assert expected * params <= held <= expected * params + steps


def test_gradients_take_as_much_as_the_parameters() -> None:
    record = trace(NET, X, mode="training")
    params = sum(t.nbytes for t in record.tensors if not t.buffer)
    assert sum(s.nbytes for s in record.storages if s.category == "gradients") == params


def test_optimizer_state_is_there_from_the_start() -> None:
    without = live_bytes(trace(NET, X, mode="training", optimizer="sgd"))
    adam = trace(NET, X, mode="training", optimizer="adam")
    state = sum(s.nbytes for s in adam.storages if s.category == "optimizer" and s.died is None)
    assert live_bytes(adam)[0] - without[0] == state > 0


def test_without_anything_to_train_no_backward_runs() -> None:
    module = nn.Linear(4, 5).requires_grad_(False)
    record = trace(module, (2, 4), mode="training")
    assert {op.phase for op in record.ops} == {"forward"}
    assert any("no backward" in note for note in record.notes)


def test_integer_outputs_do_not_stop_a_backward() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 5)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = self.linear(x)
            return y, y.argmax(-1)

    record = trace(Both(), (2, 4), mode="training", input_grad=True)
    assert sum(op.macs for op in record.ops) == 3 * 2 * 4 * 5


def test_the_first_trace_of_a_process_is_like_the_others() -> None:
    code = """
import blocktool
from torch import nn
from blocktool.analysis.memory import peak_memory
made = []
for _ in range(2):
    act = nn.Hardtanh()
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), act, nn.Conv2d(8, 8, 3), act)
    record = blocktool.trace(net, (2, 3, 32, 32), mode="training")
    made.append((len(record.ops), peak_memory(record)))
assert made[0] == made[1], made
"""
    subprocess.run([sys.executable, "-c", code], check=True)
