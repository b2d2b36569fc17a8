"""Ends by signal that still let a command keep what it has."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDS = ("SIGTERM", "SIGHUP")


class Ended:
    """Which signal has come; None while none has."""

    number: int | None = None


@contextmanager
def ends_interrupt() -> Iterator[Ended]:
    """SIGTERM and SIGHUP, by which CI jobs and closed terminals end a command, interrupt it as
    Ctrl-C does. Where this is not the main thread, nothing is changed."""
    ended = Ended()
    if threading.current_thread() is not threading.main_thread():
        yield ended
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        ended.number = number
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in _ENDS if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
