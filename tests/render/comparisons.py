"""Comparisons made by hand, for tests of what is shown of them."""

from __future__ import annotations

from typing import Any

from render.comparison_hostile import hostile
from render.comparison_pieces import change, comparison, measured, module, side

from blocktool.results.comparison import (
    CaseChange,
    Comparison,
    Finding,
    Mismatch,
    RuleOutcome,
    Statement,
)


def same() -> Comparison:
    """Nothing changed, and two rules hold."""
    return comparison(
        totals=(change("params", 11_689_512, 11_689_512), change("macs", 10**9, 10**9)),
        rules=(RuleOutcome("macs:+1%", "passed", 1), RuleOutcome("params:0", "passed", 1)),
    )


def widened() -> Comparison:
    """A residual network of which kernels were widened, a block added and one renamed."""
    widened = [f"layer{stage}.{block}.conv1" for stage in (1, 2, 3, 4) for block in range(6)]
    modules = [
        module(
            path,
            (36_864, 102_400),
            (115_605_504, 321_126_400),
            details=("kernel_size (3, 3) -> (5, 5)", "padding (1, 1) -> (2, 2)"),
            effect=0.113,
        )
        for path in widened
    ]
    added = module(
        "layer4.2",
        (None, 4_720_640),
        (None, 231_211_008),
        verdict="added",
        old_path=None,
        old_type=None,
        new_type="BasicBlock",
        modules=8,
        effect=0.4041,
    )
    removed = module(
        "aux",
        (512_000, None),
        (512_000, None),
        verdict="removed",
        new_path=None,
        new_type=None,
        old_type="Linear",
        effect=0.0438,
    )
    renamed = module("stem", (9408, 9408), (118, 118), verdict="renamed", old_path="conv1")
    follows = [
        module(f"layer{n}.0.bn1", (64, 64), (0, 0), verdict="follows", effect=0.0001)
        for n in range(14)
    ]
    return comparison(
        old=side("baseline.json", "torchvision:resnet18"),
        new=side("pr.json", "torchvision:resnet18"),
        statements=(
            Statement("configured", "kernel_size (3, 3) -> (5, 5)", tuple(widened), 0.9),
            Statement("added", "BasicBlock added", ("layer4.2",), 0.4041),
            Statement("removed", "Linear aux removed", ("aux",)),
            Statement("renamed", "conv1 is called stem now", ("stem",)),
            Statement("dtype", "parameters are bfloat16, they were float32"),
        ),
        totals=(
            change("params", 11_689_512, 17_471_016),
            change("trainable_params", 11_689_512, 11_689_512),
            change("param_bytes", 46_758_048, 34_942_032),
            change("macs", 1_814_073_344, 6_972_579_840),
            change("flops", 3_628_146_688, 13_945_159_680),
            change("elementwise_flops", 25_000_000_000, 25_000_000_001),
            change("activation_bytes", 39_739_392, 39_739_392),
            change("read_bytes", 0, 1024),
            change("param_dtype", "float32", "bfloat16"),
            change("peak_live_bytes", 61_239_296, 61_239_808),
        ),
        modules=(added, *modules, removed, renamed, *follows),
        findings=(
            Finding(
                *("macs:+1%", "macs", 1_814_073_344, 6_972_579_840, 2.84),
                "macs of the whole rose by 284.4% (1,814,073,344 -> 6,972,579,840), allowed is +1%",
            ),
            Finding(
                *("layer4.*:params:0", "params", None, 4_720_640, None),
                "params of layer4.2, which was added, are 4,720,640, and no change is allowed",
                "layer4.2",
            ),
        ),
        rules=(
            RuleOutcome("macs:+1%", "failed", 1),
            RuleOutcome("layer4.*:params:0", "failed", 12),
            RuleOutcome("peak_live_bytes:+5%", "passed", 1),
            RuleOutcome("head.*:macs:0", "skipped", 0, "no module matches head.*"),
        ),
        mismatches=(
            Mismatch("blocktool", "0.1.0", "0.2.0", decisive=False),
            Mismatch("timm", "1.0.30", "1.0.31", decisive=False),
        ),
        notes=("the optimizer was left out of the old report",),
    )


_CASES = [f"batch {n} · float32 · inference · {how}" for n in (1, 8) for how in ("eager", "fused")]


