"""Proofs for the modules of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.check.findings import Tried
from blocktool.results.shapes import Proof


def prove_all(tried: Sequence[Tried]) -> tuple[Proof, ...]:
    """What can be proved of each module."""
    return ()
