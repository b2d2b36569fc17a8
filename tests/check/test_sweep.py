from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from conftest import Project
from torch import Tensor, nn

import blocktool
from blocktool.check import sweep as sweeping
from blocktool.check.gather import gather
from blocktool.check.sweep import Settings, run_sweeps
from blocktool.errors import InputError, ModuleError, TargetError, UsageError
from blocktool.results.shapes import Failed, Passed, ShapeReport, Skipped
from blocktool.targets.sweep_words import SweepWords

NETS = """
    import os, signal
    import torch
    from torch import nn

    class Net(nn.Module):
        example_inputs = "1x3x32x32"
        def __init__(self, width=8, stride=1):
            super().__init__()
            if width % 2:
                raise ValueError("width must be even")
            self.conv = nn.Conv2d(3, width, 3, stride, padding=1)
        def forward(self, x):
            return self.conv(x)

    class Broken(Net):
        def __init__(self, width=8):
            super().__init__(width)
            self.head = nn.Linear(width)

    class Deadly(Net):
        def forward(self, x):
            if x.shape[-1] == 33 and x.shape[0] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().forward(x)

    class Indexes(Net):
        def forward(self, x):
            if x.is_meta:
                return super().forward(x)
            return super().forward(x)[torch.tensor(99)]
"""


@pytest.fixture
def nets(project: Project) -> Project:
    project.write("nets.py", NETS)
    return project


def check(*targets: str, jobs: int = 1, fail_fast: bool = False, **words: object) -> ShapeReport:
    groups = gather(targets, SweepWords(**words))  # type: ignore[arg-type]
    return run_sweeps(groups, Settings(jobs=jobs, fail_fast=fail_fast))


def test_a_module_that_holds(nets: Project) -> None:
    report = check("nets.py:Net")
    assert report.holds
    (target,) = report.targets
    assert (target.contract, target.contract_source) == ("B, 8, H, W", "found")
    assert target.passed == len(report.cases) > 50
    assert {case.mode for case in report.cases} == {"eval", "train"}
    assert {case.dtype for case in report.cases} == {"float32", "bfloat16"}
    assert {case.device for case in report.cases} == {"meta", "cpu"}
    assert all(case.seconds is not None for case in report.cases)


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_make_no_difference(nets: Project, jobs: int) -> None:
    report = check("nets.py:Net", jobs=jobs, expect=("B, 8, H, W//2",), mode=("eval",))
    (finding,) = report.findings
    assert finding.case.inputs[0].shape == (1, 3, 1, 1)
    outcome = finding.case.outcome
    assert isinstance(outcome, Failed)
    assert outcome.message == "out = B, 8, H, W, not B, 8, H, W//2"
    assert outcome.expected == "(1, 8, 1, 0) = B, 8, H, W//2"
    assert outcome.actual == "(1, 8, 1, 1) = B, 8, H, W"


def test_contracts_may_name_arguments(nets: Project) -> None:
    words = {"arguments": {"width": ("4", "8"), "stride": ("1", "2")}}
    report = check("nets.py:Net", expect=("B, width, ceil(H/stride), ceil(W/stride)",), **words)
    assert report.holds
    assert report.targets[0].passed > 200
    assert check("nets.py:Net", expect=("B, width, H/stride, W",)).holds  # its default
    with pytest.raises(UsageError, match="unknown size 'depth'"):
        check("nets.py:Net", expect=("B, depth, H, W",))


def test_arguments_that_the_constructor_refuses_are_no_failure(nets: Project) -> None:
    report = check("nets.py:Net", arguments={"width": ("7", "8")})
    assert report.holds
    (refusal,) = report.targets[0].refusals
    assert "width must be even" in refusal.reason
    with pytest.raises(ModuleError, match="width must be even"):
        check("nets.py:Net", arguments={"width": ("7",)})


def test_a_target_that_cannot_be_built_does_not_take_the_others(nets: Project) -> None:
    report = check("nets.py:Net", "nets.py:Broken")
    assert not report.holds
    assert [(target.target, target.failed) for target in report.targets] == [
        ("nets.py:Net", 0),
        ("nets.py:Broken", 1),
    ]
    (finding,) = report.findings
    assert isinstance(finding.case.outcome, Failed)
    assert finding.case.outcome.kind == "build"
    with pytest.raises(ModuleError):
        check("nets.py:Broken")
    with pytest.raises(TargetError):
        check("nets.py:Nothing")


def test_a_case_that_kills_its_process_is_one_failure(nets: Project) -> None:
    report = check("nets.py:Deadly", jobs=2, mode=("eval",), dtype=("float32",), skip=("layout",))
    (finding,) = report.findings
    assert isinstance(finding.case.outcome, Failed)
    assert "the process died" in finding.case.outcome.message
    died = [case for case in report.cases if isinstance(case.outcome, Failed)]
    assert [case.inputs[0].shape for case in died] == [(1, 3, 33, 33)]
    assert report.targets[0].passed == len(report.cases) - 1


def test_what_fails_with_data_alone(nets: Project) -> None:
    report = check("nets.py:Indexes")
    (finding,) = report.findings
    assert isinstance(finding.case.outcome, Failed)
    assert "runs without data, but not with it" in finding.case.outcome.message
    assert finding.case.device == "cpu"


