"""Files for other tools: Bencher, github-action-benchmark, and speedscope for a summary."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from jsonschema import Draft7Validator
from render import profiles
from render.profile_pieces import case, profile
from render.speedscope_files import read, stacks
from render.summaries import backbone, troubled
from torch import nn

import blocktool
from blocktool.errors import UsageError
from blocktool.render.formats import formats_of, renderer
from blocktool.render.view import View
from blocktool.results.profile import Profile
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import Summary

# https://bencher.dev/docs/reference/bencher-metric-format/, with what it leaves open closed.
METRIC = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
    "required": ["value"],
    "additionalProperties": False,
}
BENCHER = Draft7Validator(
    {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"minLength": 1, "maxLength": 1024},
        "additionalProperties": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-z0-9-]{1,64}$"},
            "additionalProperties": METRIC,
        },
    }
)


def bencher(made: Summary | Profile) -> dict[str, Any]:
    kind = "summary" if isinstance(made, Summary) else "profile"
    text = renderer(kind, "bencher")(made, View())
    report: dict[str, Any] = json.loads(text)
    BENCHER.validate(report)
    return report


def github(made: Summary | Profile) -> list[dict[str, Any]]:
    """The list, once every entry is as the action's README asks."""
    kind = "summary" if isinstance(made, Summary) else "profile"
    entries: list[dict[str, Any]] = json.loads(
        renderer(kind, "github-action-benchmark")(made, View())
    )
    assert len({each["name"] for each in entries}) == len(entries)
    for each in entries:
        assert (
            {"name", "unit", "value"} <= each.keys() <= {"name", "unit", "value", "range", "extra"}
        )
        assert isinstance(each["value"], int | float)
        assert all(isinstance(each[key], str) for key in each.keys() - {"value"})
    return entries


def test_both_commands_have_them() -> None:
    for kind in ("summary", "profile"):
        assert {"bencher", "github-action-benchmark", "speedscope"} <= {*formats_of(kind)}


def test_a_summary_for_bencher() -> None:
    assert bencher(backbone()) == {
        "net.py:Net, 1x3x32x32, forward": {
            "macs": {"value": 12_000_000},
            "parameters": {"value": 56_420},
            "activation-memory": {"value": 900_000},
            "predicted-peak-memory": {"value": 3_000_000},
        }
    }
    assert [*bencher(troubled())] == [
        "odd|names.py:`Net`, 1x3x32x32, training with sgd, attention as on cuda"
    ]


def test_the_attention_that_figures_depend_on_is_in_the_name() -> None:
    assert [*bencher(replace(backbone(), attention="cuda"))] == [
        "net.py:Net, 1x3x32x32, forward, attention as on cuda"
    ]


def test_a_profile_for_bencher_in_its_units() -> None:
    made = case(0, 8, 400.0)
    assert made.latency_ms is not None
    report = bencher(profile(made))
    (name,) = report
    assert name == "torchvision:resnet50, batch 8, size 3x224x224, float32, inference, eager"
    taken = report[name]
    assert taken["latency"] == {
        "value": pytest.approx(made.latency_ms.p50 * 1e6),
        "lower_value": pytest.approx(made.latency_ms.p50 * 0.996e6),
        "upper_value": pytest.approx(made.latency_ms.p50 * 1.004e6),
    }
    rate = 8 / (made.latency_ms.p50 / 1e3)
    assert taken["throughput"]["value"] == pytest.approx(20.0)
    assert taken["throughput"]["lower_value"] == pytest.approx(rate / 1.004, rel=1e-5)
    assert taken["throughput"]["upper_value"] == pytest.approx(rate / 0.996, rel=1e-5)
    assert taken["peak-memory"] == {"value": made.peak_bytes}
    assert taken["predicted-peak-memory"] == {"value": made.predicted_peak_bytes}
    assert taken["macs"] == {"value": 4_089_184_256 * 8}


def test_a_benchmark_has_its_name_whatever_else_was_measured() -> None:
    alone = bencher(profile(case(0, 8)))
    assert alone.keys() < bencher(profile(case(0, 8), case(1, 16), case(2, 8, amp=True))).keys()
    assert alone.keys() < bencher(profiles.variants()).keys()


def test_cases_that_cannot_be_told_apart_are_numbered() -> None:
    names = [*bencher(profile(case(0, 8), case(1, 8)))]
    assert names[1] == f"{names[0]} (2)"


def test_cases_that_failed_are_left_out() -> None:
    names = bencher(profiles.batches())
    assert [name.split(", ")[1] for name in names] == ["batch 1", "batch 8", "batch 32"]
    failed = profile(case(0, 8, outcome="failed", kind="crash", latency_ms=None))
    for name in ("bencher", "github-action-benchmark"):
        with pytest.raises(UsageError, match="no case has figures"):
            renderer("profile", name)(failed, View())


