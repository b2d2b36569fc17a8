"""Contracts: what a module's outputs are to be, as expressions of its sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blocktool.analysis.expressions import (
    Comparison,
    ExpressionError,
    Logic,
    Node,
    NotWholeError,
    Number,
    evaluate,
    names_in,
    parse,
    to_text,
)
from blocktool.results.specs import TensorSpec

_NAMED = re.compile(r"\s*([A-Za-z_][\w.]*|\d+(?:\.\w+)*)\s*:")


@dataclass(frozen=True, slots=True)
class Contract:
    """The shape of one output: of the one called ``name``, or of the next one in turn."""

    sizes: tuple[Node, ...]
    name: str | None = None

    def __str__(self) -> str:
        text = ", ".join(map(to_text, self.sizes)) or "scalar"
        return f"{self.name}: {text}" if self.name else text


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An output that is not what its contract says."""

    expected: str
    """``"(2, 64, 28, 28) = B, 64, H//2, W//2"``."""
    actual: str
    message: str


def contract_text(contracts: Sequence[Contract]) -> str:
    """``"p3: B, 256, H/8, W/8; p4: ..."``."""
    return "; ".join(map(str, contracts))


def parse_contracts(texts: Sequence[str]) -> tuple[Contract, ...]:
    """Read ``"B, 2*C, ceil(H/2), W//2"`` and ``"p3: B, 256, H/8, W/8; p4: ..."``.

    Raises ExpressionError, pointing at the place in the text where it is wrong.
    """
    contracts = []
    for text in texts:
        start = 0
        for part in text.split(";"):
            contracts.append(_contract(text, part, start))
            start += len(part) + 1
    names = [contract.name for contract in contracts if contract.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise ExpressionError(f"output '{name}' is given twice", "; ".join(texts), 0)
    return tuple(contracts)


def _contract(text: str, part: str, start: int) -> Contract:
    named = _NAMED.match(part)
    name = named[1] if named else None
    if named:
        start, part = start + named.end(), part[named.end() :]
    stripped = part.strip()
    if stripped.lower() in ("scalar", "()"):
        return Contract((), name)
    if len(stripped) > 1 and stripped[0] in "([" and _closes_at_end(stripped):
        lead = part.index(stripped[0])
        start, part = start + lead + 1, stripped[1:-1].rstrip().rstrip(",")
    sizes = []
    for size in _split(part):
        try:
            node = parse(size)
            if isinstance(node, (Comparison, Logic)):
                raise ExpressionError("a comparison is no size", size, 0)
            sizes.append(node)
        except ExpressionError as error:
            raise ExpressionError(error.reason, text, start + error.position, error.hint) from None
        start += len(size) + 1
    return Contract(tuple(sizes), name)


def _closes_at_end(text: str) -> bool:
    """Whether the bracket that opens the text closes at its end, and holds a comma: ``(B, C)``."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0:
            return position == len(text) - 1 and len(_split(text[1:-1])) > 1
    return False


def _split(text: str) -> list[str]:
    """At the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def check_names(contracts: Sequence[Contract], texts: Sequence[str], names: frozenset[str]) -> None:
    """Raise ExpressionError for the first size that is none of ``names``."""
    known = {name for contract in contracts for size in contract.sizes for name in names_in(size)}
    for unknown in sorted(known - names):
        for text in texts:
            for found in re.finditer(rf"(?<![\w.]){re.escape(unknown)}(?!\w|\s*:)", text):
                try:
                    parse(unknown, names)
                except ExpressionError as error:
                    raise ExpressionError(error.reason, text, found.start(), error.hint) from None


def mismatch(
    contracts: Sequence[Contract],
    outputs: Sequence[TensorSpec],
    bindings: Mapping[str, int],
    *,
    in_order: bool = False,
) -> Mismatch | None:
    """The first output that is not as its contract says, None where all are.

    Outputs without a contract may be anything. ``in_order`` tells that there is a contract for
    each, whatever they are called.
    """
    if in_order:
        contracts = [Contract(contract.sizes) for contract in contracts]
    positional = [contract for contract in contracts if contract.name is None]
    by_name = {contract.name: contract for contract in contracts if contract.name is not None}
    pairs: list[tuple[str, Contract, TensorSpec | None]] = []
    for index, contract in enumerate(positional):
        label = f"output {index}" if len(positional) > 1 else "output"
        pairs.append((label, contract, outputs[index] if index < len(outputs) else None))
    for name, contract in by_name.items():
        found = [spec for spec in outputs if spec.name == name]
        if not found and name.isdecimal() and int(name) < len(outputs):
            found = [outputs[int(name)]]
        pairs.append((f"output '{name}'", contract, found[0] if found else None))
    for label, contract, spec in pairs:
        if wrong := _compared(label, contract, spec, outputs, bindings):
            return wrong
    return None


def _compared(
    label: str,
    contract: Contract,
    spec: TensorSpec | None,
    outputs: Sequence[TensorSpec],
    bindings: Mapping[str, int],
) -> Mismatch | None:
    expected, problem = expected_shape(contract, bindings)
    if spec is None:
        there = ", ".join(s.name or str(i) for i, s in enumerate(outputs)) or "none"
        return Mismatch(expected, f"outputs: {there}", f"there is no {label}")
    actual = shape_text(spec.shape)
    if problem:
        return Mismatch(expected, actual, f"{label}: {problem}")
    wanted = [evaluate(size, bindings) for size in contract.sizes]
    if tuple(wanted) == tuple(spec.shape):
        return None
    if len(wanted) != len(spec.shape):
        what = f"{len(spec.shape)} dimensions, expected {len(wanted)}"
    else:
        wrong = [axis for axis, size in enumerate(wanted) if size != spec.shape[axis]]
        what = ", ".join(_wrong(contract.sizes[i], wanted[i], spec.shape[i], i) for i in wrong)
    return Mismatch(expected, actual, f"{label}: {what}")


def _wrong(size: Node, wanted: object, got: int, axis: int) -> str:
    if isinstance(size, Number):
        return f"dim {axis} is {got}, not {wanted}"
    return f"{to_text(size)} is {wanted}, got {got} (dim {axis})"


def expected_shape(contract: Contract, bindings: Mapping[str, int]) -> tuple[str, str | None]:
    """The shape that a contract gives with its formula, and why it gives none."""
    values, problem = [], None
    for size in contract.sizes:
        try:
            value = evaluate(size, bindings)
        except NotWholeError as error:
            value, problem = -1, str(error)
        else:
            if not isinstance(value, int):
                problem = f"{to_text(size)} is {value}, not a whole number"
        values.append(value)
    formula = str(contract).removeprefix(f"{contract.name}: ")
    if problem:
        return formula, problem
    shape = shape_text(tuple(int(value) for value in values))
    return (f"{shape} = {formula}" if any(map(names_in, contract.sizes)) else shape), None


def shape_text(shape: Sequence[int]) -> str:
    """``"(1, 64, 28, 28)"``, as Python writes it."""
    return str(tuple(shape))
