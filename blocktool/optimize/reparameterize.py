"""Modules that can merge their own branches: RepVGG, MobileOne and their kin."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass

import torch
from torch import nn

from blocktool.blocks.block import Block
from blocktool.optimize.flow import Flow, has_hooks, replace_everywhere
from blocktool.optimize.steps import Found
from blocktool.results.optimize import FusedPart, RefusedPart
from blocktool.trace.limits import one_line

_METHODS = ("reparameterize", "switch_to_deploy", "fuse")
"""As timm, RepVGG's authors and LeViT's call it. Some work in place, some return a new module."""

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Merge:
    """Call ``method`` of the module at ``path``."""

    path: str
    method: str

    @property
    def parts(self) -> tuple[FusedPart, ...]:
        """The module and its method."""
        return (FusedPart("reparameterized", self.path, f"{self.method}()"),)

    def apply(self, root: nn.Module) -> nn.Module:
        """Merge, and put a new module, if one is returned, in the old one's place."""
        module = root.get_submodule(self.path)
        return replace_everywhere(root, module, _merged(module, self.method))


def _merged(module: nn.Module, method: str) -> nn.Module:
    with torch.no_grad():
        out = getattr(module, method)()
    return (out if isinstance(out, nn.Module) else module).eval()


def find_branches(flow: Flow) -> Found:
    """The outermost modules that offer to merge themselves, each tried on a copy of its own.

    Passed over: our blocks, and modules that are only a layer with its norm, both of which are
    left to the folding that the trace shows; and modules that are already merged.
    """
    steps: list[Merge] = []
    refused: list[RefusedPart] = []
    inside: set[int] = set()
    for path, module in flow.modules.items():
        method = _method(module)
        if id(module) in inside or method is None or _plain(flow, module):
            continue
        inside.update(map(id, module.modules()))
        reason = _obstacle(module, method)
        if reason is None:
            steps.append(Merge(path, method))
        elif reason:
            refused.append(RefusedPart("reparameterized", path, reason))
    return Found(tuple(steps), tuple(refused))


def _method(module: nn.Module) -> str | None:
    for name in _METHODS:
        offered = getattr(type(module), name, None)
        if not inspect.isfunction(offered):
            continue
        if isinstance(module, Block) and offered.__module__.startswith("blocktool."):
            continue
        parameters = list(inspect.signature(offered).parameters.values())[1:]
        if all(p.default is not p.empty or p.kind in _VARIADIC for p in parameters):
            return name
    return None


def _plain(flow: Flow, module: nn.Module) -> bool:
    """Whether a module runs one product and one norm, and nothing else."""
    call = flow.only_call(module)
    if call is None:
        return False
    ran = [op for op in flow.ops[call.first_op : call.last_op] if op.inputs]
    return [op.kind for op in ran] == ["contraction", "normalization"]


def _obstacle(module: nn.Module, method: str) -> str | None:
    """None where merging works; the reason where it does not; "" where nothing would change."""
    if any(has_hooks(inner) for inner in module.modules()):
        return "a module inside has hooks"
    trial = copy.deepcopy(module)
    before = _shapes(trial)
    try:
        merged = _merged(trial, method)
    except Exception as error:
        return f"its {method}() failed: {one_line(error)}"
    return None if _shapes(merged) != before else ""


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}
