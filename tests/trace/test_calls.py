"""Which name a call of a module gets that has several."""

from __future__ import annotations

import pytest
from torch import nn

import blocktool
from blocktool.trace.calls import _nearest


@pytest.mark.parametrize("names", ["abcdefgh", "hgfedcba"])
def test_of_equal_names_the_first_is_taken(names: str):
    """Not one that a hash chooses, or two runs of one model would differ."""
    paths = {f"block.{name}": None for name in names}
    assert _nearest(paths, "block") == f"block.{names[0]}"


def test_a_module_that_is_registered_twice_goes_by_its_first_name():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = self.first

        def forward(self, x):
            return self.second(x)

    summary = blocktool.summarize(nn.Sequential(Twice()), (2, 4))
    assert {row.path: row.calls for row in summary.modules}["0.first"] == 1
