"""Holds modules to their shapes in a test suite, in one line.

With the marker, before the test's own body::

    @pytest.mark.blocktool("net.py:Net", size="32,33", expect="B, 64, ceil(H/2), ceil(W/2)")
    def test_net(): ...

or with the fixture, which also takes modules::

    def test_net(blocktool):
        blocktool.check_shapes(Net(), "1x3x32x32", expect="B, 64, ceil(H/2), ceil(W/2)")

Both take the options of :func:`blocktool.check_shapes`; the test fails with the report.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from blocktool.errors import BlocktoolError

if TYPE_CHECKING:
    from blocktool.results.shapes import ShapeReport

_MARKER = (
    "blocktool(target, *arguments, **options): hold a target to its shapes before the test; "
    "arguments are KEY=VALUE, options those of blocktool.check_shapes"
)


class ShapesDoNotHoldError(AssertionError):
    """A module does not hold; the text is the report."""


class Shapes:
    """What the fixture ``blocktool`` gives."""

    def check_shapes(self, module: Any, inputs: Any = None, **options: Any) -> ShapeReport:
        """As :func:`blocktool.check_shapes`, but raises AssertionError where it does not hold."""
        __tracebackhide__ = True
        from blocktool.api import check_shapes
        from blocktool.render.shapes_table import render
        from blocktool.render.view import View

        known = list(inspect.signature(check_shapes).parameters)
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"options: {', '.join(known[2:])}"
                pytest.fail(f"check_shapes has no option '{name}'\n  hint: {hint}", pytrace=False)
        try:
            report = check_shapes(module, inputs, **options)
        except BlocktoolError as error:
            told = "\n".join((error.message, *(f"  {line}" for line in error.details)))
            hint = f"\n  hint: {error.hint}" if error.hint else ""
            pytest.fail(f"{told}{hint}", pytrace=False)
        if not report.holds:
            raise ShapesDoNotHoldError(f"shapes do not hold\n{render(report, View(width=100))}")
        return report


@pytest.fixture(name="blocktool")
def _blocktool() -> Shapes:
    """Holds modules to their shapes: ``blocktool.check_shapes(module, inputs, expect=...)``."""
    return Shapes()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Check what the test is marked with, then run it."""
    for marker in item.iter_markers("blocktool"):
        if told := _check(marker):
            pytest.fail(told, pytrace=False)
    return (yield)


def _check(marker: pytest.Mark) -> str | None:
    """What is wrong with what a test is marked with."""
    if not marker.args:
        return "pytest.mark.blocktool needs a target"
    from blocktool.check.gather import swept_arguments

    target, *words = marker.args
    options = dict(marker.kwargs)
    if words:
        from blocktool.targets.arguments import parse_value

        options["arguments"] = {
            key: [parse_value(value, key) for value in values]
            for key, values in swept_arguments(words).items()
        }
    try:
        Shapes().check_shapes(target, options.pop("inputs", None), **options)
    except ShapesDoNotHoldError as error:
        return str(error)
    return None
