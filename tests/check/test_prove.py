"""Proofs of modules against brute force."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from proof_modules import (
    FPN,
    Halved,
    Landscape,
    Normed,
    Odd,
    Padded,
    Positions,
    Single,
    Skip,
    Swapped,
    Transposed,
    UNet,
    Valued,
    Windows,
    claimed_run,
    plain_run,
)
from torch import Tensor, nn

from blocktool.analysis.contracts import parse_contracts
from blocktool.blocks import ConvBlock, ResidualBlock
from blocktool.check.explore import Budget
from blocktool.check.numeric_runs import numeric_module
from blocktool.check.pattern import Pattern, pattern_of
from blocktool.check.promised import follow_promise
from blocktool.check.prove import follow_module, prove
from blocktool.results.shapes import Alternative, Proof
from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import SymbolicTensor
from blocktool.targets.catalog import CATALOG
from blocktool.targets.resolve import resolve
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.build import build_without_data


def proved(module: nn.Module, pattern: Pattern, expect: str | None = None, **more: Any) -> Proof:
    return prove(
        follow_module(module, pattern.inputs),
        pattern.inputs,
        pattern.base,
        numeric=plain_run(module, pattern),
        contract=parse_contracts([expect]) if expect else None,
        **more,
    )


def maps(*shape: int) -> Pattern:
    return pattern_of([TensorSpec(shape, "float32")])


def disagreements(
    proof: Proof, module: nn.Module, pattern: Pattern, sizes: list[int]
) -> list[dict[str, int]]:
    """Where the proof's own words differ from torch, over all pairs of sizes."""
    run, claimed = plain_run(module, pattern), claimed_run(proof)
    names = [name for name in pattern.base if name != "B"]
    wrong = []
    for batch in (1, 3):
        for values in product(sizes, repeat=len(names)):
            at = {"B": batch} | dict(zip(names, values, strict=True))
            actual = run(at)
            if claimed(at) != (None if isinstance(actual, str) else actual):
                wrong.append(at)
    return wrong


