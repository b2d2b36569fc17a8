from __future__ import annotations

import pytest
import torch

from blocktool.errors import InputError
from blocktool.results.specs import TensorSpec
from blocktool.targets.inputs import (
    _DTYPE_ALIASES,
    _DTYPES,
    parse_dtype,
    parse_input,
    parse_inputs,
    with_batch,
)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x224x224", TensorSpec((1, 3, 224, 224))),
        (" 2X3×8 ", TensorSpec((2, 3, 8))),
        ("16", TensorSpec((16,))),
        ("scalar", TensorSpec(())),
        ("t=scalar:int64", TensorSpec((), "int64", "t")),
        ("2x3x64x64:bfloat16", TensorSpec((2, 3, 64, 64), "bfloat16")),
        ("context=2x77:int64", TensorSpec((2, 77), "int64", "context")),
        ("1x8:torch.float16", TensorSpec((1, 8), "float16")),
        ("1x8:BF16", TensorSpec((1, 8), "bfloat16")),
        ("mask=1x8:bool", TensorSpec((1, 8), "bool", "mask")),
    ],
)
def test_reads_what_people_write(text: str, spec: TensorSpec) -> None:
    assert parse_input(text) == spec
    assert parse_input(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "empty input", "1x3x224x224"),
        ("1x-3x8", "size -3 is negative", "positive"),
        ("1x0x8", "size 0 is not positive", "smallest"),
        ("1xx8", "a size is missing", "1x3x224x224"),
        ("1x3x", "a size is missing", "1x3x224x224"),
        ("x=", "no sizes", "1x3x224x224"),
        (":int64", "no sizes", "1x3x224x224"),
        ("1x2.5", "'2.5' is not a size", "1x3x224x224"),
        ("1xBx3", "'B' is not a size", "1x3x224x224"),
        ("1,3,224,224", "joined by 'x'", "did you mean 1x3x224x224?"),
        ("(1, 3, 8)", "joined by 'x'", "did you mean 1x3x8?"),
        ("1x3:", "no dtype after ':'", "float32"),
        ("1x3:flaot16", "unknown dtype 'flaot16'", "did you mean float16?"),
        ("1x3:zzz", "unknown dtype 'zzz'", "choices: float32"),
        ("a-b=1x3", "'a-b' cannot be the name", "1x3x224x224"),
        ("=1x3", "'' cannot be the name", "1x3x224x224"),
        ("9999999999x9999999999", "more elements than a tensor can have", "2**63"),
        ("9" * 5000, "more elements than a tensor can have", "2**63"),
        ("²x3", "'²' is not a size", "1x3x224x224"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_input(text)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")


def test_every_dtype_is_one_of_torchs() -> None:
    assert all(isinstance(getattr(torch, name), torch.dtype) for name in _DTYPES)
    assert set(_DTYPE_ALIASES.values()) <= set(_DTYPES)


@pytest.mark.parametrize("alias", ["float", "double", "half", "long", "int", "short", "cfloat"])
def test_aliases_mean_what_torch_means(alias: str) -> None:
    assert getattr(torch, alias) == getattr(torch, parse_dtype(alias))


def test_a_name_given_twice() -> None:
    assert len(parse_inputs(["1x3", "1x3", "a=1x3"])) == 3
    with pytest.raises(InputError, match="'a' is given twice"):
        parse_inputs(["a=1x3", "a=1x4"])


def test_with_batch_replaces_the_leading_size() -> None:
    specs = parse_inputs(["1x3x8x8", "t=scalar", "ids=2x77:int64"])
    assert with_batch(specs, 16) == parse_inputs(["16x3x8x8", "t=scalar", "ids=16x77:int64"])
    for batch in (0, -1):
        with pytest.raises(InputError, match="not positive"):
            with_batch(specs, batch)
