from __future__ import annotations

from collections.abc import Callable

import pytest

from blocktool.render.json import read, to_json
from blocktool.render.listing_table import render
from blocktool.render.view import View
from blocktool.results.listing import ListedBlock, ListedConfig, ListedOption, Listing

_BLOCK = ListedBlock(
    "residual",
    "basic block of ResNet",
    "blocktool.blocks.residual:ResidualBlock",
    "1x{in_channels}x56x56",
    (
        ListedOption("in_channels", "an integer", True),
        ListedOption("stride", "an integer", False, 1),
        ListedOption("attn", "'se' or null", False, None),
        ListedOption("zero_init_last", "true or false", False, True),
    ),
)
_OTHER = ListedBlock("foreign", "from elsewhere", "elsewhere:Block", None, ())
_CONFIG = ListedConfig("examples/resnet50.yaml", "ResNet-50, as in the paper. " * 4)


@pytest.mark.parametrize("width", [60, 120])
def test_all(width: int, snapshot: Callable[[str, str], None]):
    text = render(Listing((_BLOCK, _OTHER), (_CONFIG,)), View(width=width))
    snapshot(f"list-{width}.txt", text)
    assert max(map(len, text.splitlines())) <= width


def test_one(snapshot: Callable[[str, str], None]):
    snapshot("list-one.txt", render(Listing((_BLOCK,), ()), View(width=80)))


def test_json():
    listing = Listing((_BLOCK, _OTHER), (_CONFIG,))
    assert read(to_json(listing), Listing) == listing
