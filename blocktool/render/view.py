"""How a result is to be shown: what a person asked for, and what the screen can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

SortKey = Literal[
    "params", "macs", "elementwise", "activations", "read", "written", "bytes", "calls", "name"
]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)

TimeKey = Literal["time", "own", "calls", "macs", "attained", "name"]
"""What the modules of a profile can be ordered by; ``"attained"``: the furthest below first."""
TIME_KEYS: tuple[TimeKey, ...] = get_args(TimeKey)


@dataclass(frozen=True, slots=True)
class View:
    """The questions that a renderer may be asked; each takes what makes sense for its format.

    ``depth`` is how many levels of modules to show (None: the renderer's choice), ``sort`` the
    figure by which siblings are ordered (None: as registered), ``expand`` shows repeated siblings
    one by one, ``ops`` adds the table of operations. ``sort_times`` orders the siblings in a
    profile (None: as registered). ``width`` is in columns; ``color`` and ``unicode`` say what the
    output can carry.
    """

    depth: int | None = None
    sort: SortKey | None = None
    expand: bool = False
    ops: bool = False
    sort_times: TimeKey | None = None
    width: int = 120
    color: bool = False
    unicode: bool = True
