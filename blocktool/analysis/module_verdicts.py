"""What became of a module that was found again, from its two rows."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.analysis import configured
from blocktool.analysis.alignment import Alignment
from blocktool.analysis.module_tree import FIGURES, Node
from blocktool.results.comparison import ModuleVerdict
from blocktool.results.summary import Summary

_TRAINED = ("trainable_params",)  # has words of its own


def judged(
    old: Node, new: Node, work: Sequence[str]
) -> tuple[ModuleVerdict | None, tuple[str, ...]]:
    """What became of a module that was found again, None: nothing; and what is not as it was.

    ``work`` is that of :func:`own_work`.
    """
    before, after = old.row, new.row
    details = []
    if before.type != after.type:
        details.append(f"{before.type} -> {after.type}")
    else:
        told = configured.differences(before, after)
        details += [str(difference) for difference in told]
        if not told and holds_otherwise(old, new):
            details.append(own_parameters(old, new))
    if before.param_dtype and after.param_dtype and before.param_dtype != after.param_dtype:
        details.append(f"{before.param_dtype} -> {after.param_dtype}")
    if bool(before.calls) != bool(after.calls):
        details.append("called now" if after.calls else "no longer called")
    elif called_otherwise(old, new):
        details.append(f"calls {before.calls} -> {after.calls}")
    if runs_otherwise(old, new, work):
        details.append("other operations of its own")
    if text := trained_otherwise(old, new):
        details.append(text)
    if details:
        return "changed", tuple(details)
    if is_renamed(old, new):
        return "renamed", ()
    differs = any(new.own[name] != old.own[name] for name in FIGURES if name not in _TRAINED)
    moved = (before.input_shapes, before.output_shapes) != (after.input_shapes, after.output_shapes)
    return ("follows", ()) if differs or moved or before.calls != after.calls else (None, ())


def trained_otherwise(old: Node, new: Node) -> str:
    """Which of its own parameters get a gradient, in words, if that is not as it was."""
    before, after = old.own["trainable_params"], new.own["trainable_params"]
    if before == after or holds_otherwise(old, new):
        return ""
    if not after:
        return "frozen"
    return "trained now" if not before else f"trained parameters {before:,} -> {after:,}"


def is_renamed(old: Node, new: Node) -> bool:
    """Whether it was given another name; a number that moved on by one is none."""
    if old.name == new.name or (old.name.isdigit() and new.name.isdigit()):
        return False
    return old.parent is not None and new.parent is not None


def holds_otherwise(old: Node, new: Node) -> bool:
    """Whether its own parameters are more or fewer."""
    return old.own["params"] != new.own["params"]


def own_parameters(old: Node, new: Node) -> str:
    """That, in words."""
    return f"own parameters {old.own['params']:,} -> {new.own['params']:,}"


def runs_otherwise(old: Node, new: Node, work: Sequence[str]) -> bool:
    """Whether it does other work itself, and nothing else explains it: not its settings, nor what
    it gets, nor its children. ``work`` is that of :func:`own_work`."""
    before, after = old.row, new.row
    if not work or (
        before.type != after.type
        or before.calls != after.calls
        or before.input_shapes != after.input_shapes
        or before.param_dtype != after.param_dtype
        or holds_otherwise(old, new)
        or configured.differences(before, after)
    ):
        return False
    same_ops = "own_ops" not in work or before.own_ops == after.own_ops
    if same_ops and all(new.own[name] == old.own[name] for name in work if name in new.own):
        return False
    return old.size == new.size and all(
        first.row.output_shapes == second.row.output_shapes
        and bool(first.row.calls) == bool(second.row.calls)
        for first, second in zip(old.children, new.children, strict=True)
    )


def own_work(old: Summary, new: Summary, found: Alignment) -> tuple[str, ...]:
    """What tells that a module's own work differs; nothing where all of it differs for another
    reason: another mode, another dtype throughout, other parameters to train."""
    if (old.mode, old.optimizer, old.attention) != (new.mode, new.optimizer, new.attention):
        return ()
    dtypes = [[spec.dtype for spec in each.inputs] for each in (old, new)]
    if dtypes[0] != dtypes[1] or any(
        before.row.param_dtype != after.row.param_dtype
        or (old.mode == "training" and bool(trained_otherwise(before, after)))
        for before, after in found.pairs
    ):
        return ()
    figures = ("macs", "elementwise_flops", "activation_bytes", "read_bytes", "written_bytes")
    # Reports of earlier releases do not say which operations a module runs itself.
    known = all(any(row.own_ops for row in each.modules) for each in (old, new))
    return (*figures, "own_ops") if known else figures


def called_otherwise(old: Node, new: Node) -> bool:
    """Whether the number of its calls changed otherwise than that of the module above."""
    before, after = old.row.calls, new.row.calls
    if old.parent is None or new.parent is None:
        return before != after
    return before * (new.parent.row.calls or 1) != after * (old.parent.row.calls or 1)
