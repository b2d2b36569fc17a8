"""The module that is measured: built once, copied for each case, traced for what is predicted."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from blocktool.errors import InputError
from blocktool.optimize.samples import own_random_numbers
from blocktool.results.profile import RunMode
from blocktool.results.specs import TensorSpec
from blocktool.results.trace import OpTrace
from blocktool.targets.loading import user_code_running
from blocktool.targets.target import Target
from blocktool.trace.inputs import CallArguments, Inputs, call_arguments, materialized
from blocktool.trace.structure import dtype_name, map_tensors, specs_of
from blocktool.trace.target import received_by, submodule
from blocktool.trace.tracer import torch_dtype, trace

_KEPT_BYTES = 2 * 1024**3
"""A module up to this size is kept and copied. A larger one is built anew for each case, when the
one before is gone; a second one is there only while it is traced, or is the reference of errors."""


class Subject:
    """What is measured. ``name`` is what results call it.

    ``build`` makes a module with values; one that always gives the same instance must say so with
    ``shared``, which is then copied and never used itself.
    """

    def __init__(
        self, name: str, build: Callable[[], nn.Module], inputs: Inputs, *, shared: bool = False
    ) -> None:
        self.name = name
        self._build = build
        self._shared = shared
        self._kept: nn.Module | None = None
        self._bytes: int | None = None
        self._anew = False
        self._traces: dict[object, OpTrace] = {}
        self._given = inputs

    @property
    def original(self) -> nn.Module:
        """A module to look at and to copy, never to run."""
        if self._kept is None:
            self._kept = self._built()
        return self._kept

    def _built(self) -> nn.Module:
        with own_random_numbers(), user_code_running():
            if not self._shared:
                torch.manual_seed(0)  # of all devices: it may be built on any
            return self._build()

    @property
    def _is_large(self) -> bool:
        if self._bytes is None:
            tensors = tensors_of(self.original)
            self._bytes = sum(tensor.nbytes for tensor in tensors if not is_lazy(tensor))
        return self._bytes > _KEPT_BYTES and not self._shared

    @property
    def arguments(self) -> CallArguments:
        """The arguments of a call, with specifications or tensors. InputError where there are
        none."""
        if self._given is None and _takes_nothing(self.original):
            return CallArguments((), {})
        if self._given is None:
            raise InputError(
                f"{self.name} has no default input", hint="give one, for example -i 1x3x224x224"
            )
        return call_arguments(self._given)

    def arguments_of(self, inputs: tuple[TensorSpec, ...] | None) -> CallArguments:
        """The arguments to this description, or the target's own."""
        return self.arguments if inputs is None else call_arguments(inputs)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors among the arguments, as they are without any option."""
        return specs_of_arguments(self.arguments)

    @cached_property
    def dtype(self) -> str:
        """The floating dtype of most of the parameters; of the inputs where there are none."""
        counted: dict[str, int] = {}
        for tensor in (*self.original.parameters(), *self.original.buffers()):
            if tensor.is_floating_point() and not is_lazy(tensor):
                name = dtype_name(tensor.dtype)
                counted[name] = counted.get(name, 0) + tensor.numel()
        if counted:
            return max(counted, key=lambda name: counted[name])
        floating = [spec.dtype for spec in self.inputs if "float" in spec.dtype]
        return floating[0] if floating else "float32"

    def fresh(self, device: torch.device, dtype: str | None, *, train: bool) -> nn.Module:
        """A module of its own on ``device``; None keeps the dtypes. The original stays as it is.

        Raises InputError where the only module there is cannot be copied.
        """
        module = self._copy()
        if not (train and module.training):
            module.train(train)  # flags of submodules are kept where it is in train mode already
        return module.to(device=device, dtype=torch_dtype(dtype))

    def _copy(self) -> nn.Module:
        if not self._is_large:
            try:
                return copy.deepcopy(self.original)
            except Exception as error:
                if self._shared:
                    raise InputError(
                        f"{self.name} cannot be copied: {type(error).__name__}: {error}",
                        hint="name its class or a function that makes it instead",
                    ) from error
        if not self._anew:
            _ = self.dtype, self._indices  # while there is one to ask
            self._anew = True
        self._kept = None  # gone before the next one is built
        return self._built()

    def with_values(
        self, inputs: tuple[TensorSpec, ...] | None, device: torch.device, dtype: str | None
    ) -> CallArguments:
        """Arguments with random values that are not zeros; floating ones in ``dtype``.

        Whole numbers are drawn below the smallest number of embeddings of the module, so that they
        are valid indices; without any embedding they are 0 or 1.
        """
        arguments = self.arguments_of(inputs)
        with own_random_numbers(device):
            made = materialized(
                arguments, device, torch_dtype(dtype), with_values=True, requires_grad=False
            )
            if inputs is not None or not any(True for _ in tensors_in(self.arguments)):
                made = self._with_indices(made)
        return made

    def _with_indices(self, arguments: CallArguments) -> CallArguments:
        most = self._indices

        def drawn(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
                return tensor
            return torch.randint_like(tensor, 0, min(most, torch.iinfo(tensor.dtype).max))

        return CallArguments(
            tuple(map_tensors(value, drawn) for value in arguments.args),
            {name: map_tensors(value, drawn) for name, value in arguments.kwargs.items()},
        )

    @cached_property
    def _indices(self) -> int:
        sizes = [m.num_embeddings for m in self.original.modules() if isinstance(m, nn.Embedding)]
        return min(sizes, default=2)

    def traced(
        self,
        inputs: tuple[TensorSpec, ...] | None,
        dtype: str | None,
        mode: RunMode,
        optimizer: str | None,
        attention: str,
    ) -> OpTrace:
        """The static record of one call; made once for each question.

        Raises what :func:`blocktool.trace.tracer.trace` does.
        """
        training = mode != "inference"
        stepping = optimizer if mode == "training" else None
        question = (inputs, dtype, training, stepping, attention)
        if question not in self._traces:
            arguments = self.arguments_of(inputs)
            with user_code_running():
                self._traces[question] = trace(
                    self.original,
                    arguments,
                    mode="training" if training else "forward",
                    dtype=dtype,
                    attention=attention,
                    optimizer=stepping,
                    name=self.name,
                )
            if self._anew:
                self._kept = None
        return self._traces[question]


def subject_of(
    target: Target, inputs: tuple[TensorSpec, ...] | None, select: str | None
) -> Subject:
    """The subject that a target names, or a submodule of it with the inputs that it receives.

    Raises TargetError, InputError and ModuleError as tracing a target does.
    """
    given = inputs or target.inputs
    whole = Subject(target.name, target.build, given, shared=target.shared)
    if select is None:
        return whole
    received = received_by(target, whole.original, select, whole.inputs)
    return Subject(
        f"{target.name} {select}",
        lambda: submodule(target, target.build(), select),
        received,
        shared=target.shared,
    )


def _takes_nothing(module: nn.Module) -> bool:
    """Whether ``forward()`` is a whole call."""
    try:
        inspect.signature(module.forward).bind()
    except (TypeError, ValueError):
        return False
    return True


def tensors_of(module: nn.Module) -> Iterator[torch.Tensor]:
    """Parameters and buffers."""
    yield from module.parameters()
    yield from module.buffers()


def tensors_in(arguments: CallArguments) -> Iterator[torch.Tensor]:
    """Every tensor of the arguments; specifications are none."""
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    for value in (*arguments.args, *arguments.kwargs.values()):
        map_tensors(value, note)
    return iter(found)


def specs_of_arguments(arguments: CallArguments) -> tuple[TensorSpec, ...]:
    """What the tensors of the arguments look like, positional ones first."""

    def described(value: Any, name: str | None) -> Iterable[TensorSpec]:
        if isinstance(value, TensorSpec):
            return (value if name is None else replace(value, name=name),)
        specs = specs_of(value)
        return specs if name is None else [replace(spec, name=spec.name or name) for spec in specs]

    found: list[TensorSpec] = []
    for value in arguments.args:
        found += described(value, None)
    for name, value in arguments.kwargs.items():
        found += described(value, name)
    return tuple(found)
