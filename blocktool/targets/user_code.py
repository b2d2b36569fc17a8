"""What of an exception a user wants to see: its words, and the lines of their own code."""

from __future__ import annotations

import os
import sysconfig
import traceback
from functools import cache
from types import TracebackType

_MAX_FRAMES = 5
_MAX_MESSAGE = 300


def describe_exception(error: BaseException) -> str:
    """``ValueError: width must be even``, in one line: the first of the message, shortened."""
    try:
        text = str(error)
    except Exception:  # a user's __str__ may fail as well
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # KeyError quotes its key; the name of the class says the rest.
    message = lines[0] if lines else ""
    if len(message) > _MAX_MESSAGE:
        message = message[: _MAX_MESSAGE - 3] + "..."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def user_frames(error: BaseException) -> tuple[str, ...]:
    """The lines of the traceback of ``error`` that lie in the user's code, innermost last.

    Left out are torch, blocktool and the standard library; installed packages too, unless no
    frame lies outside of them (a target may well be an installed package). At most five frames,
    each as ``File "net.py", line 12, in forward`` followed by the source line; paths below the
    working directory are relative to it. A SyntaxError adds the place that it names.
    """
    frames = _frames(error.__traceback__)
    own = [frame for frame in frames if not _lies_in(frame.filename, _installed())]
    chosen = own or frames
    lines: list[str] = []
    if len(chosen) > _MAX_FRAMES:
        lines.append(f"... {len(chosen) - _MAX_FRAMES} more")
    for frame in chosen[-_MAX_FRAMES:]:
        lines.append(place(frame.filename, frame.lineno, frame.name))
        if frame.line:
            lines.append(f"    {frame.line.strip()}")
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(place(error.filename, error.lineno, None))
        if error.text and error.text.strip():
            lines.append(f"    {error.text.strip()}")
    return tuple(lines)


def display_path(path: str) -> str:
    """``path`` relative to the working directory where it lies below it."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if relative.startswith(os.pardir) else relative


def is_users(filename: str) -> bool:
    """Whether a file is the user's own: not torch's, ours, the standard library's or installed."""
    others = (_machinery(), _standard_library(), _installed())
    return not filename.startswith("<") and not any(_lies_in(filename, each) for each in others)


def place(filename: str, lineno: int | str | None, name: str | None) -> str:
    """``File "net.py", line 12, in forward``."""
    where = f'File "{display_path(filename)}", line {lineno}'
    return f"{where}, in {name}" if name else where


def _frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    return [
        frame
        for frame in traceback.extract_tb(tb)
        if not frame.filename.startswith("<frozen")
        and not _lies_in(frame.filename, _machinery())
        and not (_lies_in(frame.filename, _standard_library()) and not _is_installed(frame))
    ]


def _is_installed(frame: traceback.FrameSummary) -> bool:
    """site-packages lies inside the standard library's folder."""
    return _lies_in(frame.filename, _installed())


def _lies_in(filename: str, folders: tuple[str, ...]) -> bool:
    path = os.path.abspath(filename)
    return any(path.startswith(folder + os.sep) for folder in folders)


@cache
def _machinery() -> tuple[str, ...]:
    """This package, and torch wherever it is installed."""
    from importlib.util import find_spec

    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    torch = find_spec("torch")
    return (own, os.path.dirname(torch.origin)) if torch and torch.origin else (own,)


@cache
def _standard_library() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({os.path.abspath(paths[key]) for key in ("stdlib", "platstdlib")})


@cache
def _installed() -> tuple[str, ...]:
    import site

    paths = sysconfig.get_paths()
    folders = {paths["purelib"], paths["platlib"], *site.getsitepackages()}
    folders.add(site.getusersitepackages())
    return tuple(os.path.abspath(folder) for folder in folders)
