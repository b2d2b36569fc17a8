"""Keeps the start short."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imports_uncollected() -> Iterator[None]:
    """No garbage collection while imports run, and none over what they made afterwards.

    Importing torch makes a million objects that all live on; looking through them again and
    again takes a sixth of a command's time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
