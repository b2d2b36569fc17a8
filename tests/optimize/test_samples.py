"""Random numbers of our own: fixed inside, and untouched outside."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from blocktool.optimize.samples import called, device_of, own_random_numbers
from blocktool.trace.inputs import CallArguments


@pytest.mark.parametrize("device", [None, torch.device("cpu"), torch.device("meta")])
def test_the_same_inside_and_as_before_outside(device: torch.device | None) -> None:
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with own_random_numbers(device):
            drawn.append(torch.rand(3))
        torch.rand(1)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], torch.rand(3, generator=torch.Generator().manual_seed(0)))
    torch.set_rng_state(before)
    with pytest.raises(KeyError), own_random_numbers(device):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_no_other_device_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with two GPUs, for work on the CPU."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a GPU was asked")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    names = ("get_rng_state", "set_rng_state", "manual_seed", "manual_seed_all", "_lazy_init")
    for name in names:
        monkeypatch.setattr(torch.cuda, name, refuse)
    linear, x = nn.Linear(2, 2), torch.ones(1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with own_random_numbers():
            torch.rand(1)
        out = called(linear, CallArguments((x,), {}))
    assert torch.equal(out, linear(x))


def test_the_generator_of_the_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that is not here, by what is asked of it."""
    states, index, seeds = {0: "zero", 1: "one"}, [0], []

    def exchange(to: int) -> int:
        index.append(to)
        return index[-2]

    def seed(value: int) -> None:
        seeds.append(value)
        states[index[-1]] = f"seeded with {value}"

    monkeypatch.setattr(torch._C, "_accelerator_exchangeDevice", exchange)
    monkeypatch.setattr(torch._C, "_accelerator_maybeExchangeDevice", exchange)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: states[index[-1]])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda s: states.update({index[-1]: s}))
    monkeypatch.setattr(torch.cuda, "manual_seed", seed)
    with own_random_numbers(torch.device("cuda", 1)):
        assert states == {0: "zero", 1: f"seeded with {seeds[0]}"}
        assert index[-1] == 0
    assert states == {0: "zero", 1: "one"}
    assert index[-1] == 0


def test_whose_device() -> None:
    meta = torch.empty(1, device="meta")
    assert device_of() == torch.device("cpu")
    assert device_of(None, CallArguments((), {"x": [meta]})).type == "meta"
    assert device_of(nn.Linear(1, 1), CallArguments((meta,), {})).type == "cpu"


@pytest.mark.gpu
def test_the_gpus_generator() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    before = torch.cuda.get_rng_state(device)
    drawn = []
    for _ in range(2):
        with own_random_numbers(device):
            drawn.append(torch.rand(3, device=device))
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(torch.cuda.get_rng_state(device), before)
