"""How far long work has come, in one line on stderr that vanishes at the end."""

from __future__ import annotations

import sys
import time

from blocktool.cli.terminal import width_of

_AFTER = 0.7
_EVERY = 0.1
_EVERY_LINE = 15.0
"""Seconds between two lines where there is no terminal, as in a CI job's log."""


class Bar:
    """``1,240 of 10,400 cases, 3 failed``, if it takes a while: on a terminal in one line that
    vanishes, elsewhere a line now and then."""

    def __init__(self, what: str, *, hidden: bool = False) -> None:
        self._what = what
        self._hidden = hidden
        self._terminal = sys.stderr.isatty()
        self._began = self._last = time.monotonic()
        self._shown = False

    def show(self, done: int, total: int, failed: int = 0) -> None:
        """Say how far it is."""
        text = f"{done:,} of {total:,} {self._what}"
        if failed:
            text += f", {failed:,} failed"
        if self._terminal:
            cells = max(10, min(30, width_of(sys.stderr) - 50))
            filled = cells * done // max(total, 1)
            text = f"[{'#' * filled}{'.' * (cells - filled)}] {text}"
        self.tell(text)

    def tell(self, text: str) -> None:
        """Say it, in place of what was said before."""
        now = time.monotonic()
        if self._hidden or now - self._began < _AFTER:
            return
        if now - self._last < (_EVERY if self._terminal else _EVERY_LINE):
            return
        self._last = now
        if not self._terminal:
            print(text, file=sys.stderr, flush=True)
            return
        self._shown = True
        sys.stderr.write(f"\r\x1b[K{text[: width_of(sys.stderr) - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave no trace."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
