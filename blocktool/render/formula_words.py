"""What every format says of a report of formulas."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.results.formulas import Formulas
from blocktool.results.symbolic import SymbolicTensor

SCOPE = (
    "1 MAC = 2 FLOPs. Bytes are those of eager execution; peak live bytes are predicted, without "
    "allocator rounding and device context."
)


def signature(formulas: Formulas, arrow: str) -> str:
    """``(B, 3, H, W) -> (B, 1000)``."""
    return f"{_tensors(formulas.inputs)} {arrow} {_tensors(formulas.outputs)}"


def _tensors(tensors: tuple[SymbolicTensor, ...]) -> str:
    return ", ".join(f"{f'{t.name}=' if t.name else ''}({_shape(t)})" for t in tensors)


def _shape(tensor: SymbolicTensor) -> str:
    text = ", ".join(map(str, tensor.shape))
    return text if tensor.dtype == "float32" else f"{text}: {tensor.dtype}"


def sizes(formulas: Formulas) -> str:
    """What the symbols are, and from where on: ``B batch size >= 2, ...``."""
    return ", ".join(f"{s.name} ({s.meaning}) >= {s.least}" for s in formulas.symbols)


def holds_for(formulas: Formulas) -> str | None:
    """The conditions beyond the least sizes; None where there are none."""
    texts = [f"({text})" if " or " in text else text for text in formulas.conditions]
    return " and ".join(texts) or None


def remarks(formulas: Formulas) -> Iterator[str]:
    """Notes, and how the formulas were checked."""
    if formulas.compared:
        yield f"compared with numeric runs at {formulas.compared} sizes"
    yield from formulas.notes
