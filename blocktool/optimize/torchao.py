"""torchao: imported when it is needed, quietly, or a line that says how to get it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from blocktool.errors import OptimizationError

_INSTALL = "pip install 'blocktool[quantize]'"

# What torchao says at import about kernels for other devices and about torch itself: nothing that
# its user could act on.
_NOISE = {"torchao": "Failed to load ", "torch.utils._pytree": "%s is an Enum subclass"}


def import_torchao(module: str = "torchao.quantization") -> Any:
    """A module of torchao's.

    Raises OptimizationError where torchao is not installed or cannot be imported.
    """
    try:
        with _quiet():
            return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torchao":
            raise OptimizationError(
                f"torchao cannot be imported: {error}", hint=_INSTALL
            ) from error
        missing = "has no module " + repr(error.name) if "." in str(error.name) else "is missing"
        raise OptimizationError(
            f"quantization needs torchao, which {missing}", hint=_INSTALL
        ) from None
    except ImportError as error:
        raise OptimizationError(f"torchao cannot be imported: {error}", hint=_INSTALL) from error


@contextmanager
def _quiet() -> Iterator[None]:
    def speaks(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_NOISE[record.name])

    loggers = [logging.getLogger(name) for name in _NOISE]
    for logger in loggers:
        logger.addFilter(speaks)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(speaks)
