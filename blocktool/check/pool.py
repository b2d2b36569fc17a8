"""Runs pieces of work in processes; a piece that takes its process down does not take the rest."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods, get_context
from typing import Any, TypeVar

from blocktool.processes import die_with_the_parent, processors

WorkT = TypeVar("WorkT")
DoneT = TypeVar("DoneT")


class DiedError(Exception):
    """The process that ran a piece of work has died."""


def run_all(
    function: Callable[[WorkT], DoneT], work: Sequence[WorkT], jobs: int
) -> Iterator[tuple[int, DoneT | DiedError]]:
    """``(index, function(piece))`` as the pieces are done; DiedError for one that killed its
    process. With one job everything runs here, in order.

    What is still running is ended when the iterator is closed.
    """
    if jobs <= 1:
        for index, piece in enumerate(work):
            yield index, function(piece)
        return
    waiting = list(range(len(work)))
    with _executor(min(jobs, len(work))) as executor:
        try:
            futures = {executor.submit(function, work[index]): index for index in waiting}
            for future in _completed(futures):
                index = futures[future]
                try:
                    done = future.result()
                except BrokenProcessPool:
                    break
                waiting.remove(index)
                yield index, done
        finally:
            _end(executor)
    for index in waiting:  # one of them took the others down
        yield index, run_alone(function, work[index])


def _completed(futures: dict[Future[DoneT], int]) -> Iterator[Future[DoneT]]:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from done


def run_alone(function: Callable[[WorkT], DoneT], piece: WorkT) -> DoneT | DiedError:
    """``function(piece)`` in a process of its own."""
    with _executor(1) as executor:
        try:
            return executor.submit(function, piece).result()
        except BrokenProcessPool:
            return DiedError("its process died")
        finally:
            _end(executor)


def _executor(jobs: int) -> ProcessPoolExecutor:
    # A fork has torch and the user's modules loaded already.
    method = "fork" if "fork" in get_all_start_methods() else None
    threads = max(1, processors() // jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return ProcessPoolExecutor(jobs, get_context(method), _begin, (threads,))


def _end(executor: ProcessPoolExecutor) -> None:
    """Stop now: what is waiting is dropped, what is running is killed."""
    processes: dict[int, Any] = dict(getattr(executor, "_processes", None) or {})
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.terminate()


def _begin(threads: int) -> None:
    """An interrupt is the parent's to handle, and stdout is for its result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_the_parent()
    sys.stdout = sys.stderr
    warnings.simplefilter("ignore")
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
