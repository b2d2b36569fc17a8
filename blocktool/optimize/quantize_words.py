"""What quantization says: which modules are left out by name, why nothing was done, and doubts."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn

from blocktool.errors import OptimizationError, UsageError
from blocktool.results.quantize import (
    LITTLE,
    NOT_FASTER,
    Kind,
    QuantizationReport,
    UnquantizedLayer,
)


def skipped_paths(module: nn.Module, patterns: Sequence[str]) -> frozenset[str]:
    """The paths of all modules that a pattern matches, and of those inside them.

    Raises UsageError for a pattern that matches nothing.
    """
    if isinstance(patterns, str):
        raise UsageError("skip is a sequence of paths, not one", hint=f"skip=[{patterns!r}]")
    paths = [path for path, _ in module.named_modules()]
    skipped: set[str] = set()
    for pattern in patterns:
        found = [path for path in paths if fnmatchcase(path, pattern)]
        if not found:
            close = difflib.get_close_matches(pattern, paths, n=1)
            raise UsageError(
                f"skip: no module has the path '{pattern}'",
                hint=f"did you mean {close[0]}?" if close else "paths are those of named_modules()",
            )
        roots = tuple(f"{path}." for path in found)
        skipped |= {path for path in paths if path in found or path.startswith(roots)}
    return frozenset(skipped)


def nothing_quantized(name: str, kind: Kind, left: Sequence[UnquantizedLayer]) -> OptimizationError:
    """The error for a module in which nothing was quantized, with what would help."""
    if not left:
        return OptimizationError(
            f"{name} has no layer with weights: there is nothing to quantize",
            hint="quantization is for linear and convolution layers",
        )
    (reason, _), *_ = Counter(layer.reason for layer in left).most_common(1)
    types = ", ".join(f"{count} {t}" for t, count in Counter(one.type for one in left).items())
    has_conv = any(layer.type in ("Conv1d", "Conv2d") for layer in left)
    static = 'use kind="static", which quantizes convolutions too'
    return OptimizationError(
        f'kind="{kind}" quantizes nothing in {name} ({types}): {reason}',
        hint=static if kind != "static" and has_conv else "see what is skipped, and the dtype",
    )


def doubts(report: QuantizationReport, fixed_batch: bool) -> Iterator[str]:
    """What speaks against relying on the result: each a line."""
    if fixed_batch:
        yield "takes the batch size of the inputs only: forward does not leave it free"
    if not report.outputs or report.sqnr_db is None:
        yield "the error is not known: no output is floating and other than zero"
    elif math.isinf(report.sqnr_db):
        yield (
            "the outputs are bit for bit the original's: the quantized layers do not reach them "
            "(residual branches that start at zero, say)"
        )
    elif report.sqnr_db < LITTLE:
        yield f"an SQNR of {report.sqnr_db:.1f} dB is little: is the calibration like the inputs?"
    if report.quantized_bytes >= report.original_bytes:
        yield "it is not smaller"
    yield from _slow(report)


def _slow(report: QuantizationReport) -> Iterator[str]:
    speed = report.speed
    if speed is None:
        return
    if speed.ratio >= NOT_FASTER:
        remedy = {
            "weight-only": "weight-only saves memory, not time",
            "dynamic": "compile=True may help; small layers stay slow",
            "static": "without compile=True the graph computes in float around its int8",
        }[report.kind]
        if report.compiled and report.kind != "weight-only":
            remedy = "the layers may be too small"
        yield f"not faster than the original ({speed.ratio:.2f}x): {remedy}"
    elif speed.compiled_ratio is not None and speed.compiled_ratio >= NOT_FASTER:
        yield f"not faster than the original, compiled ({speed.compiled_ratio:.2f}x)"
    if report.compiled:
        yield "times are without compilation, which the first call for each new size pays"
