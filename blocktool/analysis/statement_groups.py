"""What was done to modules one by one, told together where it is the same or belongs together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blocktool.analysis.configured import WIDTHS
from blocktool.results.comparison import Statement, StatementKind

_SCALED = 3
"""From so many widths on, all scaled alike, they are one statement."""
_MANY = 4
"""From so many values of one setting on, they are one statement."""
_NAMED = 3


@dataclass(frozen=True)
class Deed:
    """Something that was done to one module; ``effect`` as in a Statement."""

    kind: StatementKind
    text: str
    path: str
    effect: float = 0.0


def together(deeds: Iterable[Deed]) -> list[Statement]:
    """A statement for each thing that was done, with all modules to which it was."""
    said = _widths(_equal(deeds))
    return _of_the_same_modules(_many_values(_moved_settings(_scaled_widths(said))))


def _equal(deeds: Iterable[Deed]) -> list[Statement]:
    groups: dict[tuple[StatementKind, str], list[Deed]] = {}
    for deed in deeds:
        groups.setdefault((deed.kind, deed.text), []).append(deed)
    return [
        _joined([Statement(kind, text, (deed.path,), deed.effect) for deed in group], text)
        for (kind, text), group in groups.items()
    ]


def _joined(group: Sequence[Statement], text: str) -> Statement:
    return Statement(
        group[0].kind,
        text,
        tuple(dict.fromkeys(path for each in group for path in each.modules)),
        min(1.0, sum(each.effect for each in group)),
    )


def _widths(said: Sequence[Statement]) -> list[Statement]:
    """One layer's output is the next one's input: their widths changed together."""
    groups: dict[str, list[Statement]] = {}
    for each in said:
        name, _, turn = each.text.partition(" ")
        wide = each.kind == "configured" and name in WIDTHS and "default" not in turn
        groups.setdefault(f"width {turn}" if wide else f"{each.kind} {each.text}", []).append(each)
    return [
        _joined(group, key if len(group) > 1 else group[0].text) for key, group in groups.items()
    ]


def _many_values(said: Sequence[Statement]) -> list[Statement]:
    """One setting with another value in each module, such as a rate that grows with depth."""
    groups: dict[str, list[Statement]] = {}
    for index, each in enumerate(said):
        name, _, turn = each.text.partition(" ")
        single = each.kind == "configured" and turn.count(" -> ") == 1 and "," not in turn
        groups.setdefault(name if single else f"{index} alone", []).append(each)
    told = []
    for name, group in groups.items():
        if len(group) < _MANY:
            told += group
            continue
        group.sort(key=lambda each: -each.effect)
        turns = ", ".join(each.text.removeprefix(f"{name} ") for each in group[:_NAMED])
        told.append(_joined(group, f"{name} {turns}, ... ({len(group)} values)"))
    return told


def _of_the_same_modules(said: Sequence[Statement]) -> list[Statement]:
    """Several settings of the same modules stand in one line: a kernel and its padding."""
    groups: dict[tuple[object, ...], list[Statement]] = {}
    for index, each in enumerate(said):
        alone: object = None if each.kind == "configured" else index
        groups.setdefault((each.modules, alone), []).append(each)
    return [_joined(group, ", ".join(each.text for each in group)) for group in groups.values()]


def _scaled_widths(said: Sequence[Statement]) -> list[Statement]:
    """Several widths that were all scaled by one factor are one thing that was done."""
    by_factor: dict[float, list[Statement]] = defaultdict(list)
    for each in said:
        words = each.text.split()
        if each.kind == "configured" and words[0] == "width" and len(words) == 4:
            before, after = words[1], words[3]
            if before.isdecimal() and after.isdecimal() and int(before):
                by_factor[int(after) / int(before)].append(each)
    rest = list(said)
    for factor, group in by_factor.items():
        if len(group) < _SCALED:
            continue
        for each in group:
            rest.remove(each)
        pairs = ", ".join(each.text.removeprefix("width ") for each in group[:_NAMED])
        more = ", ..." if len(group) > _NAMED else ""
        rest.append(_joined(group, f"widths x{factor:.4g}: {pairs}{more}"))
    return rest


def _moved_settings(said: Sequence[Statement]) -> list[Statement]:
    """A setting that one module lost and another got has moved: the stride of a bottleneck, say."""
    rest = list(said)
    for each in said:
        name, _, turn = each.text.partition(" ")
        before, _, after = turn.partition(" -> ")
        back = f"{name} {after} -> {before}"
        other = next((o for o in rest if o.kind == "configured" and o.text == back), None)
        if each.kind != "configured" or each not in rest or other is None or other is each:
            continue
        if len(other.modules) != len(each.modules):
            continue
        larger, source, to = max(
            (after, other, each), (before, each, other), key=lambda way: way[0]
        )
        rest.remove(each)
        rest.remove(other)
        text = f"{name} {larger} moved from {source.modules[0]} to {to.modules[0]}"
        if len(to.modules) > 1:
            text += f", and so in {len(to.modules) - 1} more"
        effect = min(1.0, each.effect + other.effect)
        rest.append(Statement("configured", text, (*source.modules, *to.modules), effect))
    return rest
