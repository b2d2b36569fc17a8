"""Nothing about the user's module, or about torch, changes."""

from __future__ import annotations

import copy
import gc
import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from blocktool.errors import ModuleError
from blocktool.trace.tracer import trace


class Odd(nn.Module):
    """Does in its forward everything that a module should not do."""

    def __init__(self, fails: bool = False, lazy: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.last = nn.LazyConv2d(2, 1) if lazy else nn.Conv2d(4, 2, 1)
        self.frozen = nn.BatchNorm2d(4).eval()
        self.scale = torch.tensor(2.0)
        self.tensors = [torch.ones(1), {"deep": torch.ones(1)}]
        self.register_buffer("count", torch.zeros(1))
        self.cache: dict[str, Any] = {}
        self.history: list[Any] = [1]
        self.calls = 0
        self.fails = fails

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.frozen(self.norm(self.conv(x)))
        self.calls += 1
        self.history.append(x)
        self.cache["x"] = x
        self.extra = x
        self.count += 1
        with torch.no_grad():
            self.conv.bias.mul_(2)
        self.conv.register_forward_hook(lambda *_: None)
        torch.set_grad_enabled(False)
        torch.set_grad_enabled(True)
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        if self.fails:
            torch.set_default_dtype(torch.float64)
            raise ValueError("as asked")
        return self.last(self.drop(x * self.scale + self.tensors[0] + self.tensors[1]["deep"]))


def state(module: nn.Module) -> dict[str, Any]:
    """All that could be seen of a module from outside."""
    tensors = {
        name: value.clone() if not nn.parameter.is_lazy(value) else None
        for name, value in [*module.named_parameters(), *module.named_buffers()]
    }
    return {
        "tensors": tensors,
        "identities": {name: id(p) for name, p in module.named_parameters()},
        "versions": {
            name: p._version for name, p in module.named_parameters() if tensors[name] is not None
        },
        "grads": {
            name: None if p.grad is None else p.grad.clone()
            for name, p in module.named_parameters()
        },
        "train": {name: m.training for name, m in module.named_modules()},
        "types": {name: type(m) for name, m in module.named_modules()},
        "attributes": {name: sorted(m.__dict__) for name, m in module.named_modules()},
        "hooks": {
            name: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for name, m in module.named_modules()
        },
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return bool(a == b)


def torch_state() -> tuple[Any, ...]:
    return (
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.mha.get_fastpath_enabled(),
        nn.Module.__call__,
        gc.isenabled(),
        torch.nn.functional.scaled_dot_product_attention,
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
    )


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("device", ["meta", "fake", "cpu"])
@pytest.mark.parametrize("mode", ["forward", "training"])
def test_nothing_changes(fails: bool, device: str, mode: Any) -> None:
    module = Odd(fails, lazy=device != "fake")
    module.norm.eval()
    x = torch.randn(2, 3, 8, 8)
    kept = x.clone()
    next(module.parameters()).grad = torch.ones(4, 3, 3, 3)
    hooked: list[int] = []
    module.conv.weight.register_hook(lambda grad: hooked.append(1))
    before, torch_before = state(module), torch_state()
    if fails:
        with pytest.raises(ModuleError, match="ValueError: as asked"):
            trace(module, x, device=device, mode=mode)
    else:
        trace(module, x, device=device, mode=mode, optimizer="adam" if mode == "training" else None)
    assert same(before, state(module))
    assert torch_before == torch_state()
    assert torch.equal(x, kept)
    assert hooked == []
    assert module.calls == 0
    assert module.history == [1]
    assert module.cache == {}
    assert module.scale.device.type == "cpu"
    assert module.tensors[1]["deep"].device.type == "cpu"


class Store:
    """A plain object that a module keeps."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.last: Any = None


class Keeps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.nested = ([1], {"a": [2]})
        self.layers = [nn.Linear(4, 4), nn.BatchNorm1d(4)]
        self.loop: dict[str, Any] = {}
        self.loop["self"] = self.loop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        self.store.seen.append(x)
        self.store.last = x
        self.nested[0].append(x)
        self.nested[1]["a"].append(x)
        torch.set_num_threads(1)
        torch.set_float32_matmul_precision("medium")
        return x


@pytest.mark.parametrize("device", ["meta", "fake", "cpu"])
@pytest.mark.parametrize("mode", ["forward", "training"])
def test_objects_and_unregistered_layers_are_left_alone(device: str, mode: Any) -> None:
    module = Keeps()
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    record = trace(module, (2, 4), device=device, mode=mode)
    assert sum(op.macs for op in record.ops if op.phase == "forward") == 2 * 4 * 4
    assert (module.store.seen, module.store.last) == ([], None)
    assert module.nested == ([1], {"a": [2]})
    assert module.loop["self"] is module.loop
    assert module.layers[0].weight.grad is None
    assert torch.equal(module.layers[1].running_mean, torch.zeros(4))
    assert type(module.layers[0].weight) is nn.Parameter
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (threads, precision)
    module(torch.ones(2, 4))


def test_a_container_that_layers_share_stays_shared() -> None:
    class Writes(nn.Module):
        def __init__(self, shared: dict[str, torch.Tensor]) -> None:
            super().__init__()
            self.shared = shared

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.shared["y"] = x
            return x

    class Reads(Writes):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.shared["y"] + x

    shared = {"x": torch.zeros(1)}
    module = nn.Sequential(Writes(shared), Reads(shared))
    assert trace(module, (2, 4)).traced_on == "meta"
    assert list(shared) == ["x"]


def test_two_threads_take_turns() -> None:
    call = nn.Module.__call__
    records: list[Any] = []
    module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(50)))
    threads = [
        threading.Thread(target=lambda: records.append(trace(module, (2, 4)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(record.calls) == 51 for record in records)
    assert len(records) == 4
    assert nn.Module.__call__ is call


def test_inside_inference_mode_a_training_step_has_its_backward() -> None:
    with torch.inference_mode():
        record = trace(nn.Linear(4, 5), (2, 4), mode="training")
        assert torch.is_inference_mode_enabled()
    assert {op.phase for op in record.ops} == {"forward", "backward"}


def test_train_flags_are_honoured_where_the_module_is_in_train_mode() -> None:
    module = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3)).train()
    module[1].eval()
    record = trace(module, (4, 3, 5, 5), mode="training")
    norms = [op for op in record.ops if op.op == "aten.native_batch_norm"]
    # Statistics of the batch are saved by the first norm alone.
    assert [op.outputs[1].shape for op in norms] == [(3,), (0,)]


def test_a_compiled_module_is_traced_as_its_original() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    compiled = torch.compile(module, backend="eager")
    record = trace(compiled, (1, 3, 8, 8))
    assert record.ops == trace(module, (1, 3, 8, 8)).ops
    assert any("compil" in note for note in record.notes)


def test_a_compiled_submodule_runs_as_it_was_written() -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.T

    module = nn.Sequential(nn.Linear(4, 5), torch.compile(Inner(), backend=backend))
    assert sum(op.macs for op in trace(module, (2, 4)).ops) == 2 * 4 * 5 + 2 * 5 * 2
    assert graphs == []


def test_a_module_that_cannot_be_copied_is_traced() -> None:
    class Locked(nn.Linear):
        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("cannot be copied")

    module = Locked(4, 5)
    with pytest.raises(RuntimeError):
        copy.deepcopy(module)
    assert sum(op.macs for op in trace(module, (2, 4)).ops) == 2 * 4 * 5


def test_gradients_of_others_survive_training() -> None:
    module = nn.Linear(4, 5)
    module(torch.randn(2, 4)).sum().backward()
    grad = module.weight.grad
    trace(module, (2, 4), mode="training", optimizer="sgd")
    assert module.weight.grad is grad
