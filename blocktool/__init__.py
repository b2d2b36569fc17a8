"""blocktool: what a vision block is, whether it holds, and how it runs.

``blocktool.trace(module, inputs)`` records one run without data; ``blocktool.summarize(module,
inputs)`` says what the module is, ``blocktool.quantize(module, inputs)`` gives an int8 copy with
its error, size and speed. They are loaded, and torch with them, when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocktool._version import __version__

if TYPE_CHECKING:
    from blocktool.api import fuse, quantize, summarize, trace

__all__ = ["__version__", "fuse", "quantize", "summarize", "trace"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import blocktool.api

        # Over the subpackage of the same name, which importing the function has just bound here.
        globals().update({each: getattr(blocktool.api, each) for each in blocktool.api.__all__})
        return globals()[name]
    raise AttributeError(f"module 'blocktool' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
