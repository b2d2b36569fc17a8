"""``blocktool.profile``: in the caller's process, on a copy."""

from __future__ import annotations

import pickle
import random
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode

import blocktool
from blocktool.errors import InputError, ModuleError, UsageError
from blocktool.measure import case as measured_case
from blocktool.measure import timing
from blocktool.measure import variants as all_variants
from blocktool.measure.changed import Changed

QUICK = {"min_seconds": 0.02, "max_seconds": 0.05, "device": "cpu", "ceilings": False}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out: torch.Tensor = self.drop(self.norm(self.conv(x)))
        return out


@pytest.mark.parametrize("mode", ["inference", "forward", "training"])
def test_the_module_is_left_as_it_was(mode: str) -> None:
    net = Net()
    net.train()
    net.drop.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    profile = blocktool.profile(net, (4, 3, 8, 8), mode=mode, per_module=True, **QUICK)
    assert profile.cases[0].outcome == "passed"
    assert net.training
    assert not net.drop.training
    assert net.calls == 0
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert not net._forward_hooks
    assert not net._forward_pre_hooks


def test_what_is_timed_carries_no_hooks_and_no_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    original, call = timing.timed, nn.Module.__call__
    looked_at: list[bool] = []

    def looking(step, *args, **kwargs):  # type: ignore[no-untyped-def]
        looked_at.append(
            _get_current_dispatch_mode() is None
            and not _get_current_function_mode_stack()
            and nn.Module.__call__ is call
            and not nn.modules.module._global_forward_hooks
            and not nn.modules.module._global_forward_pre_hooks
        )
        return original(step, *args, **kwargs)

    class Watching(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert not any(
                m._forward_hooks or m._forward_pre_hooks or m._backward_hooks
                for m in self.modules()
            )
            return super().forward(x)

    monkeypatch.setattr(measured_case, "timed", looking)
    blocktool.profile(Watching(), (2, 3, 8, 8), mode="training", per_module=True, **QUICK)
    assert looked_at == [True]


def test_tensors_of_the_users_are_used_as_they_are() -> None:
    seen: list[torch.Tensor] = []

    class Looks(nn.Module):
        def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
            seen.append(x.clone())
            return x * scale

    given = torch.arange(6.0).reshape(2, 3)
    blocktool.profile(Looks(), {"x": given, "scale": 2.0}, **QUICK)
    assert all(torch.equal(x, given) for x in seen if not x.is_meta)


def test_batches_and_dtypes() -> None:
    profile = blocktool.profile(
        Net(), (1, 3, 8, 8), batch=[1, 4], dtype=["float32", "bf16"], **QUICK
    )
    found = [(case.batch, case.dtype) for case in profile.cases]
    assert found == [(1, "float32"), (1, "bfloat16"), (4, "float32"), (4, "bfloat16")]
    assert profile.protocol.isolated is False
    assert profile.measured_seconds <= profile.seconds


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    profile = blocktool.profile(nn.Linear(4, 4), (1, 4), threads=2, **QUICK)
    assert profile.machine is not None
    assert profile.machine.threads == 2
    assert torch.get_num_threads() == before


def test_a_module_that_raises() -> None:
    class Never(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("not today")

    with pytest.raises(ModuleError, match="not today") as caught:
        blocktool.profile(Never(), (1, 3), **QUICK)
    assert any("test_here.py" in line for line in caught.value.details)


class Draws(nn.Module):
    """Draws from all generators."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * random.random() * float(np.random.rand()) + torch.rand_like(x)


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch_state, own, numpys = (
        torch.get_rng_state(),
        random.getstate(),
        pickle.dumps(np.random.get_state()),
    )
    settings = {**QUICK, "ceilings": True}
    report = blocktool.profile(Draws(), (1, 3), mode="forward", variants=["bf16"], **settings)
    assert [case.outcome for case in report.cases] == ["passed", "passed"]
    assert all("random numbers" in str(case.notes) for case in report.cases)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == own
    assert pickle.dumps(np.random.get_state()) == numpys


def test_the_compilers_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch._inductor.config as inductor
    set_to: list[int] = []

    def changed(name: str, module: nn.Module, arguments: Any, mode: str, **_: object) -> Changed:
        if name != "eager":
            inductor.compile_threads = 1  # as compiling does
            set_to.append(inductor.compile_threads)
        return Changed(module, arguments)

    monkeypatch.setattr(all_variants, "changed", changed)
    with inductor.patch(compile_threads=7):
        blocktool.profile(nn.Linear(3, 3), (1, 3), variants=["compile"], **QUICK)
        assert set_to == [1]
        assert inductor.compile_threads == 7


def test_running_out_of_memory_is_no_fault_of_the_inputs() -> None:
    class Large(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not x.is_meta:
                torch.empty(1 << 46, dtype=torch.uint8)
            return x

    with pytest.raises(ModuleError, match="memory"):
        blocktool.profile(Large(), (1, 3), **QUICK)


def test_wrong_arguments() -> None:
    with pytest.raises(UsageError):
        blocktool.profile(Net(), (1, 3, 8, 8), variants=["fusedd"], **QUICK)
    with pytest.raises(InputError):
        blocktool.profile(Net(), None, **QUICK)
    with pytest.raises(UsageError):
        blocktool.profile(Net(), (1, 3, 8, 8), device="cuda:99", min_seconds=0.1)
    with pytest.raises(ModuleError):
        blocktool.profile(Net(), (1, 4, 8, 8), **QUICK)


@pytest.mark.parametrize(
    ("factor", "told"), [(float("nan"), "not finite"), (1e-41, "denormal"), (1.0, None)]
)
def test_values_that_are_not_worth_timing_are_told(factor: float, told: str | None) -> None:
    class Scaled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * factor

    profile = blocktool.profile(Scaled(), (4, 4), **QUICK)
    kinds = [notice.message for notice in profile.warnings if notice.kind == "inputs"]
    if told is None:
        assert kinds == []
    else:
        assert told in kinds[0]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown mode 'train'"):
        blocktool.profile(Net(), (1, 3, 8, 8), mode="train", **QUICK)  # type: ignore[arg-type]


def test_an_exception_without_words() -> None:
    class MuteError(ValueError):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    class Never(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise MuteError

    with pytest.raises(ModuleError, match="MuteError"):
        blocktool.profile(Never(), (1, 3), **QUICK)


def test_a_module_that_takes_nothing() -> None:
    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.ones(4, 4))

        def forward(self) -> torch.Tensor:
            return self.table @ self.table

    (case,) = blocktool.profile(Alone(), None, **QUICK).cases
    assert (case.outcome, case.batch, case.macs) == ("passed", None, 64)
