"""What the dimensions of a module's inputs are called, and which of them may vary. Needs no torch.

A map is (B, C, H, W) or (B, H, W, C), a video (B, C, T, H, W), tokens are (B, N, C) or (B, C, N), a
vector (B, C), token ids (B, N). Channels are fixed unless the module takes others. A dimension of a
further input that is as large as one of the same kind before it shares its symbol, or is a
multiple of it (``2*H``); else it has one of its own (``N_context``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from blocktool.analysis.expressions import Node, evaluate, parse
from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import Size, SymbolicTensor

_MAP, _MAP_LAST = ("B", "C", "H", "W"), ("B", "H", "W", "C")
_TOKENS, _TOKENS_LAST = ("B", "N", "C"), ("B", "C", "N")
_LETTERS: dict[int, tuple[str, ...]] = {
    0: (),
    1: ("N",),
    2: ("B", "C"),
    3: _TOKENS,
    4: _MAP,
    5: ("B", "C", "T", "H", "W"),
}
_FIXED = "C"

Runs = Callable[[tuple[TensorSpec, ...]], bool]
"""Whether the module runs with these inputs."""


@dataclass(frozen=True)
class Pattern:
    """The inputs of a module with symbols for what may vary.

    ``base`` has the value of every free symbol in the target's own inputs, ``constants`` those of
    the dimensions that are fixed but have a name (``C``). ``letters`` are the names of the first
    input's dimensions.
    """

    inputs: tuple[SymbolicTensor, ...]
    base: dict[str, int]
    constants: dict[str, int]
    letters: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Everything that an expression about this module may name."""
        return (*self.base, *self.constants)

    def at(self, sizes: Mapping[str, int]) -> tuple[TensorSpec, ...] | None:
        """The inputs at these sizes; symbols that are left out keep their base. None where a size
        would not be a positive whole number."""
        values = {**self.base, **sizes}
        made = []
        for tensor, nodes in zip(self.inputs, self._nodes, strict=True):
            shape: list[int] = []
            for node in nodes:
                value = evaluate(node, values)
                if not isinstance(value, int) or value < 1:
                    return None
                shape.append(value)
            made.append(TensorSpec(tuple(shape), tensor.dtype, tensor.name))
        return tuple(made)

    @cached_property
    def _nodes(self) -> tuple[tuple[Node, ...], ...]:
        return tuple(tuple(parse(str(size)) for size in tensor.shape) for tensor in self.inputs)

    def bindings(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The value of every symbol at these sizes."""
        return {**self.base, **self.constants, **sizes}


def pattern_of(inputs: Sequence[TensorSpec], runs: Runs | None = None) -> Pattern:
    """The pattern of these inputs.

    ``runs`` is asked which dimensions of the first input may vary, where its rank leaves more than
    one reading; without it the usual one is taken, with fixed channels.
    """
    if not inputs:
        return Pattern((), {}, {}, ())
    first = inputs[0]
    letters, free = _reading(inputs, runs)
    builder = _Builder({}, {})
    tensors = [builder.first(first, letters, free)]
    for position, spec in enumerate(inputs[1:], 2):
        tensors.append(builder.further(spec, spec.name or str(position)))
    return Pattern(tuple(tensors), builder.base, builder.constants, letters)


def _reading(
    inputs: Sequence[TensorSpec], runs: Runs | None
) -> tuple[tuple[str, ...], frozenset[int]]:
    """Names of the first input's dimensions, and which of them are free."""
    first = inputs[0]
    rank = len(first.shape)
    letters = _LETTERS.get(rank) or ("B", *(f"D{axis}" for axis in range(1, rank)))
    if rank == 2 and "int" in first.dtype:
        letters = ("B", "N")
    usual = frozenset(axis for axis, letter in enumerate(letters) if letter != _FIXED)
    if runs is None or rank not in (3, 4) or len(inputs) > 1:
        return letters, usual
    takes = [_takes(inputs, axis, runs) for axis in range(rank)]
    if not any(takes[1:]):
        return letters, usual
    if rank == 3 and takes[2] and not takes[1]:
        return _TOKENS_LAST, frozenset((0, 2))
    if rank == 4 and takes[1] and takes[2] and not takes[3]:
        return _MAP_LAST, frozenset((0, 1, 2))
    channels = letters.index(_FIXED)
    return letters, usual | {channels} if takes[channels] else usual


def _takes(inputs: Sequence[TensorSpec], axis: int, runs: Runs) -> bool:
    """Whether twice the size will do; twice, so that what divides it still does."""
    first = inputs[0]
    shape = list(first.shape)
    if axis == 0:
        return True
    shape[axis] *= 2
    return runs((replace(first, shape=tuple(shape)), *inputs[1:]))


@dataclass(frozen=True)
class _Builder:
    base: dict[str, int]
    constants: dict[str, int]

    def first(
        self, spec: TensorSpec, letters: tuple[str, ...], free: frozenset[int]
    ) -> SymbolicTensor:
        shape: list[Size] = []
        for axis, (letter, size) in enumerate(zip(letters, spec.shape, strict=True)):
            (self.base if axis in free else self.constants)[letter] = size
            shape.append(letter if axis in free else size)
        return SymbolicTensor(tuple(shape), spec.dtype, spec.name)

    def further(self, spec: TensorSpec, name: str) -> SymbolicTensor:
        rank = len(spec.shape)
        letters = _LETTERS.get(rank) or ("B", *(f"D{axis}" for axis in range(1, rank)))
        if rank == 2 and "int" in spec.dtype:
            letters = ("B", "N")
        shape = tuple(
            self._size(axis, letter, size, name)
            for axis, (letter, size) in enumerate(zip(letters, spec.shape, strict=True))
        )
        return SymbolicTensor(shape, spec.dtype, spec.name)

    def _size(self, axis: int, letter: str, size: int, name: str) -> Size:
        if self.base.get(letter) == size and (letter == "B") == (axis == 0):
            return letter
        shared = [symbol for symbol, value in self.base.items() if value == size and symbol != "B"]
        same_width = letter == _FIXED and self.constants.get(_FIXED) == size
        if shared and size > 1 and not same_width:
            return shared[0]
        if letter in ("B", _FIXED) or size == 1:
            return self._constant(f"{letter}_{name}", size)
        if letter in ("H", "W", "T") and letter in self.base:
            ratio = Fraction(size, self.base[letter])
            if max(ratio.numerator, ratio.denominator) <= 64 and 1 in (
                ratio.numerator,
                ratio.denominator,
            ):
                times = ratio.denominator == 1
                return f"{ratio.numerator}*{letter}" if times else f"{letter}/{ratio.denominator}"
        symbol = f"{letter}_{name}"
        self.base[symbol] = size
        return symbol

    def _constant(self, symbol: str, size: int) -> int:
        self.constants[symbol] = size
        return size
