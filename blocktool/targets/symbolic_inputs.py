"""Inputs with symbols for sizes: ``Bx3xHxW``, and what stands for a target's own inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from blocktool.errors import InputError
from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import Size, SymbolicTensor
from blocktool.targets.inputs import parse_dtype

_EXAMPLE = "write sizes as Bx3xHxW, with name and dtype where needed: context=BxMx64"
_PART = re.compile(r"[\w+*/%(), -]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LEAST_HINT = 2
_USUAL = {"B": 2, "H": 224, "W": 192, "N": 196, "M": 64}
_OTHER = 64

MEANINGS = {
    "B": "batch size",
    "D": "depth",
    "H": "height",
    "W": "width",
    "N": "tokens",
    "M": "tokens of the second input",
}


def parse_symbolic_input(text: str) -> SymbolicTensor:
    """Read ``[NAME=]SHAPE[:DTYPE]`` where sizes may be names, or expressions of them (``2*H``).

    Sizes are joined by ``x``, so that no name may hold one. Raises InputError.
    """
    left, equals, right = text.strip().rpartition("=")
    name = left.strip() if equals else None
    shape_text, colon, dtype_text = right.partition(":")
    if name is not None and not name.isidentifier():
        raise InputError(
            f"input '{text}': '{name}' cannot be the name of an argument of forward", hint=_EXAMPLE
        )
    if not shape_text.strip():
        raise InputError(f"input '{text}': no sizes", hint=_EXAMPLE)
    shape = tuple(_size(text, part.strip()) for part in re.split("[xX×]", shape_text))
    return SymbolicTensor(shape, parse_dtype(dtype_text) if colon else "float32", name)


def _size(text: str, part: str) -> Size:
    if re.fullmatch(r"\d{1,18}", part, re.ASCII):
        if int(part) < 1:
            raise InputError(f"input '{text}': size {part} is not positive", hint=_EXAMPLE)
        return int(part)
    if not part or not _PART.fullmatch(part):
        raise InputError(f"input '{text}': '{part}' is not a size", hint=_EXAMPLE)
    return part


def parse_symbolic_inputs(texts: Iterable[str]) -> tuple[SymbolicTensor, ...]:
    """Several inputs, in order. Raises InputError, also for a name that is given twice."""
    tensors = tuple(parse_symbolic_input(text) for text in texts)
    names = [tensor.name for tensor in tensors if tensor.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"input '{name}' is given twice", hint="name each input once")
    return tensors


def as_symbolic(inputs: object) -> tuple[SymbolicTensor, ...]:
    """Inputs of the library: a tensor or several, each as a :class:`SymbolicTensor`, as text
    (``"Bx3xHxW"``) or as a shape (``("B", 3, "H", "W")``).

    Raises InputError for anything else.
    """
    one = _as_symbolic(inputs)
    if one is not None:
        return (one,)
    found = [_as_symbolic(each) for each in inputs] if isinstance(inputs, (list, tuple)) else []
    tensors = tuple(each for each in found if each is not None)
    if not tensors or len(tensors) < len(found):
        raise InputError(
            f"not inputs with symbols: {inputs!r}", hint='for example ("B", 3, "H", "W")'
        )
    return tensors


def _as_symbolic(value: object) -> SymbolicTensor | None:
    if isinstance(value, SymbolicTensor):
        return value
    if isinstance(value, str) and ("x" in value or "=" in value or ":" in value):
        return parse_symbolic_input(value)
    if isinstance(value, (list, tuple)) and value:
        shape = tuple(value)
        if any(isinstance(size, str) and "x" in size for size in shape):
            return None  # several texts
        if all(type(size) is int or isinstance(size, str) for size in shape):
            return SymbolicTensor(shape)
    return None


def symbols_of(tensors: Sequence[SymbolicTensor]) -> tuple[str, ...]:
    """The names that sizes are given by, in their order."""
    names = [
        name
        for tensor in tensors
        for size in tensor.shape
        if isinstance(size, str)
        for name in _NAME.findall(size)
        if name not in ("max", "min", "ceil", "floor")
    ]
    return tuple(dict.fromkeys(names))


def hints_for(
    tensors: Sequence[SymbolicTensor], specs: Sequence[TensorSpec] | None
) -> dict[str, int]:
    """A size for each symbol: that of the target's own inputs, where the symbol stands alone in
    its place there, else a usual one."""
    hints: dict[str, int] = {}
    for tensor, spec in zip(tensors, specs or (), strict=False):
        if len(tensor.shape) == len(spec.shape):
            for size, own in zip(tensor.shape, spec.shape, strict=True):
                if isinstance(size, str) and size.isidentifier():
                    hints.setdefault(size, max(own, _LEAST_HINT))
    return {name: hints.get(name, _USUAL.get(name, _OTHER)) for name in symbols_of(tensors)}


def symbolic(specs: Sequence[TensorSpec]) -> tuple[tuple[SymbolicTensor, ...], dict[str, int]]:
    """Inputs with symbols for batch, height and width of maps, and the number of tokens; the
    sizes that they have become the hints. Equal sizes of one kind are one symbol."""
    hints: dict[str, int] = {}
    tensors = []
    for spec in specs:
        shape: list[Size] = list(spec.shape)
        for position, name in _places(len(shape)):
            shape[position] = _named(name, spec.shape[position], hints)
        tensors.append(SymbolicTensor(tuple(shape), spec.dtype, spec.name))
    return tuple(tensors), hints


def _places(rank: int) -> tuple[tuple[int, str], ...]:
    """Which dimensions are left open in a tensor of a rank: (N, C, H, W) and (B, N, C)."""
    kinds: dict[int, tuple[tuple[int, str], ...]] = {
        2: ((0, "B"),),
        3: ((0, "B"), (1, "N")),
        4: ((0, "B"), (2, "H"), (3, "W")),
        5: ((0, "B"), (2, "D"), (3, "H"), (4, "W")),
    }
    return kinds.get(rank, ((0, "B"),) if rank else ())


def _named(name: str, size: int, hints: dict[str, int]) -> str:
    hint = max(size, _LEAST_HINT)
    others = [name, *({"N": ["M"]}.get(name, [])), *(f"{name}{n}" for n in range(2, 99))]
    for each in others:
        if hints.setdefault(each, hint) == hint:
            return each
    raise InputError("more than 99 inputs of different sizes", hint=_EXAMPLE)


def at(tensors: Sequence[SymbolicTensor], sizes: Mapping[str, Size]) -> tuple[SymbolicTensor, ...]:
    """The inputs with ``sizes`` in place of the symbols that stand alone."""
    return tuple(
        SymbolicTensor(
            tuple(sizes.get(size, size) if isinstance(size, str) else size for size in t.shape),
            t.dtype,
            t.name,
        )
        for t in tensors
    )
