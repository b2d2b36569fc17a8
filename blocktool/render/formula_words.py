"""What every format says of a report of formulas."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.results.formulas import FormulaRow, Formulas
from blocktool.results.symbolic import SymbolicTensor

SCOPE = (
    "1 MAC = 2 FLOPs. Bytes are those of eager execution; peak live bytes are predicted, without "
    "allocator rounding and device context."
)

NO_SHAPE = "-"


def signature(formulas: Formulas, arrow: str) -> str:
    """``(B, 3, H, W) -> (B, 1000)``."""
    return f"{_tensors(formulas.inputs)} {arrow} {_tensors(formulas.outputs)}"


def _tensors(tensors: tuple[SymbolicTensor | None, ...]) -> str:
    return ", ".join(map(_tensor, tensors))


def _tensor(tensor: SymbolicTensor | None) -> str:
    if tensor is None:
        return NO_SHAPE
    return f"{f'{tensor.name}=' if tensor.name else ''}({_shape(tensor)})"


def _shape(tensor: SymbolicTensor) -> str:
    text = ", ".join(map(str, tensor.shape))
    return text if tensor.dtype == "float32" else f"{text}: {tensor.dtype}"


def sizes(formulas: Formulas) -> str:
    """What the symbols are, and from where on: ``B batch size >= 2, ...``."""
    return ", ".join(f"{s.name} ({s.meaning}) >= {s.least}" for s in formulas.symbols)


def holds_for(formulas: Formulas) -> str | None:
    """The conditions beyond the least sizes; None where there are none."""
    return all_of(formulas.conditions)


def peak_holds_for(formulas: Formulas) -> str | None:
    """The conditions of the peak alone; None where there are none."""
    return all_of(formulas.totals.peak_live_bytes_where)


def all_of(conditions: tuple[str, ...]) -> str | None:
    """Conditions as one; None where there are none."""
    texts = [f"({text})" if " or " in text else text for text in conditions]
    return " and ".join(texts) or None


def output_of(row: FormulaRow) -> str | None:
    """The shape of a module's first output; empty where it has none, None without a formula."""
    return row.output_shapes[0] if row.output_shapes else ""


def remarks(formulas: Formulas) -> Iterator[str]:
    """Notes, and how the formulas were checked."""
    if formulas.compared:
        yield f"compared with numeric runs at {formulas.compared} sizes"
    yield from formulas.notes