@pytest.mark.parametrize(
    ("module", "side", "output", "constraints", "words"),
    [
        (
            UNet,
            64,
            "B, 2, H, W",
            ("H % 4 == 0", "W % 4 == 0"),
            ("H is a multiple of 4", "W is a multiple of 4"),
        ),
        (
            Windows,
            14,
            "B*(H//7)*(W//7), 49, 3",
            ("H % 7 == 0", "W % 7 == 0"),
            ("H is a multiple of 7", "W is a multiple of 7"),
        ),
        (
            Skip,
            32,
            "B, 3, ceil(H/2), ceil(W/2)",
            ("H % 2 == 0 or H == 3", "W % 2 == 0 or W == 3"),
            ("H is even or 3", "W is even or 3"),
        ),
        (Landscape, 32, "B, 3, H, W", ("H <= W",), ("H is at most W",)),
        (
            Normed,
            32,
            "B, 8, ceil(H/2), ceil(W/2)",
            ("H >= 3 or W >= 3",),
            ("H is at least 3, or W is at least 3",),
        ),
        (Swapped, 32, "B, 3, W, H", (), ()),
    ],
)
def test_constraints_in_words_and_by_brute_force(
    module: type[nn.Module],
    side: int,
    output: str,
    constraints: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    made, pattern = module(), maps(1, 3, side, side)
    proof = proved(made, pattern)
    assert proof.verdict == "proved", proof.reason
    assert proof.output == output
    assert proof.constraints == constraints
    assert tuple(condition.words for condition in proof.conditions) == words
    assert not proof.contradictions
    for condition in proof.conditions:
        assert condition.sampled_inside
        assert condition.sampled_outside
    sizes = [*range(1, 10), 14, 21, 28, 48, 49]
    assert disagreements(proof, made, pattern, sizes) == []


def test_several_outputs_and_broadcasts() -> None:
    module, pattern = FPN(levels=2), maps(1, 3, 64, 64)
    expect = "B, 16, H/4, W/4; B, 16, H/8, W/8"
    # At 5, 6 and 7 more than a multiple of 8 all halves round up alike.
    proof = proved(module, pattern, expect)
    assert proof.verdict == "refuted"
    assert proof.output == "B, 16, 2*ceil(H/8), 2*ceil(W/8); B, 16, ceil(H/8), ceil(W/8)"
    assert proof.constraints[0] == "(H + 3) % 8 <= 3 or H <= 4"
    assert disagreements(proof, module, pattern, [*range(1, 10), 13, 16, 60, 61, 64, 65]) == []
    meant = proved(module, pattern, expect, where="H % 8 == 0 and W % 8 == 0")
    assert meant.verdict == "proved", meant.reason


def test_joined_sizes_stay_joined() -> None:
    pattern = maps(1, 3, 16, 16)
    proof = proved(Transposed(), pattern)
    (only,) = proof.constraints
    assert "H == W" in only
    assert "H == 1" in only
    assert "W == 1" in only
    # What comes out differs by way: a line takes the length of the other side.
    assert any(
        (each.output, each.constraints) == ("B, 3, W, W", ("H == 1", "W >= 2"))
        for each in proof.outputs
    ), proof.outputs
    run = plain_run(Transposed(), pattern)
    claimed = claimed_run(proof)
    for h, w in product(range(1, 30), repeat=2):
        at = {"B": 2, "H": h, "W": w}
        actual = run(at)
        assert claimed(at) == (None if isinstance(actual, str) else actual), at


def test_a_table_of_positions_joins_what_it_must() -> None:
    module, pattern = Positions(), maps(1, 3, 16, 16)
    proof = proved(module, pattern)
    assert proof.verdict == "proved", proof.reason
    run, claimed = plain_run(module, pattern), claimed_run(proof)
    for h, w in product([*range(1, 20), 32, 64, 67, 68], repeat=2):
        at = {"B": 2, "H": h, "W": w}
        assert (claimed(at) is None) == isinstance(run(at), str), at


def test_ways_with_other_outputs_are_listed() -> None:
    module, pattern = Padded(), maps(1, 3, 16, 16)
    proof = proved(module, pattern)
    assert proof.verdict == "proved"
    assert proof.output == "B, 3, H, W, but B, 3, H + 1, W where H % 2 == 1"
    assert proof.outputs == (
        Alternative("B, 3, H, W", ("H % 2 == 0",)),
        Alternative("B, 3, H + 1, W", ("H % 2 == 1",)),
    )
    assert disagreements(proof, module, pattern, [*range(1, 10), 16, 33]) == []


@pytest.mark.parametrize(
    ("module", "expect", "verdict", "said"),
    [
        (Padded, "B, 3, H, W", "refuted", r"H=\d*[13579], .*expected \(2, 3, \d+, 16\)"),
        (Padded, "B, 3, 2*ceil(H/2), W", "proved", None),
        (Swapped, "B, 3, W, H", "proved", None),
        (Swapped, "B, 3, H, W", "refuted", r"the output is \(2, 3, (\d+), (\d+)\), expected"),
        (Swapped, "B, 3, W", "refuted", "expected"),
        (Skip, "B, C, ceil(H/2), (W + 1)//2", "proved", None),
        (Skip, "B, C, H/2, W/2", "refuted", r"=3.* \(output: ./2 is 3/2, not a whole number\)$"),
        (UNet, "B, 2, H, W", "proved", None),
    ],
)
def test_contracts(module: type[nn.Module], expect: str, verdict: str, said: str | None) -> None:
    proof = proved(module(), maps(1, 3, 16, 16), expect, constants={"C": 3})
    assert proof.verdict == verdict, proof.reason
    assert proof.contract is not None
    if said is not None:
        assert proof.reason is not None
        import re

        assert re.search(said, proof.reason), proof.reason


def test_a_fixed_size_is_reported() -> None:
    proof = proved(Single(), maps(1, 3, 8, 8))
    assert proof.fixed == {"B": 1}
    assert proof.constraints == ("B == 1",)
    assert proof.output == "1, 3, H*W"
    assert proof.verdict == "proved", proof.reason


def test_a_module_with_endless_ways_is_left_open() -> None:
    module, pattern = Halved(), maps(1, 3, 32, 32)
    proof = proved(module, pattern, budget=Budget(seconds=4))
    assert (proof.verdict, proof.complete, proof.constraints) == ("not proved", False, ())
    assert "4 s, for example" in (proof.reason or "")
    assert any(note.startswith("ways were followed for ") for note in proof.notes)
    # What is said of the ways that were followed holds.
    run, claimed = plain_run(module, pattern), claimed_run(proof)
    told = 0
    for h, w in product((2, 4, 5, 9, 17, 31, 32, 33, 64, 65), (2, 8, 32, 64)):
        at = {"B": 2, "H": h, "W": w}
        if (shapes := claimed(at)) is not None:
            told += 1
            assert shapes == run(at), at
    assert told > 9


@pytest.mark.parametrize(
    ("where", "verdict"),
    [(None, "proved"), ("H % 2 == 1", "proved"), ("H % 2 == 0", "refuted"), ("H > 8", "refuted")],
)
def test_a_module_has_to_run_where_it_is_meant_to(where: str | None, verdict: str) -> None:
    proof = proved(Odd(), maps(1, 3, 32, 32), "B, 3, H, W", where=where)
    assert proof.verdict == verdict, proof.reason
    if verdict == "refuted":
        assert (proof.reason or "").endswith("which is meant, it raises ValueError: odd only")


def test_what_depends_on_values_is_not_proved() -> None:
    proof = proved(Valued(), maps(1, 3, 8, 8))
    assert proof.verdict == "not proved"
    assert proof.reason is not None
    assert "nonzero" in proof.reason or "index" in proof.reason
    assert proof.output is None


class Beside(nn.Module):
    """A map and another of half its size."""

    def forward(self, x: Tensor, half: Tensor) -> Tensor:
        return nn.functional.max_pool2d(x, 2) + half


def test_inputs_that_hang_together_are_whole() -> None:
    pattern = pattern_of(
        [TensorSpec((1, 3, 16, 16), "float32"), TensorSpec((1, 3, 8, 8), "float32")]
    )
    proof = proved(Beside(), pattern)
    assert proof.inputs == ("B, 3, H, W", "B, 3, H/2, W/2")
    assert proof.verdict == "proved", proof.reason
    assert proof.output == "B, 3, H//2, W//2"
    assert proof.constraints == ("H % 2 == 0", "W % 2 == 0")


def test_outputs_by_name_and_without_a_dimension() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"map": x, "mean": x.mean((2, 3)), "all": x.sum()}

    pattern = maps(1, 3, 8, 8)
    proof = proved(Named(), pattern, "mean: B, C; all: scalar", constants={"C": 3})
    assert proof.verdict == "proved", proof.reason
    assert proof.output == "map: B, 3, H, W; mean: B, 3; all: scalar"
    assert proved(Named(), pattern, "mean: B, H").verdict == "refuted"
    assert proved(Named(), pattern, "median: B, 3").verdict == "refuted"


