"""Whether modules hold: the answer of ``blocktool check-shapes`` and ``blocktool.check_shapes``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blocktool.results.environment import Environment
from blocktool.results.specs import TensorSpec

CaseMode = Literal["eval", "train"]
MemoryFormat = Literal["contiguous", "channels-last"]
FailureKind = Literal[
    "shape", "dtype", "layout", "grad", "repeat", "batch", "inplace", "error", "build"
]
Verdict = Literal["proved", "refuted", "not proved"]


@dataclass(frozen=True, slots=True)
class Passed:
    """Everything that was checked holds."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Something does not hold.

    ``kind`` says what: the output's shape, its dtype, its memory format (``layout``); a parameter
    without gradient (``grad``); a second run that differs (``repeat``); items of a batch that mix
    (``batch``); an input that is changed (``inplace``); an exception (``error``), or one of the
    constructor's (``build``). ``module`` is the path of the submodule at fault, where it is known.
    """

    kind: FailureKind
    message: str
    expected: str | None = None
    actual: str | None = None
    module: str | None = None
    hint: str | None = None
    details: tuple[str, ...] = ()
    """Lines of the user's own code that led to it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """It was not checked: the module refuses such inputs itself, or the check cannot be made."""

    reason: str


Outcome = Passed | Failed | Skipped


@dataclass(frozen=True, slots=True)
class ShapeCase:
    """One module, built with ``arguments``, called once with ``inputs`` in ``mode``.

    ``device`` is "meta" where it ran without data. ``reproduce`` is a command line that runs this
    case alone.
    """

    target: str
    arguments: dict[str, object]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dtype: str
    mode: CaseMode
    device: str
    outcome: Outcome
    reproduce: str
    seconds: float | None = None
    """How long it took, None where that was not measured."""
    memory_format: MemoryFormat = "contiguous"
    """Of maps, as they are given."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause of failure: its smallest case, and how many cases fail for it."""

    case: ShapeCase
    failed: int
    of: int
    """Cases of the same target, arguments and mode that were run."""
    where: str | None = None
    """Which cases fail, in words where they follow a rule: ``"H is odd"``."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Inputs that a module itself, or a kernel's least size, refuses; they are no failure."""

    reason: str
    cases: int
    example: str
    """One of them as it is written: ``-i 1x3x8x8``, or the constructor's ``groups=3``."""


@dataclass(frozen=True, slots=True)
class CheckedTarget:
    """One target with all cases of all its arguments."""

    target: str
    passed: int
    failed: int
    skipped: int
    contract: str | None
    """What its output was held to: the expression given, "output_shape", or the relation found."""
    contract_source: Literal["expect", "output_shape", "found", "none"]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition on the sizes, as an expression (``"H % 7 == 0"``) and in plain words."""

    expression: str
    words: str
    sampled_inside: int = 0
    sampled_outside: int = 0
    """Sizes on either side of it that were run to test it."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """What comes out at the sizes that fulfil ``constraints``, all of them."""

    output: str
    constraints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a symbolic run shows of a module, for every batch size and every size of its maps."""

    target: str
    arguments: dict[str, object]
    inputs: tuple[str, ...]
    """The inputs with their symbols: ``"B, 3, H, W"``."""
    output: str | None
    """``"B, 64, H, W"``; several outputs are joined by ``"; "``, None where none is known.

    Where not the same comes out at all sizes it is a text that says so; see ``outputs``.
    """
    constraints: tuple[str, ...]
    """Conditions under which it runs, as expressions."""
    verdict: Verdict
    reason: str | None
    """Why it is refuted, or not proved."""
    contract: str | None = None
    conditions: tuple[Constraint, ...] = ()
    """The same conditions with their words and samples."""
    fixed: dict[str, int] | None = None
    """Dimensions that take one size only."""
    paths: int = 0
    """How many ways through the module were followed."""
    sampled: int = 0
    """Sizes at which the claims were compared with a numeric run."""
    contradictions: tuple[str, ...] = ()
    """Where a numeric run said otherwise: a defect of blocktool."""
    notes: tuple[str, ...] = ()
    outputs: tuple[Alternative, ...] = ()
    """What comes out, for further constraints that exclude each other; one without any where it is
    the same at all sizes at which it runs."""
    complete: bool = False
    """Whether every size is accounted for. If not, ``constraints`` are not known, and empty."""
    where: str | None = None
    """The sizes for which the module is said to be meant."""


@dataclass(frozen=True, slots=True)
class ShapeReport:
    """The answer of ``blocktool check-shapes``."""

    environment: Environment
    seconds: float
    targets: tuple[CheckedTarget, ...]
    findings: tuple[Finding, ...]
    cases: tuple[ShapeCase, ...]
    proofs: tuple[Proof, ...] = ()
    stopped_early: bool = False
    """``--fail-fast`` or an interruption ended it before all cases had run."""

    @property
    def holds(self) -> bool:
        """Whether nothing failed and nothing that was to be proved was refuted or left open."""
        return not self.findings and all(proof.verdict == "proved" for proof in self.proofs)
