"""Cases by hand: what the picture of each must show, edge by edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from flow_models import conv
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from blocktool.analysis.flow import flow
from blocktool.analysis.flow_words import essential, operation_name
from blocktool.results.diagram import Diagram
from blocktool.trace.derive import Question, derive
from blocktool.trace.tracer import trace

Forward = Callable[[Any, Tensor], Any]


class Net(nn.Module):
    """Three convolutions of four channels, a parameter, and a forward of the test's."""

    def __init__(self, forward: Forward, **modules: nn.Module) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(), conv(), conv()
        self.p = nn.Parameter(torch.zeros(1, 4, 1, 1))
        self.kept: dict[str, Tensor] = {}
        for name, module in modules.items():
            self.add_module(name, module)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)


def drawn(forward: Forward, **settings: Any) -> Diagram:
    modules = {k: v for k, v in settings.items() if isinstance(v, nn.Module)}
    rest = {k: v for k, v in settings.items() if k not in modules}
    return flow(trace(Net(forward, **modules), (2, 4, 8, 8), **rest), 9)


def edges(diagram: Diagram) -> str:
    """``"input-a a-add"``: edges by the names of their ends, in order."""
    by_id = {node.id: node.name or node.type.replace(" · ", "+") for node in diagram.nodes}
    return " ".join(f"{by_id[e.source]}-{by_id[e.target]}" for e in diagram.edges)


def into_parts(net: Net, x: Tensor) -> Tensor:
    y = torch.zeros(2, 8, 8, 8)
    y[:, :4] = net.a(x)
    y[:, 4:] = net.b(x)
    return y.sigmoid()


