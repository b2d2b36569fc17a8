"""Names of devices, on machines with and without them."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch

from blocktool.errors import UsageError
from blocktool.measure.devices import (
    chosen_device,
    current,
    make_current,
    same_device,
    synchronize,
    timed_event,
)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a CPU only."""
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available=False: None
    )


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two CUDA devices, the second of which is the current one."""
    monkeypatch.setattr(
        torch.accelerator,
        "current_accelerator",
        lambda check_available=False: torch.device("cuda"),
    )
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 1)


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize("text", ["auto", "cpu", " CPU ", "cpu:0"])
def test_cpu(text: str) -> None:
    assert chosen_device(text) == torch.device("cpu")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("text", "expected"),
    [("auto", "cuda:1"), ("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")],
)
def test_devices_of_a_machine_with_two(text: str, expected: str) -> None:
    assert str(chosen_device(text)) == expected


@pytest.mark.usefixtures("two_gpus")
def test_index_that_is_too_large() -> None:
    with pytest.raises(UsageError) as caught:
        chosen_device("cuda:3")
    assert caught.value.message == "cuda:3: there are 2 devices"
    assert caught.value.hint == "choose one of cuda:0, cuda:1"


@pytest.mark.usefixtures("without")
def test_torch_that_was_built_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(UsageError) as caught:
        chosen_device("cuda:0")
    assert caught.value.message == (
        f"no CUDA device here: this torch ({torch.__version__}) was built without CUDA"
    )
    assert "CUDA build of torch" in str(caught.value.hint)
    assert "--device cpu" in str(caught.value.hint)
    assert "--assume h100" in str(caught.value.hint)


@pytest.mark.usefixtures("without")
def test_cuda_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Found no NVIDIA driver on your system.\nPlease check ...")

    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch, "empty", no_driver)
    with pytest.raises(UsageError) as caught:
        chosen_device("cuda")
    assert caught.value.message == "no CUDA device here: Found no NVIDIA driver on your system"
    assert "--device cpu" in str(caught.value.hint)


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize("text", ["mps", "xpu", "xpu:1"])
def test_other_accelerators_that_are_not_here(text: str) -> None:
    name = {"mps": "MPS", "xpu": "xpu"}[text.partition(":")[0]]
    with pytest.raises(UsageError, match=f"^no {name} device here: "):
        chosen_device(text)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("gpu", "did you mean cuda?"),
        ("cud", "did you mean cuda?"),
        ("cup:0", "did you mean cpu?"),
        ("metal", "did you mean mps?"),
        ("quantum", "devices: auto, cpu, cuda, mps, xpu"),
        ("", "devices: auto"),
    ],
)
def test_unknown_names(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown device '{text}'") as caught:
        chosen_device(text)
    assert str(caught.value.hint).startswith(hint)


@pytest.mark.parametrize("text", ["meta", "fake"])
def test_devices_without_values(text: str) -> None:
    with pytest.raises(UsageError, match="computes no values") as caught:
        chosen_device(text)
    assert "blocktool summary" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["cuda:x", "cpu:", "cuda:-1", "cpu:1"])
def test_no_index(text: str) -> None:
    with pytest.raises(UsageError):
        chosen_device(text)


def test_waiting_for_the_cpu_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    synchronize(torch.device("cpu"))
    assert waited == []
    synchronize(torch.device("cuda", 1))
    assert waited == [torch.device("cuda", 1)]


def test_the_cpu_is_never_made_current(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(torch.accelerator, "set_device_index", made.append)
    make_current(torch.device("cpu"))
    make_current(torch.device("cuda"))  # the current one is meant
    with current(torch.device("cpu")), current(torch.device("cuda")):
        pass
    assert made == []
    make_current(torch.device("cuda", 1))
    assert made == [1]


def test_the_device_is_current_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [0]

    def exchange(index: int) -> int:
        seen.append(index)
        return seen[-2]

    monkeypatch.setattr(torch._C, "_accelerator_exchangeDevice", exchange)
    monkeypatch.setattr(torch._C, "_accelerator_maybeExchangeDevice", exchange)
    with suppress(KeyError), current(torch.device("cuda", 1)):
        assert seen[-1] == 1
        raise KeyError
    assert seen == [0, 1, 0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("cpu", "cpu", True),
        ("cuda", "cuda:0", True),
        ("cuda:1", "cuda:1", True),
        ("cuda", "cuda:1", False),
        ("cuda:0", "cpu", False),
    ],
)
def test_same_devices(one: str, other: str, same: bool) -> None:
    assert same_device(torch.device(one), torch.device(other)) == same
    assert same_device(torch.device(other), torch.device(one)) == same


@pytest.mark.gpu
def test_events_and_the_current_gpu() -> None:
    device = torch.device("cuda", torch.cuda.device_count() - 1)
    before = torch.cuda.current_device()
    with current(device):
        assert torch.cuda.current_device() == device.index
        start, end = timed_event(device), timed_event(device)
        start.record()
        end.record()
        synchronize(device)
        assert start.elapsed_time(end) >= 0
    assert torch.cuda.current_device() == before


@pytest.mark.gpu
def test_the_gpu_of_this_machine() -> None:
    assert chosen_device("auto").type == "cuda"
    assert chosen_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(UsageError, match="there"):
        chosen_device(f"cuda:{torch.cuda.device_count()}")
