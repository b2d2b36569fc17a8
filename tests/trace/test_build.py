"""Building targets without data."""

from __future__ import annotations

import pytest
import torch
import zoo_stub
from torch import nn

from blocktool.errors import ModuleError
from blocktool.targets.resolve import resolve
from blocktool.targets.target import Target
from blocktool.trace.build import build_without_data
from blocktool.trace.target import trace_target


class Rates(nn.Module):
    """Reads values of a tensor that it makes itself."""

    def __init__(self) -> None:
        super().__init__()
        rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in rates)
        self.layers[2].weight = self.layers[0].weight
        self.register_buffer("rates", torch.tensor(rates))
        weight = nn.Parameter(torch.zeros(4))
        self.first = weight
        self.second = weight


class Weights(nn.Module):
    """Reads values of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = self.linear.weight.norm().item()


def target(cls: type[nn.Module]) -> Target:
    def build() -> nn.Module:
        try:
            return cls()
        except Exception as error:
            raise ModuleError(f"cannot be built: {error}") from error

    return Target("it", "python", build)


def test_a_plain_module_has_no_data_at_all() -> None:
    module, notes = build_without_data(target(lambda: nn.BatchNorm2d(3)))  # type: ignore[arg-type]
    assert all(t.is_meta for t in (*module.parameters(), *module.buffers()))
    assert notes == ()


def test_a_constructor_that_computes_keeps_its_parameters_without_data() -> None:
    module, notes = build_without_data(target(Rates))
    assert all(parameter.is_meta for parameter in module.parameters())
    assert module.layers[2].weight is module.layers[0].weight
    assert module.first is module.second
    assert torch.allclose(module.rates, torch.linspace(0, 0.1, 3))
    assert notes == ()


def test_a_constructor_that_reads_its_parameters_is_built_with_data() -> None:
    module, (note,) = build_without_data(target(Weights))
    assert not module.linear.weight.is_meta
    assert module.norm > 0
    assert note.startswith("built on CPU, since its constructor needs data (RuntimeError: ")


def test_a_mistake_in_the_constructor_is_not_tried_again() -> None:
    calls: list[int] = []

    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            calls.append(1)
            raise ValueError("no")

    with pytest.raises(ModuleError, match="no"):
        build_without_data(target(Wrong))
    assert calls == [1]


def test_building_leaves_torch_as_it_was() -> None:
    before = (torch.get_rng_state().tolist(), nn.Module.register_parameter)
    for cls in (Rates, Weights):
        build_without_data(target(cls))
    assert before == (torch.get_rng_state().tolist(), nn.Module.register_parameter)
    assert torch.empty(1).device.type == "cpu"


def test_a_zoo_model_whose_constructor_computes() -> None:
    zoo_stub.import_torchvision()
    record = trace_target(resolve("torchvision:regnet_y_400mf"))
    assert record.traced_on == "meta"
    assert record.notes == ()
    assert sum(t.numel for t in record.tensors if not t.buffer) == 4_344_144  # torchvision's meta


def test_a_selected_submodule_gets_what_it_receives() -> None:
    zoo_stub.import_torchvision()
    record = trace_target(resolve("torchvision:resnet18"), select="layer3.0")
    assert record.inputs[0].shape == (1, 128, 28, 28)
    assert record.outputs[0].shape == (1, 256, 14, 14)
    assert record.calls[0].path == ""
