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


def test_a_marker_holds_a_target_to_its_shapes(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.blocktool("net.py:Net", "width=4,8", size="8,9", expect="B, width, H, W")
        def test_good(): ...

        @pytest.mark.blocktool("net.py:Net", size="8,9", expect="B, 8, H, W//2")
        def test_bad(): ...

        @pytest.mark.blocktool
        def test_without(): ...
        """
    )
    done = suite.runpytest_subprocess()
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(
        ["*out = B, 8, H, W, not B, 8, H, W//2*", "*blocktool check-shapes net.py:Net*--expect*"]
    )
    done.stdout.fnmatch_lines(["*needs a target*"])


def test_a_fixture_takes_modules(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        from net import Net

        def test_good(blocktool):
            report = blocktool.check_shapes(Net(), "1x3x8x8", expect="B, 8, H, W", size=8)
            assert report.targets[0].passed > 4

        def test_bad(blocktool):
            blocktool.check_shapes(Net(), "1x3x8x8", expect="B, 9, H, W", size=8)
        """
    )
    done = suite.runpytest_subprocess()
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*shapes do not hold*"])
    assert "pytest_plugin.py" not in done.stdout.str().replace("blocktool.pytest_plugin", "")


def test_what_cannot_be_checked_is_one_line_and_a_hint(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        from net import Net

        @pytest.mark.blocktool("net.py:Nett")
        def test_target(): ...

        def test_name(blocktool):
            blocktool.check_shapes(Net(), "1x3x8x8", expect="B, X, H, W")

        def test_option(blocktool):
            blocktool.check_shapes(Net(), "1x3x8x8", sizes=8)
        """
    )
    done = suite.runpytest_subprocess()
    done.assert_outcomes(failed=3)
    done.stdout.fnmatch_lines(["*has no attribute 'Nett'*", "*unknown size 'X'*", "*mean size?*"])
    assert "site-packages" not in done.stdout.str()


def test_the_plugin_costs_a_suite_nothing(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import sys
        def test_it():
            assert "torch" not in sys.modules
        """
    )
    suite.runpytest_subprocess().assert_outcomes(passed=1)
