"""Where a result goes: to stdout, or to a file that appears whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blocktool.errors import OutputError


@dataclass(frozen=True, slots=True)
class Destination:
    """A place that was found fit to be written to; ``path`` is None for stdout."""

    path: Path | None

    def write(self, content: str | bytes) -> None:
        """Write text, as UTF-8 into a file, or bytes as they are.

        A regular file is written under a temporary name in the same directory and moved into its
        place once it is safely on disk, so that no reader ever sees half of it. On stdout, a
        reader that has gone away (``| head``) is no error. Raises OutputError.
        """
        if self.path is None:
            _print(content)
            return
        plain = content.encode() if isinstance(content, str) else content
        try:
            if self.path.exists() and not self.path.is_file():
                self.path.write_bytes(plain)  # a pipe, /dev/stderr
            else:
                _replace(self.path, plain)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror or error}",
                hint="write elsewhere with -o FILE, or to stdout with -o -",
            ) from error


def destination(output: str | None, *, force: bool = False) -> Destination:
    """Check ``output`` (a path; None or ``-`` is stdout) before the work that fills it begins.

    Raises OutputError for a directory, a missing or closed directory, and a file that exists,
    unless ``force`` says to replace it.
    """
    if output is None or output == "-":
        return Destination(None)
    if not output.strip():
        raise OutputError("the name of the output file is empty", hint="write to stdout with -o -")
    # A link is followed: what it points to is replaced, not the link.
    path = Path(os.path.realpath(output))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise OutputError(f"{output} is a directory", hint="name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        return Destination(path)
    if mode is not None and not force:
        raise OutputError(f"{output} exists", hint="replace it with --force, or name another file")
    if not path.parent.is_dir():
        raise OutputError(
            f"cannot write {output}: there is no directory {path.parent}",
            hint="make it first, or name another file",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write {output}: directory {path.parent} is not writable",
            hint="write elsewhere with -o FILE, or to stdout with -o -",
        )
    return Destination(path)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # os.open rather than tempfile: the file gets the permissions that the umask grants.
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            if path.exists():
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _print(content: str | bytes) -> None:
    try:
        if isinstance(content, str):
            sys.stdout.write(content)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would raise again when the interpreter flushes it at exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        text = content if isinstance(content, str) else ""
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error
