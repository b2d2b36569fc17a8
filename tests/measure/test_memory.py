from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from blocktool.measure import memory
from blocktool.measure.allocator_events import (
    Change,
    Recording,
    in_order,
    recorded,
    running_sum,
)
from blocktool.measure.memory import held_bytes, memory_use
from blocktool.measure.step import Phase, Step
from blocktool.measure.steps import scope, state_of, step_for
from blocktool.results.profile import MemoryUse, RunMode
from blocktool.trace.inputs import CallArguments

CPU = torch.device("cpu")


def single(run: Callable[[], object]) -> Step:
    return Step((Phase("forward", lambda: (run(), None)[1]),), CPU)


def used(run: Callable[[], object], held: Iterable[torch.Tensor] = ()) -> MemoryUse:
    use = memory_use(single(run), held)
    assert use is not None
    assert use.source == "allocator events"
    assert max((size for _, size in use.timeline), default=use.held_bytes) == use.peak_bytes
    return use


def test_a_chain_of_linear_layers_by_hand() -> None:
    # In a process of its own: after some other tests linear layers make copies of their weights.
    code = """
import json
import torch
from torch import nn
from blocktool.measure.memory import memory_use
from blocktool.measure.step import Phase, Step

module = nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 64), nn.Linear(64, 4)).eval()
x = torch.randn(8, 16)
step = Step((Phase("forward", lambda: (module(x), None)[1]),), torch.device("cpu"))
with torch.inference_mode():
    use = memory_use(step, [*module.parameters(), x])
print(json.dumps([use.held_bytes, use.peak_bytes, use.timeline]))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    held, peak, timeline = json.loads(done.stdout)
    # 8 rows; floats of 4 bytes.
    assert held == 4 * (16 * 32 + 32 + 32 * 64 + 64 + 64 * 4 + 4) + 4 * 8 * 16
    # nn.Sequential drops each input once the layer's output is there.
    assert peak - held == 4 * 8 * (32 + 64)
    sizes = [size - held for _, size in timeline]
    assert sizes[-1] == 0
    assert {4 * 8 * 32, 4 * 8 * (32 + 64), 4 * 8 * 64, 4 * 8 * (64 + 4), 4 * 8 * 4} <= set(sizes)
    times = [ms for ms, _ in timeline]
    assert times == sorted(times)
    assert times[0] == 0


def test_in_place_takes_nothing() -> None:
    x = torch.randn(1000)
    assert used(lambda: x.neg().relu_().sigmoid_()).peak_bytes == 4000
    assert used(lambda: x.neg().relu().sigmoid()).peak_bytes == 8000


def test_without_any_operation_there_is_what_is_held() -> None:
    x = torch.randn(10)
    use = used(lambda: None, [x])
    assert (use.peak_bytes, use.held_bytes) == (40, 40)
    assert use.timeline == ((0.0, 40),)


def test_what_is_released_early_does_not_add_up() -> None:
    def run() -> None:
        first = torch.empty(1000, dtype=torch.uint8)
        del first
        second = torch.empty(600, dtype=torch.uint8)
        third = torch.empty(500, dtype=torch.uint8)
        del second, third

    assert used(run).peak_bytes == 1100


def test_storages_count_once() -> None:
    base = torch.zeros(100)
    tied = nn.Linear(10, 10)
    other = nn.Linear(10, 10)
    other.weight = tied.weight
    tensors = [base, base[:10], base.view(10, 10), *tied.parameters(), *other.parameters()]
    assert held_bytes(tensors, CPU) == 400 + 4 * (100 + 10 + 10)
    assert held_bytes(torch.arange(7).expand(3, 7).unbind(), CPU) == 7 * 8
    assert held_bytes([torch.empty(3, device="meta")], CPU) == 0
    sparse = torch.eye(4).to_sparse()
    assert held_bytes([sparse], CPU) == 4 * (2 * 8 + 4)


def test_a_wrapper_counts_with_what_it_wraps() -> None:
    from torch.testing._internal.two_tensor import TwoTensor

    one, other = torch.zeros(6), torch.zeros(6)
    assert held_bytes([TwoTensor(one, other)], CPU) == 48
    assert held_bytes([TwoTensor(one, one)], CPU) == 24


class Small(nn.Module):
    """Something of everything: convolution, norm, in-place, attention, a dropped branch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.act = nn.ReLU(inplace=True)
        self.attention = nn.MultiheadAttention(24, 2, batch_first=True)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.conv(x)))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        out: torch.Tensor = self.head(tokens.mean(1))
        return out


