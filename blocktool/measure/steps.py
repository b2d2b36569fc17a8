"""Makes the step of a mode: what one call of inference, or one step of training, consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from blocktool.errors import InputError
from blocktool.measure.step import Phase, Step
from blocktool.results.profile import RunMode
from blocktool.trace.inputs import CallArguments
from blocktool.trace.optimizers import OPTIMIZERS, optimizer_factory
from blocktool.trace.structure import map_tensors, named_tensors


def step_for(
    module: nn.Module,
    arguments: CallArguments,
    mode: RunMode,
    device: torch.device,
    *,
    autocast: torch.dtype | None = None,
    optimizer: str = "sgd",
) -> Step:
    """The step that is timed; it must run inside :func:`scope`.

    ``"inference"`` is the forward. ``"forward"`` is that of training, whose graph is dropped at
    once. ``"training"`` adds the backward of the sum of all outputs and a step of ``optimizer``
    with learning rate 0, so that the weights stay what they are however often it runs; gradients
    are dropped with it, and those of inputs as soon as they are there.

    Raises InputError where nothing in the outputs needs a gradient, when it first runs, and
    UsageError for an unknown optimizer.
    """
    args, kwargs = arguments.args, arguments.kwargs
    # Entered in each call, as users do: weights that are cast once and kept would look free.
    around: Callable[[], AbstractContextManager[Any]] | None = None
    if autocast is not None:
        kind = device.type

        def around() -> AbstractContextManager[Any]:
            return torch.autocast(kind, dtype=autocast)

    if mode != "training":
        # Not a function of ours, whose call would cost as much as a tenth of a small module's.
        forward = partial(module, *args, **kwargs)
        return Step((Phase("forward", _within(around, forward)),), device)
    training = _Training(module, arguments, optimizer)
    phases = (
        Phase("forward", _within(around, training.forward)),
        Phase("backward", training.backward),
        Phase("optimizer", training.update),
    )
    return Step(phases if training.stepper is not None else phases[:2], device)


@contextmanager
def scope(mode: RunMode) -> Iterator[None]:
    """Where steps of this mode run: without autograd, or with it."""
    with torch.inference_mode() if mode == "inference" else torch.enable_grad():
        yield


def _within(
    around: Callable[[], AbstractContextManager[Any]] | None, run: Callable[[], object]
) -> Callable[[], object]:
    if around is None:
        return run

    def inside() -> None:
        with around():
            run()

    return inside


class _Training:
    """The three phases, and what passes between them."""

    def __init__(self, module: nn.Module, arguments: CallArguments, optimizer: str) -> None:
        self._module = module
        self._leaves: dict[int, torch.Tensor] = {}
        args = (arguments.args, arguments.kwargs)
        self._args, self._kwargs = map_tensors(args, self._leaf)
        self._out: Any = None
        trainable = [p for p in module.parameters() if p.requires_grad]
        self.stepper = _optimizer(optimizer, trainable) if trainable else None

    def _leaf(self, tensor: torch.Tensor) -> torch.Tensor:
        """An input that needs a gradient, in the same memory, with nothing behind it: a cast or a
        graph of the caller's would be followed backwards in each step."""
        if not tensor.requires_grad:
            return tensor
        if id(tensor) not in self._leaves:  # one that is given twice stays one
            self._leaves[id(tensor)] = tensor.detach().requires_grad_()
        return self._leaves[id(tensor)]

    def forward(self) -> None:
        self._out = self._module(*self._args, **self._kwargs)

    def backward(self) -> None:
        out, self._out = self._out, None
        leaves = [tensor for _, tensor in named_tensors(out) if tensor.requires_grad]
        if not leaves:
            raise InputError(
                "no output needs a gradient, so there is no backward to time",
                hint="choose --mode forward, or leave requires_grad on",
            )
        del out
        # As the gradient of a plain sum: it takes no memory of its own.
        ones = [torch.ones((), dtype=t.dtype, device=t.device).expand_as(t) for t in leaves]
        torch.autograd.backward(leaves, ones)
        for leaf in self._leaves.values():
            leaf.grad = None  # of the next step's it would be a summand

    def update(self) -> None:
        assert self.stepper is not None
        self.stepper.step()
        self.stepper.zero_grad(set_to_none=True)


def _optimizer(name: str, trainable: list[nn.Parameter]) -> torch.optim.Optimizer:
    optimizer_factory(name)  # refuses unknown names
    cls, arguments = OPTIMIZERS[name]
    made: torch.optim.Optimizer = getattr(torch.optim, cls)(trainable, **{**arguments, "lr": 0.0})
    return made


def state_of(step: Step) -> Iterator[torch.Tensor]:
    """The tensors that the optimizer of a training step keeps between steps."""
    for phase in step.phases:
        owner = getattr(phase.run, "__self__", None)
        if isinstance(owner, _Training) and owner.stepper is not None:
            for values in owner.stepper.state.values():
                yield from (tensor for _, tensor in named_tensors(dict(values)))
            return
