"""What the device here can do at most: measured with matrix products, a copy and tiny modules.

A ceiling is the best of several short measurements, since other work on the machine can only make
them slower. They are taken with torch's present settings (threads, precision of float32).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from math import inf

import torch

from blocktool.measure.ceiling_work import (
    Work,
    convolution,
    convolutions_alone_use_tf32,
    floating,
    product,
    started,
    tiny_modules,
)
from blocktool.measure.clocks import clock_for, last_level_cache_bytes
from blocktool.measure.processor import cpu_name, memory_bytes
from blocktool.measure.step import Phase, Step
from blocktool.results.roofline import Ceilings
from blocktool.trace.host_memory import available_memory

_OVERHEAD_UNTIL, _COPY_UNTIL = 0.1, 0.35  # of the budget; the rest is for arithmetic
_ALONE_SHARE = 0.25
_LEAST_SAMPLES = 3
_HOST_SIZES = (96, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
_DEVICE_SIZES = (512, 1024, 2048, 4096, 8192)
_LARGEST_SHARE, _LARGEST_SECONDS = 0.1, 0.01
"""For one product, of the budget and at most: the best of few is no ceiling on a busy machine."""
_ALONE_SECONDS = 0.002
"""A short product on one thread is often over before the system lets another process run."""
_LEAST_COPY_BYTES, _MOST_COPY_BYTES = 64 * 1024**2, 512 * 1024**2


def measured_ceilings(
    device: torch.device, dtypes: Sequence[str], budget_seconds: float = 0.3
) -> Ceilings:
    """The ceilings of ``device`` for each of ``dtypes`` that it multiplies matrices in.

    It takes about ``budget_seconds``, once libraries are loaded; longer on a busy machine, where a
    product may take as long as the system lets other processes run. ``"float32"`` is at the
    precision that torch is set to; where cuDNN may use TF32 for convolutions but matrix products
    may not, ``"tf32"`` has the rate of a large convolution. ``memory_bytes`` is that of the
    machine, or of the container.
    """
    named = {name: found for name in dtypes if (found := floating(name)) is not None}
    jobs: dict[str, Callable[[int], Work]] = {
        name: partial(product, dtype=dtype, device=device) for name, dtype in named.items()
    }
    if "float32" in named and convolutions_alone_use_tf32(device):
        jobs["tf32"] = partial(convolution, device=device)
    rates: dict[str, float] = {}
    with torch.inference_mode():
        started(device, jobs.values())
        begin = time.perf_counter()
        probe = _Probe(device, begin + 2 * budget_seconds)
        overhead = probe.overhead_us(begin + budget_seconds * _OVERHEAD_UNTIL)
        gbps = probe.copy_gbps(begin + budget_seconds * _COPY_UNTIL)
        least = budget_seconds * (1 - _COPY_UNTIL) / len(jobs) / 2 if jobs else 0.0
        for index, (name, work) in enumerate(jobs.items()):
            left = begin + budget_seconds - time.perf_counter()
            rate = probe.gflops(work, max(left / (len(jobs) - index), least))
            if rate is not None:
                rates[name] = rate
    return Ceilings(
        device=_device_name(device),
        gflops=rates,
        gbps=gbps,
        overhead_us=overhead,
        source="measured",
        memory_bytes=_memory(device),
        kind="cuda" if device.type == "cuda" else "cpu",
    )


class _Probe:
    """Measures rates on one device.

    ``until`` is when to stop, ``late`` when even the least number of samples is too much, by
    ``time.perf_counter``.
    """

    def __init__(self, device: torch.device, late: float) -> None:
        self._device = device
        self._late = late
        self._clock = clock_for(device, cold_cache=False)
        self._threads = torch.get_num_threads() if device.type == "cpu" else 1

    def gflops(self, work: Callable[[int], Work], budget: float) -> float | None:
        """The best rate over sizes of matrices that suit the time; None where the device does not
        multiply them."""
        end = time.perf_counter() + budget
        host = self._device.type == "cpu"
        sizes = _HOST_SIZES if host else _DEVICE_SIZES
        rates: list[float] = []
        try:
            with _one_thread(self._threads):  # a guess must not wait for others on a busy machine
                guess = self._rate(work(sizes[0] if host else sizes[1]), 0.0)
                rates.append(guess)
                if self._threads > 1:
                    (size,) = _largest(sizes, guess * _ALONE_SECONDS, 1)
                    until = time.perf_counter() + _ALONE_SHARE * budget
                    rates.append(self._rate(work(size), until))
            seconds = min(budget * _LARGEST_SHARE, _LARGEST_SECONDS)
            chosen = _largest(sizes, guess * self._threads * seconds, 2)
            for index, size in enumerate(chosen):
                now = time.perf_counter()
                share = (end - now) / (len(chosen) - index)
                rates.append(self._rate(work(size), now + share))
        except (RuntimeError, TypeError, NotImplementedError):
            pass  # no such kernel, or no memory for the larger matrices
        return max(rates) / 1e9 if rates else None

    def copy_gbps(self, until: float) -> float:
        """The rate of a copy between buffers that no cache holds, bytes read and written."""
        source, target = self._copy_buffers()

        def run() -> None:
            target.copy_(source)

        work = Work(run, 2.0 * source.nbytes)
        rates = []
        if self._threads > 1:
            now = time.perf_counter()
            with _one_thread(self._threads):
                rates.append(self._rate(work, now + _ALONE_SHARE * (until - now)))
        return max(*rates, self._rate(work, until), 0.0) / 1e9

    def overhead_us(self, until: float) -> float:
        """The time of an operation on a few numbers, called as networks call it: the mean over tiny
        modules."""
        tiny = list(tiny_modules(self._device))
        seconds = 0.0
        for index, run in enumerate(tiny):
            now = time.perf_counter()
            share = (until - now) / (len(tiny) - index)
            seconds += 1 / self._rate(Work(run, 1.0, calls=20), now + share)
        return seconds / len(tiny) * 1e6

    def _copy_buffers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Together several times the caches, unless memory is short."""
        if self._device.type == "cpu":
            free = available_memory()
            wanted = max(_LEAST_COPY_BYTES, 2 * last_level_cache_bytes())
        else:
            free, _ = _accelerator_memory(self._device)
            wanted = _MOST_COPY_BYTES
        size = min(wanted, _MOST_COPY_BYTES, wanted if free is None else free // 8)
        while True:
            try:
                # Zeros that were never written to share one page: the source is filled.
                source = torch.full((size // 4,), 1.0, device=self._device)
                return source, torch.empty_like(source).copy_(source)
            except (RuntimeError, MemoryError):  # a limit of this process
                if size <= _LEAST_COPY_BYTES // 16:
                    raise
                size //= 2

    def _rate(self, work: Work, until: float) -> float:
        """The amount per second, the best of as many samples as there is time for, three at least
        after a first one in which kernels are chosen and workspaces made."""
        step = Step((Phase("ceiling", work.run),), self._device)
        # A device with a queue must not wait for the host in between.
        calls = work.calls if self._device.type == "cpu" else max(work.calls, 4)
        self._clock.readings(step, calls, 1)
        best = inf
        for sample in count(1):
            best = min(best, self._clock.readings(step, calls, 1).phases[0][0])
            now = time.perf_counter()
            if now > self._late or (sample >= _LEAST_SAMPLES and now + best * calls > until):
                break
        return work.amount / best


def _largest(sizes: Sequence[int], flops: float, most: int) -> Sequence[int]:
    """The ``most`` largest sizes whose product has at most so many FLOPs; the smallest size if
    there is none."""
    return [size for size in sizes if 2.0 * size**3 <= flops][-most:] or sizes[:1]


@contextmanager
def _one_thread(threads: int) -> Iterator[None]:
    """Where several threads take turns with other processes, one alone is often faster."""
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(threads)


def _device_name(device: torch.device) -> str:
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"{cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return str(device)


def _memory(device: torch.device) -> int | None:
    if device.type == "cpu":
        return memory_bytes()
    return _accelerator_memory(device)[1]


def _accelerator_memory(device: torch.device) -> tuple[int | None, int | None]:
    """Bytes that are free, and all; None where the device does not say."""
    try:
        free, total = torch.accelerator.get_memory_info(device)
    except (RuntimeError, NotImplementedError):
        return None, None
    return int(free), int(total)
