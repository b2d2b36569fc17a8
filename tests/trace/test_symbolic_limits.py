"""What is said of modules that cannot be run with symbols."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from blocktool.results.symbolic import SymbolicTensor
from blocktool.trace.symbolic import trace_symbolic

HINTS = {"B": 2, "H": 32, "W": 40}


class Keyed(nn.Module):
    """Remembers by size."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, int] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.known[x.shape[2]] = 1
        return x


class Picks(nn.Module):
    """Gives as many values as an operation finds."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        if self.name == "index":
            return x[x > 0]
        if self.name == "masked_select":
            return torch.masked_select(x, x > 0)
        found: Tensor = getattr(x, self.name.strip("_2"))()
        return found


def limit(module: nn.Module, *, fixed: bool = False) -> str:
    shape: tuple[int | str, ...] = (2, 3, 8, 8) if fixed else ("B", 3, "H", "W")
    run, _ = trace_symbolic(module, (SymbolicTensor(shape),), {} if fixed else HINTS)
    assert run.limit is not None
    return run.limit


def test_a_size_as_a_key_is_told_with_its_line() -> None:
    text = limit(Keyed())
    assert "a size is used as a key (" in text
    assert Path(__file__).name in text
    assert "self.known[x.shape[2]] = 1" in text
    assert "SymInt" not in text
    assert "\n" not in text


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("name", ["nonzero", "index", "masked_select", "_unique2"])
def test_sizes_that_depend_on_values_are_told_with_the_operation(name: str, *, fixed: bool) -> None:
    expected = f"the sizes of what aten.{name} gives depend on values"
    assert limit(Picks(name), fixed=fixed) == expected
