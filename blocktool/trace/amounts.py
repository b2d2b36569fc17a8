"""Arithmetic with sizes that may be symbols: nothing here asks how large one is."""

from __future__ import annotations

from typing import Any

import torch


def whole(value: Any) -> int:
    """``int(value)``; a symbol as it is."""
    if isinstance(value, torch.SymInt):
        symbol: Any = value
        return symbol  # type: ignore[no-any-return]
    return int(value)


def least(a: Any, b: Any) -> int:
    """The smaller of two."""
    if type(a) is int and type(b) is int:
        return min(a, b)
    smaller: int = torch.sym_min(a, b)
    return smaller


def most(a: Any, b: Any) -> int:
    """The larger of two."""
    if type(a) is int and type(b) is int:
        return max(a, b)
    larger: int = torch.sym_max(a, b)
    return larger


def hashable(sizes: Any) -> tuple[Any, ...]:
    """Sizes for a key, with expressions for symbols."""
    return tuple(size.node.expr if isinstance(size, torch.SymInt) else size for size in sizes)