def profiled_peak(step: Step) -> int:
    """The largest running sum of the profiler's events, as its users read them."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step.run()
    assert profiler.profiler is not None
    results = profiler.profiler.kineto_results
    assert results is not None
    events = [event for event in results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()  # type: ignore[attr-defined]
        peak = max(peak, live)
    return peak


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("mode", ["inference", "forward", "training"])
def test_the_peak_is_that_of_the_profiler(mode: RunMode, optimizer: str) -> None:
    module = Small().train(mode != "inference")
    x = torch.randn(4, 3, 32, 32)
    step = step_for(module, CallArguments((x,), {}), mode, CPU, optimizer=optimizer)
    with scope(mode):
        step.run()
        state = list(state_of(step))
        held = [*module.parameters(), *module.buffers(), x, *state]
        use = memory_use(step, held)
        peak = profiled_peak(step)
    assert use is not None
    assert use.held_bytes == sum(tensor.nbytes for tensor in held)
    assert use.peak_bytes == use.held_bytes + peak
    assert peak > 4 * 24 * 16 * 16 * 4
    assert bool(state) == (mode == "training" and optimizer == "adamw")
    # Every step ends as it began, and so does the timeline.
    assert use.timeline[-1][1] == use.held_bytes
    assert len(use.timeline) <= 200


def test_the_timeline_has_the_starts_of_the_phases() -> None:
    kept: list[torch.Tensor] = []
    step = Step(
        (
            Phase("forward", lambda: kept.append(torch.empty(1000, dtype=torch.uint8))),
            Phase("backward", lambda: kept.append(torch.empty(300, dtype=torch.uint8))),
            Phase("optimizer", kept.clear),
        ),
        CPU,
    )
    use = memory_use(step, [])
    assert use is not None
    sizes = [size for _, size in use.timeline]
    assert sizes[:5] == [0, 1000, 1000, 1300, 1300]
    assert sizes[-1] == 0


def test_it_runs_once_and_leaves_the_profiler_free() -> None:
    calls: list[int] = []
    used(lambda: calls.append(1))
    assert calls == [1]
    with torch.autograd.profiler.profile():  # another one can start
        torch.ones(1)


def test_what_the_step_raises_comes_through() -> None:
    def run() -> None:
        raise MemoryError("no more")

    with pytest.raises(MemoryError, match="no more"):
        memory_use(single(run), [])
    assert used(lambda: torch.empty(10)).peak_bytes == 40


def test_what_was_there_before_does_not_count_against_the_run() -> None:
    box: dict[str, torch.Tensor] = {}

    def run() -> None:
        box.clear()
        box["kept"] = torch.empty(1000, dtype=torch.uint8)

    for _ in range(3):  # the second and third release what a profile has seen allocated
        assert used(run).peak_bytes == 1000


def test_a_thread_of_the_module_is_not_seen() -> None:
    def run() -> None:
        thread = threading.Thread(target=lambda: torch.empty(1000))
        thread.start()
        thread.join()

    # If this fails, the profiler has learnt to see threads, and the docstring may say so.
    assert used(run).peak_bytes == 0


def test_events_of_one_moment_are_put_in_order() -> None:
    a, b = Change(5, 1, 100, 100), Change(5, 1, -100, 0)
    c, d = Change(5, 1, 40, 40), Change(9, 1, -40, 0)
    for shuffled in ((a, b, c, d), (d, c, b, a), (c, a, d, b), (b, c, a, d)):
        # Either allocation may have been first; never both at once, never a release before one.
        sums = running_sum(in_order(shuffled))
        assert max(sums) == 100
        assert min(sums) == 0


def test_order_follows_the_allocator_where_clocks_are_coarse() -> None:
    total, changes = 500, list[Change]()
    for number, nbytes in enumerate((100, 30, -30, 50, -100, 70, -50, -70)):
        total += nbytes
        address = {100: 1, 30: 2, 50: 3, 70: 4}[abs(nbytes)]
        changes.append(Change(number // 4, address, nbytes, total))
    assert in_order(sorted(changes, key=lambda c: (c.ns, c.nbytes))) == changes
    assert running_sum(changes) == [100, 130, 100, 150, 50, 120, 70, 0]


def test_a_release_that_nobody_saw() -> None:
    changes = [Change(1, 7, 100, 100), Change(2, 7, 60, 160), Change(3, 8, -900, -740)]
    assert running_sum(changes) == [100, 60, 60]


def test_only_the_device_is_recorded() -> None:
    def run() -> None:
        torch.empty(100)

    step = Step((Phase("forward", run),), CPU)
    assert [change.nbytes for change in recorded(step).changes] == [400, -400]


def test_tensors_of_others_on_a_device_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = 10_000
    live = [foreign + 600, foreign + 1600, foreign + 1100, foreign + 600]
    changes = (
        Change(2, 1, 1000, live[1]),
        Change(3, 1, -500, live[2]),
        Change(4, 2, -500, live[3]),
    )
    readings = {
        **dict.fromkeys(("synchronize", "empty_cache", "reset_peak_memory_stats")),
        "memory_allocated": live[0],
        "max_memory_allocated": max(live),
        "max_memory_reserved": 2**20,
    }
    for name, value in readings.items():
        monkeypatch.setattr(torch.accelerator, name, lambda *_, value=value: value)
    monkeypatch.setattr(memory, "recorded", lambda _: Recording(changes, (1,)))
    held = torch.empty(512, dtype=torch.uint8)  # the allocator rounds
    monkeypatch.setattr(memory, "held_bytes", lambda tensors, _: sum(t.nbytes for t in tensors))
    use = memory_use(Step((), torch.device("cuda", 0)), [held], foreign)
    assert use is not None
    # The device's own count of what is held.
    assert (use.held_bytes, use.peak_bytes, use.reserved_bytes) == (600, 1600, 2**20)
    assert [size for _, size in use.timeline] == [600, 1600, 1100, 600]


@pytest.mark.gpu
def test_a_gpu_is_read_by_its_counters() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    module = nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 512)).to(device)
    x = torch.randn(256, 512, device=device)
    step = step_for(module, CallArguments((x,), {}), "training", device)
    with scope("training"):
        step.run()
        foreign = torch.empty(10**8, dtype=torch.uint8, device=device)
        use = memory_use(step, [*module.parameters(), x])
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step.run()
        torch.cuda.synchronize()
    assert use is not None
    assert use.source == "device counters"
    assert use.peak_bytes - use.held_bytes == torch.cuda.max_memory_allocated() - before
    assert use.reserved_bytes is not None
    assert use.reserved_bytes >= use.peak_bytes + foreign.nbytes
    assert use.peak_bytes > use.held_bytes
    if use.timeline:
        assert max(size for _, size in use.timeline) == use.peak_bytes
