"""From what torch says to what is likely wrong with the module, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from blocktool.results.shapes import FailureKind
from blocktool.results.specs import TensorSpec

Cause = Callable[[re.Match[str], Sequence[TensorSpec]], str | None]


def _unequal(found: re.Match[str], inputs: Sequence[TensorSpec]) -> str:
    a, b, dim = int(found[1]), int(found[2]), int(found[3])
    rank = len(inputs[0].shape) if inputs else 4
    if dim == 1:
        return (
            f"dimension 1 is {a} on one side and {b} on the other: is a projection of the shortcut "
            "missing where the width changes, or is a table (position embedding) of one length?"
        )
    if rank == 4 and dim in (2, 3) and abs(a - b) <= 2:
        return (
            "two paths that differ by a row: odd sizes are rounded when they are halved, or a "
            "padding is off by one; crop or pad to the skip, or interpolate to its size"
        )
    return "two paths give different sizes: is a padding, a stride or a projection missing?"


def _channels(found: re.Match[str], inputs: Sequence[TensorSpec]) -> str:
    wanted, got = int(found[2]), int(found[3])
    sizes = [int(size) for size in re.findall(r"\d+", found[1])]
    if len(sizes) == 4 and sizes[-1] == wanted and got != wanted:
        return "looks channels-last (B, H, W, C): permute(0, 3, 1, 2) before the convolution"
    return "the width that comes in is not the one this convolution was made for"


def _features(found: re.Match[str], inputs: Sequence[TensorSpec]) -> str:
    got, wanted = found[2], found[3]
    return (
        f"the layer was made for {wanted} features and gets {got}: a size is hard-coded, which "
        "global pooling (nn.AdaptiveAvgPool2d(1)) before it would free"
    )


_NORMALIZED = (
    "a LayerNorm over the last dimension: a map (B, C, H, W) must be permuted to channels-last "
    "first, or take GroupNorm(1, C)"
)
_RESHAPE = (
    "a view or reshape with sizes that are hard-coded or do not divide: take them from x.shape; "
    "windows and groups need a multiple, or padding"
)
_IN_PLACE = (
    "an in-place operation (+=, inplace=True, x[...] = ...) on a tensor that is still needed"
)

_MISSING = "two paths give different sizes: is a padding, a stride or a projection missing?"
_NORM_DIM = "a norm over another dimension than the channels of (B, C, H, W): looks channels-last"
_VIEW = (
    "view() on memory that a permute or transpose has reordered: use reshape(), or contiguous() "
    "first"
)
_CAT = (
    "concatenated maps differ in size: odd sizes are rounded when they are halved; crop or pad to "
    "the skip, or interpolate to its size"
)
_INPUT_CHANGED = (
    "the input is changed in place (inplace=True, +=): not on the caller's tensor, or x.clone() "
    "first"
)
_BACKWARD = "a backward written by hand returns a gradient of another shape than its input"
_DTYPES = (
    "tensors of different dtypes meet: make them in forward with x.new_zeros(...) or dtype=x.dtype"
)
_SQUEEZED = "a dimension is missing: a squeeze() without a dimension also removes a batch of 1"

_CAUSES: tuple[tuple[str, Cause | str], ...] = (
    (
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at "
        r"(?:non-singleton dimension|dim) (\d+)",
        _unequal,
    ),
    (r"Attempting to broadcast a dimension of length", _MISSING),
    (r"Given groups=.*expected input\s*(\[.*?\]) to have (\d+) channels, but got (\d+)", _channels),
    (r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", _features),
    (r"normalized_shape", _NORMALIZED),
    (r"running_mean should contain|vector of size equal to the number of channels", _NORM_DIM),
    (r"shape '.*' is invalid for input of size", _RESHAPE),
    (r"view size is not compatible", _VIEW),
    (r"Sizes of tensors must match except in dimension", _CAT),
    (r"leaf Variable that requires grad|a view of a leaf Variable", _INPUT_CHANGED),
    (r"modified by an inplace operation", _IN_PLACE),
    (r"does not require grad", "the output is detached: detach(), .data or no_grad() in forward?"),
    (r"returned an invalid gradient|returned an incorrect number of gradients", _BACKWARD),
    (
        r"(?:must|to) (?:be|have) the same dtype|expected (?:m1|mat1|scalar type)|"
        r"should be the same|same data ?type",
        _DTYPES,
    ),
    (r"same device", "a tensor made in forward lies on another device: use device=x.device"),
    (
        r"out of bounds|out of range",
        "a table that is shorter than the input: a position embedding of one length?",
    ),
    (
        r"(?:not enough|too many) values to unpack",
        "the input has another number of dimensions than forward unpacks",
    ),
    (r"Dimension out of range|expects? .*dimension|Expected \d+D", _SQUEEZED),
)


def explain(text: str, inputs: Sequence[TensorSpec]) -> str | None:
    """What is likely behind an error that torch raised, with a remedy; None where it is open."""
    for pattern, cause in _CAUSES:
        if found := re.search(pattern, text):
            return cause if isinstance(cause, str) else cause(found, inputs)
    return None


def kind_of(text: str) -> FailureKind:
    """What kind of failure an exception is."""
    if re.search(r"leaf Variable that requires grad|a view of a leaf Variable", text):
        return "inplace"
    if re.search(r"same dtype|expected scalar type|should be the same|same data ?type", text):
        return "dtype"
    return "error"


def signature(text: str | None) -> str:
    """The text of an error without its numbers: what one cause says at every size."""
    return re.sub(r"\d+", "#", text or "")
