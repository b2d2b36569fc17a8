"""What a module is, as functions of its sizes: the answer of ``blocktool summary --symbolic``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blocktool.results.environment import Environment
from blocktool.results.symbolic import SymbolicTensor

Formula = str
"""An expression in the language of blocktool.analysis.expressions; ``"0"`` where there is none."""


@dataclass(frozen=True, slots=True)
class FormulaSymbol:
    """A size that is left open."""

    name: str
    meaning: str
    """``"batch size"``, ``"height"``, ...; for the constructor's ``"argument in_channels"``."""
    least: int
    """The formulas hold from here on."""
    at: int
    """The size at which the run was made."""


@dataclass(frozen=True, slots=True)
class FormulaTotals:
    """The whole module; the figures are those of :class:`~blocktool.results.summary.Totals`.

    None stands for a figure that has no exact formula; ``Formulas.notes`` says why.
    """

    params: Formula | None
    param_bytes: Formula | None
    macs: Formula | None
    flops: Formula | None
    elementwise_flops: Formula | None
    activation_bytes: Formula | None
    read_bytes: Formula | None
    written_bytes: Formula | None
    peak_live_bytes: Formula | None
    peak_live_bytes_where: tuple[str, ...] = ()
    """What must hold for the peak alone, beside ``Formulas.conditions``."""


@dataclass(frozen=True, slots=True)
class FormulaRow:
    """One module; the figures include those of its children, as in a summary's rows."""

    path: str
    type: str
    calls: int
    depth: int
    input_shapes: tuple[str | None, ...]
    """``"B, 64, H, W"`` each, of the first call; None for one that has no exact formula."""
    output_shapes: tuple[str | None, ...]
    params: Formula | None
    macs: Formula | None
    flops: Formula | None
    elementwise_flops: Formula | None
    activation_bytes: Formula | None
    read_bytes: Formula | None
    written_bytes: Formula | None


@dataclass(frozen=True, slots=True)
class Formulas:
    """The figures of one module as formulas.

    They hold for sizes for which all of ``conditions`` hold; the least sizes stand with the
    symbols. ``compared`` tells at how many other sizes the formulas were compared with a numeric
    run; a formula that differed there is left out.
    """

    target: str
    root_type: str
    mode: Literal["forward", "training"]
    attention: str
    environment: Environment
    symbols: tuple[FormulaSymbol, ...]
    conditions: tuple[str, ...]
    inputs: tuple[SymbolicTensor | None, ...]
    """None for one whose shape has no exact formula; so in ``outputs``."""
    outputs: tuple[SymbolicTensor | None, ...]
    totals: FormulaTotals
    modules: tuple[FormulaRow, ...]
    """In registration order; the first is the root (path "")."""
    compared: int
    notes: tuple[str, ...] = ()
