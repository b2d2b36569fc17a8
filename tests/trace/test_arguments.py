"""Formulas in constructor arguments against numeric runs at values that were not tried."""

from __future__ import annotations

import pytest
from symbolic_models import block_case

import blocktool
from blocktool.analysis import expressions
from blocktool.errors import TraceError
from blocktool.results.formulas import Formulas
from blocktool.results.summary import Summary
from blocktool.trace.derive_target import Request, derive_target

TOTALS = ("params", "macs", "flops", "elementwise_flops", "activation_bytes", "read_bytes")


def value(text: str, sizes: dict[str, int]) -> int:
    found = expressions.evaluate(expressions.parse(text), sizes)
    assert isinstance(found, (int, bool))
    return found


def formulas(text: str) -> Formulas:
    target, *arguments = text.split()
    return derive_target(Request(target, tuple(arguments)))


def numeric(text: str, values: dict[str, int], sizes: dict[str, int]) -> Summary:
    target, *arguments = text.split()
    filled = [
        f"{key}={values.get(given, given)}"
        for key, _, given in (item.partition("=") for item in arguments)
    ]
    case = block_case(target, tuple(filled))
    return blocktool.summarize(case.module, case.at(sizes))


def assert_equal(found: Formulas, summary: Summary, values: dict[str, int]) -> None:
    for name in TOTALS:
        text = getattr(found.totals, name)
        assert text is not None, name
        assert value(text, values) == getattr(summary.totals, name), name
    peak = found.totals.peak_live_bytes
    if peak is not None and all(value(c, values) for c in found.totals.peak_live_bytes_where):
        assert value(peak, values) == summary.totals.peak_live_bytes
    for row, other in zip(found.modules, summary.modules, strict=True):
        assert None not in row.output_shapes
        shapes = [tuple(value(n, values) for n in (s or "").split(", ")) for s in row.output_shapes]
        assert shapes == list(other.output_shapes)


MAP = {"B": 3, "H": 41, "W": 64}


@pytest.mark.parametrize(
    ("text", "held_out", "conditions"),
    [
        ("conv in_channels=8 stride=S", ({"S": 14}, {"S": 17}, {"S": 2}), ()),
        ("conv in_channels=8 stride=S padding=0 kernel_size=7", ({"S": 14}, {"S": 2}), ()),
        (
            "conv stride=S kernel_size=S padding=0",
            ({"S": 14}, {"S": 41}, {"S": 3}),
            ("H >= S", "W >= S"),
        ),
        ("bottleneck stride=S", ({"S": 14}, {"S": 16}), ("H >= S + 1", "W >= S + 1")),
        ("conv kernel_size=K", ({"K": 17}, {"K": 21}), ("K % 2 == 1",)),
        ("conv kernel_size=K padding=0", ({"K": 14}, {"K": 40}, {"K": 1}), ("H >= K", "W >= K")),
        (
            "conv in_channels=3 out_channels=D kernel_size=K",
            ({"D": 50, "K": 11}, {"D": 7 * 16, "K": 15}),
            ("K % 2 == 1",),
        ),
        (
            "conv in_channels=C out_channels=C stride=S kernel_size=K",
            ({"C": 48, "S": 7, "K": 9}, {"C": 50, "S": 6, "K": 1}),
            ("K % 2 == 1",),
        ),
        ("conv in_channels=C out_channels=C groups=C", ({"C": 112}, {"C": 50}, {"C": 640}), ()),
    ],
)
def test_arguments_of_convolutions(
    text: str, held_out: tuple[dict[str, int], ...], conditions: tuple[str, ...]
) -> None:
    found = formulas(text)
    assert found.conditions == conditions
    for values in held_out:
        sizes = {**values, **MAP}
        assert all(sizes[symbol.name] >= symbol.least for symbol in found.symbols)
        assert all(value(condition, sizes) for condition in found.conditions)
        assert_equal(found, numeric(text, values, MAP), sizes)


def test_even_kernels_are_excluded_because_they_differ() -> None:
    text = "conv in_channels=3 out_channels=D kernel_size=K"
    found = formulas(text)
    sizes = {"D": 64, "K": 4, **MAP}
    assert not value(found.conditions[0], sizes)
    assert found.totals.macs is not None
    summary = numeric(text, {"D": 64, "K": 4}, MAP)
    assert value(found.totals.macs, sizes) != summary.totals.macs


def test_strides_are_said_from_two_on() -> None:
    found = formulas("bottleneck stride=S")
    assert (found.symbols[0].name, found.symbols[0].least) == ("S", 2)
    # Only from there on is there a convolution on the shortcut.
    assert "shortcut" in {row.path for row in found.modules}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("conv groups=G", (1, 4, 64)),
        ("conv in_channels=16 out_channels=48 groups=G", (1, 8, 16)),
        ("conv in_channels=30 out_channels=90 groups=G", (6, 15, 30)),
        ("conv in_channels=8 out_channels=8 groups=G", (2, 4, 8)),
    ],
)
def test_groups_alone(text: str, values: tuple[int, ...]) -> None:
    found = formulas(text)
    for groups in values:
        assert_equal(found, numeric(text, {"G": groups}, MAP), {"G": groups, **MAP})


def test_heads_alone() -> None:
    text = "multi-head-attention num_heads=A"
    found = formulas(text)
    for heads in (1, 16, 384):  # the last was not tried
        sizes = {"B": 3, "N": 50}
        assert_equal(found, numeric(text, {"A": heads}, sizes), {"A": heads, **sizes})


def test_too_few_groups_are_told() -> None:
    with pytest.raises(TraceError, match="too few values of G give a module: G = 1; G = 7"):
        formulas("conv in_channels=7 out_channels=7 groups=G")


def test_the_peak_has_conditions_of_its_own() -> None:
    found = formulas("conv in_channels=C out_channels=C groups=C")
    assert found.conditions == ()
    assert found.totals.peak_live_bytes_where == ("C % 16 == 0",)
    assert not any("multiples" in note for note in found.notes)
