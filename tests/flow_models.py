"""Models whose data flow has a corner each; torch.fx can trace all of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(i: int = 4, o: int = 4) -> nn.Conv2d:
    return nn.Conv2d(i, o, 3, padding=1)


class UNet(nn.Module):
    """Skips that cross, a pooling that is used three times, two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.downs = nn.ModuleList([conv(3, 4), conv(4, 8), conv(8, 16)])
        self.pool = nn.MaxPool2d(2)
        self.ups = nn.ModuleList([nn.ConvTranspose2d(16, 16, 2, 2), nn.ConvTranspose2d(8, 8, 2, 2)])
        self.decoders = nn.ModuleList([nn.Sequential(conv(32, 8), nn.ReLU(True)), conv(16, 4)])
        self.mask, self.edges = conv(4, 1), conv(4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        skips = []
        for down in self.downs:
            x = self.pool(down(x))
            skips.append(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=False):
            y = up(skip if up is self.ups[0] else x)
            x = decoder(torch.cat([y, F.interpolate(skip, y.shape[-2:])], 1))
        return {"mask": self.mask(x), "edges": torch.sigmoid(self.edges(x))}


class InplaceBeforeSkip(nn.Module):
    """The skip begins behind the ReLU, which changes what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.relu, self.b = conv(), nn.ReLU(inplace=True), conv()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.a(x))
        return self.b(y) + y


class InplaceAdd(nn.Module):
    """What is added to keeps its place, and is another tensor from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(), conv(), conv()

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y += self.b(x)
        return self.c(y)


class Shuffle(nn.Module):
    """Halves of a tensor go different ways, and channels are shuffled by views."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(), conv(2, 2), conv()

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.a(x).chunk(2, 1)
        y = torch.cat([left, self.b(right)], 1)
        y = y.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2)
        return self.c(y)


class Twice(nn.Module):
    """One module, called twice, around another."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(), conv()

    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.b(self.a(x)))


class Branches(nn.Module):
    """A tuple in which a tensor inside stands again."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(), conv(), conv()

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        y = self.a(x)
        return y, [self.b(y), self.c(y.detach())]


class Functional(nn.Module):
    """A residual of the root itself, with functions around it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.fc = conv(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(F.layer_norm(self.a(x), (8, 8)) + x)
        return self.fc(F.adaptive_avg_pool2d(y, 1).flatten(1)).softmax(-1)


class Nothing(nn.Module):
    """Modules that give back what they are given, one after the other and inside others."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(), conv()
        self.drop, self.same = nn.Dropout(0.5), nn.Sequential(nn.Identity(), nn.Dropout2d())

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.same(self.drop(self.a(x)))) + x


class IdentityShortcut(nn.Module):
    """The way that does nothing is called first, and is read last."""

    def __init__(self) -> None:
        super().__init__()
        self.shortcut, self.a, self.b = nn.Identity(), conv(), conv()

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        shortcut = self.shortcut(x)
        return self.b(x) + shortcut


class PartsAlike(nn.Module):
    """Parts of one tensor, of equal shapes, through modules that do nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.q_norm, self.k_norm = conv(4, 12), nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, 1)
        return F.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v)


class Views(nn.Module):
    """Tokens of a map, normed, and the map again; the skip has another shape."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.flat = conv(), nn.LayerNorm(4), nn.Flatten(2)
        self.fc, self.back = nn.Linear(4, 4), nn.Unflatten(2, (8, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        tokens = self.norm(self.flat(y).transpose(1, 2))
        return self.back(self.fc(tokens).transpose(1, 2).contiguous()) + y


class Written(nn.Module):
    """Two results written into parts of a third tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(4, 2), conv(4, 2), conv()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([torch.zeros_like(x[:, :1]), self.a(x)], 1)
        return self.c(torch.cat([y[:, 1:], self.b(x)], 1))


class Templates(nn.Module):
    """Tensors made after another's shape, which is all that is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(), conv(), conv()

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        z = torch.zeros_like(x) + self.b(y.new_zeros(2, 4, 8, 8) + x)
        return self.c(z * torch.ones_like(y).tril()) + y


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "unet": (UNet, (1, 3, 32, 32)),
    **{
        each.__name__.lower(): (each, (2, 4, 8, 8))
        for each in (
            *(InplaceBeforeSkip, InplaceAdd, Shuffle, Twice, Branches, Functional, Nothing),
            *(IdentityShortcut, PartsAlike, Views, Written, Templates),
        )
    },
}
