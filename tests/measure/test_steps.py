"""Steps of training: what they leave behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from blocktool.measure.steps import scope, step_for
from blocktool.trace.inputs import CallArguments

CPU = torch.device("cpu")


@pytest.mark.parametrize("module", [nn.Linear(3, 2), nn.Softmax(1)])
def test_gradients_of_inputs_do_not_add_up(module: nn.Module) -> None:
    x = torch.ones(4, 3, requires_grad=True)
    seen: list[torch.Tensor] = []
    taken: list[torch.Tensor | None] = []

    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            x.register_hook(lambda gradient: taken.append(gradient))
            out: torch.Tensor = self.inner(x)
            return out

    step = step_for(Looks(), CallArguments((x,), {}), "training", CPU)
    with scope("training"):
        for _ in range(3):
            step.run()
    assert len(taken) >= 3  # they are computed
    assert x.grad is None
    assert all(one.grad is None for one in seen)
    assert all(one.data_ptr() == x.data_ptr() for one in seen)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_what_lies_behind_an_input_is_not_followed() -> None:
    first = torch.ones(4, 3, requires_grad=True)
    x = first.exp()  # whose graph could be followed once
    step = step_for(nn.Linear(3, 2), CallArguments((), {"input": x}), "training", CPU)
    with scope("training"):
        for _ in range(2):
            step.run()
    assert first.grad is None
    x.sum().backward()
    assert first.grad is not None


def test_an_input_that_is_given_twice_stays_one() -> None:
    x = torch.ones(2, requires_grad=True)

    class Same(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            assert a is b
            return a * b

    step = step_for(Same(), CallArguments((x,), {"b": x}), "training", CPU)
    with scope("training"):
        step.run()
