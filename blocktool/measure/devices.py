"""Which device is meant, and what is done alike with all kinds of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch

from blocktool.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
_ALIASES = {"gpu": "cuda", "nvidia": "cuda", "rocm": "cuda", "hip": "cuda", "metal": "mps"}
_WITHOUT_DATA = ("meta", "fake")
_ELSE = "`--device cpu`, or `--assume h100` to predict the time without the device"


def chosen_device(text: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``xpu`` stands for here.

    ``auto`` is torch's accelerator where there is one, and the CPU otherwise. A device of which
    there may be several comes with its index. Raises UsageError for one that is not here.
    """
    name = text.strip().lower()
    kind, colon, index = name.partition(":")
    accelerator = _accelerator()
    if name == "auto":
        return accelerator or torch.device("cpu")
    if kind not in DEVICES[1:] and (accelerator is None or kind != accelerator.type):
        raise _unknown(text, kind)
    if colon and not index.isdecimal():
        raise UsageError(
            f"'{text}': '{index}' is not the number of a device", hint=f"write {kind}:0"
        )
    if kind == "cpu":
        if colon and int(index):
            raise UsageError(f"{name}: there is one CPU device", hint="write `--device cpu`")
        return torch.device("cpu")
    if accelerator is None or accelerator.type != kind:
        raise _absent(kind)
    count = torch.accelerator.device_count()
    if colon and int(index) >= count:
        devices = f"are {count} devices" if count > 1 else "is 1 device"
        raise UsageError(
            f"{name}: there {devices}",
            hint=f"choose one of {', '.join(f'{kind}:{each}' for each in range(count))}",
        )
    return torch.device(kind, int(index)) if colon else accelerator


def synchronize(device: torch.device) -> None:
    """Wait until everything that was started on the device is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def make_current(device: torch.device) -> None:
    """Make it the device that ``"cuda"`` without a number means, and whose current stream is used
    where none is named. Nothing for a CPU."""
    if device.type != "cpu" and device.index is not None:
        torch.accelerator.set_device_index(device.index)


@contextmanager
def current(device: torch.device) -> Iterator[None]:
    """As :func:`make_current`, and as it was afterwards."""
    if device.type == "cpu" or device.index is None:
        yield
    else:
        with torch.accelerator.device_index(device.index):
            yield


def same_device(one: torch.device, other: torch.device) -> bool:
    """Whether both are one device; without a number the first is meant."""
    return one.type == other.type and (one.index or 0) == (other.index or 0)


def timed_event(device: torch.device) -> Any:
    """An event with ``record()`` in the queue of the device's current stream, and
    ``elapsed_time(other)`` in ms."""
    if device.type == "cuda":
        return torch.cuda.Event(enable_timing=True)
    return torch.Event(device, enable_timing=True)


def _accelerator() -> torch.device | None:
    """The accelerator that can be used now, with the index of the current device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is too old: _reason tells
        found = torch.accelerator.current_accelerator(check_available=True)
        if found is None or torch.accelerator.device_count() == 0:
            return None
        return torch.device(found.type, torch.accelerator.current_device_index())


def _unknown(text: str, kind: str) -> UsageError:
    if kind in _WITHOUT_DATA:
        return UsageError(
            f"nothing can be timed on '{kind}', which computes no values",
            hint="`blocktool summary` counts without running; `--assume h100` predicts the time",
        )
    near = [_ALIASES[kind]] if kind in _ALIASES else get_close_matches(kind, DEVICES, 1)
    known = f"devices: {', '.join(DEVICES)}, with an index such as cuda:1"
    return UsageError(
        f"unknown device '{text}'", hint=f"did you mean {near[0]}? {known}" if near else known
    )


def _absent(kind: str) -> UsageError:
    name = kind if kind == "xpu" else kind.upper()
    build = f"this torch ({torch.__version__}) was built without {name}"
    if kind == "cuda" and not torch.backends.cuda.is_built():
        hint = f"install a CUDA build of torch (https://pytorch.org/get-started), or {_ELSE}"
        return UsageError(f"no CUDA device here: {build}", hint=hint)
    if kind == "mps" and not torch.backends.mps.is_built():
        return UsageError(f"no MPS device here: {build}", hint=_ELSE)
    return UsageError(f"no {name} device here: {_reason(kind)}", hint=_ELSE)


def _reason(kind: str) -> str:
    """What torch itself says when it is asked to start the device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.empty(1, device=kind)
        except Exception as error:
            return str(error).strip().split("\n", 1)[0].rstrip(".")
    return "torch does not find one"
