"""blocktool: what a vision block is, whether it holds, and how it runs.

``blocktool.trace(module, inputs)`` records one run without data; ``blocktool.summarize(module,
inputs)`` says what the module is; ``blocktool.check_shapes(module, inputs)`` whether it holds;
``blocktool.profile(module, inputs)`` how it runs; ``blocktool.compare(old, new)`` what changed;
``blocktool.fuse`` and ``blocktool.quantize`` give a copy of it for inference, verified;
``blocktool.build(target)`` builds what a target of the command line names.
They are loaded, and torch with them, when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocktool._version import __version__

if TYPE_CHECKING:
    from blocktool.api import (
        build,
        check_shapes,
        compare,
        formulas,
        fuse,
        profile,
        quantize,
        summarize,
        trace,
    )

__all__ = [
    "__version__",
    "build",
    "check_shapes",
    "compare",
    "formulas",
    "fuse",
    "profile",
    "quantize",
    "summarize",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import blocktool.api

        # Over the subpackage of the same name, which importing the function has just bound here.
        globals().update({each: getattr(blocktool.api, each) for each in blocktool.api.__all__})
        return globals()[name]
    raise AttributeError(f"module 'blocktool' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
