"""Compiled modules, when their calls are intercepted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from blocktool.measure.step import Step


@contextmanager
def nothing_compiled_anew(step: Step) -> Iterator[None]:
    """What ``step`` needs is compiled before, by one run; inside, compiled code is used and nothing
    is compiled: the compiler would take an interception of calls for a part of the module."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    step.run()
    with torch.compiler.set_stance("eager_on_recompile"):
        yield


def is_compiled(module: nn.Module) -> bool:
    """Whether ``torch.compile`` was given this module; those inside are then not called."""
    return _original(module) is not module or module._compiled_call_impl is not None


def class_name(module: nn.Module) -> str:
    """The name of the module's class; of a wrapper of ``torch.compile``, that of what it wraps."""
    return type(_original(module)).__name__


def _original(module: nn.Module) -> nn.Module:
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is not None and isinstance(module, dynamo.OptimizedModule):
        original: nn.Module = module._orig_mod
        return original
    return module
