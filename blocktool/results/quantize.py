"""What quantization did to a module, and what it cost and gave."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

Kind = Literal["weight-only", "dynamic", "static"]
"""Which tensors become int8: weights; weights and, by the values of each call, the inputs of linear
layers; weights and activations, with ranges fixed beforehand by calibration."""

KINDS: tuple[Kind, ...] = ("weight-only", "dynamic", "static")

NOT_FASTER = 0.95
"""From this ratio of times on, a difference is taken for noise."""

LITTLE = 20.0
"""An SQNR in dB below which a tenth of the output is noise."""

_SHOWN = 5  # layers named one by one in the text; the report holds them all


@dataclass(frozen=True, slots=True)
class QuantizedLayer:
    """One layer whose weight is int8 now: its path in the module and its type."""

    path: str
    type: str


@dataclass(frozen=True, slots=True)
class UnquantizedLayer:
    """One layer with a weight that stayed as it was, the bytes of its parameters, and why."""

    path: str
    type: str
    param_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """How far one floating output is from the original's.

    ``sqnr_db`` is ``20 log10(|original| / |original - quantized|)`` with 2-norms over the whole
    tensor, infinite where both are equal, None where the original is zero everywhere.
    ``max_relative_error`` is the largest difference over the original's largest magnitude.
    """

    name: str | None
    sqnr_db: float | None
    max_relative_error: float | None


@dataclass(frozen=True, slots=True)
class SpeedRatio:
    """Times of one call, taken in turns in one process; each is the 20th percentile of its rounds.

    ``compiled_ms`` is that of the original, compiled in the same way, where the quantized module
    is compiled. Time spent compiling is in none of them.
    """

    original_ms: float
    quantized_ms: float
    compiled_ms: float | None
    rounds: int
    threads: int

    @property
    def ratio(self) -> float:
        """The quantized module's time over that of the original, which ran eagerly."""
        return self.quantized_ms / self.original_ms

    @property
    def compiled_ratio(self) -> float | None:
        """The quantized module's time over that of the compiled original."""
        return None if self.compiled_ms is None else self.quantized_ms / self.compiled_ms

    def __str__(self) -> str:
        times = f"{self.original_ms:.3g} -> {self.quantized_ms:.3g} ms ({self.ratio:.2f}x)"
        if self.compiled_ratio is not None:
            times += f", compiled original {self.compiled_ms:.3g} ms ({self.compiled_ratio:.2f}x)"
        return f"{times}; {self.rounds} rounds, threads: {self.threads}"


@dataclass(frozen=True, slots=True)
class QuantizationReport:
    """What was quantized and what not, the error, the size and the speed.

    ``outputs`` is empty and ``speed`` None where they were not measured. Bytes are those of the
    storages of all parameters, buffers and other tensors that the module keeps.
    """

    name: str
    kind: Kind
    compiled: bool
    quantized: tuple[QuantizedLayer, ...]
    unquantized: tuple[UnquantizedLayer, ...]
    original_bytes: int
    quantized_bytes: int
    outputs: tuple[OutputDifference, ...] = ()
    speed: SpeedRatio | None = None
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many layers were quantized, by type."""
        return dict(Counter(layer.type for layer in self.quantized))

    @property
    def sqnr_db(self) -> float | None:
        """That of the worst output; None where it was not measured."""
        known = [output.sqnr_db for output in self.outputs if output.sqnr_db is not None]
        return min(known, default=None)

    @property
    def max_relative_error(self) -> float | None:
        """That of the worst output; None where it was not measured."""
        known = [one.max_relative_error for one in self.outputs]
        return max((error for error in known if error is not None), default=None)

    @property
    def size_ratio(self) -> float:
        """Bytes after over bytes before."""
        return self.quantized_bytes / self.original_bytes

    def __str__(self) -> str:
        """A line for each question, then the warnings."""
        layers = ", ".join(f"{count} {kind}" for kind, count in self.counts.items())
        lines = [
            f"{self.name}: int8 {self.kind}{', compiled' if self.compiled else ''}",
            f"  quantized  {layers}",
            *self._left(),
            f"  size       {self.original_bytes:,} -> {self.quantized_bytes:,} bytes "
            f"({self.size_ratio:.2f}x)",
            f"  error      {self._error()}",
            f"  speed      {self.speed if self.speed is not None else 'not measured'}",
            *(f"  warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)

    def _error(self) -> str:
        if self.sqnr_db is None:
            return "not measured"
        worst = "" if len(self.outputs) == 1 else f", the worst of {len(self.outputs)} outputs"
        return (
            f"SQNR {self.sqnr_db:.1f} dB, largest difference {self.max_relative_error:.2g} "
            f"of the largest value{worst}"
        )

    def _left(self) -> list[str]:
        left = [
            f"{one.path or '(itself)'} ({one.type}, {one.param_bytes:,} bytes): {one.reason}"
            for one in self.unquantized[:_SHOWN]
        ]
        more = len(self.unquantized) - _SHOWN
        if more > 0:
            left.append(f"and {more} more")
        return [f"  left       {line}" for line in left]
