"""The worker's side of the line to its parent. Needs no torch.

What a worker says on its way lies in files, which a kill at any moment leaves whole: each is
written under another name and renamed.
"""

from __future__ import annotations

import faulthandler
import linecache
import os
import pickle
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from blocktool.errors import BlocktoolError
from blocktool.processes import die_with_the_parent

PROGRESS = "progress"
_CRASH = "crash"
_PID = "pid"
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')
_FRAMES = 5

_scratch: Path | None = None
_crash_file: Any = None


def begin(scratch: Path, verbose: bool) -> None:
    """The first thing that a worker does.

    An interrupt is the parent's to handle; stdout is the parent's, so that whatever the user's code
    prints goes to stderr; a worker dies with its parent; a crash leaves its Python lines behind.
    """
    global _scratch, _crash_file
    _scratch = scratch
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_the_parent()
    _let_go_of_the_server()
    if hasattr(os, "setpgid"):  # what the user's code starts is killed with its worker
        os.setpgid(0, 0)
    (scratch / _PID).write_text(str(os.getpid()))
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    if not verbose and not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Inductor would start processes of its own, which disturb the others and outlive a kill.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    _crash_file = open(scratch / _CRASH, "w", encoding="utf-8")  # noqa: SIM115 (open to the end)
    faulthandler.enable(file=_crash_file, all_threads=False)
    if hasattr(faulthandler, "register"):  # a hang is ended by SIGTERM; not on Windows
        faulthandler.register(signal.SIGTERM, file=_crash_file, all_threads=False, chain=True)


def _let_go_of_the_server() -> None:
    """The server lives until the last process closes a pipe, of which it hands every worker an end
    (to start workers of its own). A worker that hung would keep the server alive, and the server
    the worker, when the parent is gone."""
    server: Any = getattr(forkserver, "_forkserver", None)
    end = getattr(server, "_forkserver_alive_fd", None)
    if end is not None:
        os.close(end)
        server._forkserver_alive_fd = None


class WorkerError(Exception):
    """Something that nobody meant to raise, in words that any process can read; its traceback is a
    note."""


def run(module: str, name: str, *args: Any) -> Any:
    """Call a function by name: its module is one that the parent does not import.

    Raises BlocktoolError as the function does, and WorkerError for any other exception, whose class
    the parent may not know.
    """
    try:
        return getattr(import_module(module), name)(*args)
    except BlocktoolError:
        raise
    except BaseException as error:  # a KeyboardInterrupt here is the user's code's own
        from blocktool.targets.user_code import describe_exception

        told = WorkerError(describe_exception(error))
        told.add_note("".join(traceback.format_exception(error)))
        raise told from None


def tell(doing: str, samples: Sequence[float] = (), calls: int = 1) -> None:
    """Say what is being done, with the samples taken so far, in ms, each of so many calls."""
    if _scratch is None:
        return
    temporary = _scratch / f"{PROGRESS}.new"
    with suppress(OSError):
        temporary.write_bytes(pickle.dumps((doing, tuple(samples), calls)))
        temporary.replace(_scratch / PROGRESS)


def forget(scratch: Path) -> None:
    """Drop what an earlier call has said."""
    with suppress(OSError):
        (scratch / PROGRESS).unlink()


def end_group(scratch: Path) -> None:
    """Kill what a worker that is gone has left running."""
    with suppress(OSError, ValueError, AttributeError):
        os.killpg(int((scratch / _PID).read_text()), signal.SIGKILL)
    with suppress(OSError):
        (scratch / _PID).unlink()


def last_words(scratch: Path) -> tuple[str, ...]:
    """The Python lines that a crashed worker was in, innermost last; none where it had no time."""
    try:
        text = (scratch / _CRASH).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    from blocktool.targets.user_code import is_users, place

    frames = [match.groupdict() for match in map(_FRAME.fullmatch, text.splitlines()) if match]
    own = [frame for frame in frames if is_users(frame["file"])]
    lines: list[str] = []
    for frame in reversed(own[:_FRAMES]):
        lines.append(place(frame["file"], frame["line"], frame["name"]))
        if source := linecache.getline(frame["file"], int(frame["line"])).strip():
            lines.append(f"    {source}")
    return tuple(lines)
