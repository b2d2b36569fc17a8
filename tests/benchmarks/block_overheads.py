"""What the blocks' checks cost, and what fusing gains."""

from __future__ import annotations

import itertools
import timeit
from collections.abc import Callable, Sequence

import torch
from block_cases import example
from block_race import Setting
from block_references import randomize
from common import say, table
from paired import Step, interleaved

import blocktool
from blocktool.blocks import ConvBlock, SelfAttention
from blocktool.blocks.shapes import check_map, check_tokens, check_tokens_or_map


def checks() -> str:
    """Nanoseconds of each check, as forward calls it: the least of many repetitions."""
    conv, attention = ConvBlock(64, 64), SelfAttention(64)
    grid, tokens = torch.zeros(1, 64, 8, 8), torch.zeros(1, 16, 64)
    calls: dict[str, Callable[[], object]] = {
        "`check_map`, of convolutional blocks": lambda: check_map(conv, grid, conv.in_channels),
        "`check_tokens`, of MultiHeadAttention": lambda: check_tokens(
            attention, tokens.shape, attention.in_channels
        ),
        "`check_tokens_or_map`, tokens": lambda: check_tokens_or_map(
            attention, tokens.shape, attention.in_channels
        ),
        "`check_tokens_or_map`, a map": lambda: check_tokens_or_map(
            attention, grid.shape, attention.in_channels
        ),
    }
    empty = _nanoseconds(lambda: None)
    rows = [(name, f"{_nanoseconds(call) - empty:.0f} ns") for name, call in calls.items()]
    return table(("check", "each call"), rows)


def _nanoseconds(call: Callable[[], object], number: int = 10_000) -> float:
    return 1e9 * min(timeit.repeat(call, number=number, repeat=50)) / number


def fused(settings: Sequence[Setting], seconds: float) -> str:
    """Networks after blocktool.fuse over the same as they are, in inference."""
    rows = []
    for name in ("resnet18", "resnet50"):
        model = randomize(example(name)).eval()
        made = blocktool.fuse(model, (1, 3, 224, 224))
        for batch, setting in itertools.product((1, 8), settings):
            torch.set_num_threads(setting.threads)
            x = torch.randn(batch, 3, 224, 224, device=setting.device)
            contestants = {
                "as it is": model.to(setting.device),
                "fused": made.module.to(setting.device),
            }
            steps = {key: Step(lambda m=m, x=x: m(x)) for key, m in contestants.items()}  # type: ignore[misc]
            with torch.no_grad():
                samples = interleaved(steps, seconds, setting.clock)
            times = [f"{1e3 * each.low:.1f} ms" for each in samples.values()]
            ratio = samples["fused"].shown(samples["as it is"])
            error = max(each.randomized for each in made.report.errors)
            label = f"{name}.yaml, B{batch}"
            rows.append((label, str(setting), *times, ratio, f"{error:.1g}"))
            say(f"{label}, {setting}: {ratio}")
    header = ("network", "setting", "as it is", "fused", "ratio", "relative error")
    return table(header, rows)
