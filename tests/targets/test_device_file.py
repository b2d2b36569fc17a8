"""Descriptions of devices in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Project

from blocktool.errors import ConfigError, ReportError
from blocktool.measure.assumed import description
from blocktool.results.roofline import Ceilings
from blocktool.targets.device_file import read_device_file

WHOLE = """\
device: my GPU
gflops:
  fp32: 35580.5
  TF32: 35600
  bf16: 71e3
gbps: 936
overhead_us: 6
memory_gb: 24
efficiency: {compute: 0.6, memory: 1}
source: its manual
"""

LEAST = {"gflops": {"float32": 100.0}, "gbps": 20, "overhead_us": 2.5}


def test_a_whole_file(project: Project) -> None:
    project.write("gpu.yaml", WHOLE)
    assert description("gpu.yaml") == Ceilings(
        device="my GPU",
        gflops={"float32": 35_580.5, "tf32": 35_600.0, "bfloat16": 71_000.0},
        gbps=936.0,
        overhead_us=6.0,
        source="its manual",
        memory_bytes=24_000_000_000,
        efficiency={"compute": 0.6, "memory": 1.0},
        kind="cuda",
    )


def test_the_least_file_as_json(project: Project) -> None:
    project.write("board.json", json.dumps(LEAST))
    found = description("board.json")
    assert found == Ceilings("board", {"float32": 100.0}, 20.0, 2.5, "board.json")


def test_the_example_of_the_documentation(project: Project) -> None:
    document = Path(__file__).parents[2] / "docs" / "devices.md"
    _, _, rest = document.read_text(encoding="utf-8").partition("```yaml\n")
    project.write("my-gpu.yaml", rest.partition("```")[0])
    found = description("my-gpu.yaml")
    assert found.device == "RTX A6000 in the lab"
    assert found.gflops["tf32"] == 2 * found.gflops["float32"]
    assert found.efficiency == {"compute": 0.7, "memory": 0.8}


def test_a_path_and_a_name(project: Project) -> None:
    project.write("devices/a100", json.dumps(LEAST | {"memory_bytes": 1000, "overhead_us": 0}))
    project.write("a100", "not a description")
    assert description("a100").device == "NVIDIA A100 40GB"
    found = description("devices/a100")
    assert (found.device, found.memory_bytes, found.overhead_us) == ("a100", 1000, 0)


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("gbps: 936\n", "", "gpu.yaml:1: gbps: missing", "give it in 1e9 bytes per second"),
        ("gbps: 936", "gbps: fast", "gpu.yaml:6: gbps: must be a positive number, got 'fast'", ""),
        ("gbps: 936", "gbps: 0", "gpu.yaml:6: gbps: must be a positive number, got 0", ""),
        ("gbps: 936", "gbps: .inf", "gpu.yaml:6: gbps: must be a positive number, got inf", ""),
        ("gbps: 936", "gbps: true", "gpu.yaml:6: gbps: must be a positive number, got True", ""),
        ("gbps", "gpbs", "gpu.yaml:6: gpbs: unknown key", "did you mean gbps?"),
        ("overhead_us: 6\n", "", "gpu.yaml:1: overhead_us: missing", "give it in µs"),
        ("bf16: 71e3", "bf17: 71e3", "gpu.yaml:5: gflops.bf17: unknown dtype 'bf17'", "did you"),
        ("TF32", "float32", "gpu.yaml:4: gflops.float32: the rate of float32 is given", "keep"),
        ("71e3", "", "gpu.yaml:5: gflops.bf16: missing", "give it in 1e9 FLOPs per second"),
        ("compute: 0.6", "compute: 60", "gpu.yaml:9: efficiency.compute: must be more", "for"),
        ("compute", "maths", "gpu.yaml:9: efficiency.maths: unknown key", "known keys: compute"),
        ("{compute: 0.6, memory: 1}", "0.6", "gpu.yaml:9: efficiency: must be the sha", "for"),
        ("memory_gb: 24", "memory_gb: 24\nmemory_bytes: 9", "gpu.yaml:8: memory_gb: memory_", ""),
        ("memory_gb: 24", "memory_gb: -1", "gpu.yaml:8: memory_gb: must be a positive", ""),
        ("source: its", "kind: gpu\nsource: its", "gpu.yaml:10: kind: must be cpu or cuda", "cuda"),
        ("device: my GPU", "device: [1]", "gpu.yaml:1: device: must be a text", "for example"),
    ],
)
def test_what_makes_no_sense(project: Project, old: str, new: str, message: str, hint: str) -> None:
    project.write("gpu.yaml", WHOLE.replace(old, new, 1))
    with pytest.raises(ConfigError) as raised:
        read_device_file("gpu.yaml")
    assert raised.value.message.startswith(message)
    assert "\n" not in raised.value.message
    assert (raised.value.hint or "").startswith(hint)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "x.yaml: the file is empty", "it needs at least 'gflops:'"),
        ("- 1", "x.yaml:1: not a mapping of keys to values", "the file begins with keys such"),
        ("gbps: 3\noverhead_us: 2", "x.yaml:1: gflops: missing", "for example gflops"),
        ("gflops: 3\ngbps: 3", "x.yaml:1: gflops: must be rates by dtype", "for example gflops"),
        ("gflops: {", "x.yaml:1: not YAML", "is the file whole?"),
    ],
)
def test_a_file_that_is_no_description(
    project: Project, text: str, message: str, hint: str
) -> None:
    project.write("x.yaml", text)
    with pytest.raises(ConfigError) as raised:
        description("x.yaml")
    assert raised.value.message.startswith(message)
    assert (raised.value.hint or "").startswith(hint)


def test_no_such_file(project: Project) -> None:
    project.write("my-gpu.yaml", json.dumps(LEAST))
    with pytest.raises(ConfigError, match=r"no such file: my-gpus.yaml") as raised:
        description("my-gpus.yaml")
    assert raised.value.hint == "did you mean my-gpu.yaml?"


CEILINGS = {
    "device": "a CPU, 2 threads",
    "gflops": {"float32": 200.5},
    "gbps": 25.0,
    "overhead_us": 4.9,
    "source": "measured",
    "memory_bytes": None,
    "efficiency": None,
}


def test_a_saved_profile(project: Project) -> None:
    report = {"schema_version": "1", "kind": "profile", "cases": [], "ceilings": CEILINGS}
    project.write("profile.json", json.dumps(report))
    assert description("profile.json") == Ceilings(
        "a CPU, 2 threads", {"float32": 200.5}, 25.0, 4.9, "measured"
    )


@pytest.mark.parametrize(
    ("machine", "limits", "kind"),
    [
        ({"device": "cpu"}, {}, "cpu"),
        ({"device": "cuda:1"}, {}, "cuda"),
        (None, {}, "cuda"),
        ({"device": "cuda:0"}, {"kind": "cpu"}, "cpu"),
    ],
)
def test_the_kind_of_a_saved_profile(
    project: Project, machine: dict[str, str] | None, limits: dict[str, str], kind: str
) -> None:
    report = {"kind": "profile", "machine": machine, "ceilings": CEILINGS | limits}
    project.write("profile.json", json.dumps(report))
    assert description("profile.json").kind == kind


@pytest.mark.parametrize("name", ["board.json", "board.yaml"])
@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_kind_in_a_file(project: Project, name: str, kind: str) -> None:
    project.write(name, json.dumps(LEAST | {"kind": kind}))
    assert description(name).kind == kind


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "summary"}, "x.json is a report of kind 'summary', which has no limits"),
        ({"ceilings": None}, "x.json: the report has no limits of its device"),
        ({"ceilings": CEILINGS | {"gbps": "fast"}}, "x.json is damaged: ceilings: Expected"),
        ({"ceilings": CEILINGS | {"gbps": 0}}, "x.json is damaged: ceilings: a rate is not"),
        ({"ceilings": {}}, "x.json is damaged: ceilings: Object missing required field"),
    ],
)
def test_a_report_without_limits(
    project: Project, changed: dict[str, object], message: str
) -> None:
    report = {"schema_version": "1", "kind": "profile", "ceilings": CEILINGS}
    project.write("x.json", json.dumps(report | changed))
    with pytest.raises(ReportError) as raised:
        description("x.json")
    assert raised.value.message.startswith(message)
    assert raised.value.hint
