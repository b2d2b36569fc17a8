"""Gathers a module's state and the lives of storages into plain records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from math import isfinite

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from blocktool.results.trace import Category, ModuleInfo, StateTensor, StorageLife
from blocktool.trace.calls import named_modules
from blocktool.trace.recorder import Storages
from blocktool.trace.structure import dtype_name

_PLAIN = (bool, int, float, str)
_MOST_ATTRIBUTES = 24
_LARGEST = 2**53
_PRIVATE = re.compile(
    "token|key|secret|password|path|dir|file|url|uuid|host|user|run", re.IGNORECASE
)
_DETAIL_LENGTH = 400


class State:
    """The modules of a tree and their tensors, each tensor once however often it is registered.

    Made before the run, so that its storages count as older than every operation, and refreshed
    after it: lazy modules take their shape while they run.
    """

    def __init__(self, module: nn.Module, storages: Storages) -> None:
        self._storages = storages
        self.modules: tuple[ModuleInfo, ...] = ()
        self.tensors: tuple[StateTensor, ...] = ()
        self.category: dict[int, Category] = {}
        self.gradients: list[int] = []
        for tensor in (*module.parameters(), *module.buffers()):
            if not is_lazy(tensor):
                self._note(tensor, "buffers")

    def _note(self, tensor: torch.Tensor, category: Category) -> None:
        index = self._storages.index(tensor)
        if self.category.get(index) != "parameters":
            self.category[index] = category

    def refresh(self, module: nn.Module, unregistered: Mapping[str, nn.Module]) -> None:
        """Read modules and tensors as they are after the run."""
        tensors: list[StateTensor] = []
        index_of: dict[int, int] = {}
        infos: list[ModuleInfo] = []

        def number(tensor: torch.Tensor, path: str, buffer: bool) -> int:
            index = index_of.get(id(tensor))
            if index is not None:
                return index
            index = index_of[id(tensor)] = len(tensors)
            lazy = is_lazy(tensor)
            numel = 0 if lazy else tensor.numel()
            tensors.append(
                StateTensor(
                    path,
                    () if lazy else tuple(tensor.shape),
                    dtype_name(tensor.dtype),
                    numel,
                    numel * tensor.element_size(),
                    tensor.requires_grad and not buffer,
                    buffer,
                    not lazy and not buffer and tensor.grad is not None,
                )
            )
            if not lazy:
                self._note(tensor, "buffers" if buffer else "parameters")
                if not buffer and tensor.grad is not None:
                    self.gradients.append(self._storages.index(tensor.grad))
            return index

        def info(path: str, submodule: nn.Module) -> ModuleInfo:
            prefix = f"{path}." if path else ""
            return ModuleInfo(
                path,
                type(submodule).__name__,
                tuple(
                    number(t, prefix + name, False)
                    for name, t in submodule._parameters.items()
                    if t is not None
                ),
                tuple(
                    number(t, prefix + name, True)
                    for name, t in submodule._buffers.items()
                    if t is not None
                ),
                _detail(submodule),
                _attributes(submodule),
            )

        for path, submodule in named_modules(module):
            infos.append(info(path, submodule))
        for path, submodule in unregistered.items():
            infos.append(info(path, submodule))
        self.modules = tuple(infos)
        self.tensors = tuple(tensors)


def _detail(module: nn.Module) -> str:
    """What the module says of itself; a user's ``extra_repr`` may fail, and is then left out."""
    if type(module).extra_repr is nn.Module.extra_repr:
        return ""
    try:
        text = module.extra_repr()
    except Exception:
        return ""
    text = " ".join(str(text).split())
    return text if len(text) <= _DETAIL_LENGTH else f"{text[: _DETAIL_LENGTH - 3]}..."


def _attributes(module: nn.Module) -> dict[str, bool | int | float | str]:
    """The plain public values of a module that says nothing of itself, such as ``num_heads``."""
    if type(module).extra_repr is not nn.Module.extra_repr:
        return {}
    plain = (
        (name, value)
        for name, value in vars(module).items()
        if name != "training" and not name.startswith("_") and type(value) in _PLAIN
    )
    kept = ((name, value) for name, value in plain if _is_setting(name, value))
    return dict(islice(kept, _MOST_ATTRIBUTES))


def _is_setting(name: str, value: object) -> bool:
    """Whether it is worth writing down: a number that can be in JSON, or one word (``"mean"``). No
    paths, keys and names of runs, which are nobody's business and another each time."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return abs(value) < _LARGEST
    is_word = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w-]{0,23}", value) is not None
    return is_word and not _PRIVATE.search(name)


def storage_lives(
    storages: Storages,
    state: State,
    inputs: Sequence[int],
    optimizer_state: Sequence[torch.Tensor],
) -> tuple[StorageLife, ...]:
    """Every storage with its category. What existed before the run and is neither parameter nor
    input counts as a buffer; what a step of the optimizer leaves behind, as optimizer state."""
    category: dict[int, Category] = dict(state.category)
    for index in inputs:
        category.setdefault(index, "inputs")
    for index in state.gradients:
        category[index] = "gradients"
    for tensor in optimizer_state:
        category[storages.index(tensor)] = "optimizer"
    return tuple(
        StorageLife(
            index,
            nbytes,
            born,
            died,
            category.get(index, "buffers" if born < 0 else "activations"),
        )
        for index, (nbytes, born, died) in enumerate(
            zip(storages.nbytes, storages.born, storages.died, strict=True)
        )
    )