def test_predictions_are_benchmarks_of_their_own() -> None:
    report = bencher(profiles.assumed())
    assert all(name.endswith("eager, predicted for NVIDIA H100 SXM") for name in report)
    first = next(iter(report.values()))
    assert first["latency"] == {"value": pytest.approx(1.31e6)}
    assert first["throughput"] == {"value": pytest.approx(1e3 / 1.31)}
    assert "peak-memory" not in first


def test_inputs_without_a_batch_have_no_throughput() -> None:
    made = case(0, None, 2.0, throughput=None, inputs=(TensorSpec((), "int64"),))
    (report,) = bencher(profile(made)).values()
    assert "throughput" not in report
    assert report["latency"]["value"] > 0


def test_a_profile_for_github_action_benchmark() -> None:
    entries = github(profile(case(0, 8, 400.0)))
    name = "torchvision:resnet50, batch 8, size 3x224x224, float32, inference, eager"
    assert [each["name"] for each in entries] == [
        f"{name} - {figure}"
        for figure in ("latency", "peak memory", "predicted peak memory", "macs")
    ]
    latency = entries[0]
    assert (latency["unit"], latency["value"]) == ("ms", pytest.approx(400, rel=0.01))
    assert latency["range"] == f"± {latency['value'] * 0.004:.3g}"
    assert "torch 2.13.0" in latency["extra"]
    assert "range" not in entries[1]


def test_a_summary_for_github_action_benchmark() -> None:
    units = {each["name"].partition(" - ")[2]: each["unit"] for each in github(backbone())}
    assert units == {
        "macs": "MACs",
        "parameters": "parameters",
        "activation memory": "bytes",
        "predicted peak memory": "bytes",
    }


def test_names_are_text_of_one_line_and_not_too_long() -> None:
    for name in (*bencher(profiles.hostile()), *(e["name"] for e in github(profiles.hostile()))):
        assert name.isprintable()
        assert "<script>" in name  # JSON needs no more
    long = replace(backbone(), target="a" * 5_000 + ".py:Net")
    (name,) = bencher(long)
    assert name.startswith("aaa")
    assert name.endswith(".py:Net, 1x3x32x32, forward")


# ------------------------------------------------------------------------------- speedscope


def flames(made: Summary) -> dict[str, list[tuple[list[str], float]]]:
    """The samples by figure."""
    file = read(renderer("summary", "speedscope")(made, View()))
    names = [each["name"].removeprefix(f"{made.target}: ") for each in file["profiles"]]
    return {name: stacks(file, number) for number, name in enumerate(names)}


def test_a_flame_graph_for_each_figure() -> None:
    file = read(renderer("summary", "speedscope")(backbone(), View()))
    told = {each["name"]: (each["unit"], each["endValue"]) for each in file["profiles"]}
    assert told["net.py:Net: MACs"] == ("none", 12_000_000)
    assert told["net.py:Net: bytes read and written"][0] == "bytes"
    block = ["Backbone", "stage: Stage", "stage.0: Block"]
    assert ([*block, "stage.0.conv: Conv2d"], 50_000) in flames(backbone())["parameters"]


def test_the_width_of_a_module_is_its_figure() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    )
    made = blocktool.summarize(net, (2, 3, 9, 9))
    found = flames(made)
    for row in made.modules:
        name = f"{row.path}: {row.type}" if row.path else row.type
        for figure, wanted in [
            ("MACs", row.macs),
            ("bytes read and written", row.read_bytes + row.written_bytes),
            ("activation bytes", row.activation_bytes),
            ("parameters", row.params),
        ]:
            assert sum(weight for stack, weight in found[figure] if name in stack) == wanted, name


class Tied(nn.Module):
    """One weight in five places: in two subtrees, twice in one of them, and by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        self.second = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8, bias=False))
        self.shift = nn.Parameter(torch.zeros(8))
        self.weight = self.first[0].weight
        for layer in (self.first[1], self.second[0], self.second[1]):
            layer.weight = self.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.second(self.first(x)), self.weight) + self.shift


def test_a_shared_parameter_is_counted_once() -> None:
    net = Tied()
    made = blocktool.summarize(net, (2, 8))
    found = flames(made)["parameters"]
    assert sum(weight for _, weight in found) == sum(each.numel() for each in net.parameters())
    assert sorted(weight for _, weight in found) == [8, 8, 8, 72]  # biases and shift; the weight
    without = replace(made, shared=())  # as reports of earlier releases
    assert sum(weight for _, weight in flames(without)["parameters"]) >= made.totals.params


def test_what_costs_nothing_is_not_shown() -> None:
    assert flames(blocktool.summarize(nn.ReLU(), (2, 3))).keys() == {
        "bytes read and written",
        "activation bytes",
    }
    with pytest.raises(UsageError, match="has no cost that speedscope could show"):
        flames(blocktool.summarize(nn.Identity(), (2, 3)))
