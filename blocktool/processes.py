"""What processes of ours need from the system."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this platform
        return os.cpu_count() or 1


def die_with_the_parent() -> None:
    """From now on this process is killed when its parent ends: who kills the command alone, as a CI
    job that is cancelled does, leaves nothing running. Where the system has no such signal, it
    ends when it next asks for work."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
