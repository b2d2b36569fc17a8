"""Compiled modules: mostly with torch's backend "eager", which is quick; inductor once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from blocktool.measure.changed import Unavailable
from blocktool.measure.compiling import CannotCompile, compiled
from blocktool.measure.steps import scope, step_for
from blocktool.measure.variants import changed
from blocktool.optimize.quantize_static import ExportedModule
from blocktool.results.profile import RunMode
from blocktool.trace.inputs import CallArguments

CPU = torch.device("cpu")

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler"
)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    import torch._inductor.config as inductor

    torch.manual_seed(0)
    before = inductor.compile_threads
    yield
    inductor.compile_threads = before
    torch.compiler.reset()


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[dict[str, Any]]]:
    """Replaces the backend of torch.compile, and returns the options of each call."""

    def use(function: Any) -> list[dict[str, Any]]:
        real, seen = torch.compile, []

        def compile_it(module: nn.Module, **options: Any) -> Any:
            seen.append(options)
            return real(module, backend=function, dynamic=options["dynamic"])

        monkeypatch.setattr(torch, "compile", compile_it)
        return seen

    return use


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU())


def of(*args: Any) -> CallArguments:
    return CallArguments(args, {})


@pytest.mark.parametrize(
    ("mode", "autocast"), [("inference", torch.bfloat16), ("forward", None), ("training", None)]
)
def test_nothing_is_left_to_compile(
    mode: RunMode, autocast: torch.dtype | None, backend: Callable[[Any], list[Any]]
) -> None:
    seen = backend("aot_eager")
    module, arguments = small().train(mode != "inference"), of(torch.randn(4, 6))
    result, note = compiled(module, arguments, mode, CPU, autocast=autocast, how="max-autotune")
    assert seen == [{"mode": "max-autotune", "dynamic": False}]
    assert note.endswith(" s: 1 graph")
    assert all(parameter.grad is None for parameter in module.parameters())
    known = graphs()
    step = step_for(result, arguments, mode, CPU, autocast=autocast)
    with scope(mode):
        for _ in range(3):
            step.run()
    assert graphs() == known
    with torch.no_grad():  # what else would be compiled is counted
        result(torch.randn(5, 6))
    assert graphs() == known + 1


class Broken(nn.Module):
    """A forward that cannot be one graph."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + 1
        torch._dynamo.graph_break()
        return x * 2


def test_breaks_are_told(backend: Callable[[Any], list[Any]]) -> None:
    backend("eager")
    _, note = compiled(Broken(), of(torch.ones(2)), "inference", CPU, autocast=None, how=None)
    assert note.endswith(": 2 graphs, which the forward breaks into")


def test_many_variants_of_one_class(backend: Callable[[Any], list[Any]]) -> None:
    """torch compiles one forward for so many modules, and runs further ones as they are."""
    import torch._dynamo.config as dynamo

    backend("eager")
    for size in range(1, dynamo.recompile_limit + 3):
        _, note = compiled(
            nn.Linear(size, 1), of(torch.ones(2, size)), "inference", CPU, autocast=None, how=None
        )
        assert note.endswith("1 graph")


def test_what_torch_did_not_compile(backend: Callable[[Any], list[Any]]) -> None:
    backend("eager")
    with (
        torch.compiler.set_stance("force_eager"),
        pytest.raises(CannotCompile, match=r"torch\.compile ran Sequential as it was"),
    ):
        compiled(small().eval(), of(torch.ones(2, 6)), "inference", CPU, autocast=None, how=None)


def test_a_compiler_that_fails(backend: Callable[[Any], list[Any]]) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise NotImplementedError("no such kernel\nand more")

    backend(fails)
    with pytest.raises(Unavailable) as found:
        changed("compile", small().eval(), of(torch.ones(2, 6)), "inference")
    assert found.value.reason.startswith("Sequential cannot be compiled: ")
    assert found.value.reason.endswith("NotImplementedError: no such kernel")
    assert "\n" not in found.value.reason


def test_want_of_memory_is_no_fault_of_the_compiler(backend: Callable[[Any], list[Any]]) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise MemoryError("too large")

    backend(fails)
    with pytest.raises(MemoryError, match="too large"):
        changed("compile", small().eval(), of(torch.ones(2, 6)), "inference")


@pytest.mark.parametrize("exported", [True, False])
def test_settings_while_it_compiles(exported: bool, backend: Callable[[Any], list[Any]]) -> None:
    import torch._inductor.config as inductor

    seen = []

    def notes(graph: Any, inputs: Any) -> Any:
        seen.append((inductor.freezing, inductor.compile_threads))
        return graph

    backend(notes)
    before = inductor.freezing
    module: nn.Module = nn.Linear(3, 3).eval()
    if exported:
        module = ExportedModule(torch.export.export(module, (torch.ones(2, 3),)).module())
    compiled(module, of(torch.ones(2, 3)), "inference", CPU, autocast=None, how=None)
    assert seen == [(exported, 1)]
    assert inductor.freezing is before


def test_there_is_no_compiler() -> None:
    import torch._inductor.config as inductor

    with (
        inductor.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True}),
        pytest.raises(Unavailable, match=r"needs a C\+\+ compiler, and none was found"),
    ):
        changed("compile", nn.Tanh().eval(), of(torch.ones(8, 61)), "inference")


@needs_compiler
def test_inductor() -> None:
    module, x = nn.Sequential(nn.Linear(8, 8), nn.Tanh()).eval(), torch.randn(4, 8)
    with torch.no_grad():
        expected = module(x)
    before = psutil.Process().children()
    found = changed("compile", module, of(x), "inference")
    with torch.inference_mode():
        assert torch.allclose(found.module(x), expected, atol=1e-6)
    assert not found.traceable
    assert found.notes[-1].startswith("torch.compile took ")
    assert psutil.Process().children() == before
    for inner in found.module.modules():
        assert not inner._forward_hooks
        assert not inner._forward_pre_hooks


@pytest.mark.gpu
def test_cuda_graphs() -> None:
    module, x = small().eval().cuda(), torch.randn(4, 6, device="cuda")
    with torch.no_grad():
        expected = module(x)
    found = changed("compile-reduce-overhead", module, of(x), "inference")
    with torch.inference_mode():
        assert torch.allclose(found.module(x), expected, atol=1e-5)
