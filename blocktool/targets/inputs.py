"""Inputs as people write them: ``1x3x224x224``, ``context=2x77:int64``."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from blocktool.errors import InputError
from blocktool.results.specs import TensorSpec

_EXAMPLE = "write sizes as 1x3x224x224, with name and dtype where needed: ids=2x77:int64"
_MAX_NUMEL = 2**63 - 1  # torch keeps the number of elements in a signed 64-bit integer

_DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "complex32", "complex64", "complex128"),
)

_DTYPE_ALIASES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "fp64": "float64",
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "float8": "float8_e4m3fn",
    "fp8": "float8_e4m3fn",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
    "boolean": "bool",
    "cfloat": "complex64",
    "cdouble": "complex128",
    "chalf": "complex32",
}


def parse_input(text: str) -> TensorSpec:
    """Read ``[NAME=]SHAPE[:DTYPE]``.

    SHAPE is sizes joined by ``x`` (``1x3x224x224``; ``16`` is a vector) or ``scalar``; DTYPE is
    torch's name or a usual short form (``bf16``, ``half``, ``long``), float32 when left out; NAME
    is the keyword of forward that the tensor is passed to. ``parse_input(str(spec)) == spec``.

    Raises InputError for sizes that are not positive integers, an unknown dtype, or a name that
    cannot be a keyword.
    """
    stripped = text.strip()
    if not stripped:
        raise InputError("empty input", hint=_EXAMPLE)
    left, equals, right = stripped.rpartition("=")
    name = left.strip() if equals else None
    shape_text, colon, dtype_text = right.partition(":")
    if name is not None and not name.isidentifier():
        raise InputError(
            f"input '{text}': '{name}' cannot be the name of an argument of forward",
            hint=_EXAMPLE,
        )
    if colon and not dtype_text.strip():
        raise InputError(
            f"input '{text}': no dtype after ':'", hint="e.g. 2x77:int64; left out, it is float32"
        )
    shape = _parse_shape(text, shape_text.strip())
    dtype = parse_dtype(dtype_text) if colon else "float32"
    return TensorSpec(shape, dtype, name)


def parse_inputs(texts: Iterable[str]) -> tuple[TensorSpec, ...]:
    """Read several inputs, in order.

    Raises InputError as :func:`parse_input` does, and for a name that is given twice.
    """
    specs = tuple(parse_input(text) for text in texts)
    names = [spec.name for spec in specs if spec.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"input '{name}' is given twice", hint="name each input once")
    return specs


def parse_dtype(text: str) -> str:
    """Torch's name (``"bfloat16"``) of a dtype written in any usual way (``bf16``).

    Raises InputError, with a suggestion, for a name that is no dtype.
    """
    name = text.strip().lower().removeprefix("torch.")
    name = _DTYPE_ALIASES.get(name, name)
    if name in _DTYPES:
        return name
    close = difflib.get_close_matches(name, (*_DTYPES, *_DTYPE_ALIASES), n=1)
    choices = "choices: " + ", ".join(_DTYPES)
    raise InputError(
        f"unknown dtype '{text.strip()}'", hint=f"did you mean {close[0]}?" if close else choices
    )


def with_batch(specs: Sequence[TensorSpec], batch: int) -> tuple[TensorSpec, ...]:
    """The same inputs with the leading size replaced by ``batch``; scalars stay as they are.

    Raises InputError when ``batch`` is not positive.
    """
    if batch < 1:
        raise InputError(f"batch size {batch} is not positive", hint="the smallest batch is 1")
    return tuple(
        replace(spec, shape=(batch, *spec.shape[1:])) if spec.shape else spec for spec in specs
    )


def with_size(specs: Sequence[TensorSpec], size: Sequence[int]) -> tuple[TensorSpec, ...]:
    """The same inputs with other sizes of their maps, or another number of tokens.

    ``size`` is one number (height and width, or the number of tokens) or height and width. Maps are
    (B, C, H, W), with more dimensions before H at will; tokens (B, N, C), or (B, N) of integers. A
    further input follows
    where its map, or its number of tokens, is as large as that of the first.

    Raises InputError where the first input is neither.
    """
    first = specs[0].shape if specs else ()
    if len(first) >= 4:
        wanted = tuple(size) if len(size) == 2 else (size[0], size[0])
        return tuple(
            replace(spec, shape=(*spec.shape[:-2], *wanted))
            if len(spec.shape) >= 4 and spec.shape[-2:] == first[-2:]
            else spec
            for spec in specs
        )
    if len(first) == 3 and len(size) == 1:
        return tuple(
            replace(spec, shape=(spec.shape[0], size[0], *spec.shape[2:]))
            if len(spec.shape) == 3 and spec.shape[1] == first[1]
            else spec
            for spec in specs
        )
    if len(first) == 2 and len(size) == 1 and "int" in specs[0].dtype:
        return tuple(
            replace(spec, shape=(spec.shape[0], size[0]))
            if len(spec.shape) == 2 and spec.shape[1] == first[1]
            else spec
            for spec in specs
        )
    shown = "x".join(map(str, size))
    raise InputError(
        f"size {shown} does not fit an input of shape {'x'.join(map(str, first)) or 'scalar'}",
        hint="maps take 224 or 224x320, tokens one number; give whole shapes with -i",
    )


def _parse_shape(text: str, shape_text: str) -> tuple[int, ...]:
    if shape_text.lower() == "scalar":
        return ()
    if not shape_text:
        raise InputError(f"input '{text}': no sizes", hint=_EXAMPLE)
    if re.fullmatch(r"[(\[]?\s*-?\d+(\s*,\s*-?\d+)+\s*,?[)\]]?", shape_text, re.ASCII):
        sizes = "x".join(re.findall(r"-?\d+", shape_text))
        raise InputError(
            f"input '{text}': sizes are joined by 'x', not ','", hint=f"did you mean {sizes}?"
        )
    shape = tuple(_parse_size(text, part.strip()) for part in re.split("[xX×]", shape_text))
    if math.prod(shape) > _MAX_NUMEL:
        raise InputError(
            f"input '{text}' has more elements than a tensor can have",
            hint="the product of the sizes must stay below 2**63",
        )
    return shape


def _parse_size(text: str, part: str) -> int:
    if re.fullmatch(r"\d+", part, re.ASCII):
        # Long digit strings are refused before int() is, with an error of its own.
        size = int(part) if len(part) <= 19 else _MAX_NUMEL + 1
        if size > 0:
            return size
        raise InputError(f"input '{text}': size 0 is not positive", hint="the smallest size is 1")
    if not part:
        raise InputError(f"input '{text}': a size is missing", hint=_EXAMPLE)
    if re.fullmatch(r"-\d+", part, re.ASCII):
        raise InputError(
            f"input '{text}': size {part} is negative", hint="every size is a positive integer"
        )
    raise InputError(f"input '{text}': '{part}' is not a size", hint=_EXAMPLE)
