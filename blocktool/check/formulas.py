"""What comes out of a module as one formula for all ways through it. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from blocktool.analysis.domain import Region
from blocktool.analysis.equality import equal_on
from blocktool.analysis.expressions import (
    Node,
    NotWholeError,
    Number,
    evaluate,
    names_in,
    parse,
    to_text,
)
from blocktool.analysis.substitution import substitute
from blocktool.check.claims import Claim
from blocktool.check.explore import Exploration, Way
from blocktool.check.unions import simplified
from blocktool.results.symbolic import Size, SymbolicTensor

Shapes = tuple[tuple[int, ...], ...]

_FAR = 2**8 * 3**2 * 5**2 * 7**2 * 11


@dataclass(frozen=True, slots=True)
class Outputs:
    """What comes out: one formula for most sizes, others by way."""

    formula: tuple[SymbolicTensor, ...]
    others: tuple[tuple[tuple[SymbolicTensor, ...], Claim], ...]
    """Formulas of the ways whose outputs it does not give, and where they hold."""


def outputs(found: Exploration) -> Outputs:
    """The formulas of all ways where there are such, else those of the first way that runs."""
    running = [way for way in found.ways if way.runs]
    first = running[0].run.outputs
    alike = [way for way in running if _ranks(way.run.outputs) == _ranks(first)]
    formula = tuple(
        replace(
            tensor,
            shape=tuple(
                _size([way.run.outputs[place].shape[axis] for way in alike], alike, found.base)
                for axis in range(len(tensor.shape))
            ),
        )
        for place, tensor in enumerate(first)
    )
    others: dict[tuple[SymbolicTensor, ...], list[Region]] = {}
    for way in running:
        if _gives(formula, way, found.base):
            continue
        known = (each for each in others if _gives(each, way, found.base))
        others.setdefault(next(known, way.run.outputs), []).append(way.region)
    return Outputs(
        formula,
        tuple(
            (each, Claim(tuple(simplified(regions, found.base))))
            for each, regions in others.items()
        ),
    )


def _ranks(tensors: Sequence[SymbolicTensor]) -> list[int]:
    return [len(tensor.shape) for tensor in tensors]


def _gives(formula: Sequence[SymbolicTensor], way: Way, base: Mapping[str, int]) -> bool:
    """Whether a formula gives the outputs of a way, at all of its sizes."""
    own = way.run.outputs
    return _ranks(formula) == _ranks(own) and all(
        _same(a, b, way, base)
        for mine, theirs in zip(formula, own, strict=True)
        for a, b in zip(mine.shape, theirs.shape, strict=True)
    )


def _same(a: Size, b: Size, way: Way, base: Mapping[str, int]) -> bool:
    return a == b or equal_on(parse(str(a)), parse(str(b)), way.region, base).equal is True


def _size(sizes: Sequence[Size], ways: Sequence[Way], base: Mapping[str, int]) -> Size:
    """One expression for the sizes that a dimension has on several ways, the shortest found.

    That of the first way where there is none.
    """
    pairs = list(zip(sizes, ways, strict=True))
    if all(isinstance(size, int) for size in sizes) and len(set(sizes)) == 1:
        return sizes[0]
    forms = [size for size in dict.fromkeys(sizes) if not isinstance(size, int)]
    forms += [text for text in _forms(forms, ways, base) if text not in forms]
    for form in sorted(forms, key=lambda text: (len(str(text)), str(text))):
        if all(_same(form, size, way, base) for size, way in pairs):
            return form
    return sizes[0]


def _forms(sizes: Sequence[Size], ways: Sequence[Way], base: Mapping[str, int]) -> Iterator[str]:
    """Short expressions that grow as the sizes do: ``H//2``, ``4*ceil(H/16)``."""
    node = parse(str(sizes[0])) if sizes else Number(0)
    names = sorted(names_in(node))
    if len(names) != 1:
        return
    (name,) = names
    here = ways[0].region.of(name).nearest(base[name])
    # Over a multiple of every usual divisor the growth is that of the whole.
    far = here + _FAR
    try:
        grown = Fraction(evaluate(node, {name: far})) - Fraction(evaluate(node, {name: here}))
    except NotWholeError:
        return
    slope = grown / _FAR
    divisors = {int(digits) for size in sizes for digits in re.findall(r"\d+", str(size))}
    for by in sorted({slope.denominator, *divisors}):
        times = slope * by
        if by < 1 or times.denominator != 1 or times < 1:
            continue
        factor = "" if times == 1 else f"{times}*"
        if by == 1:
            yield f"{factor}{name}"
        else:
            yield f"{factor}({name}//{by})" if factor else f"{name}//{by}"
            yield f"{factor}ceil({name}/{by})"


def shapes_at(tensors: Iterable[SymbolicTensor], sizes: Mapping[str, int]) -> Shapes:
    """The shapes at these sizes; -1 for what is no whole number."""
    return tuple(tuple(_whole(parse(str(size)), sizes) for size in t.shape) for t in tensors)


def shapes_text(shapes: Shapes) -> str:
    """``"(1, 64, 28, 28), (1, 128, 14, 14)"``."""
    return ", ".join(map(str, shapes)) or "nothing"


def _whole(node: Node, sizes: Mapping[str, int]) -> int:
    try:
        value = evaluate(node, sizes)
    except NotWholeError:
        return -1
    return value if isinstance(value, int) else -1


def text_of(tensors: Iterable[SymbolicTensor], fixed: Mapping[str, int]) -> str:
    """``"B, 64, H, W"``, fixed sizes as numbers, outputs parted by ``;``."""
    values: dict[str, Node] = {name: Number(size) for name, size in fixed.items()}

    def sizes(tensor: SymbolicTensor) -> Iterator[str]:
        for size in tensor.shape:
            node = substitute(parse(str(size)), values)
            yield str(evaluate(node, {})) if not names_in(node) else to_text(node)

    texts = []
    for tensor in tensors:
        text = ", ".join(sizes(tensor)) or "scalar"
        texts.append(f"{tensor.name}: {text}" if tensor.name else text)
    return "; ".join(texts)
