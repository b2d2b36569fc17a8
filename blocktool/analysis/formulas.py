"""From the record of a symbolic run to formulas: the same sums as a summary's, of counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from blocktool.analysis.count_reading import Reader
from blocktool.analysis.counts import Count, atom_node
from blocktool.analysis.expressions import Call, evaluate
from blocktool.analysis.growth import Growth
from blocktool.analysis.memory import live_bytes
from blocktool.analysis.summary import Work, module_rows, work_by_path
from blocktool.results.summary import ModuleRow, Summary
from blocktool.results.trace import OpTrace

FIGURES = (
    "params",
    "macs",
    "flops",
    "elementwise_flops",
    "activation_bytes",
    "read_bytes",
    "written_bytes",
)
"""The figures of a module's row that are given as formulas."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A summary whose figures are counts or numbers.

    ``moments`` are the live bytes at every operation, ``peak`` those of them of which one, which
    one depends on the sizes, is the peak. ``rows`` are rows of a summary but for the type of their
    figures.
    """

    param_bytes: int
    moments: tuple[Count, ...]
    peak: tuple[Count, ...]
    rows: tuple[ModuleRow, ...]

    def figures(self) -> dict[tuple[str, str], Count]:
        """Every figure of every module, by path and name."""
        return {
            (row.path, name): Count.of(getattr(row, name)) for row in self.rows for name in FIGURES
        }


def count_trace(trace: OpTrace, least: Mapping[str, int]) -> Counted:
    """What a record with counts for sizes amounts to; ``least`` are the least sizes."""
    work: dict[str, Work] = work_by_path(trace)
    moments = live_moments(trace)
    return Counted(
        param_bytes=sum(tensor.nbytes for tensor in trace.tensors if not tensor.buffer),
        moments=tuple(moments),
        peak=tuple(undominated(moments, least)),
        rows=tuple(module_rows(trace, work)),
    )


def live_moments(trace: OpTrace) -> list[Count]:
    """Live bytes while each operation runs; where its kernel's workspace is the larger of two
    amounts, there are two moments."""
    if not trace.ops:
        return [Count.of(sum(life.nbytes for life in trace.storages))]
    return [moment for live in live_bytes(trace) for moment in _alternatives(Count.of(live))]


def _alternatives(count: Count) -> Iterator[Count]:
    """A sum with a ``max`` is one of two sums."""
    for monomial, coefficient in count.terms.items():
        if len(monomial) == 1 and coefficient == 1 and monomial[0][1] == 1:
            node = atom_node(monomial[0][0])
            if isinstance(node, Call) and node.function == "max":
                rest = count - Count({monomial: 1})
                for argument in node.arguments:
                    yield from _alternatives(rest + Reader().read(argument))
                return
    yield count


def undominated(counts: Sequence[Count], least: Mapping[str, int]) -> list[Count]:
    """Those that no other is known to be at least as large as, whatever the sizes."""
    growth = Growth(least)
    kept: list[Count] = []
    scales = (1, 2, 17)
    samples = [{name: scale * size for name, size in least.items()} for scale in scales]
    order = sorted(counts, key=lambda c: value(c, samples[1]), reverse=True)
    # The largest at some sizes first: they rule out the most.
    leaders = dict.fromkeys(max(counts, key=lambda c, s=s: value(c, s)) for s in samples)  # type: ignore[misc]
    for count in dict.fromkeys([*leaders, *dict.fromkeys(order)]):
        if not any(growth.never_below(other, count) for other in kept):
            kept = [other for other in kept if not growth.never_below(count, other)]
            kept.append(count)
    return kept


def value(count: Count, sizes: Mapping[str, int]) -> int:
    """The value at sizes, exactly; the whole number below where it is none."""
    total = 0
    for monomial, coefficient in count.terms.items():
        term = coefficient
        for name, power in monomial:
            term *= evaluate(atom_node(name), sizes) ** power
        total += term  # type: ignore[assignment]
    return int(total)


def disagreements(
    counted: Counted, sizes: Mapping[str, int], numeric: Summary
) -> set[tuple[str, str]]:
    """The figures, by path and name, that a numeric run at ``sizes`` contradicts."""
    wrong = set()
    rows = {row.path: row for row in numeric.modules}
    for (path, name), count in counted.figures().items():
        row = rows.get(path)
        if row is None or getattr(row, name) != value(count, sizes):
            wrong.add((path, name))
    peak = max(value(moment, sizes) for moment in counted.peak)
    if peak != numeric.totals.peak_live_bytes:
        wrong.add(("", "peak_live_bytes"))
    return wrong
