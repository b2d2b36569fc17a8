"""The second opinion of a summary: from the other tool's MACs to ours, cause by cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blocktool.render.styled import Glyphs, Line, clean, pad, shorten, width_of, wrap
from blocktool.render.view import View
from blocktool.results.cross_check import CrossCheck, ModuleDifference

_NAMED = 3
_LABEL = 32


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the reconciliation. ``macs`` is exact, with its sign where it is a difference;
    ``modules`` are those behind it."""

    label: str
    macs: str
    remark: str = ""
    modules: tuple[ModuleDifference, ...] = ()
    style: str = ""


def verdict(check: CrossCheck) -> str:
    """The outcome in one sentence."""
    tool = f"{check.tool} {check.version}".strip()
    if check.unavailable is not None:
        return f"no second count: {check.unavailable}"
    if not check.causes and not check.unexplained_modules and not check.difference:
        return f"{tool} counts the same: {check.ours:,} MACs in the forward"
    if check.unexplained or check.unexplained_modules:
        return f"{tool} counts otherwise, and not all of the difference is explained"
    return f"{tool} counts otherwise; every difference is explained"


def steps(check: CrossCheck) -> Iterator[Step]:
    """What leads from the other tool's count to ours; nothing where there is nothing to explain.

    The figures are exact, so that they can be seen to add up.
    """
    if check.theirs is None or not (check.causes or check.unexplained_modules or check.difference):
        return
    yield Step(f"MACs by {check.tool}", f"{check.theirs:,}", "the forward, in eval mode")
    for cause in check.causes:
        yield Step(cause.name, f"{cause.macs:+,}", cause.explanation, cause.modules)
    doubt = check.unexplained or check.unexplained_modules
    yield Step(
        "unexplained",
        f"{check.unexplained:+,}" if check.unexplained else "0",
        "counted by one tool alone, for no reason known here" if doubt else "",
        check.unexplained_modules,
        "yellow" if doubt else "dim",
    )
    yield Step("MACs here", f"{check.ours:,}", "the forward")


def where(modules: Sequence[ModuleDifference]) -> str:
    """``in 53 modules: layer1.0.bn1, layer1.0.bn2, layer1.0.bn3 and 50 more``."""
    if not modules:
        return ""
    weightiest = sorted(modules, key=lambda module: -abs(module.macs))
    named = [module.path or "the module itself" for module in weightiest[:_NAMED]]
    if len(modules) == 1:
        return f"in {named[0]}"
    more = f" and {len(modules) - _NAMED} more" if len(modules) > _NAMED else ""
    return f"in {len(modules)} modules: {', '.join(named)}{more}"


def cross_check_lines(check: CrossCheck, view: View, glyphs: Glyphs) -> list[Line]:
    """The block below the totals. With ``view.expand`` each module has its own figure."""

    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    found = list(steps(check))
    title = [[(line, "bold")] for line in wrap(f"Cross-check: {plain(verdict(check))}", view.width)]
    if not found:
        return [*title]
    label = min(max(width_of(step.label) for step in found), _LABEL)
    figure = max(width_of(step.macs) for step in found)
    lead = label + figure + 4
    lines: list[Line] = [*title]
    for step in found:
        listed = view.expand and len(step.modules) > 1
        place = f"in {len(step.modules)} modules:" if listed else where(step.modules)
        remark = plain("; ".join(filter(None, (step.remark, place))))
        first, *rest = wrap(remark, view.width - lead) or [""]
        lines.append(
            [
                (pad(shorten(plain(step.label), label, glyphs), label), step.style),
                (f"  {pad(step.macs, figure, right=True)}", step.style or "bold"),
                (f"  {first}", "dim"),
            ]
        )
        lines += [[(" " * lead + line, "dim")] for line in rest]
        if listed:
            lines += [
                [
                    (" " * label, ""),
                    (f"  {pad(f'{module.macs:+,}', figure, right=True)}", "dim"),
                    (f"  {plain(module.path) or 'the module itself'}", "dim"),
                ]
                for module in step.modules
            ]
    return lines
