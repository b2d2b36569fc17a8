"""The command line that runs one case alone. Needs no torch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from blocktool.check.group import Group
from blocktool.check.plan import Sweep
from blocktool.results.shapes import CaseMode
from blocktool.results.specs import TensorSpec


def reproduce(
    target: str,
    arguments: Sequence[str],
    inputs: Sequence[TensorSpec],
    *,
    dtype: str,
    mode: CaseMode,
    channels_last: bool,
    device: str,
    sweep: Sweep,
    at_hand: bool = False,
) -> str:
    """``blocktool check-shapes net.py:Net width=8 -i 1x3x33x32 --as-given ...``; for a module
    that is ``at_hand``, and has no name, the call that does the same."""
    if at_hand:
        options: dict[str, object] = {
            "dtype": dtype,
            "mode": mode,
            "device": None if device == "meta" else device,
        }
        options["expect"], options["skip"] = list(sweep.expect), sorted(sweep.skip)
        said = "".join(f", {name}={value!r}" for name, value in options.items() if value)
        return (
            f"blocktool.check_shapes(module, {' '.join(map(str, inputs))!r}, as_given=True{said})"
        )
    words = ["blocktool", "check-shapes", target, *arguments]
    if sweep.select is not None:
        words += ["--select", sweep.select]
    for spec in inputs:
        floating = spec.dtype.startswith(("float", "bfloat"))
        words += ["-i", str(replace(spec, dtype="float32") if floating else spec)]
    words += ["--as-given", "--dtype", dtype, "--mode", mode]
    if channels_last:
        words += ["--memory-format", "channels-last"]
    for text in sweep.expect:
        words += ["--expect", text]
    for kind in sorted(sweep.skip):
        words += ["--skip", kind]
    if device != "meta":
        words += ["--device", device]
    return shlex.join(words)


def reproduce_sweep(group: Group, mode: CaseMode) -> str:
    """The command line that runs all cases of a group in one mode."""
    sweep = group.sweep
    if group.module is not None:
        return f"blocktool.check_shapes(module, inputs, mode={mode!r})"
    words = ["blocktool", "check-shapes", group.target, *group.arguments]
    if sweep.select is not None:
        words += ["--select", sweep.select]
    for spec in sweep.inputs or () if sweep.select is None else ():
        words += ["-i", str(spec)]
    if sweep.extents:
        words += ["--size", ",".join("x".join(map(str, extent)) for extent in sweep.extents)]
    if sweep.batches:
        words += ["--batch", ",".join(map(str, sweep.batches))]
    if sweep.where:
        words += ["--where", sweep.where]
    return shlex.join([*words, "--mode", mode])
