"""Keeps stdout for the result while the user's code runs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def undisturbed(verbose: bool) -> Iterator[None]:
    """What the user's module prints goes to stderr, and the warnings of libraries nowhere, unless
    they were asked for."""
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        if not verbose and not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield
