"""Descriptions by name, against the figures of the makers."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocktool.analysis.device_descriptions import NAMES, stated_ceilings
from blocktool.errors import UsageError


@pytest.mark.parametrize(
    ("name", "device", "gbps", "rates"),
    [
        # NVIDIA A100 Tensor Core GPU datasheet, 2021
        ("a100", "NVIDIA A100 40GB", 1555, {"float32": 19.5, "tf32": 156, "bfloat16": 312}),
        ("a100-80gb", "NVIDIA A100 80GB SXM", 2039, {"float64": 19.5, "int8": 624}),
        # NVIDIA H100 Tensor Core GPU architecture whitepaper, 2023
        ("H100", "NVIDIA H100 SXM", 3350, {"float32": 66.9, "tf32": 494.7, "float16": 989.4}),
        # NVIDIA H200 datasheet, 2024: the memory is another
        ("h200", "NVIDIA H200 SXM", 4800, {"bfloat16": 989.4}),
        # NVIDIA L4 and T4 datasheets
        ("L4", "NVIDIA L4", 300, {"float32": 30.3, "float16": 121}),
        ("t4", "NVIDIA T4", 300, {"float32": 8.1, "float16": 65}),
        # NVIDIA Ada GPU architecture whitepaper, with accumulation in float32
        ("RTX 4090", "NVIDIA GeForce RTX 4090", 1008, {"float32": 82.6, "bfloat16": 165.2}),
    ],
)
def test_what_the_makers_state(
    name: str, device: str, gbps: float, rates: dict[str, float]
) -> None:
    found = stated_ceilings(name)
    assert (found.device, found.gbps, found.source) == (device, gbps, "datasheet")
    for dtype, tflops in rates.items():
        assert found.gflops[dtype] == pytest.approx(tflops * 1e3)


def test_every_description_makes_sense() -> None:
    for name in NAMES:
        found = stated_ceilings(name)
        assert found.memory_bytes is not None
        assert 8e9 <= found.memory_bytes <= 300e9
        # Twice the rate for half the bits, where there are units for it.
        assert found.gflops["float16"] > 1.9 * found.gflops["float32"]
        if "int8" in found.gflops:
            assert found.gflops["int8"] >= 1.99 * found.gflops["float16"]
        if "tf32" in found.gflops:
            assert found.gflops["float16"] == pytest.approx(2 * found.gflops["tf32"], rel=0.02)
            assert found.gflops["bfloat16"] == found.gflops["float16"]
        assert found.efficiency is not None
        assert all(0 < share <= 1 for share in found.efficiency.values())
        assert found.overhead_us > 0


def test_the_table_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip(" `") for row in rows] == list(NAMES)
    for name, device, *figures, gbps, gigabytes, source in (map(str.strip, row) for row in rows):
        found = stated_ceilings(name.strip("`"))
        assert (found.device, f"{found.gbps:.0f}") == (device, gbps)
        assert found.memory_bytes == int(gigabytes) * 10**9
        assert f"**{source}**" in text
        kinds = ("float64", "float32", "tf32", "float16", "int8")
        for dtype, figure in zip(kinds, figures, strict=True):
            stated = found.gflops.get(dtype)
            rate = figure.removesuffix(" (float16)")
            assert (f"{stated / 1e3:.5g}" if stated else "") == rate
        assert figures[3].endswith("(float16)") == ("bfloat16" not in found.gflops)


def test_tf32_for_products() -> None:
    plain, tf32 = stated_ceilings("a100"), stated_ceilings("A100+TF32")
    assert plain.gflops["float32"] == 19_500
    assert tf32.gflops["float32"] == 156_000
    assert tf32.device == "NVIDIA A100 40GB (TF32)"
    with pytest.raises(UsageError, match="NVIDIA T4 has no TF32") as raised:
        stated_ceilings("t4+tf32")
    assert raised.value.hint == "assume t4 alone"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("h10", "did you mean h100? "),
        ("rtx-4080", "did you mean rtx-4090? "),
        ("toaster", "known: v100, "),
    ],
)
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"no description of a device '{name}'") as raised:
        stated_ceilings(name)
    assert raised.value.hint is not None
    assert raised.value.hint.startswith(hint)


def test_a_description_is_the_callers_own() -> None:
    stated_ceilings("l4").gflops.clear()
    efficiency = stated_ceilings("l4").efficiency
    assert efficiency is not None
    efficiency.clear()
    assert stated_ceilings("l4").gflops
    assert stated_ceilings("l4").efficiency
