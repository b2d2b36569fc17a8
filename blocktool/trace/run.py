"""One run on one rung of the ladder: set the stage, run the phases, collect the record."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from blocktool.errors import TraceError
from blocktool.results.trace import Fallback, Mode, OpTrace
from blocktool.trace.attention import Attention, attention_for, attention_routed
from blocktool.trace.calls import CallTracker
from blocktool.trace.collect import State, storage_lives
from blocktool.trace.environment import environment
from blocktool.trace.guard import (
    collection_paused,
    compilation_suspended,
    module_preserved,
    quiet,
    substitute_tensors,
    torch_preserved,
)
from blocktool.trace.inputs import CallArguments, materialized
from blocktool.trace.limits import RungUnavailableError, autocast_refused
from blocktool.trace.optimizers import optimizer_factory
from blocktool.trace.recorder import Recorder
from blocktool.trace.standins import StandIn, with_data, without_data
from blocktool.trace.structure import layout_of, named_tensors, specs_of
from blocktool.trace.workspace import cpu_workspace, no_workspace

_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Plan:
    """What was asked, the same on every rung. See :func:`blocktool.trace.tracer.trace`."""

    module: nn.Module
    arguments: CallArguments
    mode: Mode
    dtype: torch.dtype | None
    attention: str
    optimizer: str | None
    input_grad: bool
    name: str
    rebuild: Callable[[], nn.Module] | None
    notes: tuple[str, ...]


class Run:
    """One attempt; ``failed_path`` names the innermost module that was running when it failed."""

    def __init__(self, plan: Plan, rung: str, fallbacks: tuple[Fallback, ...]) -> None:
        self._plan = plan
        self._rung = rung
        self._fallbacks = fallbacks
        self._real = rung not in ("meta", "fake")
        self._tracker: CallTracker | None = None
        self._runner: _Phases | None = None

    @property
    def stage(self) -> str | None:
        """Which phase of the user's module is running; None while it is our own code."""
        return self._runner.stage if self._runner is not None else None

    @property
    def failed_path(self) -> str | None:
        """The innermost module that was running when the run failed."""
        return self._tracker.failed_path if self._tracker is not None else None

    def result(self) -> OpTrace:
        """Run, and leave everything as it was. One at a time: the trace hooks into torch itself."""
        with _ONE_AT_A_TIME, torch.inference_mode(False):
            try:
                with compilation_suspended():
                    return self._prepared()
            except Exception as error:
                if not type(error).__module__.startswith("torch._dynamo"):
                    raise
                # What cannot do without the compiler (flex attention) is let have it.
                return self._prepared()

    def _prepared(self) -> OpTrace:
        plan = self._plan
        ours = self._real and plan.rebuild is not None
        module = plan.rebuild() if ours and plan.rebuild is not None else plan.module
        with ExitStack() as stack:
            stack.enter_context(torch_preserved())
            stack.enter_context(module_preserved(module))
            if self._real:
                torch.manual_seed(0)  # the same data in every run
            else:
                stack.enter_context(collection_paused())
            if self._rung == "meta" and any(isinstance(m, nn.RNNBase) for m in module.modules()):
                raise RungUnavailableError(
                    "recurrent layers run step by step on meta, as one kernel on a device"
                )
            if self._rung == "meta":
                stack.enter_context(autocast_refused())
            if self._rung == "fake":
                if _is_lazy(module):
                    raise RungUnavailableError("lazy modules cannot take shape from fake tensors")
                from torch._subclasses.fake_tensor import FakeTensorMode

                stack.enter_context(quiet("torch._subclasses.fake_tensor"))
                stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
            dtype = self._plan.dtype
            loose = None if dtype is None else self._stand_in(module, ours, None)
            substitute_tensors(module, self._stand_in(module, ours, dtype), loose)
            if not self._real:
                stack.enter_context(attention_routed(self._attention()))
            return self._traced(module)

    def _kernels(self) -> str:
        """Whose kernels the trace shows: those of the device, or on meta those it was told to
        assume. Fake tensors stand for the CPU's and choose as it does."""
        return self._plan.attention if self._rung == "meta" else str(self._device())

    def _attention(self) -> Attention | None:
        return attention_for(self._plan.attention) if self._rung == "meta" else None

    def _device(self) -> torch.device:
        return torch.device("cpu" if self._rung == "fake" else self._rung)

    def _stand_in(self, module: nn.Module, ours: bool, dtype: torch.dtype | None) -> StandIn:
        if not self._real:
            return without_data(self._device(), dtype)
        if any(tensor.is_meta for tensor in module.parameters()):
            raise TraceError(
                "the forward needs values, but the module's parameters are on meta",
                hint="; ".join(f"{f.rung}: {f.reason}" for f in self._fallbacks)
                or "build the module with real tensors",
            )
        return with_data(self._device(), dtype, copy=not ours)

    def _layouts(self, out: Any) -> tuple[Any, ...]:
        return tuple(layout_of(tensor) for _, tensor in named_tensors(out))

    def _recorder(self) -> Recorder:
        return Recorder(
            fast=self._rung == "meta",
            attention=self._attention(),
            workspace=cpu_workspace if self._kernels() == "cpu" else no_workspace,
        )

    def _traced(self, module: nn.Module) -> OpTrace:
        plan = self._plan
        arguments = materialized(
            plan.arguments,
            self._device(),
            plan.dtype,
            with_values=self._real,
            requires_grad=plan.input_grad and plan.mode == "training",
        )
        recorder = self._recorder()
        tracker = self._tracker = CallTracker(module, recorder)
        runner = self._runner = _Phases(module, arguments, recorder, tracker)
        if _is_lazy(module):
            runner.settle()
        state = State(module, recorder.storages)
        input_storages = [
            recorder.storages.index(tensor)
            for _, tensor in named_tensors([arguments.args, arguments.kwargs])
        ]
        out = runner.training(plan.optimizer) if plan.mode == "training" else runner.forward()
        state.refresh(module, tracker.unregistered)
        lives = storage_lives(recorder.storages, state, input_storages, runner.optimizer_state)
        recorder.storages.forget()
        if any(next(m.parameters(), None) is not None for m in tracker.unregistered.values()):
            runner.notes.append(
                "modules that are not registered ran, and their parameters are counted: "
                + ", ".join(list(tracker.unregistered)[:3])
            )
        return OpTrace(
            target=plan.name,
            root_type=type(module).__name__,
            mode=plan.mode,
            traced_on=self._rung,
            fallbacks=self._fallbacks,
            attention=self._kernels(),
            optimizer=plan.optimizer,
            environment=environment(),
            inputs=_named(arguments),
            outputs=specs_of(out),
            modules=state.modules,
            tensors=state.tensors,
            calls=tuple(tracker.calls),
            ops=tuple(recorder.ops),
            storages=lives,
            notes=(*plan.notes, *runner.notes),
            output_layouts=self._layouts(out),
            input_gradients=tuple(
                tensor.grad is not None
                for _, tensor in named_tensors([arguments.args, arguments.kwargs])
                if tensor.requires_grad and tensor.is_leaf
            ),
        )


