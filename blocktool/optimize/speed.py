"""Times of modules that do the same, taken in turns."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import nn

from blocktool.optimize.samples import copied, own_random_numbers
from blocktool.trace.inputs import CallArguments


def latencies_ms(
    modules: Mapping[str, nn.Module], arguments: CallArguments, rounds: int, device: torch.device
) -> dict[str, float]:
    """The 20th percentile over the rounds of one call of each module, in ms.

    In each round every module has its turn, so that a drift of the machine's speed meets all; a
    low percentile leaves out what other processes disturbed. One round before the first is thrown
    away.
    """
    seconds: dict[str, list[float]] = {name: [] for name in modules}
    with own_random_numbers(device), torch.no_grad():
        for number in range(rounds + 1):
            for name, module in modules.items():
                elapsed = _seconds(module, copied(arguments), device)
                if number:
                    seconds[name].append(elapsed)
    return {name: 1e3 * sorted(values)[len(values) // 5] for name, values in seconds.items()}


def _seconds(module: nn.Module, arguments: CallArguments, device: torch.device) -> float:
    start = time.perf_counter()
    module(*arguments.args, **arguments.kwargs)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - start
