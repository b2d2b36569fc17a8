"""Every block under torch.compile: whole, for all sizes, equal to eager."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from block_variants import Variant, plain_variants, some_variants
from torch import Tensor, nn

from blocktool.blocks import PositionEmbedding, ResidualBlock, ShapeError

SIZES = [(2, (9, 10), (5, 4)), (3, (7, 11), (6, 3)), (5, (13, 14), (4, 4))]
"""Batch, height and width, and those of the context; windows of 4 are filled up in all."""


class Compiled:
    """A compiled module, and how many graphs that took."""

    def __init__(self, module: nn.Module, backend: str, **options: Any) -> None:
        self.graphs = 0
        self._backend: Callable[..., Any] = torch._dynamo.lookup_backend(backend)
        self.call = torch.compile(module, backend=self._count, **options)

    def _count(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        self.graphs += 1
        return self._backend(graph, inputs)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def _step(call: Any, module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The output and all gradients, with the same randomness each time."""
    torch.manual_seed(0)
    module.zero_grad()
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = call(*leaves)
    (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in module.named_parameters()}
    found |= {f"input {place}": leaf.grad for place, leaf in enumerate(leaves)}
    return {"output": out.detach(), **found}


def _assert_same(mine: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert mine.keys() == wanted.keys()
    for name, value in wanted.items():
        error = (mine[name] - value).abs().max()
        assert error <= 1e-5 * max(value.abs().max().item(), 1.0), f"{name}: {error:g} off"


@plain_variants(
    "conv/same", "self-attention/window", "feed-forward/conv", "transformer/map", "residual/options"
)
def test_one_graph_for_all_sizes(variant: Variant) -> None:
    block = variant.block().eval()
    compiled = Compiled(block, "eager", fullgraph=True, dynamic=True)
    for batch, size, context_size in SIZES:
        inputs = variant.inputs(batch, size, context_size)
        torch.testing.assert_close(compiled.call(*inputs), block(*inputs), rtol=1e-5, atol=1e-5)
    learned = isinstance(
        block, PositionEmbedding
    )  # positions of the learned size are not resampled
    assert compiled.graphs == (2 if learned else 1)


@some_variants(
    "grouped-conv/shuffle",
    "multi-head-attention/heads",
    "self-attention/window",
    "feed-forward/swiglu",
    "residual/options",
    "preact-bottleneck",
)
def test_training_for_all_sizes(variant: Variant) -> None:
    block, twin = variant.block(), variant.block()
    compiled = Compiled(block, "aot_eager", fullgraph=True, dynamic=True)
    first = 0
    for batch, size, context_size in SIZES[:2]:
        inputs = variant.inputs(batch, size, context_size)
        _assert_same(_step(compiled.call, block, inputs), _step(twin, twin, inputs))
        first = first or compiled.graphs
    for (name, mine), wanted in zip(block.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(mine, wanted, msg=name)
    assert compiled.graphs == first  # autograd's own tracing may ask for the first graph twice


@plain_variants()
def test_training_at_one_size(variant: Variant) -> None:
    block, twin = variant.block(), variant.block()
    compiled = Compiled(block, "eager", fullgraph=True, dynamic=False)
    for _ in range(2):
        inputs = variant.inputs()
        _assert_same(_step(compiled.call, block, inputs), _step(twin, twin, inputs))
    assert compiled.graphs == 1


@some_variants("self-attention/window")
def test_windows_that_need_no_filling_are_a_graph_of_their_own(variant: Variant) -> None:
    """Without a mask, which is faster; there are no more than these two."""
    block = variant.block().eval()
    compiled = Compiled(block, "eager", fullgraph=True, dynamic=True)
    for batch, size in [(2, (9, 10)), (3, (12, 24)), (4, (13, 7)), (2, (24, 36))]:
        inputs = variant.inputs(batch, size)
        torch.testing.assert_close(compiled.call(*inputs), block(*inputs), rtol=1e-5, atol=1e-5)
    assert compiled.graphs == 2


@some_variants("grouped-conv", "cross-attention", "transformer", "bottleneck", "se")
def test_a_wrong_width_is_a_shape_error(variant: Variant) -> None:
    block = variant.block().eval()
    x, *rest = variant.inputs()
    wrong = x[:, :8] if x.ndim == 4 else x[..., :8]
    with pytest.raises(ShapeError) as wanted:
        block(wrong, *rest)
    compiled = Compiled(block, "eager")
    for _ in range(2):
        with pytest.raises(ShapeError) as caught:
            compiled.call(wrong, *rest)
        assert str(caught.value) == str(wanted.value)
        torch.testing.assert_close(compiled.call(x, *rest), block(x, *rest), rtol=1e-5, atol=1e-5)


def test_fullgraph_refuses_a_wrong_width_too() -> None:
    """There torch wraps whatever is raised, and says where."""
    compiled = Compiled(ResidualBlock(16), "eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="raise map_error"):
        compiled.call(torch.zeros(1, 8, 9, 9))


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler, g++")
@some_variants("residual", "transformer")
# Of torch's own code, not of what is compiled.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inductor(variant: Variant) -> None:
    block = variant.block().eval()
    call = torch.compile(block, fullgraph=True)
    inputs = variant.inputs()
    with torch.no_grad():
        torch.testing.assert_close(call(*inputs), block(*inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@plain_variants()
def test_inductor_on_the_gpu(variant: Variant) -> None:
    block = variant.block(device="cuda").eval()
    call = torch.compile(block, fullgraph=True, dynamic=True)
    for batch, size, context_size in SIZES:
        inputs = variant.inputs(batch, size, context_size, device="cuda")
        with torch.no_grad():
            torch.testing.assert_close(call(*inputs), block(*inputs), rtol=1e-3, atol=1e-3)
