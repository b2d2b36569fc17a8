"""Records every operation that reaches the dispatcher: shapes, storages, work, bytes, phase."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode

from blocktool.results.trace import OpRecord, Phase, TensorRef
from blocktool.trace.amounts import hashable, least, most
from blocktool.trace.attention import Attention
from blocktool.trace.classify import OpTraits, traits_of
from blocktool.trace.formulas import HIGHER_ORDER
from blocktool.trace.shape_memo import ShapeMemo
from blocktool.trace.structure import dtype_name, named_tensors
from blocktool.trace.workspace import Workspace, no_workspace

_MEMO = ShapeMemo()
_SHAPELESS = (UninitializedParameter, UninitializedBuffer)
_ACCUMULATE = 2**64 - 1
"""The sequence number of every node that accumulates into a leaf."""


class _StorageRef(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to a storage that knows its index and its address."""

    __slots__ = ("address", "index")
    index: int
    address: int


class Storages:
    """The storages seen so far: their sizes, and the operations between which they lived."""

    def __init__(self) -> None:
        self.nbytes: list[int] = []
        self.born: list[int] = []
        self.died: list[int | None] = []
        self.clock = -1
        """The operation that ran last."""
        self._live: dict[int, _StorageRef] = {}

    def index(self, tensor: torch.Tensor, born: int = -1) -> int:
        """The index of the storage of ``tensor``; a new one was born with operation ``born``.

        -1 for tensors without a storage (sparse, nested).
        """
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            return -1
        address = storage._cdata
        known = self._live.get(address)
        if known is not None:
            return known.index
        reference = _StorageRef(storage, self._freed)
        reference.index = index = len(self.nbytes)
        reference.address = address
        self._live[address] = reference
        self.nbytes.append(storage.nbytes())
        self.born.append(born)
        self.died.append(None)
        return index

    def _freed(self, reference: _StorageRef) -> None:
        self.died[reference.index] = self.clock
        if self._live.get(reference.address) is reference:
            del self._live[reference.address]

    def forget(self) -> None:
        """Stop watching; what lives now outlived the run."""
        self._live.clear()


