"""Compiled modules, frozen where that makes int8 fast, and proof that they were compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from blocktool.errors import OptimizationError
from blocktool.optimize.samples import called
from blocktool.trace.inputs import CallArguments
from blocktool.trace.limits import one_line


class FrozenCompiled(nn.Module):
    """A module that runs compiled, with its weights as constants of the compiled code.

    The compiler asks for freezing at every compilation, also a later one for other shapes, and
    freezes without gradients only: so both are set around each call.
    """

    def __init__(self, module: nn.Module, compiled: Callable[..., Any]) -> None:
        super().__init__()
        self.module = module
        self.training = False
        # In a tuple, so that the weights are not registered a second time.
        self._compiled = (compiled,)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives, computed by the compiled code, without gradients."""
        import torch._inductor.config as inductor

        with torch.no_grad(), inductor.patch(freezing=True):
            return self._compiled[0](*args, **kwargs)

    def train(self, mode: bool = True) -> FrozenCompiled:
        """Changes nothing: the compiled code is that of eval mode."""
        return self


def compile_for(
    module: nn.Module, arguments: CallArguments, *, freeze: bool, name: str
) -> tuple[nn.Module, Any]:
    """The module compiled by inductor for these arguments, and what it gives for them.

    Raises OptimizationError where there is no C++ compiler, where compiling fails, and where torch
    quietly decided to run it as it was.
    """
    graphs = 0

    def backend(graph: torch.fx.GraphModule, example_inputs: list[torch.Tensor]) -> Any:
        nonlocal graphs
        from torch._dynamo import lookup_backend

        graphs += 1
        with warnings.catch_warnings():  # of inductor, about itself
            warnings.simplefilter("ignore")
            return lookup_backend("inductor")(graph, example_inputs)

    compiled: Any = torch.compile(module, backend=backend)
    result: nn.Module = FrozenCompiled(module, compiled) if freeze else compiled
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = called(result, arguments)
    except Exception as error:
        raise explained(error, name) from error
    if not graphs:
        raise OptimizationError(
            f"torch.compile ran {name} as it was",
            hint="its limit of recompilations may be reached; torch._dynamo.reset() clears it",
        )
    return result, outputs


def explained(error: BaseException, name: str) -> OptimizationError:
    """What the compiler raised, in one line: that there is no C++ compiler, or what it says."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ == "InvalidCxxCompiler":
            return OptimizationError(
                "compiling for the CPU needs a C++ compiler, and none was found",
                hint="install g++ or clang++, or name one in the variable CXX",
            )
        inner = getattr(cause, "inner_exception", None)
        cause = inner or cause.__cause__ or cause.__context__
    while (inner := getattr(error, "inner_exception", None)) is not None:
        error = inner  # what wraps it says in its first line who raised, not what
    return OptimizationError(
        f"{name} cannot be compiled: {one_line(error)}", hint="leave compile=True out"
    )
