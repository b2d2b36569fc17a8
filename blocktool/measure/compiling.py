"""A module compiled as it will be timed: in the same step, with nothing left to compile later."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from blocktool.errors import BlocktoolError
from blocktool.measure.memory_limits import out_of_memory
from blocktool.measure.steps import scope, step_for
from blocktool.optimize.compiling import explained
from blocktool.optimize.quantize_static import ExportedModule
from blocktool.results.profile import RunMode
from blocktool.trace.inputs import CallArguments

_FIRST_CALLS = 1
_FIRST_CALLS_WITH_GRAPHS = 3
"""CUDA graphs: one call to warm up, one that is recorded, one that replays it."""


class CannotCompile(Exception):  # noqa: N818 -- an answer, not a failure of ours
    """torch.compile does not do it; the message says why, in one line."""


def compiled(
    module: nn.Module,
    arguments: CallArguments,
    mode: RunMode,
    device: torch.device,
    *,
    autocast: torch.dtype | None,
    how: str | None,
) -> tuple[nn.Module, str]:
    """The module, compiled by torch.compile's mode ``how`` and run once, and a note about it.

    It runs in the step that is timed, so that the compiled code is the one for it, backwards too
    in training. Exported int8 graphs are frozen, with weights as constants: they are slow
    otherwise. What was compiled before in this process is forgotten, or else torch would, after
    several variants of one class, run further ones as they are.

    Raises CannotCompile, and what the module itself raises for want of memory.
    """
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    before = counters["stats"]["unique_graphs"]
    started = time.perf_counter()
    with _compiler(freezing=isinstance(module, ExportedModule)):
        result: Any = torch.compile(module, mode=how, dynamic=False)
        try:
            _run(result, arguments, mode, device, autocast, how)
        except BlocktoolError:
            raise
        except Exception as error:
            raised = _unwrapped(error)
            if out_of_memory(raised):
                raise raised from None
            raise CannotCompile(explained(error, type(module).__name__).message) from error
    graphs = counters["stats"]["unique_graphs"] - before
    if not graphs:
        raise CannotCompile(f"torch.compile ran {type(module).__name__} as it was")
    pieces = "1 graph" if graphs == 1 else f"{graphs} graphs, which the forward breaks into"
    return result, f"torch.compile took {time.perf_counter() - started:.1f} s: {pieces}"


def _run(
    module: nn.Module,
    arguments: CallArguments,
    mode: RunMode,
    device: torch.device,
    autocast: torch.dtype | None,
    how: str | None,
) -> None:
    step = step_for(module, arguments, mode, device, autocast=autocast)
    graphs = how is not None and device.type == "cuda"
    with scope(mode):
        for _ in range(_FIRST_CALLS_WITH_GRAPHS if graphs else _FIRST_CALLS):
            for phase in step.phases:
                if phase.name != "optimizer":  # it is not compiled
                    phase.run()
            module.zero_grad(set_to_none=True)


def _unwrapped(error: BaseException) -> BaseException:
    """What was raised inside the compiler, out of what it has been wrapped in."""
    while (inner := getattr(error, "inner_exception", None)) is not None:
        error = inner
    return error


@contextmanager
def _compiler(freezing: bool) -> Iterator[None]:
    """The compiler's settings while it compiles: quiet, and in this process alone.

    A pool of processes that compile would disturb what is timed next, and outlive a process that
    is killed. That one stays: something may be compiled later.
    """
    with warnings.catch_warnings():  # its import warns, too
        warnings.simplefilter("ignore")
        import torch._inductor.config as inductor

        inductor.compile_threads = 1
        log = logging.getLogger("torch._inductor")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            with inductor.patch(freezing=freezing, autotune_num_choices_displayed=0):
                yield
        finally:
            log.setLevel(level)
