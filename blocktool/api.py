"""The functions behind ``blocktool.build``, ``trace``, ``summarize``, ``check_shapes``, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blocktool.analysis.summary import summarize_trace
from blocktool.check.modules import check_shapes
from blocktool.optimize.fuse import fuse
from blocktool.optimize.quantize import quantize
from blocktool.results.summary import Summary
from blocktool.results.trace import Mode
from blocktool.trace.tracer import trace

if TYPE_CHECKING:
    from torch import nn

    from blocktool.trace.inputs import Inputs

__all__ = ["build", "check_shapes", "fuse", "quantize", "summarize", "trace"]


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