def profiled() -> Comparison:
    """A profile with changes that are significant, inconclusive, absent and not compared."""
    few = "between -2.1% and +9.0%; measure with more --processes"
    one, eight, fused, other = _CASES[0], _CASES[2], _CASES[3], _CASES[1]
    return comparison(
        "profile",
        statements=(
            Statement("measured", "12.3% slower in batch 8 · float32 · inference · eager"),
        ),
        totals=(
            change("macs", 10**9, 10**9, case=one),
            measured("latency_ms.p50", 1.25, 1.26, -0.01, 0.02, case=one, verdict="same"),
            measured(
                *("throughput", 800.0, 790.0, -0.021, 0.09),
                case=one,
                verdict="inconclusive",
                reason=few,
            ),
            measured("latency_ms.p50", 10.0, 11.23, 0.098, 0.149, case=eight),
            measured("throughput", 800.0, 712.4, -0.13, -0.089, case=eight),
            measured("peak_bytes", 67_108_864, 50_331_648, -0.26, -0.24, case=eight),
            measured("latency_ms.p50", 9.0, 8.1, -0.12, -0.08, case=fused),
            measured(
                *("latency_ms.p50", 8.0, 9.5, -0.02, 0.3),
                case=other,
                verdict="inconclusive",
                reason=few,
            ),
            measured(
                *("peak_bytes", 3000, 4000, None, None),
                case=other,
                verdict="not compared",
                reason="threads differ",
            ),
            measured(
                *("phases_ms.backward.p50", 3.0, 4.0, None, None),
                case=other,
                verdict="inconclusive",
                reason="for information",
            ),
            change("max_batch.batch", 64, 48),
        ),
        rules=(
            RuleOutcome("latency_ms.p50:+20%", "passed", 4, "inconclusive in 2 of 4 cases"),
            RuleOutcome("throughput:-5%", "skipped", 2, "inconclusive: 1 process on each side"),
        ),
        mismatches=(Mismatch("threads", "2", "16", decisive=True),),
    )


def checked() -> Comparison:
    """Two checks of shapes: what fails now, holds now, was skipped, is gone and is new."""

    def case(target: str, of: str, *outcomes: Any, **more: Any) -> CaseChange:
        return CaseChange(target, of, *outcomes, **more)

    command = "blocktool check-shapes net.py:Net -i 1x16x33x33 --as-given --mode eval"
    return comparison(
        "check-shapes",
        statements=(Statement("cases", "2 cases fail that passed"),),
        totals=(change("failed", 0, 2), change("passed", 40, 39), change("skipped", 3, 3)),
        cases=(
            case("net.py:Net", "1x16x9x9, train", "failed", "passed"),
            case("net.py:Net", "1x16x3x3, eval", "passed", None),
            case("net.py:Net", "proof", "proved", "not proved", reason="cat of a list"),
            case("net.py:Net", "1x16x5x5, eval", "passed", "skipped", reason="needs 7x7"),
            case(
                *("net.py:Net", "1x16x33x33, eval", "passed", "failed"),
                reason="wrong shape: expected 1x16x33x33, and 1x16x34x34 came out",
                reproduce=command,
            ),
            case("conv", "2x16x4x4, eval", None, "passed"),
        ),
    )


def budgets() -> Comparison:
    """One report, held to budgets."""
    return comparison(
        "profile",
        old=None,
        new=side("profile.json", "timm:vit_tiny_patch16_224"),
        totals=(
            change("macs", None, 1_254_000_000, verdict="same", case=_CASES[0]),
            measured("latency_ms.p50", 9.0, 9.1, None, None, case=_CASES[0], verdict="same"),
            measured("latency_ms.p50", 9.0, 18.3, None, None, case=_CASES[2], verdict="same"),
        ),
        findings=(
            Finding(
                *("latency_ms.p50<=15ms", "latency_ms.p50", None, 18.3, None),
                "latency_ms.p50 is 18.3 ms, and at most 15 ms is allowed",
                None,
                _CASES[2],
            ),
        ),
        rules=(
            RuleOutcome("macs<=5G", "passed", 1),
            RuleOutcome("latency_ms.p50<=15ms", "failed", 2),
            RuleOutcome("*.attn:macs<=200M", "passed", 12),
            RuleOutcome("*.mlpp:macs<=200M", "skipped", 0, "no module matches *.mlpp"),
        ),
    )


MAKERS = {
    "widened": widened,
    "profiled": profiled,
    "checked": checked,
    "budgets": budgets,
    "hostile": hostile,
}
"""Every comparison of which something is shown."""
