"""Tells what a module refuses from what breaks in it.

A module that says itself that it does not take an input (an assertion, a raised ValueError) holds;
so does one whose kernels are larger than a tiny input. What a kernel of torch raises in the middle
of a forward is a failure.
"""

from __future__ import annotations

import re

from blocktool.blocks.shapes import ShapeError
from blocktool.trace.limits import raised_in_torch, text_of

_TOO_SMALL = re.compile(
    r"Expected more than 1 (?:value per channel|spatial element) when training"
    r"|Kernel size can't be greater than actual input size"
    r"|Kernel size: .* can't be greater than"
    r"|Output size is too small"
    r"|output size is too small"
    r"|Padding size should be less than the corresponding input dimension"
    r"|Padding value causes wrapping around more than once"
    r"|Calculated padded input size per channel"
    r"|kernel size should (?:be|not) .* (?:than|exceed)"
    r"|Trying to create tensor with negative dimension"
    r"|non-zero dim(?:ension)? sizes?"
    r"|(?:Input and output sizes|input.* and output sizes) should be greater than 0",
    re.IGNORECASE,
)


def is_refusal(error: BaseException) -> bool:
    """Whether the module, or the least size of one of its kernels, refused this input."""
    if isinstance(error, (ShapeError, AssertionError)):
        return True
    if _TOO_SMALL.search(text_of(error)):
        return True
    return isinstance(error, Exception) and not raised_in_torch(error)


def refuses_arguments(error: BaseException) -> bool:
    """Whether a constructor refused a combination of arguments, rather than break on it."""
    cause = error.__cause__ or error
    return isinstance(cause, (ValueError, AssertionError))
