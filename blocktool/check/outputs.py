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
from blocktool.analysis.size_sets import EVERY
from blocktool.analysis.substitution import substitute
from blocktool.analysis.words import conditions, together
from blocktool.check.claims import Claim
from blocktool.check.explore import Exploration, Way
from blocktool.check.unions import simplified
from blocktool.results.shapes import Alternative
from blocktool.results.symbolic import Size, SymbolicTensor

Shapes = tuple[tuple[int, ...], ...]

_FAR = 2**8 * 3**2 * 5**2 * 7**2 * 11
_MANY = 16  # so many unlike sizes have no form in common
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Outputs:
    """What comes out: one formula for most sizes, others by way."""

    formula: tuple[SymbolicTensor, ...]
    where: Claim
    """The ways whose outputs it gives."""
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
    main: list[Region] = []
    others: dict[tuple[SymbolicTensor, ...], list[Region]] = {}
    for way in running:
        if _gives(formula, way, found.base):
            main.append(way.region)
            continue
        known = (each for each in others if _gives(each, way, found.base))
        others.setdefault(next(known, way.run.outputs), []).append(way.region)
    if not others:
        return Outputs(formula, Claim(tuple(main)), ())
    return Outputs(
        formula,
        Claim(tuple(simplified(main, found.base))),
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
    if a == b:
        return True
    one, other = parse(str(a)), parse(str(b))
    # What differs at the sizes from which the way was followed needs no algebra.
    if _whole(one, way.run.hints) != _whole(other, way.run.hints):
        return False
    return equal_on(one, other, way.region, base).equal is True


def _size(sizes: Sequence[Size], ways: Sequence[Way], base: Mapping[str, int]) -> Size:
    """One expression for the sizes that a dimension has on several ways, the shortest found.

    That of the first way where there is none.
    """
    pairs = list(zip(sizes, ways, strict=True))
    if all(isinstance(size, int) for size in sizes) and len(set(sizes)) == 1:
        return sizes[0]
    forms = [size for size in dict.fromkeys(sizes) if not isinstance(size, int)]
    if len(forms) > _MANY:
        return sizes[0]
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


def alternatives(
    out: Outputs, symbols: Sequence[str], fixed: Mapping[str, int], complete: bool
) -> tuple[Alternative, ...]:
    """Each formula with the conditions under which it holds where the module runs.

    Unless the ways are ``complete``, the first formula too is only said of the sizes on its ways.
    """
    main = text_of(out.formula, fixed)
    if not out.others:
        return (Alternative(main, ()),)
    if complete:
        rest = tuple(text for _, where in out.others for text in _outside(where, symbols))
    else:
        rest = out.where.constraints(symbols)
    others = ((text_of(formula, fixed), where) for formula, where in out.others)
    return (
        Alternative(main, rest),
        *(Alternative(text, where.constraints(symbols)) for text, where in others),
    )


def _outside(where: Claim, symbols: Sequence[str]) -> tuple[str, ...]:
    """Conditions for all sizes of which a claim is not."""
    if len(where.regions) == 1 and not where.regions[0].relations:
        (only,) = where.regions
        bound = [symbol for symbol in symbols if not only.of(symbol).same(EVERY)]
        if len(bound) == 1:
            return conditions(EVERY - only.of(bound[0]), bound[0])
    parts = where.constraints(symbols)
    inside = " and ".join(f"({part})" if " or " in part else part for part in parts)
    return (f"not ({inside})",)


def output_text(ways: Sequence[Alternative], complete: bool) -> str:
    """``"B, 3, H, W, but B, 3, H + 1, W where H % 2 == 1"``, shortened.

    Unless the ways are ``complete``, the first is no more usual than the others.
    """
    if len(ways) == 1:
        return ways[0].output
    told = [f"{way.output} where {_joined(way.constraints)}" for way in ways[: _SHOWN + 1]]
    if complete:
        told[0] = ways[0].output
    more = f", and {len(ways) - len(told)} more" if len(ways) > len(told) else ""
    return ", but ".join(told) + more


def _joined(constraints: Sequence[str]) -> str:
    text = together(constraints)
    return text if text in constraints or text[0] != "(" else text[1:-1]


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
