"""Calls are intercepted while compiled code runs, and nothing is compiled anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from measure.slow_modules import CPU, World, by_path, summary_of, timed
from torch import nn

from blocktool.measure.module_times import module_times
from blocktool.measure.steps import scope, step_for
from blocktool.measure.trace_file import write_trace
from blocktool.trace.inputs import CallArguments


@pytest.fixture
def counter() -> Iterator[Any]:
    """A backend that runs graphs as they are and counts them."""
    from torch._dynamo.testing import CompileCounterWithBackend

    torch.compiler.reset()
    yield CompileCounterWithBackend("eager")
    torch.compiler.reset()


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


def frames() -> int:
    """How many functions the compiler has looked at."""
    from torch._dynamo.utils import counters

    return int(counters["frames"]["total"])


def test_a_compiled_module_is_timed_as_a_whole(counter: Any) -> None:
    module = nn.Sequential(nn.Linear(4, 4), Block())
    module[1].compile(backend=counter)
    times = timed(module, World(), x=torch.ones(2, 4))
    assert [row.path for row in times.rows] == ["", "0", "1"]
    assert "compiled, so that modules inside are not called: 1" in times.notes
    assert counter.frame_count == 1
    with torch.inference_mode():
        module(torch.ones(2, 4))
    assert counter.frame_count == 1


def test_a_compiled_root(counter: Any) -> None:
    x = torch.ones(2, 4)
    summary = summary_of(Block(), x, "inference")
    whole: Any = torch.compile(Block(), backend=counter)
    with scope("inference"):
        step = step_for(whole, CallArguments((x,), {}), "inference", CPU)
        times = module_times(whole, step, 1.0, summary, 0.0)
    assert (times.rows[0].macs, times.rows[0].calls) == (32, 1)
    shown = [(row.path, row.type) for row in times.rows if row.type != "phase"]
    assert shown == [("", "Block")]
    assert "compiled, so that modules inside are not called: the root" in times.notes


def test_a_compiled_part_that_calls_modules(counter: Any, tmp_path: Path) -> None:
    """Between its graphs: such calls are seen, and the compiler does not look at our functions."""

    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), Block()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            torch._dynamo.graph_break()
            return self.second(x)

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Breaks()
            self.compiled = torch.compile(self._inside, backend=counter)

        def _inside(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * 2

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.compiled(x) + 1

    module, x = Around(), torch.ones(2, 4)
    step = step_for(module, CallArguments((x,), {}), "inference", CPU)
    with scope("inference"):
        step.run()
        before = frames()
        assert before > 0
        times = timed(module, World(), x=x, step=step)
        write_trace(step, tmp_path / "a.json")
    assert frames() == before
    assert "inner" in by_path(times)
