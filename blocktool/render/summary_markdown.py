"""A summary as Markdown, for pull requests and model cards (GitHub's table dialect)."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.analysis.fold import ModuleNode
from blocktool.render import units
from blocktool.render.markdown_text import code as _code
from blocktool.render.markdown_text import table as _table
from blocktool.render.markdown_text import text as _text
from blocktool.render.summary_cross_check import steps, verdict, where
from blocktool.render.summary_notes import SCOPE, notes, setting, signature, warnings
from blocktool.render.summary_view import shown_ops, shown_tree
from blocktool.render.view import View
from blocktool.results.cross_check import CrossCheck
from blocktool.results.summary import Summary


def render(summary: Summary, view: View) -> str:
    """Heading, totals, modules (folded and cut as in the table), operations if asked, notes."""
    blocks = [
        f"## {_text(summary.target)}",
        " · ".join([f"`{_code(signature(summary, '→'))}`", *map(_text, setting(summary))]),
        _totals(summary),
        *(f"> **Warning:** {_text(warning)}" for warning in warnings(summary)),
        _modules(summary, view),
    ]
    if view.ops:
        blocks.append(_ops(summary, view))
    if summary.cross_check is not None:
        blocks += _cross_check(summary.cross_check)
    blocks += [f"Note: {_text(note)}" for note in notes(summary)]
    blocks.append(f"<sub>{SCOPE}</sub>")
    return "\n\n".join(blocks) + "\n"


def _totals(summary: Summary) -> str:
    totals = summary.totals
    return _table(
        ("Params", "MACs", "FLOPs", "Elementwise FLOPs", "Activations", "Read", "Written", "Peak"),
        [
            (
                units.count(totals.params),
                units.count(totals.macs),
                units.count(totals.flops),
                units.count(totals.elementwise_flops),
                units.size(totals.activation_bytes),
                units.size(totals.read_bytes),
                units.size(totals.written_bytes),
                units.size(totals.peak_live_bytes),
            )
        ],
        left=0,
    )


def _modules(summary: Summary, view: View) -> str:
    tree, _ = shown_tree(summary, view)
    total = summary.totals.macs or 1

    def rows() -> Iterator[tuple[str, ...]]:
        for path, node, above in _paths(tree, "", 1):
            row = node.row
            name = f"`{_code(path)}`" if path else "**total**"
            shapes = "; ".join(map(units.shape, row.output_shapes))
            yield (
                f"{name} ×{node.count}" if node.count > above else name,
                _text(row.type),
                shapes if node.called else "not called",
                units.count(row.params),
                units.count(row.macs),
                units.percent(row.macs / total),
                units.size(row.activation_bytes),
                units.size(row.read_bytes + row.written_bytes),
            )

    heading = (
        "Module",
        "Type",
        "Output",
        "Params",
        "MACs",
        "% MACs",
        "Activations",
        "Read+written",
    )
    return _table(heading, list(rows()), left=3)


def _ops(summary: Summary, view: View) -> str:
    rows = [
        (
            f"`{_code(row.op)}`",
            row.kind,
            str(row.calls),
            units.count(row.macs),
            units.count(row.elementwise_flops),
            units.size(row.activation_bytes),
            units.size(row.read_bytes),
            units.size(row.written_bytes),
        )
        for row in shown_ops(summary, view)
    ]
    heading = (
        "Operation",
        "Kind",
        "Calls",
        "MACs",
        "Elementwise",
        "Activations",
        "Read",
        "Written",
    )
    return _table(heading, rows, left=2)


def _cross_check(check: CrossCheck) -> Iterator[str]:
    yield f"**Cross-check:** {_text(verdict(check))}"
    rows = [
        (_text(step.label), step.macs, _text(step.remark), _text(where(step.modules)))
        for step in steps(check)
    ]
    if rows:
        yield _table(("", "MACs", "Why", "Where"), rows, left=1, last=2)


def _paths(node: ModuleNode, path: str, above: int) -> Iterator[tuple[str, ModuleNode, int]]:
    yield path, node, above
    for child in node.children:
        yield from _paths(child, f"{path}.{child.name}" if path else child.name, node.count)
