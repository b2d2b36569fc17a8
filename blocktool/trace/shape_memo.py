"""Remembers what torch's meta kernels answered."""

from __future__ import annotations

from typing import Any

import torch

Tensor = torch.Tensor


def _describe(value: Any) -> Any:
    """A hashable account of an argument, or ``NotImplemented`` where there is none."""
    if isinstance(value, Tensor):
        if not value.is_meta or value.dtype.is_complex:
            return NotImplemented
        return tuple(value.shape), value.stride(), value.dtype
    if value is None or isinstance(
        value, (bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
    ):
        return type(value), value
    if isinstance(value, (list, tuple)):
        parts = tuple(_describe(item) for item in value)
        return NotImplemented if any(part is NotImplemented for part in parts) else parts
    return NotImplemented


Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]


class ShapeMemo:
    """Remembers what torch's meta kernels answered: one question is asked only once.

    Only for operations without aliasing; an answer is kept only when each tensor in it fills a
    storage of its own. Bounded: it starts anew when it is full.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._answers: dict[Any, tuple[bool, tuple[Layout | None, ...]]] = {}

    def key(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A key for the question, or None where the arguments cannot be described."""
        parts = tuple(_describe(value) for value in args)
        named = tuple((name, _describe(value)) for name, value in kwargs.items())
        if any(part is NotImplemented for part in parts):
            return None
        if any(part is NotImplemented for _, part in named):
            return None
        return func, parts, named, torch.get_default_dtype()

    def answer(self, key: Any) -> Any:
        """New tensors laid out as torch answered before, or ``NotImplemented``."""
        known = self._answers.get(key)
        if known is None:
            return NotImplemented
        single, layouts = known
        tensors = tuple(
            None
            if layout is None
            else torch.empty_strided(layout[0], layout[1], dtype=layout[2], device="meta")
            for layout in layouts
        )
        return tensors[0] if single else tensors

    def learn(self, key: Any, args: tuple[Any, ...], out: Any) -> None:
        """Keep an answer, if it can be given again from its layout alone."""
        taken = {value.untyped_storage()._cdata for value in args if isinstance(value, Tensor)}
        single = isinstance(out, Tensor)
        tensors = (out,) if single else out
        if not isinstance(tensors, tuple):
            return
        layouts: list[Layout | None] = []
        for tensor in tensors:
            if tensor is None:
                layouts.append(None)
                continue
            if type(tensor) is not Tensor or not tensor.is_meta or tensor.storage_offset():
                return
            storage = tensor.untyped_storage()
            if storage._cdata in taken:
                # A view that the schema does not own up to (``_unsafe_view``).
                return
            if tensor.numel() * tensor.element_size() != storage.nbytes():
                return
            layouts.append((tuple(tensor.shape), tensor.stride(), tensor.dtype))
        if len(self._answers) >= self._limit:
            self._answers.clear()
        self._answers[key] = (single, tuple(layouts))
