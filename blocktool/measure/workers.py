"""The worker process: kept while it is healthy, replaced when it is not. Needs no torch.

Workers are forked from a server process that has imported torch once and done nothing else, so
that a new one costs a few milliseconds, and carries nothing over from the one that died.
"""

from __future__ import annotations

import pickle
import shutil
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import TimeoutError as Expired
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from blocktool.measure import in_worker
from blocktool.measure.server import server_context, start_server, stop_server
from blocktool.results.profile import FailureKind

_POLL_SECONDS = 0.1
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS")


class WorkerLostError(Exception):
    """The worker did not live to give its answer: ``kind``, ``reason`` in one line, and the lines
    of Python that it was in, where it could still say them."""

    def __init__(self, kind: FailureKind, reason: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.kind: FailureKind = kind
        self.reason = reason
        self.details = details


@dataclass(frozen=True)
class Progress:
    """What a worker has said last: what it is doing, and the samples taken so far, in ms."""

    doing: str = ""
    samples: tuple[float, ...] = ()
    calls: int = 1
    """Of which each sample is the mean."""


class Workers:
    """One worker at a time, which calls functions of ``module``.

    To be used as a context; what is running at its end is killed.
    """

    def __init__(self, module: str, *, verbose: bool = False) -> None:
        self._module = module
        self._scratch = Path(tempfile.mkdtemp(prefix="blocktool-"))
        self._context = server_context()
        self._verbose = verbose
        self._pool: ProcessPool | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            stop_server()
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def call(
        self,
        name: str,
        *args: Any,
        timeout: float | None = None,
        meanwhile: Callable[[Progress], None] | None = None,
    ) -> Any:
        """What the function ``name`` of the preloaded module gives for ``args`` in the worker.
        ``meanwhile`` hears of it ten times a second.

        What the function raises comes through. Raises WorkerLostError where the process died or the
        time was up.
        """
        in_worker.forget(self._scratch)
        if self._pool is None:
            start_server()
            self._pool = ProcessPool(
                1,
                initializer=in_worker.begin,
                initargs=(self._scratch, self._verbose),
                context=self._context,
            )
        future = self._pool.schedule(
            in_worker.run, args=(self._module, name, *args), timeout=timeout
        )
        while not wait([future], _POLL_SECONDS).done:
            if meanwhile is not None:
                meanwhile(self.progress())
        try:
            return future.result()
        except ProcessExpired as error:
            in_worker.end_group(self._scratch)
            raise self._lost(error.exitcode) from None
        except BrokenProcessPool as error:
            self.stop()
            raise WorkerLostError("crash", f"its process cannot be started: {error}") from None
        except Expired:
            in_worker.end_group(self._scratch)
            reason = f"it took longer than {timeout:g} s" if timeout else "it took too long"
            raise WorkerLostError("timeout", reason, in_worker.last_words(self._scratch)) from None

    def progress(self) -> Progress:
        """What the worker said last, also after its end."""
        try:
            told = pickle.loads((self._scratch / in_worker.PROGRESS).read_bytes())
            return Progress(*told)
        except (OSError, pickle.UnpicklingError, EOFError, TypeError):
            return Progress()

    def stop(self) -> None:
        """Kill what is running. A worker that is needed later is a new one."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()
            in_worker.end_group(self._scratch)

    def _lost(self, code: int | None) -> WorkerLostError:
        details = in_worker.last_words(self._scratch)
        if code is None or code >= 0:
            return WorkerLostError("exited", f"with exit code {code}")
        name = str(-code)
        with suppress(ValueError):
            name = signal.Signals(-code).name
        if name == "SIGKILL":
            reason = "its process was killed (SIGKILL), as the system does where memory runs out"
            return WorkerLostError("killed", reason, details)
        if name in _CRASHES:
            return WorkerLostError("crash", f"its process crashed ({name})", details)
        return WorkerLostError("killed", f"its process was ended by {name}", details)