class Recorder(TorchDispatchMode):
    """A dispatch mode that records. With ``fast`` it also answers for the meta device, from its
    own shape rules and from what torch's kernels answered before."""

    supports_higher_order_operators = True

    def __init__(
        self, *, fast: bool, attention: Attention | None, workspace: Workspace = no_workspace
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: list[OpRecord] = []
        self.storages = Storages()
        self.phase: Phase = "forward"
        self.call_stack: list[int] = []
        self.owner_of_parameter: dict[int, int] = {}
        """Module call by id of a parameter, for gradients as they are accumulated."""
        self._fast = fast
        self._attention = attention
        self._workspace = workspace
        self._call_of_node: dict[int, int] = {}
        self._next_node: int = torch._C._autograd._get_sequence_nr()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Otherwise torch wraps the method below in a guard against compilation, which imports
        the compiler (about a second) and costs some microseconds at every operation. Compiled
        functions are run as they were written while a trace lasts (see run.py)."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return self._higher_order(func, args, kwargs)
        traits = traits_of(func)
        if traits.name.startswith(("prim.", "profiler.")) or (args and type(args[0]) in _SHAPELESS):
            return func(*args, **kwargs)
        if types and any(_unwraps(cls) for cls in types):
            # A tensor subclass with operations of its own: let it unfold, and see what it runs.
            return NotImplemented
        if traits.composite:
            # Seen only in inference mode, where nothing has taken it apart yet.
            with self:
                if self._attention is not None and traits.name.endswith("dot_product_attention"):
                    return self._attention(*args, **kwargs)
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = self._execute(func, traits, args, kwargs) if self._fast else func(*args, **kwargs)
        self._record(traits, args, kwargs, out)
        return out

    def _execute(
        self, func: Any, traits: OpTraits, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if traits.rule is not None:
            out = traits.rule(args, kwargs)
            if out is not NotImplemented:
                return out
        if not traits.memoizable:
            return func(*args, **kwargs)
        key = _MEMO.key(func, args, kwargs)
        if key is None:
            return func(*args, **kwargs)
        out = _MEMO.answer(key)
        if out is NotImplemented:
            out = func(*args, **kwargs)
            _MEMO.learn(key, args, out)
        return out

    def _higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Operators that take functions (flex attention, cond, ...) are run as they are; those
        without a formula are uncovered."""
        out = func(*args, **kwargs)
        index = len(self.ops)
        formula = HIGHER_ORDER.get(func.name())
        inputs = tuple(self._ref(tensor, index) for tensor in _tensors([args, kwargs]))
        outputs = tuple(self._ref(tensor, index) for tensor in _tensors([out]))
        phase, call = self._place()
        self._append(
            OpRecord(
                index,
                f"higher_order.{func.name()}",
                "default",
                "contraction" if formula is not None else "uncovered",
                phase,
                call,
                inputs,
                outputs,
                formula(args, kwargs, out) if formula is not None else 0,
                0,
                0,
                0,
                0,
            )
        )
        return out

    def _append(self, record: OpRecord) -> None:
        self.ops.append(record)
        self.storages.clock = record.index

    def _ref(self, tensor: torch.Tensor, born: int = -1) -> TensorRef:
        return TensorRef(
            tuple(tensor.shape), dtype_name(tensor.dtype), self.storages.index(tensor, born)
        )

    def _record(
        self, traits: OpTraits, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        index = len(self.ops)
        storages = self.storages
        taken: list[torch.Tensor] = []
        for value in (*args, *kwargs.values()) if kwargs else args:
            if isinstance(value, torch.Tensor):
                taken.append(value)
            elif isinstance(value, (list, tuple)) and value and not isinstance(value[0], int):
                taken.extend(_tensors(value))
        # A tensor that is first seen here was made where no operation shows (torch.tensor).
        inputs = [self._ref(tensor, index) for tensor in taken]
        outputs: list[TensorRef] = []
        known = len(storages.nbytes)
        read = written = new_bytes = 0
        for tensor in (out,) if isinstance(out, torch.Tensor) else _tensors(out):
            ref = self._ref(tensor, index)
            outputs.append(ref)
            if ref.storage >= known:
                known = ref.storage + 1
                new_bytes += storages.nbytes[ref.storage]
                if not traits.silent:
                    written += tensor.numel() * tensor.element_size()
        if not traits.silent:
            read = self._bytes_read(traits, taken, inputs, written)
            if traits.mutated:
                changed = _bytes_mutated(traits, args, kwargs)
                written += least(changed, self._source_bytes(traits, taken, changed))
        phase, call = self._place()
        self._append(
            OpRecord(
                index,
                traits.name,
                traits.overload,
                traits.kind,
                phase,
                call,
                tuple(inputs),
                tuple(outputs),
                traits.macs(args, kwargs, out) if traits.macs is not None else 0,
                traits.work(args, kwargs, out),
                read,
                written,
                new_bytes,
                self._workspace(traits.name, args, out) if traits.macs is not None else 0,
            )
        )

    def _bytes_read(
        self, traits: OpTraits, taken: list[torch.Tensor], refs: list[TensorRef], written: int
    ) -> int:
        """Every view once, and of a storage no more than there is of it; a gather reads what it
        gives, a bag the rows that it adds up, and what scatters in place touches as much as its
        source holds."""
        if traits.kind == "creation":
            return 0
        nbytes = self.storages.nbytes
        by_storage: dict[int, int] = {}
        views: set[Any] = set()
        for position, (tensor, ref) in enumerate(zip(taken, refs, strict=True)):
            if position == 0 and traits.mutated and traits.write_only:
                continue
            view = (ref.storage, *_place_in_storage(tensor))
            if view in views:
                continue
            views.add(view)
            size = tensor.numel() * tensor.element_size()
            if position == 0 and traits.gathers:
                size = least(size, written)
            if position == 0 and traits.bags:
                rows = taken[1].numel() * tensor.shape[-1]
                size = least(size, rows * tensor.element_size())
            if position == 0 and traits.scatters:
                size = self._source_bytes(traits, taken, size) if traits.accumulates else 0
            by_storage[ref.storage] = by_storage.get(ref.storage, 0) + size
        return sum(
            size if index < 0 else least(size, nbytes[index]) for index, size in by_storage.items()
        )

    @staticmethod
    def _source_bytes(traits: OpTraits, taken: list[torch.Tensor], whole: int) -> int:
        """Bytes of what a scatter brings: of its last tensor; ``whole`` for anything else."""
        if not traits.scatters or len(taken) < 2:
            return whole
        index, source = taken[1], taken[-1]
        rows = most(index.numel(), source.numel())
        return rows * taken[0].element_size()

    def _place(self) -> tuple[Phase, int]:
        """The phase and the module call that an operation belongs to."""
        stack = self.call_stack
        if self.phase != "backward":
            call = stack[-1] if stack else 0
            if self.phase == "forward":
                self._claim_nodes(call)
            return self.phase, call
        if stack:
            self._claim_nodes(stack[-1])
            return "recompute", stack[-1]
        node: Any = torch._C._current_autograd_node()
        if node is None:
            return "backward", 0
        number = node._sequence_nr()
        if number == _ACCUMULATE:
            return "backward", self.owner_of_parameter.get(id(getattr(node, "variable", None)), 0)
        return "backward", self._call_of_node.get(number, 0)

    def _claim_nodes(self, call: int) -> None:
        """Nodes of the backward graph are numbered as they are made, each just before its
        operation is dispatched: what is new since the last operation belongs to this one."""
        now = torch._C._autograd._get_sequence_nr()
        for number in range(self._next_node, now):
            self._call_of_node[number] = call
        self._next_node = now


def _place_in_storage(tensor: torch.Tensor) -> tuple[Any, ...]:
    if tensor.layout is not torch.strided:
        return tuple(tensor.shape)
    if tensor._has_symbolic_sizes_strides:
        return hashable((tensor.storage_offset(), *tensor.shape, *tensor.stride()))
    return tensor.storage_offset(), tensor.shape, tensor.stride()


def _unwraps(cls: type) -> bool:
    """Whether a tensor type has a dispatch of its own that would run other operations."""
    from_torch = cls.__module__ in ("torch", "torch.nn.parameter", "torch._subclasses.fake_tensor")
    dispatch = getattr(cls, "__torch_dispatch__", None)
    return not from_torch and dispatch is not torch._C._disabled_torch_dispatch_impl


def _tensors(value: Any) -> list[torch.Tensor]:
    return [tensor for _, tensor in named_tensors(value)]


def _bytes_mutated(traits: OpTraits, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    total = 0
    for place in traits.mutated:
        if isinstance(place, str):
            value = kwargs.get(place)
        else:
            value = args[place] if place < len(args) else None
        for tensor in (value,) if isinstance(value, torch.Tensor) else _tensors(value):
            total += tensor.numel() * tensor.element_size()
    return total
