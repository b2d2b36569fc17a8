"""Counts as the formulas of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blocktool.analysis.counts import Count
from blocktool.analysis.expressions import Call, to_text
from blocktool.analysis.formulas import FIGURES, Counted
from blocktool.results.formulas import Formula, FormulaRow, Formulas, FormulaSymbol, FormulaTotals
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import ModuleRow
from blocktool.results.symbolic import SymbolicTensor
from blocktool.results.trace import OpTrace

Figures = Mapping[tuple[str, str], Count | None]
"""Counts by path and name; None where there is no exact one."""

PARAM_BYTES = ("", "param_bytes")


def report(
    trace: OpTrace,
    symbols: Sequence[FormulaSymbol],
    conditions: Sequence[str],
    rows: Sequence[ModuleRow],
    figures: Figures,
    peak: Sequence[Count] | None,
    *,
    inputs: Sequence[TensorSpec | None],
    outputs: Sequence[TensorSpec | None],
    compared: int,
    notes: Sequence[str],
    target: str,
    peak_where: Sequence[str] = (),
) -> Formulas:
    """The report; ``trace`` is that of a symbolic run, ``rows``, ``inputs`` and ``outputs`` have
    counts for sizes, and None for a shape without a formula. ``peak_where`` are the conditions of
    the peak alone."""
    root = {name: _text(figures.get(("", name))) for name in FIGURES}
    return Formulas(
        target=target,
        root_type=trace.root_type,
        mode=trace.mode,
        attention=trace.attention,
        environment=trace.environment,
        symbols=tuple(symbols),
        conditions=tuple(conditions),
        inputs=tuple(map(_tensor, inputs)),
        outputs=tuple(map(_tensor, outputs)),
        totals=FormulaTotals(
            **root,
            param_bytes=_text(figures.get(PARAM_BYTES)),
            peak_live_bytes=None if peak is None else largest(peak),
            peak_live_bytes_where=tuple(peak_where),
        ),
        modules=tuple(_row(row, figures) for row in rows),
        compared=compared,
        notes=tuple(notes),
    )


def figures_of(counted: Counted, wrong: frozenset[tuple[str, str]]) -> Figures:
    """The counts, without those that a numeric run contradicted."""
    found: dict[tuple[str, str], Count | None] = dict(counted.figures())
    found[PARAM_BYTES] = Count.of(counted.param_bytes)
    return {key: None if key in wrong else count for key, count in found.items()}


def largest(counts: Sequence[Count]) -> Formula:
    """The largest of several counts, as text."""
    if len(counts) == 1:
        return counts[0].text()
    nodes = sorted((count.node() for count in counts), key=to_text)
    return to_text(Call("max", tuple(nodes)))


def _text(count: Count | None) -> Formula | None:
    return None if count is None else count.text()


def _tensor(spec: TensorSpec | None) -> SymbolicTensor | None:
    if spec is None:
        return None
    shape = tuple(size if isinstance(size, int) else size.text() for size in spec.shape)
    return SymbolicTensor(shape, spec.dtype, spec.name)


def _shape(sizes: Sequence[int | Count] | None) -> str | None:
    if sizes is None:
        return None
    return ", ".join(str(size) if isinstance(size, int) else size.text() for size in sizes)


def _row(row: ModuleRow, figures: Figures) -> FormulaRow:
    return FormulaRow(
        path=row.path,
        type=row.type,
        calls=row.calls,
        depth=row.depth,
        input_shapes=tuple(map(_shape, row.input_shapes)),
        output_shapes=tuple(map(_shape, row.output_shapes)),
        **{name: _text(figures.get((row.path, name))) for name in FIGURES},
    )
