from __future__ import annotations

import pytest
from conftest import Project

from blocktool.check.gather import expand_targets, gather, split_values, swept_arguments, to_sweep
from blocktool.check.subject import cases_of, subject_of
from blocktool.errors import BlocktoolError, ConfigError, InputError, TargetError, UsageError
from blocktool.targets.arguments import parse_value
from blocktool.targets.sweep_words import SweepWords, as_yaml, read_sweep

CONFIG = """
    block: conv
    in_channels: 8
    out_channels: 8
    sweep:
      size: [32, 33x31]
      batch: 2
      expect: B, 8, H, W
      arguments: {stride: [1, 2]}
"""


def test_several_values_of_an_argument() -> None:
    assert swept_arguments(["stride=1,2", "kernel_size=[3,5],3", "norm='a,b'"]) == {
        "stride": ("1", "2"),
        "kernel_size": ("[3,5]", "3"),
        "norm": ("'a,b'",),
    }
    assert split_values("") == ("",)
    with pytest.raises(UsageError, match="given twice"):
        swept_arguments(["stride=1", "stride=2"])


def test_every_combination_is_a_group() -> None:
    groups = gather(["conv"], SweepWords(arguments=swept_arguments(["stride=1,2", "groups=1,4"])))
    assert [group.arguments for group in groups] == [
        ("stride=1", "groups=1"),
        ("stride=1", "groups=4"),
        ("stride=2", "groups=1"),
        ("stride=2", "groups=4"),
    ]
    many = ",".join(map(str, range(100)))
    words = SweepWords(arguments=swept_arguments([f"a={many}", f"b={many}"]))
    with pytest.raises(UsageError, match="too many"):
        gather(["conv"], words)


def test_configurations_by_glob(project: Project) -> None:
    for name in ("configs/b.yaml", "configs/a.yaml", "configs/deep/c.yml"):
        project.write(name, CONFIG)
    assert expand_targets(["configs/*.yaml", "conv", "conv"]) == [
        "configs/a.yaml",
        "configs/b.yaml",
        "conv",
    ]
    assert expand_targets(["configs/**/*.yml"]) == ["configs/deep/c.yml"]
    with pytest.raises(TargetError, match="no configuration matches"):
        expand_targets(["other/*.yaml"])


def test_a_sweep_beside_the_configuration(project: Project) -> None:
    project.write("net.yaml", CONFIG)
    groups = gather(["net.yaml"], SweepWords())
    assert [group.arguments for group in groups] == [("stride=1",), ("stride=2",)]
    sweep = groups[0].sweep
    assert (sweep.extents, sweep.batches, sweep.expect) == (
        ((32,), (33, 31)),
        (2,),
        ("B, 8, H, W",),
    )
    over = gather(["net.yaml"], SweepWords(batch=("1,3",)))
    assert over[0].sweep.batches == (1, 3)
    assert over[0].sweep.extents == ((32,), (33, 31))
    assert subject_of(groups[0]).pattern.constants == {"C": 8}


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("[1, 2]", "a sweep is a mapping"),
        ("{sizes: 3}", "unknown key 'sizes'"),
        ("{size: {a: 1}}", "neither a text nor a whole number"),
        ("{arguments: 3}", "must be a mapping"),
        ("{where: [1]}", "neither a text"),
    ],
)
def test_a_sweep_that_cannot_be_read(project: Project, sweep: str, message: str) -> None:
    project.write("net.yaml", f"block: conv\nsweep: {sweep}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        gather(["net.yaml"], SweepWords())
    assert str(caught.value).startswith("net.yaml:2: sweep:")


def test_sweeps_of_pyproject() -> None:
    declared = {"net.py:Net": {"size": [32], "arguments": {"width": [4, 8]}}, "conv": {}}
    groups = gather([], SweepWords(), declared=declared)
    assert [(group.target, group.arguments) for group in groups] == [
        ("net.py:Net", ("width=4",)),
        ("net.py:Net", ("width=8",)),
        ("conv", ()),
    ]
    with pytest.raises(ConfigError, match=r'tool.blocktool.sweeps."conv": unknown key'):
        gather([], SweepWords(), declared={"conv": {"sise": 3}})


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (SweepWords(size=("3a",)), UsageError, "--size: '3a'"),
        (SweepWords(batch=("0",)), UsageError, "--batch: '0'"),
        (SweepWords(dtype=("float31",)), InputError, "unknown dtype 'float31'"),
        (SweepWords(dtype=("int8",)), InputError, "no floating dtype"),
        (SweepWords(mode=("evil",)), UsageError, "--mode: no such choice"),
        (SweepWords(skip=("shapes",)), UsageError, "--skip: no such check"),
        (SweepWords(expect=("B, H +",)), UsageError, "--expect: not an expression"),
        (SweepWords(where="H % 2 = 0"), UsageError, "--where: not an expression"),
        (SweepWords(where="1 == 1"), UsageError, "names no size"),
        (SweepWords(input=("1xax3",)), InputError, "is not a size"),
    ],
)
def test_words_that_cannot_be_read(
    words: SweepWords, error: type[BlocktoolError], message: str
) -> None:
    with pytest.raises(error, match=message):
        to_sweep(words)


def test_the_place_in_an_expression_is_pointed_at() -> None:
    with pytest.raises(UsageError) as caught:
        to_sweep(SweepWords(expect=("B, foo(H)",)))
    assert caught.value.details == ("B, foo(H)", "   ^")


def test_modes_of_other_commands_are_understood() -> None:
    assert to_sweep(SweepWords(mode=("training,forward",))).modes == ("train", "eval")


@pytest.mark.parametrize(
    "value", [3, 0.5, True, None, "word", "true", "a b", "1", [3, 5], {"groups": 2}, "x.y:Z"]
)
def test_values_are_written_as_they_are_read(value: object) -> None:
    assert parse_value(as_yaml(value)) == value
    assert read_sweep({"arguments": {"a": [value]}}).arguments == {"a": (as_yaml(value),)}


def test_the_whole_catalog() -> None:
    """At least ten thousand cases, of every block, whose arguments the blocks take."""
    from blocktool.targets.catalog import CATALOG

    groups = gather([], SweepWords())
    assert {group.target for group in groups} == set(CATALOG)
    assert len({(group.target, group.arguments) for group in groups}) == len(groups)
    cases = [len(cases_of(subject_of(group), group.sweep)) for group in groups]
    assert sum(cases) >= 10_000
    assert min(cases) > 20
