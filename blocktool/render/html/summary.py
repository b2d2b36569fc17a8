"""What is on the page of a summary."""

from __future__ import annotations

from blocktool.analysis.fold import ModuleNode, fold, module_tree
from blocktool.render import summary_cross_check, summary_notes, units
from blocktool.render.html.icicle import Metric, icicle
from blocktool.render.html.memory import live_chart, parts_chart, peak_sentence
from blocktool.render.html.pieces import (
    Block,
    Cards,
    Cell,
    Chart,
    Column,
    Fact,
    Notes,
    Page,
    Prose,
    Table,
    sections,
)
from blocktool.render.html.summary_operations import operations_chart
from blocktool.render.html.tree import MOST_ROWS, Node, tree_table
from blocktool.render.html.words import versions
from blocktool.render.view import View
from blocktool.results.summary import Summary

_METRICS = (
    Metric("params", "Parameters", lambda value: units.count(round(value))),
    Metric("macs", "MACs", lambda value: units.count(round(value))),
    Metric("elementwise", "Elementwise FLOPs", lambda value: units.count(round(value))),
    Metric("activations", "Activations", lambda value: units.size(round(value))),
    Metric("moved", "Bytes moved", lambda value: units.size(round(value))),
)
_COLUMNS = (
    Column("Type"),
    Column("Output"),
    Column("Parameters", right=True),
    Column("MACs", right=True),
    Column("Elementwise", right=True),
    Column("Activations", right=True),
    Column("Bytes moved", right=True),
)


def page(summary: Summary, view: View, rows: int = MOST_ROWS) -> Page:
    """Key figures, modules (at most ``rows``), memory, operations, and how the figures were come
    by."""
    memory: list[Block | None] = [_memory(summary), _peak(summary)]
    return Page(
        title=summary.target,
        kind="Summary",
        lines=(
            f"{summary.root_type}: {summary_notes.signature(summary, '→')}",
            ", ".join(summary_notes.setting(summary)),
        ),
        sections=sections(
            ("figures", "Key figures", [*_remarks(summary), _cards(summary)]),
            ("modules", "Where it goes", [_modules(summary, view, rows)]),
            ("memory", "Memory over the run", memory),
            ("phases", "Phases", [_phases(summary)]),
            ("operations", "Operations", [operations_chart(summary, view)]),
            ("shared", "Shared tensors", [_shared(summary)]),
            ("cross-check", "Cross-check", _cross_check(summary)),
            ("scope", "What the figures mean", [Prose((summary_notes.SCOPE,))]),
        ),
        versions=versions(summary.environment),
    )


def _remarks(summary: Summary) -> list[Block]:
    found: list[Block] = []
    if warned := summary_notes.warnings(summary):
        found.append(Notes("Not counted", tuple((text, "") for text in warned), "warn"))
    if told := summary_notes.notes(summary):
        found.append(Notes("Notes", tuple((text, "") for text in told)))
    return found


def _cards(summary: Summary) -> Cards:
    totals = summary.totals
    moved = totals.read_bytes + totals.written_bytes
    if totals.trainable_params == totals.params:
        trainable = "all trainable" if totals.params else "none"
    else:
        trainable = f"{units.count(totals.trainable_params)} trainable"
    phases = " + ".join(phase.phase for phase in summary.phases) or "forward"
    state = f"{units.size(totals.param_bytes)}, {trainable}"
    memory = summary.memory
    where = f"predicted, in {memory.module or 'the module itself'}" if memory.op else "nothing ran"
    return Cards(
        (
            Fact("Parameters", units.count(totals.params), state),
            Fact("MACs", units.count(totals.macs), f"{phases}; {units.count(totals.flops)} FLOPs"),
            Fact("Elementwise FLOPs", units.count(totals.elementwise_flops), "beside those"),
            Fact("Activations", units.size(totals.activation_bytes), "allocated in the forward"),
            Fact(
                "Bytes moved",
                units.size(moved),
                f"{units.ratio(totals.arithmetic_intensity)} FLOPs per byte",
            ),
            Fact("Peak live bytes", units.size(totals.peak_live_bytes), where),
        )
    )


