"""Records every operation that reaches the dispatcher: shapes, storages, work, bytes, phase."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode

from blocktool.results.trace import OpRecord, Phase, TensorRef
from blocktool.trace.attention import Attention
from blocktool.trace.classify import OpTraits, traits_of
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
        self.nbytes.append(int(storage.nbytes()))
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
        if traits.name.startswith("prim.") or (args and type(args[0]) in _SHAPELESS):
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

    @staticmethod
    def _execute(func: Any, traits: OpTraits, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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
        """Operators that take functions (flex attention, cond, ...): run as they are, reported as
        uncovered."""
        out = func(*args, **kwargs)
        index = len(self.ops)
        refs_in = tuple(self._ref(t) for _, t in named_tensors([args, kwargs]))
        refs_out = tuple(self._ref(t, index) for _, t in named_tensors([out]))
        call = self.call_stack[-1] if self.call_stack else 0
        self._append(
            OpRecord(
                index, f"higher_order.{func.name()}", "default", "uncovered", self.phase, call,
                refs_in, refs_out, 0, 0, 0, 0, 0,
            )
        )  # fmt: skip
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
        inputs: list[TensorRef] = []
        sizes: list[int] = []
        for value in (*args, *kwargs.values()) if kwargs else args:
            if isinstance(value, torch.Tensor):
                inputs.append(self._ref(value))
                sizes.append(value.numel() * value.element_size())
            elif isinstance(value, (list, tuple)) and value and not isinstance(value[0], int):
                for _, tensor in named_tensors(value):
                    inputs.append(self._ref(tensor))
                    sizes.append(tensor.numel() * tensor.element_size())
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
            read = self._bytes_read(traits, inputs, sizes, written)
            if traits.mutated:
                written += _bytes_mutated(traits, args, kwargs)
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
        self, traits: OpTraits, inputs: list[TensorRef], sizes: list[int], written: int
    ) -> int:
        """Each storage once, no more of it than there is; gathers read what they give out."""
        nbytes = self.storages.nbytes
        total = 0
        seen: set[int] = set()
        for position, (ref, size) in enumerate(zip(inputs, sizes, strict=True)):
            if (position == 0 and traits.mutated and traits.write_only) or ref.storage in seen:
                continue
            seen.add(ref.storage)
            if position == 0 and traits.gathers:
                size = min(size, written)
            total += min(size, nbytes[ref.storage]) if ref.storage >= 0 else size
        return total

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
