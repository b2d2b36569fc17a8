"""``trace_symbolic``: one run of a module with symbols in place of sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torch._dispatch.python import enable_python_dispatcher

from blocktool.blocks.shapes import ShapeError
from blocktool.errors import BlocktoolError
from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import SymbolicRun, SymbolicTensor
from blocktool.results.trace import Mode, OpTrace
from blocktool.trace.classify import OpTraits
from blocktool.trace.counted import counted
from blocktool.trace.inputs import call_arguments
from blocktool.trace.limits import RungUnavailableError, needs_data, one_line
from blocktool.trace.recorder import Recorder
from blocktool.trace.run import Plan, Run
from blocktool.trace.symbolic_composites import composites_routed
from blocktool.trace.symbolic_conditions import Conditions
from blocktool.trace.symbolic_kernels import SymbolicKernels, refused
from blocktool.trace.symbolic_limits import limit_of
from blocktool.trace.symbolic_sizes import Symbols
from blocktool.trace.symbolic_text import Unexpressed, Writer
from blocktool.trace.tracer import torch_dtype, unwrapped
from blocktool.trace.workspace import cpu_workspace


def trace_symbolic(
    module: nn.Module,
    inputs: Sequence[SymbolicTensor],
    hints: Mapping[str, int],
    *,
    mode: Mode = "forward",
    dtype: str | None = None,
    name: str | None = None,
    record: bool = True,
) -> tuple[SymbolicRun, OpTrace | None]:
    """Run ``module`` once for all sizes that take the same way through it as ``hints`` do.

    Args:
        module: any ``nn.Module``; it is left exactly as it was found.
        inputs: sizes are numbers or expressions of the symbols.
        hints: the symbols, each with the size at which decisions are made. A symbol stands for
            sizes from 2 on; a hint of 1 is a number, and a condition.
        mode: as for :func:`blocktool.trace.tracer.trace`, and so are ``dtype`` and ``name``.
        dtype: see there.
        name: see there.
        record: whether operations are recorded, too; without, only outputs and conditions are
            found, which is faster.

    Returns:
        What came out, and the record; None without ``record``, and where the module raised or the
        run met a limit.

    Raises:
        InputError: a size is no expression of the symbols.
    """
    module, _ = unwrapped(module)
    plan = Plan(
        module=module,
        arguments=call_arguments(()),
        mode=mode,
        dtype=torch_dtype(dtype),
        attention="cpu",
        optimizer=None,
        input_grad=False,
        name=name or type(module).__name__,
        rebuild=None,
        notes=(),
    )
    ran = _ran(plan, inputs, hints, record)
    if ran.limit is not None:
        # Slower, and operations are taken apart further than on a device.
        with enable_python_dispatcher():
            again = _ran(plan, inputs, hints, record)
        ran = ran if again.limit is not None else again
    answer, bounds = _answer(ran, tuple(inputs))
    if ran.trace is None or not record or answer.limit is not None:
        return answer, None
    try:
        return answer, counted(ran.trace, ran.symbols.names, bounds)
    except Unexpressed as unexpressed:
        return replace(answer, limit=str(unexpressed)), None


@dataclass(frozen=True)
class _Ran:
    """What one attempt gave: a trace, the error of the module, or the limit that was met."""

    symbols: Symbols
    path: str | None
    trace: OpTrace | None = None
    error: str | None = None
    limit: str | None = None


def _ran(
    plan: Plan, inputs: Sequence[SymbolicTensor], hints: Mapping[str, int], record: bool
) -> _Ran:
    symbols = Symbols(hints)
    with symbols.deciding(), composites_routed(layouts_asked=record):
        specs = tuple(
            TensorSpec(tuple(map(symbols.size, t.shape)), t.dtype, t.name) for t in inputs
        )
        run = _SymbolicRun(replace(plan, arguments=call_arguments(specs)), record)
        try:
            trace = run.result()
        except BlocktoolError as error:
            if not isinstance(error, ShapeError):
                raise
            return _Ran(symbols, run.failed_path or None, error=one_line(error))
        except Exception as error:
            path = run.failed_path or None
            if needs_data(error) or refused(error):
                return _Ran(symbols, path, limit=limit_of(error))
            if run.stage is None and not isinstance(error, RungUnavailableError):
                raise
            return _Ran(symbols, path, error=one_line(error))
        return _Ran(symbols, run.failed_path or None, trace)


def _answer(ran: _Ran, inputs: tuple[SymbolicTensor, ...]) -> tuple[SymbolicRun, dict[str, int]]:
    """What the run says, and the least sizes for which it says it."""
    symbols, path, trace, limit = ran.symbols, ran.path, ran.trace, ran.limit
    writer = Writer(symbols.names)
    outputs: tuple[SymbolicTensor, ...] = ()
    guards: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    bounds = dict.fromkeys(symbols.hints, 2)
    try:
        conditions = Conditions()
        conditions.add(guard.expr for guard in symbols.env.guards)
        guards = writer.conditions(conditions)
        assumed = Conditions(conditions)
        assumed.add(symbols.assumed)
        assumptions = tuple(text for text in writer.conditions(assumed) if text not in guards)
        bounds.update({symbols.names[symbol]: n for symbol, n in assumed.bounds.items()})
        if trace is not None:
            outputs = tuple(
                SymbolicTensor(tuple(map(writer.size, spec.shape)), spec.dtype, spec.name)
                for spec in trace.outputs
            )
    except Unexpressed as unexpressed:
        limit = str(unexpressed)
    elsewhere = f"in {path}: " if path else ""
    answer = SymbolicRun(
        hints=dict(symbols.hints),
        inputs=inputs,
        outputs=outputs,
        guards=(*symbols.fixed, *guards),
        assumptions=assumptions,
        error=None if ran.error is None else symbols.renamed(ran.error),
        error_module=path if ran.error is not None else None,
        limit=None if limit is None else symbols.renamed(f"{elsewhere}{limit}"),
    )
    return answer, bounds


class _SymbolicRun(Run):
    """A run on meta whose operations are answered for symbols."""

    def __init__(self, plan: Plan, record: bool) -> None:
        super().__init__(plan, "meta", ())
        self._record = record

    def _recorder(self) -> Recorder:
        kind = _SymbolicRecorder if self._record else _Answerer
        return kind(fast=True, attention=self._attention(), workspace=cpu_workspace)

    def _layouts(self, out: Any) -> tuple[Any, ...]:
        return ()  # which layout it is may depend on the sizes


class _SymbolicRecorder(Recorder):
    """Records what is answered for symbols; nothing is remembered, as symbols differ each time."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._kernels = SymbolicKernels()  # type: ignore[no-untyped-call]

    def _execute(
        self, func: Any, traits: OpTraits, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return self._kernels.answer(func, args, kwargs)


class _Answerer(_SymbolicRecorder):
    """Only answers."""

    def _record(
        self, traits: OpTraits, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        return
