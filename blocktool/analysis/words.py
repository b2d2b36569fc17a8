"""Sets of sizes and relations as short conditions, and in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from blocktool.analysis.expressions import (
    Call,
    Comparison,
    Logic,
    Name,
    Node,
    Number,
    Operation,
    names_in,
    parse,
    to_text,
)
from blocktool.analysis.size_sets import EVERY, SizeSet, interval, size_set

_FEW = 6
_LEAST = re.compile(r"(\w+) >= (\d+)")
_MOST = re.compile(r"(\w+) <= (\d+)")


def conditions(sizes: SizeSet, name: str) -> tuple[str, ...]:
    """Conditions that together say that ``name`` is in the set, the shortest that there are.

    None for all sizes; ``"H < 1"`` for no size.
    """
    if sizes.same(EVERY):
        return ()
    if not sizes:
        return (f"{name} < 1",)
    if sizes.is_finite:
        return _finite(sizes, name)
    # Beyond every exception residues decide; smaller sizes are a bound and exceptions.
    pattern = _pattern(sizes, name)
    parts = [pattern] if pattern else []
    said = size_set(parse(pattern)) if pattern else EVERY
    least = sizes.least
    missing = said & interval(1, least - 1)
    if missing:
        parts.append(f"{name} >= {least}")
        said = said & interval(least)
    gaps, extra = said - sizes, sizes - said
    if extra:
        return (_with_exceptions(sizes, extra, name),)
    if gaps.is_finite and len(listed := list(gaps)) <= _FEW:
        return (*parts, *(f"{name} != {size}" for size in listed))
    return (*parts, _negated(gaps, name))


def _finite(sizes: SizeSet, name: str) -> tuple[str, ...]:
    least, most = sizes.least, sizes.most
    assert most is not None
    if least == most:
        return (f"{name} == {least}",)
    if sizes.same(interval(least, most)):
        bound = (f"{name} <= {most}",)
        return bound if least == 1 else (f"{name} >= {least}", *bound)
    return (" or ".join(map(together, _runs(sizes, name))),)


def _runs(sizes: SizeSet, name: str) -> Iterator[tuple[str, ...]]:
    """Of a finite set: each stretch without gaps."""
    start = last = None
    for size in [*sizes, None]:
        if last is not None and size == last + 1:
            last = size
            continue
        if start is not None and last is not None:
            yield _finite(interval(start, last), name)
        start = last = size


def together(parts: Sequence[str]) -> str:
    """All of them as one condition that can stand beside an "or"."""
    shorter: list[str] = []
    for part in parts:
        low = _LEAST.fullmatch(shorter[-1]) if shorter else None
        high = _MOST.fullmatch(part)
        if low and high and low[1] == high[1]:
            shorter[-1] = f"{low[2]} <= {low[1]} <= {high[2]}"
        else:
            shorter.append(part)
    if len(shorter) == 1:
        return shorter[0]
    return f"({' and '.join(f'({part})' if ' or ' in part else part for part in shorter)})"


def _with_exceptions(sizes: SizeSet, extra: SizeSet, name: str) -> str:
    """A set that follows its pattern but for a few more members."""
    regular = together(conditions(sizes - extra, name))
    return " or ".join((regular, *map(together, _runs(extra, name))))


def _negated(gaps: SizeSet, name: str) -> str:
    parts = conditions(gaps, name)
    inside = together(parts)
    return f"not {inside}" if len(parts) > 1 and inside[0] == "(" else f"not ({inside})"


def _pattern(sizes: SizeSet, name: str) -> str:
    """What holds far out, by remainders; empty where all sizes do."""
    modulus, start = sizes.modulus, sizes.settled
    members = sorted(size % modulus for size in range(start, start + modulus) if size in sizes)
    if len(members) == modulus:
        return ""
    remainder = f"{name} % {modulus}"
    if len(members) == 1:
        return f"{remainder} == {members[0]}"
    absent = sorted(set(range(modulus)) - set(members))
    if len(absent) == 1:
        return f"{remainder} != {absent[0]}"
    low, high = members[0], members[-1]
    if len(members) == high - low + 1:
        if high == modulus - 1:
            return f"{remainder} >= {low}"
        return f"{remainder} <= {high}" if low == 0 else f"{low} <= {remainder} <= {high}"
    # A stretch that goes on past the modulus: 13, 14, 15 and 0 of 16 are (H + 3) % 16 <= 3.
    length = len(members)
    starts = [
        each for each in members if all((each + k) % modulus in members for k in range(length))
    ]
    if starts:
        return f"({name} + {modulus - starts[0]}) % {modulus} <= {length - 1}"
    return " or ".join(f"{remainder} == {member}" for member in members)


def in_words(condition: str) -> str:
    """``"H % 16 == 0"`` as ``"H is a multiple of 16"``; what has no short words stays as it is."""
    return _words(parse(condition))


def _words(node: Node) -> str:
    match node:
        case Comparison(op, Name(name), Number(value)):
            return f"{name} is {_than(op, value)}"
        case Comparison(op, Name(left), Name(right)):
            return f"{left} {_against(op)} {right}"
        case Comparison(op, Operation("%", Name(name), Number(modulus)), Number(value)):
            return _remainder(name, modulus, op, value)
        case Comparison(
            "<=", Operation("%", Operation("+", Name(name), Number(more)), Number(by)), Number(most)
        ) if more == most:
            return f"{name} is a multiple of {by} or at most {most} less"
        case Comparison("==", left, Number(value)):
            return f"{to_text(left)} is {value}"
        case Comparison(op, left, right):
            return f"{to_text(left)} {_against(op)} {to_text(right)}"
        case Logic("or", parts):
            return _either(parts)
        case Logic(
            "and",
            (
                Comparison("<=", Number(low), Name(name)),
                Comparison("<=", Name(same), Number(high)),
            ),
        ) if name == same:
            return f"{name} is from {low} to {high}"
        case Logic("and", parts):
            return " and ".join(
                f"({_words(part)})" if isinstance(part, Logic) and part.op == "or" else _words(part)
                for part in parts
            )
        case Logic("not", (part,)):
            return f"not: {_words(part)}"
        case Number() | Name() | Operation() | Call() | Logic():
            return to_text(node)


def _either(parts: tuple[Node, ...]) -> str:
    """``H is 7 or 14`` where all are of one symbol, else the parts with "or" between them."""
    name = min(names_in(parts[0]), default="")
    subject = f"{name} is "
    words = [_words(part) for part in parts]
    plain = all(isinstance(part, Comparison) for part in parts)
    if plain and all(each.startswith(subject) and " or " not in each for each in words):
        shorter = [each.removeprefix(subject) for each in words]
        return subject + (
            " or ".join(shorter)
            if len(shorter) == 2
            else f"{', '.join(shorter[:-1])} or {shorter[-1]}"
        )
    return ", or ".join(words)


def _than(op: str, value: int) -> str:
    return {
        "==": f"{value}",
        "!=": f"not {value}",
        "<": f"less than {value}",
        "<=": f"at most {value}",
        ">": f"more than {value}",
        ">=": f"at least {value}",
    }[op]


def _against(op: str) -> str:
    return {
        "==": "equals",
        "!=": "differs from",
        "<": "is less than",
        "<=": "is at most",
        ">": "is more than",
        ">=": "is at least",
    }[op]


def _remainder(name: str, modulus: int, op: str, value: int) -> str:
    if modulus == 2 and op in ("==", "!=") and value in (0, 1):
        return f"{name} is {'even' if (value == 0) == (op == '==') else 'odd'}"
    if value == 0 and op in ("==", "!="):
        return f"{name} is {'' if op == '==' else 'not '}a multiple of {modulus}"
    if op == "==":
        return f"{name} is {value} more than a multiple of {modulus}"
    return f"the remainder of {name} divided by {modulus} is {_than(op, value)}"
