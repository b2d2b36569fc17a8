"""The process that workers are forked from. Needs no torch itself.

It is one for the whole command (multiprocessing keeps it), and lives as long as the command does.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
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

        with interrupts_held():
            ensure_running()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Processes that start meanwhile never hear of Ctrl-C, which is their parent's to handle; it is
    told of it afterwards. (The server would answer with the traceback of an import.)"""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
