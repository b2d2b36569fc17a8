"""What differs between two environments, and what it spoils."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from render import profiles, shape_reports, summaries
from render.profile_pieces import case, profile

from blocktool.analysis.mismatches import Report, incomparable, mismatches, refusal
from blocktool.results.environment import Environment
from blocktool.results.profile import Profile

HERE = profile(case())


def elsewhere(report: Report = HERE, **changes: Any) -> Report:
    """The report with another environment; ``packages`` and versions as they are given."""
    return replace(report, environment=replace(report.environment, **changes))


def machine(**changes: Any) -> Profile:
    assert HERE.machine is not None
    return replace(HERE, machine=replace(HERE.machine, **changes))


def protocol(**changes: Any) -> Profile:
    return replace(HERE, protocol=replace(HERE.protocol, **changes))


SETTINGS = {} if HERE.machine is None else HERE.machine.settings


def told(old: Report, new: Report) -> list[tuple[str, str, str, bool]]:
    return [(each.name, each.old, each.new, each.decisive) for each in mismatches(old, new)]


@pytest.mark.parametrize("report", [HERE, summaries.backbone(), shape_reports.catalog()])
def test_one_place_has_no_mismatches(report: Report) -> None:
    assert mismatches(report, report) == ()
    assert refusal(()) is None
    assert incomparable(()) is None


@pytest.mark.parametrize(
    ("new", "name"),
    [
        (machine(name="Intel Xeon"), "device"),
        (machine(device="cuda:0"), "device"),
        (replace(HERE, machine=None, assumed="NVIDIA H100"), "device"),
        (elsewhere(torch="2.12.1"), "torch"),
        (elsewhere(torch="2.13.0+cu126"), "torch"),
    ],
)
def test_another_device_or_torch_is_refused(new: Profile, name: str) -> None:
    found = mismatches(HERE, new)
    assert [(each.name, each.decisive) for each in found] == [(name, True)]
    why = refusal(found)
    assert why is not None
    assert why.startswith(f"the reports were made with another {name} (")
    assert "\n" not in why
    assert incomparable(found) == f"not the same {name}"


def test_the_refusal_names_both() -> None:
    new = machine(name="Intel Xeon")
    new = replace(new, environment=replace(new.environment, torch="2.12.1"))
    assert refusal(mismatches(HERE, new)) == (
        "the reports were made with another torch (2.13.0 and 2.12.1)"
        " and another device (cpu, AMD EPYC 7B13 and cpu, Intel Xeon)"
    )


@pytest.mark.parametrize(
    ("new", "difference"),
    [
        (machine(threads=1), ("threads", "2", "1")),
        (machine(driver="550.54"), ("driver", "none", "550.54")),
        (
            machine(settings={**SETTINGS, "float32_matmul_precision": "high"}),
            ("float32_matmul_precision", "highest", "high"),
        ),
        (
            machine(settings={**SETTINGS, "MALLOC_CONF": "x"}),
            ("MALLOC_CONF", "not set", "x"),
        ),
        (protocol(cold_cache=True), ("caches", "as they are", "cleared")),
        (protocol(optimizer="adamw"), ("optimizer", "sgd", "adamw")),
        (elsewhere(python="3.12.0"), ("python", "3.11.7", "3.12.0")),
        (elsewhere(platform="Darwin arm64"), ("platform", "Linux x86_64", "Darwin arm64")),
    ],
)
def test_what_changes_speed_spoils_what_is_measured(
    new: Profile, difference: tuple[str, str, str]
) -> None:
    assert told(HERE, new) == [(*difference, True)]
    assert refusal(mismatches(HERE, new)) is None
    assert incomparable(mismatches(HERE, new)) == f"not the same {difference[0]}"


@pytest.mark.parametrize(
    ("new", "name"),
    [
        (machine(cores=4), "cores"),
        (machine(state={"governor": "powersave"}), "governor"),
        (machine(settings={**SETTINGS, "OMP_NUM_THREADS": "2"}), "OMP_NUM_THREADS"),
        (protocol(min_seconds=3.0), "min_seconds"),
        (elsewhere(blocktool="0.2.0"), "blocktool"),
        (elsewhere(python="3.11.9"), "python"),
        (elsewhere(packages={"torchvision": "0.27.0"}), "torchvision"),
    ],
)
def test_what_changes_no_figure_is_only_told(new: Profile, name: str) -> None:
    found = mismatches(HERE, new)
    assert [(each.name, each.decisive) for each in found] == [(name, False)]
    assert refusal(found) is None
    assert incomparable(found) is None


@pytest.mark.parametrize(
    "new",
    [
        machine(state={"load": "9.9", "cpu_clock": "1200 MHz"}),
        machine(memory_bytes=1),
        protocol(max_seconds=99.0),
        protocol(processes=20),
        protocol(paired="x"),
        elsewhere(packages={"timm": "1.0.31"}),
    ],
)
def test_what_changes_by_itself_is_not_told(new: Profile) -> None:
    assert mismatches(HERE, new) == ()


def test_two_devices_of_one_kind_are_alike() -> None:
    assert told(machine(device="cuda:0"), machine(device="cuda:1")) == [
        ("device number", "cuda:0, AMD EPYC 7B13", "cuda:1, AMD EPYC 7B13", False)
    ]


def test_predictions_for_one_device_are_alike_wherever_they_were_made() -> None:
    made = profiles.assumed()
    assert mismatches(made, made) == ()
    assert [each.name for each in mismatches(made, replace(made, assumed="A100"))] == ["device"]


def test_the_optimizer_matters_where_both_train() -> None:
    assert mismatches(HERE, protocol(optimizer=None)) == ()


@pytest.mark.parametrize("report", [summaries.backbone(), shape_reports.catalog()])
def test_of_what_is_counted_the_release_of_torch_is_decisive(report: Report) -> None:
    report = elsewhere(report, torch="2.13.0+cpu", python="3.11.7", platform="Linux x86_64")
    build = elsewhere(report, torch="2.13.0+cu126")
    assert told(report, build) == [("torch", "2.13.0+cpu", "2.13.0+cu126", False)]
    other = elsewhere(report, torch="2.12.0+cpu")
    assert told(report, other) == [("torch", "2.13.0+cpu", "2.12.0+cpu", True)]
    assert refusal(mismatches(report, other)) is not None
    moved = elsewhere(report, python="3.13.1", platform="Darwin arm64")
    assert [each.decisive for each in mismatches(report, moved)] == [False, False]


def test_the_attention_of_a_summary() -> None:
    made = summaries.backbone()
    found = mismatches(made, replace(made, attention="cuda"))
    assert [(each.name, each.decisive) for each in found] == [("attention", True)]
    assert refusal(found) is None


def test_the_decisive_come_first() -> None:
    new = replace(machine(threads=1), environment=Environment("9", "1.0", "2.7", "x"))
    names = [each.name for each in mismatches(HERE, new)]
    assert names == ["torch", "python", "platform", "threads", "blocktool"]
