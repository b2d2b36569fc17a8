"""Inputs with symbols, as people write them."""

from __future__ import annotations

import pytest

from blocktool.errors import InputError
from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import SymbolicTensor
from blocktool.targets.symbolic_inputs import (
    as_symbolic,
    hints_for,
    parse_symbolic_input,
    parse_symbolic_inputs,
    symbolic,
    symbols_of,
)


@pytest.mark.parametrize(
    ("text", "shape", "dtype", "name"),
    [
        ("Bx3xHxW", ("B", 3, "H", "W"), "float32", None),
        (" 2x3X2*Hx W ", (2, 3, "2*H", "W"), "float32", None),
        ("context=BxMx64:bf16", ("B", "M", 64), "bfloat16", "context"),
        ("ids=BxN:long", ("B", "N"), "int64", "ids"),
        ("Bx(H + 1)//2", ("B", "(H + 1)//2"), "float32", None),
    ],
)
def test_reads(text: str, shape: tuple[int | str, ...], dtype: str, name: str | None) -> None:
    assert parse_symbolic_input(text) == SymbolicTensor(shape, dtype, name)


@pytest.mark.parametrize(
    "text", ["", "Bx", "Bx0xH", "a b=BxH", "BxH:what", "Bx3x#", "x=", "Bx3,4;5"]
)
def test_refuses(text: str) -> None:
    with pytest.raises(InputError):
        parse_symbolic_input(text)


def test_a_name_only_once() -> None:
    with pytest.raises(InputError, match="twice"):
        parse_symbolic_inputs(["a=BxH", "a=BxW"])


def test_own_inputs_with_symbols() -> None:
    tensors, hints = symbolic([TensorSpec((1, 196, 64)), TensorSpec((1, 77, 64), name="context")])
    assert [t.shape for t in tensors] == [("B", "N", 64), ("B", "M", 64)]
    assert hints == {"B": 2, "N": 196, "M": 77}
    tensors, hints = symbolic([TensorSpec((1, 3, 8, 9)), TensorSpec((1, 3, 4, 9))])
    assert [t.shape for t in tensors] == [("B", 3, "H", "W"), ("B", 3, "H2", "W")]
    assert hints == {"B": 2, "H": 8, "W": 9, "H2": 4}


def test_hints_come_from_the_targets_own_inputs() -> None:
    tensors = parse_symbolic_inputs(["Bx3xHxW", "BxK"])
    assert symbols_of(tensors) == ("B", "H", "W", "K")
    assert hints_for(tensors, [TensorSpec((1, 3, 32, 40))]) == {"B": 2, "H": 32, "W": 40, "K": 64}
    assert hints_for(tensors, None) == {"B": 2, "H": 224, "W": 192, "K": 64}


def test_inputs_of_the_library() -> None:
    wanted = (SymbolicTensor(("B", 3, "H", "W")),)
    assert as_symbolic(("B", 3, "H", "W")) == wanted
    assert as_symbolic("Bx3xHxW") == wanted
    assert as_symbolic(wanted[0]) == wanted
    assert as_symbolic(["Bx3xHxW", ("B", 4)]) == (*wanted, SymbolicTensor(("B", 4)))
    for bad in (3, None, (), ["Bx3", 4.0]):
        with pytest.raises(InputError):
            as_symbolic(bad)
