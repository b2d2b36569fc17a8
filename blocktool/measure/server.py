"""The process that workers are forked from. Needs no torch itself.

It is one for the whole command (multiprocessing keeps it), and lives as long as the command does.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext

PRELOAD = "blocktool.measure.preload"


def server_context() -> BaseContext:
    """The way to start workers: from a server that has imported ``PRELOAD``; without a fork
    (Windows) each on its own."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([PRELOAD])
    return context


def start_server() -> None:
    """Let it import torch from now on, while there is other work to do here."""
    if server_context().get_start_method() == "forkserver":
        from multiprocessing.forkserver import ensure_running

        with _interrupts_ignored():
            ensure_running()


def stop_server() -> None:
    """Kill it: a worker that it still has to fork would find its parent gone, and say so. It starts
    again when it is needed."""
    from multiprocessing import forkserver

    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid is not None:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """What starts meanwhile never hears of Ctrl-C, which is its parent's to handle. (The server
    would answer with the traceback of an import.) For some ms the parent does not hear of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