def test_fail_fast_ends_early(nets: Project) -> None:
    whole = check("nets.py:Net", "conv", expect=("B, 9, H, W",))
    early = check("nets.py:Net", "conv", expect=("B, 9, H, W",), fail_fast=True)
    assert early.stopped_early
    assert not early.holds
    assert 0 < len(early.cases) < len(whole.cases)


def test_an_interruption_keeps_what_was_done(
    nets: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = sweeping.run_all

    def interrupted(*args: object) -> Iterator[object]:
        results = done(*args)  # type: ignore[arg-type]
        yield next(results)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeping, "run_all", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        check("nets.py:Net")
    (report,) = caught.value.args
    assert isinstance(report, ShapeReport)
    assert report.stopped_early
    assert len(report.cases) == 48


def test_only_sizes_for_which_it_is_meant(nets: Project) -> None:
    report = check("nets.py:Net", where="H % 32 == 0 and W >= 32", mode=("eval",))
    assert {case.inputs[0].shape[2] for case in report.cases} == {32, 64}


def test_the_command_reproduces_the_case(nets: Project) -> None:
    import shlex

    from blocktool import cli

    report = check("nets.py:Net", expect=("B, 8, H, W//2",), arguments={"width": ("8",)})
    (finding,) = report.findings
    program, *words = shlex.split(finding.case.reproduce)
    assert program == "blocktool"
    assert cli.run([*words, "-o", "again.json"]) == 1
    import json

    again = json.loads((nets.root / "again.json").read_text())
    failed = [case for case in again["cases"] if case["outcome"] == "failed"]
    shape = list(finding.case.inputs[0].shape)
    assert [case["inputs"][0]["shape"] for case in failed] == [shape]


class Stateful(nn.Module):
    """Trains while evaluated, draws random numbers, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.norm(x)


def test_a_module_at_hand_is_left_as_it_was() -> None:
    module = Stateful()
    module.eval()
    module.norm.train()
    weight = module.norm.weight
    weight.grad = torch.ones(3)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    report = blocktool.check_shapes(module, (2, 3, 8, 8), mode="eval,train")
    assert report.targets[0].contract == "B, 3, H, W"
    assert (module.calls, module.training, module.norm.training) == (0, False, True)
    assert module.norm.weight is weight
    assert torch.equal(weight.grad, torch.ones(3))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_module_at_hand_is_reproduced_by_a_call() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
    report = blocktool.check_shapes(module, "1x3x4x4", dtype="float32", mode="eval")
    (finding,) = report.findings
    again = eval(finding.case.reproduce, {"blocktool": blocktool, "module": module})
    assert isinstance(again, ShapeReport)
    assert not again.holds
    assert len(again.findings) == 1


@pytest.mark.parametrize(
    "inputs",
    [(1, 3, 8, 8), "1x3x8x8", ["1x3x8x8"], torch.empty(1, 3, 8, 8), (torch.empty(1, 3, 8, 8),)],
)
def test_inputs_in_any_form(inputs: object) -> None:
    assert blocktool.check_shapes(nn.Conv2d(3, 4, 1), inputs, size=8, batch=[1, 2]).holds


def test_what_cannot_be_varied() -> None:
    with pytest.raises(InputError, match="no default input"):
        blocktool.check_shapes(nn.Conv2d(3, 4, 1))
    with pytest.raises(InputError, match="varies tensors"):
        blocktool.check_shapes(nn.Conv2d(3, 4, 1), ([torch.empty(1, 3, 8, 8)],))
    with pytest.raises(UsageError):
        blocktool.check_shapes(nn.Conv2d(3, 4, 1), (1, 3, 8, 8), device="nowhere")


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(0, 1)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"half": x[..., ::2], "whole": x}


def test_relations_that_are_hardly_meant_can_be_said_to_be() -> None:
    report = blocktool.check_shapes(Flat(), (1, 3, 8, 8), skip="layout")
    (finding,) = report.findings
    assert isinstance(finding.case.outcome, Failed)
    assert finding.case.outcome.kind == "batch"
    assert blocktool.check_shapes(Flat(), (1, 3, 8, 8), expect="B*C, H, W").holds


def test_outputs_by_name() -> None:
    expect = ["half: B,C,H,ceil(W/2)", "whole: B,C,H,W"]
    assert blocktool.check_shapes(Twice(), (1, 3, 8, 8), expect=expect).holds
    report = blocktool.check_shapes(Twice(), (1, 3, 8, 8), expect="quarter: B")
    assert "there is no output 'quarter'" in str(report.findings[0].case.outcome)


def test_a_submodule_with_what_it_receives(nets: Project) -> None:
    groups = gather(["nets.py:Net"], SweepWords(), select="conv")
    report = run_sweeps(groups, Settings(jobs=1))
    assert report.holds
    assert report.targets[0].contract == "B, 8, H, W"
    assert "--select conv" in report.cases[0].reproduce


def test_cases_on_real_data() -> None:
    report = blocktool.check_shapes("conv", device="cpu", size="8,9", mode="eval", dtype="float32")
    assert report.holds
    assert {case.device for case in report.cases} == {"cpu"}
    assert all(isinstance(case.outcome, Passed | Skipped) for case in report.cases)
    without = blocktool.check_shapes("conv", device="meta", size="8", mode="eval")
    assert {case.device for case in without.cases} == {"meta"}


@pytest.mark.gpu
def test_cases_on_a_gpu() -> None:
    report = blocktool.check_shapes("bottleneck", device="cuda", size="8,9")
    assert report.holds
    assert all(case.device.startswith("cuda") for case in report.cases)
