"""What a tensor looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape, dtype and, where it has one, the name of a tensor.

    ``name`` is the keyword or the path of the tensor inside a nested structure (``"out"``,
    ``"features.0"``), None for the only or a plain positional one. ``dtype`` is torch's name
    without the prefix (``"float32"``).
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    name: str | None = None

    def __str__(self) -> str:
        text = "x".join(map(str, self.shape)) or "scalar"
        if self.dtype != "float32":
            text = f"{text}:{self.dtype}"
        return f"{self.name}={text}" if self.name else text
