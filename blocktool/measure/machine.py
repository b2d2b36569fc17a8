"""The device that a profile is made on, and the switches that its speed depends on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path

import torch

from blocktool.measure.gpu_state import GpuState, gpu_state
from blocktool.measure.processor import (
    core_clock,
    cpu_name,
    cpu_quotas,
    governor,
    memory_bytes,
    read,
    usable_cores,
)
from blocktool.results.profile import Machine

_DRIVER_FILE = Path("/proc/driver/nvidia/version")

_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY"),
    *("GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_BLOCKTIME", "ATEN_CPU_CAPABILITY"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "LD_PRELOAD", "MALLOC_CONF"),
)
"""Variables of the environment that change threads, kernels or the allocator of a CPU."""

_GPU_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUDA_DEVICE_MAX_CONNECTIONS"),
    *("NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "PYTORCH_CUDA_ALLOC_CONF"),
    *("PYTORCH_ALLOC_CONF", "HIP_VISIBLE_DEVICES", "PYTORCH_ENABLE_MPS_FALLBACK"),
)


def machine(device: torch.device) -> Machine:
    """What ``device`` is, and how it is set now. Takes a few ms on a CPU, and on a GPU the time
    of one call of ``nvidia-smi`` more, where that is installed."""
    gpu = gpu_state(device)
    name, memory = _name_and_memory(device)
    return Machine(
        device=str(device),
        name=name,
        memory_bytes=memory,
        threads=torch.get_num_threads(),
        cores=usable_cores(),
        driver=_driver(device, gpu),
        settings=dict(_settings(device, gpu)),
        state=dict(_state(gpu)),
    )


def _name_and_memory(device: torch.device) -> tuple[str, int | None]:
    if device.type == "cpu":
        return cpu_name(), memory_bytes()
    if device.type == "mps":
        name = getattr(torch.backends.mps, "get_name", lambda: "Apple GPU")()
        return str(name), torch.mps.recommended_max_memory()
    if device.type in ("cuda", "xpu"):
        properties = getattr(torch, device.type).get_device_properties(device)
        return str(properties.name), int(properties.total_memory)
    return device.type, None


def _driver(device: torch.device, gpu: GpuState | None) -> str | None:
    if gpu is not None and "driver_version" in gpu.text:
        return gpu.text["driver_version"]
    if device.type == "xpu":
        return str(torch.xpu.get_device_properties(device).driver_version)
    if device.type == "cuda" and torch.version.hip is None:
        # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar ..."
        words = (read(_DRIVER_FILE) or "").partition("\n")[0].split()
        return next((word for word in words if word[:1].isdigit() and "." in word), None)
    return None


def _settings(device: torch.device, gpu: GpuState | None) -> Iterator[tuple[str, str]]:
    """Name and value of each switch, in the words of its owner."""
    yield "interop_threads", str(torch.get_num_interop_threads())
    quotas = [quota.cores for quota in cpu_quotas()]
    if quotas:
        yield "cpu_quota", f"{min(quotas):g}"
    for name, ask in _switches(device):
        value = _asked(ask)
        if value is not None:
            yield name, str(value)
    if device.type == "cuda":
        yield from _cuda_facts(device)
    for name, field, unit in (
        ("persistence_mode", "persistence_mode", ""),
        ("power_limit", "enforced.power.limit", " W"),
        ("max_sm_clock", "clocks.max.sm", " MHz"),
    ):
        if gpu is not None and field in gpu.text:
            yield name, gpu.text[field] + unit
    for variable in (*_VARIABLES, *(_GPU_VARIABLES if device.type != "cpu" else ())):
        if os.environ.get(variable):
            yield variable, os.environ[variable]


def _switches(device: torch.device) -> Iterator[tuple[str, Callable[[], object]]]:
    backends = torch.backends
    yield "float32_matmul_precision", torch.get_float32_matmul_precision
    yield "deterministic_algorithms", torch.are_deterministic_algorithms_enabled
    if device.type == "cpu":
        yield "cpu_capability", backends.cpu.get_cpu_capability
        yield "mkldnn", lambda: backends.mkldnn.is_available() and backends.mkldnn.enabled
        yield "mkldnn.matmul.fp32_precision", partial(_fp32_precision, "mkldnn.matmul")
        yield "flush_denormal", _flushes_denormals
    if device.type == "cuda":
        yield "cudnn.benchmark", lambda: backends.cudnn.benchmark
        yield "cudnn.deterministic", lambda: backends.cudnn.deterministic
        yield "cudnn.allow_tf32", lambda: backends.cudnn.allow_tf32
        yield "cuda.matmul.allow_tf32", lambda: backends.cuda.matmul.allow_tf32
        # Since torch 2.9 there is a second set of switches. Where both were used, reading the
        # older one raises, and the newer one is what holds.
        for owner in ("cudnn.conv", "cuda.matmul"):
            yield f"{owner}.fp32_precision", partial(_fp32_precision, owner)


def _fp32_precision(owner: str) -> str | None:
    precision = attrgetter(f"{owner}.fp32_precision")(torch.backends)
    return None if precision == "none" else str(precision)


def _asked(ask: Callable[[], object]) -> object:
    """A switch; None where this version of torch has none, or does not say."""
    with warnings.catch_warnings(), suppress(AttributeError, RuntimeError, ImportError):
        warnings.simplefilter("ignore")
        return ask()
    return None


def _flushes_denormals() -> bool:
    """Whether the smallest numbers are taken for zero; torch sets it, but does not tell it."""
    smallest = torch.tensor([1e-310], dtype=torch.float64)
    return not bool((smallest * 0.5).item())


def _cuda_facts(device: torch.device) -> Iterator[tuple[str, str]]:
    properties = torch.cuda.get_device_properties(device)
    yield "compute_capability", f"{properties.major}.{properties.minor}"
    yield "multiprocessors", str(properties.multi_processor_count)
    for name, version in (("cuda", torch.version.cuda), ("hip", torch.version.hip)):
        if version is not None:
            yield name, str(version)
    cudnn = _asked(torch.backends.cudnn.version)
    if cudnn is not None:
        yield "cudnn", str(cudnn)


def _state(gpu: GpuState | None) -> Iterator[tuple[str, str]]:
    """What changes by itself, as it is now."""
    rule, clock = governor(), core_clock()
    if rule is not None:
        yield "governor", rule
    if clock is not None:
        yield "cpu_clock", f"{clock.mhz:.0f} MHz"
    with suppress(OSError, AttributeError):
        yield "load_average", f"{os.getloadavg()[0]:.2f}"
    for name, field, unit in (
        ("sm_clock", "clocks.sm", " MHz"),
        ("memory_clock", "clocks.mem", " MHz"),
        ("temperature", "temperature.gpu", " °C"),
        ("power", "power.draw", " W"),
        ("utilization", "utilization.gpu", " %"),
        ("performance_state", "pstate", ""),
    ):
        if gpu is not None and field in gpu.text:
            yield name, gpu.text[field] + unit
