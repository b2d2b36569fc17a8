"""What people who tried it met: each was wrong once."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from conftest import Project
from torch import Tensor, nn

import blocktool
from blocktool.results.shapes import Failed, ShapeReport

Shape = (1, 3, 16, 16)


def kinds(report: ShapeReport) -> list[tuple[str, str]]:
    found = [finding.case.outcome for finding in report.findings]
    return [(outcome.kind, outcome.message) for outcome in found if isinstance(outcome, Failed)]


class Pair(NamedTuple):
    high: Tensor
    low: Tensor


class Nested(nn.Module):
    def forward(self, x: Tensor) -> object:
        return Pair(x, x[:, :2]), x[:, :1], {"high": x[..., ::2]}


class SwapsTheSecond(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.transpose(2, 3).contiguous()


class ReturnsNothing(nn.Module):
    def forward(self, x: Tensor) -> None:
        x + 1


class SumsOverTheBatch(nn.Module):
    """The first item stays what it is; the last has all of them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(0)


class WordlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Wordless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > 1:
            raise WordlessError
        return x


class Quarters(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        half = nn.functional.max_pool2d(x, 2)
        return x + nn.functional.interpolate(half, scale_factor=2.0)


class TrainsWithMore(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        out = self.conv(x)
        return (out.mean((2, 3)), out) if self.training else out.mean((2, 3))


def test_outputs_within_outputs_are_compared_in_their_order() -> None:
    report = blocktool.check_shapes(Nested(), Shape, skip="layout")
    assert kinds(report) == []
    assert report.targets[0].contract is not None
    assert report.targets[0].contract.count(";") == 3


def test_a_further_output_is_looked_at_as_well() -> None:
    ((kind, message),) = kinds(blocktool.check_shapes(SwapsTheSecond(), Shape, skip="layout"))
    assert kind == "shape"
    assert "height and width are swapped" in message


def test_a_forgotten_return() -> None:
    ((kind, message),) = kinds(blocktool.check_shapes(ReturnsNothing(), Shape))
    assert (kind, message) == ("shape", "forward returns no tensor")


def test_items_that_only_the_last_one_shows_to_mix() -> None:
    found = kinds(blocktool.check_shapes(SumsOverTheBatch(), Shape, skip="layout"))
    assert [kind for kind, _ in found] == ["batch"]
    assert "the last item" in found[0][1]


def test_an_exception_that_cannot_speak() -> None:
    report = blocktool.check_shapes(Wordless(), Shape)
    assert report.targets[0].skipped > 0  # it is the module's own, and so a refusal
    assert "WordlessError" in report.targets[0].refusals[0].reason


def test_the_smallest_input_is_one_that_was_meant() -> None:
    where = "H % 4 == 0 and W >= 8"
    report = blocktool.check_shapes(Quarters(), Shape, where=where, mode="eval")
    (finding,) = report.findings
    _, _, height, width = finding.case.inputs[0].shape
    assert height % 4 == 0
    assert width >= 8
    given = blocktool.check_shapes(Quarters(), (1, 3, 33, 33), as_given=True, mode="eval")
    assert {finding.case.inputs[0].shape for finding in given.findings} == {(1, 3, 33, 33)}


def test_what_train_mode_gives_besides_is_told() -> None:
    report = blocktool.check_shapes(TrainsWithMore(), Shape)
    assert report.holds
    assert "in train mode out = B, 4; B, 4, H, W" in report.targets[0].notes


@pytest.mark.parametrize("folder", ["nets", "my_blocktool_nets"])
def test_a_refusal_is_one_wherever_the_file_lies(project: Project, folder: str) -> None:
    project.write(
        f"{folder}/net.py",
        """
        from torch import nn

        class Net(nn.Module):
            example_inputs = "1x3x16x16"
            def forward(self, x):
                if x.shape[2] != 16:
                    raise ValueError("16 rows, please")
                return x
        """,
    )
    report = blocktool.check_shapes(f"{folder}/net.py:Net")
    assert report.holds
    assert report.targets[0].refusals[0].reason == "ValueError: 16 rows, please"


def test_two_runs_say_the_same() -> None:
    class Mixes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * (x - x.mean(0))

    messages = {kinds(blocktool.check_shapes(Mixes(), Shape))[0][1] for _ in range(3)}
    assert len(messages) == 1
