"""What follows what in a module, as the trace shows it: who made a tensor, and who read it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from blocktool.results.trace import ModuleCall, OpRecord, OpTrace
from blocktool.trace.calls import named_modules

_REGISTRIES = ("_modules", "_parameters", "_buffers")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Flow:
    """A module together with the trace of one forward of it in eval mode.

    Nothing is concluded from names or from the order of registration: a layer is known by its
    calls, a tensor by its storage.
    """

    def __init__(self, root: nn.Module, trace: OpTrace) -> None:
        self.root = root
        self.trace = trace
        self.ops = tuple(op for op in trace.ops if op.phase == "forward")
        self.modules = dict(named_modules(root))
        self.writers: dict[int, list[OpRecord]] = defaultdict(list)
        self.readers: dict[int, list[OpRecord]] = defaultdict(list)
        self.ops_in: dict[int, list[OpRecord]] = defaultdict(list)
        self.children: dict[int, list[ModuleCall]] = defaultdict(list)
        self._calls: dict[int, list[ModuleCall]] = defaultdict(list)
        self._seen_by: dict[int, list[ModuleCall]] = defaultdict(list)
        for op in self.ops:
            self.ops_in[op.call].append(op)
            for storage in {ref.storage for ref in op.inputs}:
                self.readers[storage].append(op)
            for storage in {ref.storage for ref in op.outputs}:
                self.writers[storage].append(op)
        for call in trace.calls:
            self.children[call.parent].append(call)
            self._calls[id(self.modules.get(call.path))].append(call)
            for storage in {*call.input_storages, *call.output_storages}:
                self._seen_by[storage].append(call)
        self._tied = _tied(root)
        self._aside = {id(module) for module in _kept_aside(root)}

    def module_of(self, call: ModuleCall) -> nn.Module | None:
        """The module that was called; None for one that is not registered."""
        return self.modules.get(call.path)

    def only_call(self, module: nn.Module) -> ModuleCall | None:
        """The call of a module that is called exactly once."""
        calls = self._calls[id(module)]
        return calls[0] if len(calls) == 1 else None

    def kept(self, module: nn.Module) -> str | None:
        """Why the parameters of ``module`` must not be changed, None where they may be."""
        calls = len(self._calls[id(module)])
        if calls != 1:
            return "it is not called" if not calls else f"it is called {calls} times (shared)"
        if has_hooks(module):
            return "it has hooks"
        if "forward" in module.__dict__ or is_parametrized(module):
            return "its forward or its parameters are replaced (parametrization)"
        if any(storage in self._tied for storage in _storages(module)):
            return "its parameters are shared with another module"
        if id(module) in self._aside:
            return "it is also kept in a plain attribute"
        return None

    def watched(self, storage: int) -> str | None:
        """Who sees a tensor beside the operations that use it: hooks, the caller, an attribute."""
        for call in self._seen_by[storage]:
            module = self.module_of(call)
            if module is None or has_hooks(module):
                return f"a hook of {call.path or 'the root'} sees the tensor between"
        if storage in self.trace.calls[0].output_storages:
            return "the tensor between is an output of the module"
        if self.trace.storages[storage].died is None:
            return "the tensor between is kept after the forward"
        return None

    def is_state(self, storage: int) -> bool:
        """Whether a storage is that of a parameter or a buffer."""
        return self.trace.storages[storage].category in ("parameters", "buffers")

    def where(self, op: OpRecord) -> str:
        """An operation and the module that ran it, in words."""
        path = self.trace.calls[op.call].path
        return f"{op.op} in {path}" if path else op.op


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody else's code runs when the module is called."""
    return any(getattr(module, name, None) for name in _HOOKS)


def replace_everywhere(root: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Put ``new`` wherever ``old`` is registered; returns the root, which may be ``new`` itself."""
    if old is root:
        return new
    for module in list(root.modules()):
        for name, child in module._modules.items():
            if child is old:
                module._modules[name] = new
    return root


def storage_key(tensor: torch.Tensor) -> int:
    """The identity of the storage that a tensor lies in, on meta as well."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse, nested, and other wrapped tensors
        return id(tensor)


def _storages(module: nn.Module) -> Iterator[int]:
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        yield storage_key(tensor)


def _tied(root: nn.Module) -> set[int]:
    """Storages with more than one name."""
    names: Counter[int] = Counter()
    for module in root.modules():
        for registry in (module._parameters, module._buffers):
            names.update(storage_key(t) for t in registry.values() if t is not None)
    return {storage for storage, count in names.items() if count > 1}


def _kept_aside(root: nn.Module) -> Iterator[nn.Module]:
    """Registered modules that a plain list, tuple, dict or attribute holds, too."""
    for module in root.modules():
        for name, value in module.__dict__.items():
            if name in _REGISTRIES:
                continue
            items = value.values() if isinstance(value, dict) else value
            if isinstance(value, nn.Module):
                yield value
            elif isinstance(value, (list, tuple, dict)):
                yield from (item for item in items if isinstance(item, nn.Module))
