from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from blocktool.measure import machine as measured
from blocktool.measure.gpu_state import GpuState
from blocktool.measure.machine import machine

CPU = torch.device("cpu")


@pytest.fixture
def switches() -> Iterator[None]:
    """Puts back what a test has switched."""
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    yield
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def test_the_cpu_as_torch_knows_it(switches: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    torch.set_num_threads(3)
    found = machine(CPU)
    assert (found.device, found.threads, found.driver) == ("cpu", 3, None)
    assert found.name
    assert found.settings["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert found.settings["OMP_WAIT_POLICY"] == "passive"
    assert "CUDA_LAUNCH_BLOCKING" not in found.settings
    assert not any("cud" in name for name in found.settings)


@pytest.mark.parametrize("on", [False, True])
def test_switches_are_told(on: bool, switches: None) -> None:
    if not torch.set_flush_denormal(on):
        pytest.skip("this processor always keeps the smallest numbers")
    torch.set_float32_matmul_precision("high" if on else "highest")
    settings = machine(CPU).settings
    assert settings["flush_denormal"] == str(on)
    assert settings["float32_matmul_precision"] == ("high" if on else "highest")


def test_old_and_new_switches_may_be_mixed() -> None:
    # In a process of its own: torch refuses to tell only where nobody has used the old switches.
    code = """
import warnings
import torch
from blocktool.measure import machine as measured

torch.backends.cuda.matmul.fp32_precision = "tf32"
try:
    torch.get_float32_matmul_precision()
except RuntimeError as error:
    assert "mix" in str(error), error
else:
    raise AssertionError("torch tells, so that there is nothing to test")
with warnings.catch_warnings():
    warnings.simplefilter("error")
    settings = measured.machine(torch.device("cpu")).settings
    assert "float32_matmul_precision" not in settings, settings
    asked = measured._switches(torch.device("cuda"))
    told = {name: measured._asked(ask) for name, ask in asked}
assert told["cuda.matmul.fp32_precision"] == "tf32", told
assert told["cuda.matmul.allow_tf32"] is None, told
assert told["cudnn.benchmark"] == torch.backends.cudnn.benchmark, told
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_the_driver_says_is_kept_as_it_is() -> None:
    gpu = GpuState(
        {"temperature.gpu": "41", "power.draw": "71.20", "enforced.power.limit": "700.00"}
    )
    assert dict(measured._state(gpu))["temperature"] == "41 °C"
    assert dict(measured._state(gpu))["power"] == "71.20 W"
    assert "sm_clock" not in dict(measured._state(gpu))
    assert dict(measured._settings(CPU, gpu))["power_limit"] == "700.00 W"


@pytest.mark.gpu
def test_a_gpu_as_torch_knows_it() -> None:
    device = torch.device("cuda", 0)
    found = machine(device)
    properties = torch.cuda.get_device_properties(device)
    assert found.name == properties.name
    assert found.memory_bytes == properties.total_memory
    assert found.settings["compute_capability"] == f"{properties.major}.{properties.minor}"
    assert found.settings["cuda"] == torch.version.cuda
    assert found.settings["cuda.matmul.allow_tf32"] == str(torch.backends.cuda.matmul.allow_tf32)
