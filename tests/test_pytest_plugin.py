from __future__ import annotations

import sys

import pytest

pytest_plugins = ["pytester"]

NET = """
from torch import nn

class Net(nn.Module):
    example_inputs = "1x3x8x8"
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
    def forward(self, x):
        return self.conv(x)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    pytester.makepyfile(net=NET)
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider -p no:xdist\n")
    return pytester


TESTS = """
import pytest
from net import Net

@pytest.mark.blocktool("net.py:Net", "width=4,8", size="8,9", expect="B, width, H, W")
def test_marked(): ...

@pytest.mark.blocktool("net.py:Net", size="8,9", expect="B, 8, H, W//2")
def test_marked_bad(): ...

@pytest.mark.blocktool
def test_marked_with_nothing(): ...

@pytest.mark.blocktool("net.py:Nett")
def test_marked_wrong(): ...

def test_fixture(blocktool):
    report = blocktool.check_shapes(Net(), "1x3x8x8", expect="B, 8, H, W", size=8)
    assert report.targets[0].passed > 4

def test_fixture_bad(blocktool):
    blocktool.check_shapes(Net(), "1x3x8x8", expect="B, 9, H, W", size=8)

def test_unknown_size(blocktool):
    blocktool.check_shapes(Net(), "1x3x8x8", expect="B, X, H, W")

def test_unknown_option(blocktool):
    blocktool.check_shapes(Net(), "1x3x8x8", sizes=8)
"""


def test_markers_and_the_fixture_hold_modules_to_their_shapes(suite: pytest.Pytester) -> None:
    suite.makepyfile(TESTS)
    done = suite.runpytest_subprocess("-rA")  # one process: torch is imported once
    done.assert_outcomes(passed=2, failed=6)
    text = done.stdout.str()
    for name in ("test_marked", "test_fixture"):
        assert (
            f"PASSED test_markers_and_the_fixture_hold_modules_to_their_shapes.py::{name}\n" in text
        )
    told = (
        "*out = B, 8, H, W, not B, 8, H, W//2*",
        "*blocktool check-shapes net.py:Net*--expect*",
        "*needs a target*",
        "*has no attribute 'Nett'*",
        "*shapes do not hold*",
        "*unknown size 'X'*",
        "*mean size?*",
    )
    for line in told:
        done.stdout.fnmatch_lines([line])
    assert "site-packages" not in text
    assert "pytest_plugin.py" not in text


def test_the_plugin_costs_a_suite_nothing(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import sys
        def test_it():
            assert "torch" not in sys.modules
        """
    )
    suite.runpytest_subprocess().assert_outcomes(passed=1)
