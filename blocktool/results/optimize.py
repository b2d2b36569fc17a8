"""What fusing did to a module, what it left alone and why. See blocktool.fuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

FuseKind = Literal["conv_bn", "linear_bn", "layer_scale", "reparameterized", "packed"]

_SAID: dict[FuseKind, str] = {
    "conv_bn": "batch norms folded into convolutions",
    "linear_bn": "batch norms folded into linear layers",
    "layer_scale": "per-channel factors folded into the layer before them",
    "reparameterized": "modules merged by their own method (branches)",
    "packed": "groups of linear layers packed into one",
}
_LISTED = 12
"""Refusals that the text of a report lists; the rest are counted."""


@dataclass(frozen=True, slots=True)
class FusedPart:
    """One change: what stood at ``path`` is now part of ``into``.

    ``conv_bn``, ``linear_bn``: the norm and its layer. ``layer_scale``: the module or parameter
    with the factors and the layer that has taken them. ``reparameterized``: the module and its
    method. ``packed``: the layers, joined by commas, and the wider layer in their place.
    """

    kind: FuseKind
    path: str
    into: str


@dataclass(frozen=True, slots=True)
class RefusedPart:
    """What looked as if it could be fused, and why it was not."""

    kind: FuseKind
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutputError:
    """The largest difference in one output, relative to the largest magnitude of that output.

    ``randomized`` is the same with statistics, affine parameters and factors of what was fused
    drawn at random: as constructed they are ones and zeros, and would hide a mistake.
    """

    name: str | None
    relative_error: float
    randomized: float


@dataclass(frozen=True, slots=True)
class FuseReport:
    """The account of one call of ``blocktool.fuse``.

    ``tolerance`` bounds every ``relative_error`` in ``errors``; where ``unverified`` is not None,
    it says why nothing was compared, and both are empty. ``params_*`` count every parameter once,
    ``ops_*`` the operations of one forward in eval mode.
    """

    target: str
    fused: tuple[FusedPart, ...]
    refused: tuple[RefusedPart, ...]
    errors: tuple[OutputError, ...]
    tolerance: float | None
    unverified: str | None
    params_before: int
    params_after: int
    ops_before: int
    ops_after: int
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[FuseKind, int]:
        """How often each kind of change was made, zero included."""
        counted = Counter(part.kind for part in self.fused)
        return {kind: counted[kind] for kind in get_args(FuseKind)}

    @property
    def max_relative_error(self) -> float | None:
        """The largest ``relative_error`` of any output, None where nothing was compared."""
        return max((error.relative_error for error in self.errors), default=None)

    def __str__(self) -> str:
        lines = [f"fused {self.target}" if self.fused else f"fused {self.target}: nothing to fuse"]
        lines += [f"  {count} {_SAID[kind]}" for kind, count in self.counts.items() if count]
        lines.append(
            f"  parameters {self.params_before:,} -> {self.params_after:,}, "
            f"operations {self.ops_before:,} -> {self.ops_after:,}"
        )
        if self.unverified is not None:
            lines.append(f"  not verified: {self.unverified}")
        elif self.max_relative_error is not None:
            lines.append(
                f"  outputs agree: largest error {self.max_relative_error:.1e} of the largest "
                f"magnitude (tolerance {self.tolerance:.0e}), "
                f"{max(error.randomized for error in self.errors):.1e} with random parameters"
            )
        lines += [f"  note: {note}" for note in self.notes]
        shown = self.refused[:_LISTED]
        lines += [f"  left as it is: {part.path or '(root)'}: {part.reason}" for part in shown]
        if len(self.refused) > len(shown):
            lines.append(f"  and {len(self.refused) - len(shown)} more left as they are")
        return "\n".join(lines)
