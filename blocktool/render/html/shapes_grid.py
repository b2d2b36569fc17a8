"""The cases of each target as a grid: sizes down, how it was run across."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from blocktool.render import shapes_words as words
from blocktool.render import units
from blocktool.render.html.pieces import Block, Details, Grid, GridCell, Prose
from blocktool.render.html.words import plural
from blocktool.results.shapes import Failed, Passed, ShapeCase, ShapeReport, Skipped

_MOST_GRIDS = 60
_OPEN = 1
"""So many grids are open at first, those of targets with failures before them."""


def grid_blocks(report: ShapeReport) -> list[Block | None]:
    """A grid for each target with its arguments, those with failures first."""
    groups: dict[str, list[ShapeCase]] = {}
    for case in report.cases:
        groups.setdefault(words.named(case.target, case.arguments), []).append(case)
    ordered = sorted(groups.items(), key=lambda item: -_count(item[1], Failed))
    found: list[Block | None] = [
        Prose(("✓ passed, ✗ failed, – skipped; a cell of several cases says how many of them.",))
    ]
    for i, (name, cases) in enumerate(ordered[:_MOST_GRIDS]):
        grid = _grid(name, cases)
        failed = _count(cases, Failed)
        title = f"{name}: {plural(len(cases), 'case')}, {failed:,} failed"
        found.append(grid if i < _OPEN else Details(title, (grid,)))
    if (more := len(ordered) - _MOST_GRIDS) > 0:
        found.append(Prose((f"{more} more are left out: -f csv has every case.",)))
    return found if groups else []


def _grid(name: str, cases: Sequence[ShapeCase]) -> Grid:
    rows: dict[str, dict[str, list[ShapeCase]]] = {}
    batches = _has_batches(cases)
    for case in sorted(cases, key=_order):
        column = _way(case, batches)
        rows.setdefault(_size(case, batches), {}).setdefault(column, []).append(case)
    ways = tuple(dict.fromkeys(_way(case, batches) for case in sorted(cases, key=_usual_first)))
    return Grid(
        f"{name}: outcomes by size and by how it was run",
        "Size",
        ways,
        tuple(
            (size, tuple(_cell(by_way.get(way, ())) for way in ways))
            for size, by_way in rows.items()
        ),
    )


def _has_batches(cases: Sequence[ShapeCase]) -> bool:
    """Whether the leading sizes of the first inputs are batches: all other sizes recur."""
    return all(case.inputs and len(case.inputs[0].shape) > 1 for case in cases)


def _size(case: ShapeCase, batches: bool) -> str:
    """``64x56x56`` of every input, without the batch."""
    if not batches:
        return words.inputs_text(case.inputs)
    batch = case.inputs[0].shape[0]
    shapes = (s.shape[1:] if s.shape[:1] == (batch,) else s.shape for s in case.inputs)
    return ", ".join(map(units.shape, shapes))


def _way(case: ShapeCase, batches: bool) -> str:
    """``batch 2, float32, eval``."""
    parts = [f"batch {case.inputs[0].shape[0]}"] if batches else []
    parts += [case.dtype, case.mode]
    if case.memory_format != "contiguous":
        parts.append(case.memory_format)
    if case.device != "meta":
        parts.append(f"on {case.device}")
    return ", ".join(parts)


def _usual_first(case: ShapeCase) -> tuple[bool | int | str, ...]:
    batch = case.inputs[0].shape[0] if case.inputs and case.inputs[0].shape else 0
    layout, device = case.memory_format != "contiguous", case.device != "meta"
    return (device, case.device, layout, case.mode, case.dtype != "float32", case.dtype, batch)


def _order(case: ShapeCase) -> tuple[int, ...]:
    """Small sizes first."""
    sizes = case.inputs[0].shape[1:] if case.inputs else ()
    return (len(sizes), *sizes)


def _cell(cases: Sequence[ShapeCase]) -> GridCell | None:
    if not cases:
        return None
    failed, passed = _count(cases, Failed), _count(cases, Passed)
    several = len(cases) > 1
    if failed:
        first = next(c.outcome for c in cases if isinstance(c.outcome, Failed))
        told = f"failed, {words.KINDS[first.kind]}: {first.message}"
        sign = f"✗ {failed} of {len(cases)}" if several else "✗"
        return GridCell(sign, told, "bad")
    if passed:
        told = f"{passed} passed" if several else "passed"
        return GridCell("✓", told, "good")
    reasons = dict.fromkeys(c.outcome.reason for c in cases if isinstance(c.outcome, Skipped))
    return GridCell("–", f"skipped: {'; '.join(reasons)}", "muted")


def _count(cases: Iterable[ShapeCase], outcome: type) -> int:
    return sum(isinstance(case.outcome, outcome) for case in cases)