def through_a_view(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    y[:, 0].mul_(2)
    return net.b(y)


def overwritten(net: Net, x: Tensor) -> Tensor:
    y = net.a(x).clone()
    y.copy_(y + net.b(x))
    return net.c(y)


def kept_aside(net: Net, x: Tensor) -> Tensor:
    net.keep(net.a(x))
    return net.take(net.b(x))


class Keep(nn.Module):
    kept: Tensor

    def forward(self, x: Tensor) -> None:
        Keep.kept = x * 2


class Take(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + Keep.kept


class Gives(nn.Module):
    """A dict with what it was given."""

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"same": x, "more": [x * 2, {"deep": x.mean((2, 3))}]}


def from_dict(net: Net, x: Tensor) -> Any:
    given = net.gives(net.a(x))
    return net.b(given["more"][0]), given["more"][1]["deep"], net.c(given["same"])


def filled(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    total = y.new_zeros(2, 4, 8, 8)
    total += net.b(x)
    return total


def into_an_operand(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    torch.mul(net.b(x), 2, out=y)
    return net.c(y)


def into_half_an_operand(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    torch.mul(net.b(x)[:, :2], 2, out=y[:, :2])
    return net.c(y)


@pytest.mark.parametrize(
    ("forward", "modules", "expected"),
    [
        (
            lambda net, x: torch.zeros_like(x) + net.a(net.b(x)),
            {},
            "input-b b-a a-add add-output",
        ),
        (filled, {}, "input-b b-add add-output"),
        (
            lambda net, x: net.b(x) * torch.ones_like(net.a(x)).tril(),
            {},
            "input-b b-mul mul-output",
        ),
        (
            lambda net, x: net.a(x) + torch.rand_like(x),
            {},
            "input-a a-add rand like-add add-output",
        ),
        (into_an_operand, {}, "input-b b-mul mul-c c-output"),
        (into_half_an_operand, {}, "input-a input-b a-mul b-mul mul-c c-output"),
        (lambda net, x: net.a(x) + x, {}, "input-a input-add a-add add-output"),
        (lambda net, x: net.a(x.detach()).detach(), {}, "input-a a-output"),
        (lambda net, x: x, {}, "input-output"),
        (into_parts, {}, "input-a input-b a-assign+sigmoid b-assign+sigmoid assign+sigmoid-output"),
        (through_a_view, {}, "input-a a-mul mul-b b-output"),
        (overwritten, {}, "input-a input-b a-add b-add add-c c-output"),
        (
            kept_aside,
            {"keep": Keep(), "take": Take()},
            "input-a input-b a-keep b-take keep-take take-output",
        ),
        (
            from_dict,
            {"gives": Gives()},
            "input-a a-gives gives-b gives-output gives-c b-output c-output",
        ),
        (lambda net, x: net.a(x) + torch.randn(8), {}, "input-a a-add randn-add add-output"),
        (
            lambda net, x: net.a(x) + torch.arange(8) * 2.0 + net.p.exp(),
            {},
            "input-a a-add+add add+add-output",
        ),
        (
            lambda net, x: F.softmax(net.a(x) @ net.b(x), -1) @ net.c(x),
            {},
            "input-a input-b input-c a-matmul+softmax b-matmul+softmax c-matmul "
            "matmul+softmax-matmul matmul-output",
        ),
        (lambda net, x: net.a(x).max(1), {}, "input-a a-max max-output max-output"),
        (
            lambda net, x: (net.rec(x.mean(3))[1], net.a(x)),
            {"rec": nn.GRU(8, 3, batch_first=True)},
            "input-mean input-a mean-rec rec-output a-output",
        ),
    ],
)
def test_edges(forward: Forward, modules: dict[str, nn.Module], expected: str) -> None:
    assert sorted(edges(drawn(forward, **modules)).split()) == sorted(expected.split())


def test_what_nobody_reads_is_not_drawn_but_told() -> None:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.b(x).relu()
        return net.a(x)

    diagram = drawn(forward)
    assert edges(diagram) == "input-a a-output"
    assert diagram.notes == (
        "not drawn: 1 module whose result nobody reads: b",
        "not drawn: 1 module that is never called: c",
    )


def test_of_a_module_that_is_drawn_a_call_is_left_out() -> None:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.a(net.c(net.b(x)))
        net.a(x)
        return net.a(net.c(x))

    assert drawn(forward).notes == (
        "not drawn: 1 module whose result nobody reads: b",
        "not drawn: 3 calls of c, a, whose results nobody reads",
    )

    def once(net: Net, x: Tensor) -> Tensor:
        net.a(x)
        return net.c(net.b(net.a(x)))

    assert drawn(once).notes == ("not drawn: 1 call of a, whose result nobody reads",)


def test_what_is_registered_twice_is_called_if_one_is() -> None:
    net = Net(lambda net, x: net.c(net.b(net.a(x))))
    net.again = nn.Sequential(net.a)
    run = trace(net, (2, 4, 8, 8))
    assert flow(run, 9).notes == ("not drawn: 1 module that is never called: again",)
    net.again = net.a
    run = trace(net, (2, 4, 8, 8))
    assert flow(run, 9, same={"again": "a"}).notes == ()


def test_several_inputs_have_names() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
            return x * y + z

    run = trace(Both(), {"x": (2, 3), "y": (2, 3), "z": (2, 3)})
    assert [node.name for node in flow(run).nodes[:3]] == ["x", "y", "z"]
    run = trace(Both(), [(2, 3)] * 3)
    assert [node.name for node in flow(run).nodes[:3]] == ["input 1", "input 2", "input 3"]
    named = flow(run, names=("left", "right", "top"))
    assert [node.name for node in named.nodes[:3]] == ["left", "right", "top"]
    # Names that are not those of these inputs help nobody.
    assert flow(run, names=("left",)).nodes[0].name == "input 1"


def test_an_operation_tells_parameters_from_buffers() -> None:
    def details(forward: Forward) -> list[str]:
        net = Net(forward)
        net.register_buffer("kept_apart", torch.ones(1, 4, 1, 1))
        nodes = flow(trace(net, (2, 4, 8, 8))).nodes
        return [node.detail for node in nodes if node.kind == "operation"]

    assert details(lambda net, x: x * net.kept_apart) == ["with a buffer"]
    assert details(lambda net, x: x * net.p) == ["with a parameter"]
    both = details(lambda net, x: x * net.p + net.kept_apart)
    assert both == ["with a parameter and a buffer"]


def test_a_result_without_tensors_leaves_everything_drawn() -> None:
    assert edges(drawn(lambda net, x: [net.a(x).shape])) == "input-a"


def test_skips_are_edges_beside_a_longer_way() -> None:
    diagram = drawn(lambda net, x: net.c(net.b(net.a(x)) + x) + x)
    by_id = {node.id: node.name or node.type for node in diagram.nodes}
    skips = [(by_id[e.source], by_id[e.target]) for e in diagram.edges if e.skip]
    assert skips == [("input", "add"), ("input", "add")]
    # Two branches of equal rank are none.
    assert not any(e.skip for e in drawn(lambda net, x: net.a(x) * net.b(x)).edges)


def test_edges_tell_shapes_that_the_nodes_do_not() -> None:
    def forward(net: Net, x: Tensor) -> Tensor:
        left, right = net.a(x).chunk(2, 1)
        return torch.cat([left, right, net.b(x)], 1).flatten(1)

    shapes = {e.source + e.target: e.shapes for e in drawn(forward).edges}
    assert sorted(shapes.values()) == [(), (), (), ((2, 2, 8, 8),), ((2, 512),)]


def test_only_the_forward_is_drawn() -> None:
    def forward(net: Net, x: Tensor) -> Tensor:
        return net.b(checkpoint(net.a, x, use_reentrant=False))

    assert edges(drawn(forward, mode="training")) == "input-a a-b b-output"


def test_a_module_that_is_called_again_is_another_node() -> None:
    diagram = drawn(lambda net, x: net.a(net.a(x)))
    assert [(n.path, n.use, n.uses) for n in diagram.nodes[1:3]] == [("a", 1, 2), ("a", 2, 2)]
    assert diagram.nodes[1].cost.params * 1 == diagram.nodes[2].cost.params == 148


def blocks(number: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Sequential(conv(), nn.ReLU()) for _ in range(number)))


def test_blocks_whose_results_are_read_elsewhere_are_not_folded() -> None:
    def pyramid(net: Net, x: Tensor) -> list[Tensor]:
        found = []
        for block in net.blocks:
            x = block(x)
            found.append(x)
        return found

    assert [g.count for g in drawn(pyramid, blocks=blocks(3)).groups] == [1, 1, 1]
    assert [g.count for g in drawn(lambda net, x: net.blocks(x), blocks=blocks(3)).groups] == [3]


def test_blocks_that_read_something_in_common_are_folded() -> None:
    class Add(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    def forward(net: Net, x: Tensor) -> Tensor:
        y = net.a(x)
        for block in net.blocks:
            x = block(x, y)
        return net.b(x)

    diagram = drawn(forward, blocks=nn.ModuleList(Add() for _ in range(4)))
    assert edges(diagram) == "input-a input-blocks.0-3 a-blocks.0-3 blocks.0-3-b b-output"
    assert diagram.nodes[2].count == 4


def test_names_that_are_no_numbers_are_roles() -> None:
    diagram = drawn(lambda net, x: net.c(net.b(net.a(x))))
    assert [n.count for n in diagram.nodes] == [1] * 5


def test_a_module_around_one_other_is_that_one() -> None:
    diagram = drawn(lambda net, x: net.wrap(x), wrap=nn.Sequential(nn.Sequential(conv())))
    assert (diagram.nodes[1].name, diagram.nodes[1].type, diagram.groups) == (
        "wrap.0.0",
        "Conv2d",
        (),
    )


def test_symbols() -> None:
    net = Net(lambda net, x: net.pool(net.a(x)).flatten(2), pool=nn.MaxPool2d(2))
    from blocktool.targets.symbolic_inputs import parse_symbolic_inputs

    inputs = parse_symbolic_inputs(["Bx4xHx16"])
    hints = {"B": 2, "H": 8}
    derived = derive(Question(net, inputs, hints, "forward", None, "net"), compare=0)
    diagram = flow(derived.trace, sizes=hints)
    assert [node.shapes for node in diagram.nodes] == [
        (("B", 4, "H", 16),),
        (("B", 4, "H", 16),),
        (("B", 4, "H//2", 8),),
        (("B", 4, "8*(H//2)"),),
    ]
    assert diagram.total.macs == 2 * 8 * 16 * 4 * 4 * 9
    assert edges(diagram) == "input-a a-pool pool-output"


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ("3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False", "7×7, stride 2"),
        ("32, 32, kernel_size=(3, 1), stride=(2, 1), groups=32", "3×1, stride 2×1, groups 32"),
        ("kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False", "3×3, stride 2"),
        ("kernel_size=(16, 16), stride=(16, 16)", "16×16"),
        ("in_features=8, out_features=4, bias=True", "8 → 4"),
        ("output_size=(7, 7)", "to 7"),
        ("64, num_heads=8, head_dim=8", "heads 8"),
        ("64, eps=1e-05, momentum=0.1", ""),
        ("", ""),
    ],
)
def test_essential(detail: str, shown: str) -> None:
    assert essential(detail) == shown


@pytest.mark.parametrize(
    ("op", "name"),
    [
        ("aten.add_", "add"),
        ("aten._softmax", "softmax"),
        ("aten._scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("aten.max_pool2d_with_indices", "max pool"),
        ("aten._adaptive_avg_pool2d", "adaptive avg pool"),
        ("aten.upsample_bilinear2d", "upsample bilinear"),
        ("aten.native_layer_norm", "layer norm"),
        ("aten.addmm", "linear"),
        ("mine.warp", "warp"),
    ],
)
def test_operation_names(op: str, name: str) -> None:
    assert operation_name(op) == name