def test_nothing_that_varies() -> None:
    module = nn.Conv2d(3, 4, 3)
    proof = proved(module, Pattern((SymbolicTensor((2, 3, 8, 8)),), {}, {}, ()))
    assert (proof.verdict, proof.output, proof.paths) == ("proved", "2, 4, 6, 6", 1)


def test_an_operation_without_symbols_is_named() -> None:
    pattern = pattern_of([TensorSpec((2, 5, 8), "float32")])
    proof = proved(nn.GRU(8, 8, batch_first=True), pattern)
    assert proof.verdict == "not proved"
    assert "recurrent" in (proof.reason or "")


def test_runs_with_numbers_are_those_of_torch() -> None:
    module, pattern = UNet(), maps(1, 3, 16, 16)
    ours, plain = numeric_module(module, pattern), plain_run(module, pattern)
    for height in (1, 4, 6, 8):
        at = {"B": 2, "H": height, "W": 8}
        assert ours(at) == plain(at) or (isinstance(ours(at), str) and isinstance(plain(at), str))


def test_what_runs_nowhere_is_refuted() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x[:, :1]], 2)

    proof = proved(Broken(), maps(1, 3, 8, 8))
    assert proof.verdict == "refuted"
    assert proof.reason is not None
    assert proof.reason.startswith("it runs for no size: RuntimeError: Sizes of tensors must match")
    assert proof.output is None


@pytest.mark.parametrize("name", CATALOG)
def test_every_block_of_the_catalog_keeps_its_contract(name: str) -> None:
    target = resolve(name)
    module, _ = build_without_data(target)
    assert target.inputs is not None
    pattern = pattern_of(target.inputs)
    promised = follow_promise(module, pattern.inputs)  # type: ignore[arg-type]
    proof = proved(module, pattern, promised=promised)
    assert (proof.verdict, proof.constraints, proof.contract) == ("proved", (), "output_shape")
    assert disagreements(proof, module, pattern, [1, 2, 5, 8, 33]) == []


@pytest.mark.parametrize(
    ("block", "constraints"),
    [
        (ConvBlock(4, 8, 5, stride=2, padding=0), ("H >= 5", "W >= 5")),
        (ConvBlock(4, 8, 7, padding_mode="reflect"), ("H >= 4", "W >= 4")),
        (ConvBlock(4, 8, stride=2, norm="instance"), ("H >= 3 or W >= 3",)),
        (ResidualBlock(4, 8, stride=2), ()),
    ],
)
def test_constraints_of_a_block_are_those_of_its_contract(
    block: nn.Module, constraints: tuple[str, ...]
) -> None:
    pattern = maps(1, 4, 32, 32)
    promised = follow_promise(block, pattern.inputs)  # type: ignore[arg-type]
    proof = proved(block, pattern, promised=promised)
    assert proof.verdict == "proved", proof.reason
    assert proof.constraints == constraints
    assert disagreements(proof, block, pattern, [*range(1, 12), 32]) == []


class Liar(ConvBlock):
    """Says the size of its output as if it always halved evenly."""

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        shape = tuple(input_shape)
        return shape[0], self.out_channels, shape[2] // 2, shape[3] // 2


def test_a_contract_that_lies_is_refuted() -> None:
    block = Liar(4, 8, stride=2)
    pattern = maps(1, 4, 32, 32)
    proof = proved(block, pattern, promised=follow_promise(block, pattern.inputs))
    assert proof.verdict == "refuted"
    assert proof.reason is not None
    assert "output_shape says" in proof.reason


def test_a_fixed_model_of_torchvision() -> None:
    vit = import_zoo("torchvision").models.vit_b_16(num_classes=5)
    proof = proved(vit, maps(1, 3, 224, 224), budget=Budget(samples=24))
    assert proof.verdict == "proved", proof.reason
    assert proof.fixed == {"H": 224, "W": 224}
    assert proof.output == "B, 5"