def _is_lazy(module: nn.Module) -> bool:
    return any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers()))


def _named(arguments: CallArguments) -> tuple[Any, ...]:
    return specs_of(arguments.args) + specs_of(arguments.kwargs)


class _Phases:
    """The phases of a run under the recorder."""

    def __init__(
        self,
        module: nn.Module,
        arguments: CallArguments,
        recorder: Recorder,
        tracker: CallTracker,
    ) -> None:
        self._module = module
        self._arguments = arguments
        self._recorder = recorder
        self._tracker = tracker
        self.optimizer_state: list[torch.Tensor] = []
        self.notes: list[str] = []
        self.stage: str | None = None

    def _call(self) -> Any:
        self.stage = "forward"
        with self._tracker.tracking():
            out = self._module(*self._arguments.args, **self._arguments.kwargs)
        self.stage = None
        return out

    def settle(self) -> None:
        """Let lazy modules take their shapes before anything is recorded."""
        self.stage = "forward"
        with torch.no_grad():
            self._module(*self._arguments.args, **self._arguments.kwargs)
        self.stage = None

    def forward(self) -> Any:
        """In eval mode, without gradients."""
        self._module.eval()
        with torch.no_grad(), self._recorder:
            return self._call()

    def training(self, optimizer: str | None) -> Any:
        """Forward, backward and, where one is named, a step of the optimizer."""
        if not self._module.training:
            self._module.train()
        recorder = self._recorder
        stepper = None
        with torch.enable_grad():
            with recorder:
                out = self._call()
            leaves = [t for _, t in named_tensors(out) if t.requires_grad]
            if not leaves:
                self.notes.append("no output needs a gradient, so no backward was run")
                return out
            self._assign_owners()
            self.stage = recorder.phase = "backward"
            with recorder, self._tracker.tracking():
                # As the gradient of a plain sum would be: it takes no memory of its own.
                ones = [torch.ones((), dtype=t.dtype, device=t.device).expand_as(t) for t in leaves]
                torch.autograd.backward(leaves, ones)
            del leaves, ones
            self.stage = None
            trainable = [p for p in self._module.parameters() if p.requires_grad]
            if optimizer is not None and trainable:
                stepper = optimizer_factory(optimizer)(trainable)
                self.stage = recorder.phase = "optimizer"
                with recorder:
                    stepper.step()
                self.stage = None
                for values in stepper.state.values():
                    self.optimizer_state += [t for _, t in named_tensors(values)]
        return out

    def _assign_owners(self) -> None:
        """Gradients are accumulated on behalf of the first call of the module that owns them."""
        first_call: dict[str, int] = {}
        for call in self._tracker.calls:
            first_call.setdefault(call.path, call.index)
        for path, module in self._module.named_modules():
            for parameter in module.parameters(recurse=False):
                owner = path
                while owner and owner not in first_call:
                    owner = owner.rpartition(".")[0]
                self._recorder.owner_of_parameter[id(parameter)] = first_call.get(owner, 0)
