"""Every fault of the museum is found, with its cause; of what is sound nothing is said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from faults import FAULTS, SOUND, Fault, Sound
from zoo_stub import import_torchvision

from blocktool.check.gather import gather, swept_arguments
from blocktool.check.sweep import Settings, run_sweeps
from blocktool.results.shapes import Failed, Finding, ShapeReport
from blocktool.targets.sweep_words import SweepWords


def run(
    target: str,
    options: Mapping[str, object],
    arguments: Sequence[str] = (),
    inputs: Sequence[str] = (),
    **more: Sequence[str],
) -> ShapeReport:
    said = {key: value for key, value in options.items() if key not in ("arguments", "device")}
    words = SweepWords(
        **{key: (value,) if isinstance(value, str) else value for key, value in said.items()},  # type: ignore[arg-type]
        input=tuple(inputs),
        arguments=swept_arguments(arguments),
    )
    device = options.get("device")
    settings = Settings(device if isinstance(device, str) else None, jobs=1)
    return run_sweeps(gather([target], replace(words, **more)), settings)  # type: ignore[arg-type]


def told(finding: Finding) -> str:
    outcome = finding.case.outcome
    assert isinstance(outcome, Failed)
    parts = (
        *(outcome.message, outcome.hint, finding.where),
        *(outcome.expected, outcome.actual, outcome.module),
    )
    return " ".join(part for part in parts if part)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.cls.__name__)
@pytest.mark.parametrize("device", ["default", "asked"])
def test_a_fault_is_found(fault: Fault, device: str) -> None:
    options = dict(fault.options)
    if device == "asked" and "device" not in options:
        pytest.skip("the same as the default")
    if device == "default":
        options.pop("device", None)  # what needs real data is found without asking for it
    arguments = options.get("arguments", ())
    assert isinstance(arguments, tuple)
    name = f"{fault.cls.__module__}:{fault.cls.__qualname__}"
    report = run(name, options, arguments)
    assert not report.holds
    found = [
        finding
        for finding in report.findings
        if isinstance(finding.case.outcome, Failed) and finding.case.outcome.kind in fault.kinds
    ]
    texts = [told(finding) for finding in found]
    assert any(re.search(fault.pattern, text, re.IGNORECASE) for text in texts), texts


def test_there_are_enough() -> None:
    assert len({fault.cls for fault in FAULTS}) >= 25
    assert len(SOUND) >= 25


@pytest.mark.parametrize("sound", SOUND, ids=str)
def test_of_what_is_sound_nothing_is_said(
    sound: Sound, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """At fewer sizes than usual: tests/benchmarks/check_shapes.py has all of them."""
    import_torchvision()
    monkeypatch.chdir(pytestconfig.rootpath)
    few: dict[str, Sequence[str]] = {}
    if sound.target.startswith(("timm:", "torchvision:", "examples/")):
        own = sound.inputs[0].rpartition("x")[2] if sound.inputs else "224"
        few = {"size": (own,), "batch": ("2",), "dtype": ("float32",)}
    elif sound.inputs and sound.inputs[0].count("x") == 2:
        few = {"size": ("7,16",)}
    report = run(sound.target, sound.options, sound.arguments, sound.inputs, **few)
    assert [told(finding) for finding in report.findings] == []
    assert report.holds
    assert sum(target.passed for target in report.targets) >= 1
