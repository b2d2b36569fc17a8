"""The functions behind ``blocktool.build``, ``trace``, ``summarize``, ``check_shapes``, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blocktool.analysis.summary import summarize_trace
from blocktool.check.modules import check_shapes
from blocktool.measure.here import profile
from blocktool.optimize.fuse import fuse
from blocktool.optimize.quantize import quantize
from blocktool.results.summary import Summary
from blocktool.results.trace import Mode
from blocktool.trace.tracer import trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from blocktool.analysis.mismatches import Report
    from blocktool.results.comparison import Comparison
    from blocktool.results.formulas import Formulas
    from blocktool.trace.inputs import Inputs

__all__ = [
    "build",
    "check_shapes",
    "compare",
    "formulas",
    "fuse",
    "profile",
    "quantize",
    "summarize",
    "trace",
]


def build(target: str, *arguments: str) -> nn.Module:
    """The module that a target of the command line names, a new one at each call.

    ``target`` is a block's name, a configuration file, an import path or a zoo's model;
    ``arguments`` are ``"KEY=VALUE"`` strings for it. Values are read as the command line reads them
    (YAML 1.2: ``1e-5`` is a number, ``no`` a word).

    Raises TargetError (ConfigError for a configuration), UsageError for arguments that cannot be
    read, and ModuleError where the constructor itself fails.

    >>> import blocktool
    >>> blocktool.build("conv", "in_channels=3", "norm=null").in_channels
    3
    """
    from blocktool.targets.resolve import resolve

    return resolve(target, arguments).build()


def summarize(
    module: nn.Module,
    inputs: Inputs,
    *,
    mode: Mode = "forward",
    device: str = "meta",
    dtype: str | None = None,
    attention: str = "cpu",
    optimizer: str | None = None,
    input_grad: bool = False,
    name: str | None = None,
) -> Summary:
    """What ``module`` is: parameters, MACs, FLOPs, activations, bytes and predicted peak memory.

    Arguments and errors are those of :func:`blocktool.trace.tracer.trace`. The module is left
    exactly as it was found.

    >>> from torch import nn
    >>> import blocktool
    >>> blocktool.summarize(nn.Conv2d(8, 16, 3, padding=1), (2, 8, 10, 10)).totals.macs
    230400
    """
    return summarize_trace(
        trace(
            module,
            inputs,
            mode=mode,
            device=device,
            dtype=dtype,
            attention=attention,
            optimizer=optimizer,
            input_grad=input_grad,
            name=name,
        )
    )


def compare(old: Report, new: Report, *, threshold: float = 0.05) -> Comparison:
    """What changed from one summary, profile or report of shapes to another of the same kind.

    ``threshold`` is by how much a measured figure must differ to count, as a share. Where the two
    were made in different environments ``mismatches`` of the result tells, and measured figures are
    not compared. Raises TypeError for reports of different kinds.

    >>> from torch import nn
    >>> import blocktool
    >>> old, new = (blocktool.summarize(nn.Linear(8, width), (2, 8)) for width in (16, 32))
    >>> blocktool.compare(old, new).statements[0].text
    'out_features 16 -> 32'
    """
    from blocktool.analysis.compare import compare as compare_reports

    return compare_reports(old, new, threshold=threshold).comparison


def formulas(
    module: nn.Module,
    inputs: object,
    *,
    hints: Mapping[str, int] | None = None,
    mode: Mode = "forward",
    dtype: str | None = None,
    name: str | None = None,
    compare: int = 4,
) -> Formulas:
    """The figures of ``module`` as exact functions of the sizes of its inputs.

    Args:
        module: any ``nn.Module``; it is left exactly as it was found.
        inputs: a shape with names for sizes, ``("B", 3, "H", "W")`` or ``"Bx3xHxW"``, or several.
        hints: the sizes at which decisions are made; the formulas hold for the sizes that take the
            same way through the module, which ``conditions`` of the result tell.
        mode: ``"forward"`` or ``"training"``, as for :func:`blocktool.trace.tracer.trace`.
        dtype: the floating dtype of parameters, buffers and inputs; None keeps it.
        name: how the module is called in the result; the class name if None.
        compare: at how many other sizes the formulas are compared with numeric runs.

    Raises:
        InputError: the inputs are malformed.
        ModuleError: the module's own forward raised at the hints.
        TraceError: there are no formulas, because an operation cannot be run with symbols.

    >>> from torch import nn
    >>> import blocktool
    >>> blocktool.formulas(nn.Conv2d(8, 16, 3, padding=1), ("B", 8, "H", "W")).totals.macs
    '1152*B*H*W'
    """
    from blocktool.targets.symbolic_inputs import as_symbolic, hints_for
    from blocktool.trace.derive import Question, derive
    from blocktool.trace.derive_target import formulas_of

    tensors = as_symbolic(inputs)
    sizes = {**hints_for(tensors, None), **(hints or {})}
    named = name or type(module).__name__
    return formulas_of(
        derive(Question(module, tensors, sizes, mode, dtype, named), compare=compare)
    )