def _modules(summary: Summary, view: View, most: int) -> Block | None:
    if not summary.modules:
        return None
    whole = module_tree(summary.modules)
    title = summary.root_type
    caption = "Modules, each with those in it"
    data = tree_table(_node(whole, title), _COLUMNS, caption, most=most)
    drawn = whole if view.expand else fold(whole)
    chart = icicle(
        "modules-chart", "Modules by cost", _node(drawn, title), _METRICS, data,
        levels=view.depth, most=most,
    )  # fmt: skip
    return chart or data


def _node(module: ModuleNode, title: str = "") -> Node:
    row = module.row
    moved = row.read_bytes + row.written_bytes
    shapes = ", ".join(map(units.shape, row.output_shapes))
    kind = row.type if module.called or not row.params else f"{row.type} (never called)"
    return Node(
        title or module.name,
        row.path,
        row.type,
        module.count,
        {
            "params": row.params,
            "macs": row.macs,
            "elementwise": row.elementwise_flops,
            "activations": row.activation_bytes,
            "moved": moved,
        },
        (
            Cell(kind),
            Cell(shapes),
            Cell(units.count(row.params), row.params),
            Cell(units.count(row.macs), row.macs),
            Cell(units.count(row.elementwise_flops), row.elementwise_flops),
            Cell(units.size(row.activation_bytes), row.activation_bytes),
            Cell(units.size(moved), moved),
        ),
        tuple(map(_node, module.children)),
    )


def _memory(summary: Summary) -> Chart | None:
    if summary.timeline is None or not summary.timeline.categories:
        return None
    return live_chart(summary.timeline, summary.memory)


def _peak(summary: Summary) -> Chart | None:
    if not summary.memory.peak_live_bytes:
        return None
    told = "What lives at the peak, by category."
    if summary.timeline is None:
        told = peak_sentence(summary.memory, phases=len(summary.phases))
    bars = [("at the peak", summary.memory)]
    return parts_chart("peak-parts", "The peak by category", told, bars)


def _phases(summary: Summary) -> Table | None:
    if len(summary.phases) < 2:
        return None
    titles = ("Operations", "MACs", "FLOPs", "Elementwise FLOPs", "Read", "Written")
    rows = tuple(
        (
            Cell(phase.phase),
            Cell(f"{phase.ops:,}", phase.ops),
            Cell(units.count(phase.macs), phase.macs),
            Cell(units.count(phase.flops), phase.flops),
            Cell(units.count(phase.elementwise_flops), phase.elementwise_flops),
            Cell(units.size(phase.read_bytes), phase.read_bytes),
            Cell(units.size(phase.written_bytes), phase.written_bytes),
        )
        for phase in summary.phases
    )
    columns = (Column("Phase"), *(Column(title, right=True) for title in titles))
    return Table("Figures of each phase", columns, rows, ordered=False)


def _shared(summary: Summary) -> Table | None:
    if not summary.shared:
        return None
    rows = tuple(
        (Cell(", ".join(each.modules), code=True), Cell(units.shape(each.shape)), Cell(each.dtype))
        for each in summary.shared
    )
    columns = (Column("Modules"), Column("Shape"), Column("Dtype"))
    return Table("Parameters that several modules hold, counted once", columns, rows)


def _cross_check(summary: Summary) -> list[Block | None]:
    check = summary.cross_check
    if check is None:
        return []
    found: list[Block | None] = [Prose((f"{summary_cross_check.verdict(check)}.",))]
    if steps := list(summary_cross_check.steps(check)):
        rows = tuple(
            (
                Cell(step.label),
                Cell(step.macs, float(step.macs.replace(",", ""))),
                Cell(
                    "; ".join(filter(None, (step.remark, summary_cross_check.where(step.modules))))
                ),
            )
            for step in steps
        )
        columns = (Column("Step"), Column("MACs", right=True), Column("Why"))
        found.append(Table(f"From {check.tool}'s count to ours", columns, rows, ordered=False))
    return found
