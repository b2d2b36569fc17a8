from __future__ import annotations

import torch
from torch import Tensor, nn

from blocktool.trace.identities import identities_told_apart


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
