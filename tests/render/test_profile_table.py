from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from render import profiles
from render.profile_pieces import case, latency, profile
from render.profiles import MAKERS

from blocktool.render.profile_table import render
from blocktool.render.view import View
from blocktool.results.profile import PhaseLatency, Profile, Verdict

Snapshot = Callable[[str, str], None]

_CASES = {
    **{f"profile-{name}-{width}.txt": (name, View(width=width))
       for name in MAKERS for width in (80, 140)},
    "profile-single-ascii-80.txt": ("single", View(width=80, unicode=False)),
    "profile-variants-ascii-100.txt": ("variants", View(width=100, unicode=False)),
    "profile-variants-color-120.txt": ("variants", View(width=120, color=True)),
    "profile-by-module-color-100.txt": ("by-module", View(width=100, color=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_snapshots(name: str, snapshot: Snapshot):
    made, view = _CASES[name]
    snapshot(name, render(MAKERS[made](), view))


@pytest.mark.parametrize("width", [80, 93, 100, 111, 120, 140, 200])
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("name", MAKERS)
def test_only_code_is_wider_than_asked(name: str, unicode: bool, width: int):
    from rich.cells import cell_len  # wide characters count twice, by an independent measure

    lines = render(MAKERS[name](), View(width=width, unicode=unicode)).splitlines()
    assert max(cell_len(line) for line in lines if not line.startswith("    File")) <= width
    if not unicode:
        assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("name", MAKERS)
def test_colour_changes_nothing_but_colour(name: str):
    plain, colored = (
        render(MAKERS[name](), View(width=100, color=color)) for color in (False, True)
    )
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    # The parts of the stacked bar are told apart by colour instead of by shade.
    shades = str.maketrans("▓▒░▚▞▤", "██████")
    assert stripped.translate(shades) == plain.translate(shades)
    assert colored != plain


@pytest.mark.parametrize("name", ["batches", "variants", "training", "assumed", "largest"])
def test_no_figure_is_lost_on_a_narrow_screen(name: str):
    wide = render(MAKERS[name](), View(width=400))
    narrow = render(MAKERS[name](), View(width=60))
    tables = [block for block in wide.split("\n\n") if "───" in block]
    figures = set(re.findall(r"\S*\d\S*", tables[0]))
    assert len(figures) > 10
    assert figures <= set(re.findall(r"\S*\d\S*", narrow))


def test_names_cannot_reach_the_terminal():
    text = render(profiles.hostile(), View(width=120))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    assert "\U0001f4a5 <script>" in text
    text.encode()


def test_one_case_is_a_card_and_several_are_a_table():
    assert "───" not in render(profiles.single(), View())
    text = render(profiles.batches(), View(width=140))
    header, *rows = [line for line in text.splitlines() if re.match(r"Batch|\s+\d+  ", line)]
    assert header.split()[:3] == ["Batch", "Time", "±"]
    assert [row.split()[0] for row in rows] == ["1", "8", "32", "512", "1024"]


def test_the_card_has_the_figures_of_the_case():
    """By hand: 8 items in 414.1 ms are 19.3 a second; 4.089 G * 8 MACs are 65.4 GFLOPs."""
    text = render(profiles.single(), View(width=140))
    samples = profiles.single().cases[0].latency_ms
    assert samples is not None
    assert f"{min(samples.samples):.1f} – {max(samples.samples):.1f} ms" in text
    for part in (
        "414.1 ms", "±0.4%", "412.4 – 415.7 ms", "65.427 GFLOPs a call", "189.2 GFLOP/s in float32",
        "84%", "bound by compute", "98.00 MiB held, 216.00 MiB by the run", "314.00 MiB",
        "0.2% less than measured", "layer1.0.conv3", "activations 140.87 MiB", "peak at 82.46 ms",
        "3 calls, the first 618.5 ms",
    ):  # fmt: skip
        assert part in text, part


def test_a_case_without_a_time_has_its_reason_across_the_row():
    text = render(profiles.batches(), View(width=140))
    (row,) = [line for line in text.splitlines() if line.startswith("  512")]
    assert "out of memory (13.60 GiB predicted): RuntimeError" in row
    # Cut in the row, told in full below, with the code.
    assert "you tried to allocate 1644167168 bytes" in " ".join(text.split())
    assert "        x = self.relu(x)" in text
    # What was told in full is not told again.
    assert text.count("batch 512 ran out of memory") == 1


def test_a_failure_alone_is_told_in_full():
    made = profiles.batches()
    text = render(profile(replace(made.cases[3], index=0)), View(width=80))
    assert "failed: out of memory (13.60 GiB predicted)" in text
    assert 'File "resnet.py", line 269' in text
    assert "───" not in text


def test_equal_failures_are_told_once():
    failed = profiles.batches().cases[3]
    made = profile(
        case(0, 1), failed, replace(failed, index=4, batch=600, inputs=case(0, 600).inputs)
    )
    text = render(made, View(width=140))
    assert text.count("x = self.relu(x)") == 1
    assert "failed: batch 512; batch 600:" in text


def test_speedups_are_against_eager_and_doubtful_ones_say_so():
    text = render(profiles.variants(), View(width=200))
    # By hand: 414.074 / 252.883 and 414.074 / 1208.18.
    assert re.search(r"fused\+channels-last\+compile .* 1\.64× ", text)
    assert re.search(r"bf16 .* 0\.34× ", text)
    close = case(1, 8, 412.0, variant="fused")
    text = render(profile(case(0, 8, 412.3), close), View(width=200))
    assert "≈1.00×" in text
    assert "61.1%" not in text


def test_speedups_are_within_their_own_group():
    made = profile(
        case(0, 1, 10.0), case(1, 1, 5.0, variant="fused"),
        case(2, 8, 90.0), case(3, 8, 60.0, variant="fused"), case(4, 9, 90.0, variant="fused"),
    )  # fmt: skip
    text = render(made, View(width=200))
    speedups = re.findall(r"(\d\.\d\d)×", text)
    assert speedups == ["2.00", "1.50"]  # batch 9 has no eager
    assert "Time, eager = 100% (batch 1)" in text
    assert "Time, eager = 100% (batch 8)" in text


def test_a_chart_of_batches_takes_three_of_them():
    assert "Items/s by batch" in render(profiles.batches(), View())
    assert "Items/s by batch" not in render(profiles.largest(), View())


def test_charts_are_not_a_wall():
    cases = [
        case(index, 2 ** (index % 4), 10.0 * (index + 1), dtype=f"float{index // 4}")
        for index in range(24)
    ]
    assert "Items/s by batch" not in render(profile(*cases), View())
    text = render(profile(*cases[:8]), View())
    assert text.count("Items/s by batch") == 2


def test_training_shows_its_phases():
    text = render(profiles.training(), View(width=140))
    assert re.search(r"Forward +% +Backward +% +Optimizer +%", text)
    assert "416.3 ms  32.0%  839.1 ms  64.5%   45.54 ms  3.5%" in text
    phases = (PhaseLatency("forward", 10.0, 9.0, 11.0), PhaseLatency("backward", 30.0, 29.0, 31.0))
    alone = case(0, 8, 40.0, mode="training", phases_ms=phases)
    text = render(profile(alone), View(width=140))
    assert re.search(r"forward +10\.00 ms +25\.0% █", text)
    assert re.search(r"backward +30\.00 ms +75\.0% █", text)


def test_a_prediction_says_that_it_is_one():
    text = render(profiles.assumed(), View(width=140))
    assert "prediction for NVIDIA H100 SXM: nothing was run" in text
    assert "Predicted time" in text
    assert "Of limit" not in text
    # By hand: 64 items in 4.52 ms; 2 * 64 * 4.089 GMACs in 4.52 ms.
    assert re.search(r" 64 +4\.520 ms +14,159 +115,800 ", text)
    alone = replace(profiles.assumed(), cases=profiles.assumed().cases[1:])
    text = render(alone, View(width=140))
    assert re.search(r"Predicted time +4\.520 ms", text)
    assert re.search(r"Throughput +14,159 items/s", text)


def test_the_search_for_the_largest_batch():
    text = render(profiles.largest(), View(width=140))
    assert "largest batch 312 (float32, inference) in 7.67 GiB (available memory)" in text
    assert "313 does not fit; predicted 318" in text
    assert len(re.findall(r"^ +31\d  (?:fits|does not fit)", text, re.MULTILINE)) == 4
    found = profiles.largest().max_batch
    assert found is not None
    none = replace(found, batch=0, tried=())
    text = render(replace(profiles.largest(), max_batch=none), View(width=140))
    assert "no batch fits, not even 1" in text


def test_warnings_come_with_a_hint_and_their_cases():
    text = render(profiles.batches(), View(width=140))
    assert "warning: batch 8: the median is known to ±3.1%, not to ±1%" in text
    assert "hint: give it more time with --max-time" in text
    assert "warning: other processes used 38% of the cores" in text


def test_verdicts_name_the_case_where_there_are_several():
    made = profiles.variants()
    (verdict,) = made.verdicts
    assert "use fused+channels-last+compile: 1.64x faster" in render(made, View(width=140))
    other: Verdict = replace(
        verdict, batch=1, inputs=case(0, 1).inputs, use="eager", reason="nothing is faster"
    )
    text = render(replace(made, verdicts=(verdict, other)), View(width=140))
    assert "batch 8: use fused+channels-last+compile: 1.64x" in text
    assert "batch 1: use eager: nothing is faster" in text


def test_nothing_was_measured():
    empty: Profile = profile()
    text = render(empty, View())
    assert text.startswith("torchvision:resnet50  ResNet\n")
    assert "Time is" not in text
    bare = case(
        0, None, latency_ms=latency(1.0, 3), precision=None, warmup=None, memory=None,
        predicted_memory=None, peak_bytes=None, predicted_peak_bytes=None, roofline=None,
        gflops=None, gbps=None, macs=None, moved_bytes=None, throughput=None,
    )  # fmt: skip
    text = render(profile(bare, machine=None, ceilings=None), View())
    assert re.search(r"Time +1\.0\d+ ms", text)
    assert "Peak memory" not in text
