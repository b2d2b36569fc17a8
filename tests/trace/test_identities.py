from __future__ import annotations

import torch
from torch import Tensor, nn

from blocktool.results.specs import TensorSpec
from blocktool.targets.target import Target
from blocktool.trace.identities import identities_told_apart, told_apart
from blocktool.trace.target import trace_target


class Net(nn.Module):
    """Gives what it was given, inside a structure, beside what it was not."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Sequential(nn.Dropout(0.5), nn.Identity())
        self.seen: list[bool] = []

    def forward(self, x: Tensor, *, y: Tensor) -> dict[str, list[Tensor]]:
        kept = self.same(x)
        self.seen.append(kept is x)
        return {"given": [x, y], "made": [x + y]}


def test_results_are_equal_but_other_tensors() -> None:
    net = Net().eval()
    x, y = torch.rand(2, 3, requires_grad=True), torch.rand(2, 3)
    with identities_told_apart(net):
        out = net(x, y=y)
    assert net.seen == [False]
    assert out["given"][0] is not x
    assert out["given"][0].data_ptr() != x.data_ptr()
    torch.testing.assert_close(out, {"given": [x, y], "made": [x + y]})
    out["given"][0].sum().backward()
    torch.testing.assert_close(x.grad, torch.ones(2, 3))


def test_nothing_is_left_behind_also_after_an_error() -> None:
    net = Net().eval()
    try:
        with identities_told_apart(net):
            net(torch.rand(2), y=torch.rand(3))
    except RuntimeError:
        pass
    assert not any(module._forward_hooks for module in net.modules())
    assert not any(module._forward_hooks_with_kwargs for module in net.modules())
    x = torch.rand(2)
    assert net(x, y=x)["given"][0] is x


def test_an_instance_as_a_target_keeps_no_hooks() -> None:
    net = nn.Sequential(nn.Identity(), nn.Linear(3, 3))
    target = Target("net", "python", lambda: net, shared=True)
    with told_apart(target) as (hooked, _):
        ops = [op.op for op in trace_target(hooked, (TensorSpec((2, 3)),)).ops]
    assert "aten.alias_copy" in ops
    assert not any(module._forward_hooks for module in net.modules())


class Tree(nn.Module):
    """A module of three names, and inputs by position, in a list and by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Linear(3, 3))
        self.part = nn.ModuleDict({"one": self.a, "two": self.a})

    def forward(self, x: Tensor, pair: list[Tensor], *rest: Tensor, y: Tensor) -> Tensor:
        return self.a(x) + pair[0] + rest[1] + y


def test_names_of_inputs_and_of_modules() -> None:
    tree = Tree()
    x = torch.rand(2, 3)
    with identities_told_apart(tree) as noted:
        tree(x, [x, x], x, x, y=x)
    assert noted.input_names() == ("x", "pair.0", "pair.1", "rest.0", "rest.1")
    assert noted.input_names("part.two") == ("input",)
    assert noted.input_names("part") == ()
    assert noted.same == {
        "part.one": "a", "part.one.0": "a.0", "part.two": "a", "part.two.0": "a.0",
    }  # fmt: skip
    # As the part sees it, which knows nothing of "a".
    assert noted.same_below("part") == {
        "one": "one", "one.0": "one.0", "two": "one", "two.0": "one.0",
    }  # fmt: skip
