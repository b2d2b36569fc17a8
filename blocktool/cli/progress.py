"""How far long work has come, in one line on stderr that vanishes at the end."""

from __future__ import annotations

import sys
import time

from blocktool.cli.terminal import width_of

_AFTER = 0.7
_EVERY = 0.1


class Bar:
    """``1,240 of 10,400 cases, 3 failed``: only on a terminal, and only if it takes a while."""

    def __init__(self, what: str, *, hidden: bool = False) -> None:
        self._what = what
        self._on = not hidden and sys.stderr.isatty()
        self._began = self._last = time.monotonic()
        self._shown = False

    def show(self, done: int, total: int, failed: int = 0) -> None:
        """Say how far it is."""
        cells = max(10, min(30, width_of(sys.stderr) - 50))
        filled = cells * done // max(total, 1)
        text = f"[{'#' * filled}{'.' * (cells - filled)}] {done:,} of {total:,} {self._what}"
        self.tell(f"{text}, {failed:,} failed" if failed else text)

    def tell(self, text: str) -> None:
        """Say it, in place of what was said before."""
        now = time.monotonic()
        if not self._on or now - self._began < _AFTER or now - self._last < _EVERY:
            return
        self._last, self._shown = now, True
        sys.stderr.write(f"\r\x1b[K{text[: width_of(sys.stderr) - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave no trace."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
