"""Shapes: what blocks accept, and what they say when it is something else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType

import torch
from torch import Tensor, nn


class ShapeError(ValueError):
    """A block was given a tensor of a shape that it does not take.

    ``block`` is the class, ``path`` the block's name inside the outermost module that was called
    (None where it is that module), ``expected`` the pattern (``"(B, C=64, H, W)"``), ``actual`` the
    shape, ``reason`` the dimension at fault, ``hint`` the remedy; the last two may be None::

        ShapeError: ConvBlock 'stages.1.0.conv1': expected (B, C=64, H, W), got (2, 32, 32, 64)
          C: wanted 64, got 32 (dim 1)
          hint: looks channels-last (N,H,W,C); try x.permute(0, 3, 1, 2)
    """

    def __init__(
        self,
        block: str,
        expected: str,
        actual: Sequence[int],
        *,
        reason: str | None = None,
        hint: str | None = None,
        path: str | None = None,
    ) -> None:
        self.block = block
        self.path = path
        self.expected = expected
        self.actual = tuple(actual)
        self.reason = reason
        self.hint = hint
        where = f"{block} '{path}'" if path else block
        lines = [f"{where}: expected {expected}, got {self.actual}"]
        if reason:
            lines.append(f"  {reason}")
        if hint:
            lines.append(f"  hint: {hint}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # Pickled as it was built: errors cross process borders.
        given = (self.block, self.expected, self.actual, self.reason, self.hint, self.path)
        return _rebuild, given


def _rebuild(
    block: str,
    expected: str,
    actual: tuple[int, ...],
    reason: str | None,
    hint: str | None,
    path: str | None,
) -> ShapeError:
    return ShapeError(block, expected, actual, reason=reason, hint=hint, path=path)


def shape_error(
    block: nn.Module,
    expected: str,
    actual: Sequence[int],
    *,
    reason: str | None = None,
    hint: str | None = None,
) -> ShapeError:
    """The ShapeError of this block, with its path inside the model that is running."""
    name = type(block).__name__
    return ShapeError(name, expected, actual, reason=reason, hint=hint, path=running_path(block))


def running_path(block: nn.Module) -> str | None:
    """The name of ``block`` inside the outermost module that is being called, if it has one.

    A module does not know who holds it. Only when something is wrong is it worth looking, and then
    the stack of calls tells. Code that is being compiled has no such stack.
    """
    if torch.compiler.is_dynamo_compiling():
        return None
    owners: dict[int, nn.Module] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self") if frame.f_code.co_argcount else None
        if isinstance(owner, nn.Module):
            owners.setdefault(id(owner), owner)
        frame = frame.f_back
    # The outermost may hold its modules where nn.Module does not see them, in a plain list.
    for owner in reversed(owners.values()):
        for name, module in owner.named_modules():
            if module is block:
                return name or None
    return None


def check_map(block: nn.Module, x: Tensor, channels: int) -> None:
    """Raise ShapeError unless ``x`` is a map (B, ``channels``, H, W)."""
    if x.ndim != 4 or x.shape[1] != channels:
        raise map_error(block, x.shape, channels)


def check_map_shape(block: nn.Module, shape: Sequence[int], channels: int) -> tuple[int, ...]:
    """The shape as a tuple (B, ``channels``, H, W); raises ShapeError for any other."""
    if len(shape) != 4 or shape[1] != channels:
        raise map_error(block, shape, channels)
    return tuple(shape)


def map_error(block: nn.Module, shape: Sequence[int], channels: int) -> ShapeError:
    """The ShapeError for a tensor that is not (B, ``channels``, H, W), with cause and remedy."""
    reason = hint = None
    if len(shape) == 3:
        reason = "no batch dimension: 3 dimensions, wanted 4"
        if shape[0] == channels:
            hint = "add one: x.unsqueeze(0)"
        elif shape[2] == channels:
            hint = "looks like tokens (B, N, C); this block takes maps (B, C, H, W)"
    elif len(shape) != 4:
        reason = f"{len(shape)} dimensions, wanted 4"
    else:
        reason = f"C: wanted {channels}, got {shape[1]} (dim 1)"
        if _looks_channels_last(shape, channels):
            hint = "looks channels-last (N,H,W,C); try x.permute(0, 3, 1, 2)"
    return shape_error(block, f"(B, C={channels}, H, W)", shape, reason=reason, hint=hint)


def check_tokens(block: nn.Module, shape: Sequence[int], dim: int, name: str = "") -> None:
    """Raise ShapeError unless the shape is that of tokens (B, N, ``dim``).

    ``name`` is the argument, where the block has several.
    """
    if len(shape) != 3 or shape[2] != dim:
        raise tokens_error(block, shape, dim, f"(B, N, C={dim})", name)


def check_tokens_or_map(block: nn.Module, shape: Sequence[int], dim: int, name: str = "") -> None:
    """Raise ShapeError unless the shape is (B, N, ``dim``) or (B, ``dim``, H, W)."""
    rank = len(shape)
    if rank == 4:
        if shape[1] != dim:
            raise map_error(block, shape, dim)
    elif rank != 3 or shape[2] != dim:
        expected = f"(B, N, C={dim}) or (B, C={dim}, H, W)"
        raise tokens_error(block, shape, dim, expected, name)


def tokens_error(
    block: nn.Module, shape: Sequence[int], dim: int, expected: str, name: str = ""
) -> ShapeError:
    """The ShapeError for tokens of another rank or width."""
    hint = None
    if len(shape) != 3:
        reason = f"{len(shape)} dimensions"
        if len(shape) == 4 and shape[1] == dim:
            hint = "looks like a map (B, C, H, W); try x.flatten(2).transpose(1, 2)"
        elif len(shape) == 2 and shape[1] == dim:
            hint = "no batch dimension? try x.unsqueeze(0)"
    else:
        reason = f"C: wanted {dim}, got {shape[2]} (dim 2)"
        if shape[1] == dim:
            hint = "looks channels-first (B, C, N); try x.transpose(1, 2)"
    if name:
        expected, reason = f"{name} {expected}", f"{name}: {reason}"
    return shape_error(block, expected, shape, reason=reason, hint=hint)


def _looks_channels_last(shape: Sequence[int], channels: int) -> bool:
    if shape[3] == channels:
        # A square map whose width happens to be that number is a map all the same.
        return shape[2] != shape[3] or shape[1] == shape[2]
    # Square, with a last dimension of an image's colours or narrower than the rest.
    return shape[1] == shape[2] and shape[3] in (1, 3, 4) and shape[3] < shape[1]


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """``3`` as ``(3, 3)``."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def conv_size(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> int:
    """Output size of a convolution along one dimension (torch.nn.Conv2d's formula)."""
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1


def surely(condition: bool) -> bool:
    """Whether a condition on sizes holds; in an exported program, whether it does for all sizes.

    There it adds no guard: what is not known of all sizes is not asked.
    """
    if not torch.compiler.is_exporting():
        return condition
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(condition)
