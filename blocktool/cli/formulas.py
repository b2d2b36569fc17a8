"""``blocktool summary --symbolic``: the figures as functions of the sizes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from blocktool.cli.errors import note, warn
from blocktool.cli.streams import undisturbed
from blocktool.cli.terminal import fitted
from blocktool.errors import UsageError

if TYPE_CHECKING:
    from blocktool.render.view import View
    from blocktool.results.formulas import Formulas


def write_formulas(
    target: str,
    arguments: list[str],
    inputs: list[str],
    *,
    mode: Literal["forward", "training"],
    dtype: str | None,
    batch: int | None,
    view: View,
    format: str | None,  # noqa: A002
    output: str | None,
    force: bool,
    quiet: bool,
    verbose: bool,
    tell: bool,
) -> None:
    """Derive the formulas of a target and write them; ``tell`` lets libraries' warnings through.

    Raises BlocktoolError as the library does.
    """
    from blocktool.render.formats import choose_format, renderer
    from blocktool.render.output import destination
    from blocktool.targets.symbolic_inputs import parse_symbolic_inputs

    kind = choose_format("formulas", format, output)
    place = destination(output, force=force)
    parse_symbolic_inputs(inputs)  # before torch is imported, so that a slip costs no second
    started = time.perf_counter()
    with undisturbed(tell):
        result = _derived(target, arguments, inputs, mode, dtype, batch)
    if verbose:
        note(f"derived from symbolic and numeric runs in {time.perf_counter() - started:.2f} s")
    place.write(renderer("formulas", kind)(result, fitted(view, to_file=place.path is not None)))
    if quiet:
        return
    if kind != "table" or place.path is not None:
        for remark in result.notes:
            if "left out" in remark:
                warn(remark)
    if place.path is not None:
        note(f"wrote {place.path}")


def _derived(
    target: str,
    arguments: list[str],
    inputs: list[str],
    mode: Literal["forward", "training"],
    dtype: str | None,
    batch: int | None,
) -> Formulas:
    from blocktool.cli.startup import imports_uncollected

    with imports_uncollected():
        from blocktool.trace.derive_target import Request, derive_target

    return derive_target(
        Request(target, tuple(arguments), tuple(inputs), mode=mode, dtype=dtype, batch=batch)
    )


def refuse_beside(**given: bool) -> None:
    """Raise UsageError for the first option that makes no sense with ``--symbolic``."""
    for name, is_given in given.items():
        if is_given:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} cannot be had with --symbolic",
                hint=f"leave out one of them: {_WHY.get(name, 'formulas have no such thing')}",
            )


_WHY = {
    "cross_check": "fvcore counts at one size",
    "ops": "formulas are given for modules",
    "sort": "formulas have no order",
    "device": "formulas are derived without data",
    "optimizer": "formulas are those of forward and backward",
    "select": "name the submodule as a target of its own",
    "attention": "the CPU's kernels are assumed",
    "strict": "the summary without --symbolic tells what is not counted",
}
