"""What modules say of themselves, against what torch prints for them."""

from __future__ import annotations

import pytest
from torch import nn

import blocktool
from blocktool.analysis.configured import differences, settings


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        (nn.Conv2d(4, 8, 3), {"in_channels": "4", "out_channels": "8", "kernel_size": "(3, 3)"}),
        (nn.ConvTranspose2d(4, 8, 3), {"in_channels": "4", "out_channels": "8"}),
        (nn.BatchNorm2d(8), {"num_features": "8", "eps": "1e-05"}),
        (nn.GroupNorm(2, 8), {"num_groups": "2", "num_channels": "8"}),
        (nn.LayerNorm(8), {"normalized_shape": "8"}),
        (nn.LayerNorm((8, 4)), {"normalized_shape": "(8, 4)"}),
        (nn.Embedding(10, 8), {"num_embeddings": "10", "embedding_dim": "8"}),
        (nn.LSTM(8, 16), {"input_size": "8", "hidden_size": "16"}),
        (nn.Linear(4, 8), {"in_features": "4", "out_features": "8", "bias": "True"}),
        (nn.Dropout(0.123456), {"p": "0.1235"}),
        (nn.Unflatten(1, (2, 3)), {"unflattened_size": "(2, 3)"}),
        (nn.Identity(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_have_the_names_of_the_constructor(module: nn.Module, wanted: dict[str, str]):
    found = settings(type(module).__name__, module.extra_repr())
    assert {name: found.get(name) for name in wanted} == wanted
    assert wanted or found == {}


def told(old: nn.Module, new: nn.Module, *shape: int) -> list[str]:
    rows = [blocktool.summarize(each, shape).modules[0] for each in (old, new)]
    return [str(each) for each in differences(*rows)]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3, groups=4), ["groups 1 -> 4"]),
        (nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3, bias=False), ["bias True -> False"]),
        (nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3, padding=1), ["padding 0 -> (1, 1)"]),
        (nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3, dilation=2), ["dilation 1 -> (2, 2)"]),
        (nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3), []),
    ],
)
def test_what_torch_does_not_print_is_known(old: nn.Module, new: nn.Module, wanted: list[str]):
    assert told(old, new, 1, 4, 9, 9) == wanted


class Silent(nn.Module):
    """Says nothing of itself."""

    def __init__(self, heads: int, scale: float = 0.125, **more: object) -> None:
        super().__init__()
        self.heads, self.scale, self._hidden = heads, scale, object()
        self.infinite, self.long, self.several = float("inf"), "x" * 1000, [1, 2]
        for name, value in more.items():
            setattr(self, name, value)

    def forward(self, x):
        return x + 1


def test_a_module_that_says_nothing_is_asked_for_its_values():
    assert told(Silent(4), Silent(8, 0.25), 2, 3) == ["heads 4 -> 8", "scale 0.125 -> 0.25"]
    assert told(Silent(4), Silent(4, kind="a"), 2, 3) == ["kind default -> a"]
    row = blocktool.summarize(Silent(4), (2, 3)).modules[0]
    assert row.attributes == {"heads": 4, "scale": 0.125}
