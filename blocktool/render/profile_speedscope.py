"""A profile for https://www.speedscope.app: a flame graph of the modules of each case.

The format is that of https://www.speedscope.app/file-format-schema.json (speedscope 0.6 and later).
"""

from __future__ import annotations

import json
from typing import Any

from blocktool._version import __version__
from blocktool.analysis.summary import ancestors
from blocktool.errors import UsageError
from blocktool.render.profile_keys import keys_of, named
from blocktool.render.view import View
from blocktool.results.profile import ModuleTimes, Profile

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def render(profile: Profile, view: View) -> str:
    """One sampled profile for each case that was timed by module, whatever the view.

    A sample is a module's own time, in ms, under the stack of the modules above it by path; the
    samples stand in the order of registration. Raises UsageError where no case has modules.
    """
    frames = _Frames()
    keys = keys_of(profile.cases)
    profiles = [
        _sampled(", ".join(filter(None, (profile.target, named(case, keys)))), case.modules, frames)
        for case in profile.cases
        if case.modules is not None and case.modules.rows
    ]
    if not profiles:
        raise UsageError(
            "no case was timed by module, and speedscope shows nothing else",
            hint="add --per-module",
        )
    file = {
        "$schema": _SCHEMA,
        "shared": {"frames": frames.listed},
        "profiles": profiles,
        "name": profile.target,
        "activeProfileIndex": 0,
        "exporter": f"blocktool@{__version__}",
    }
    return json.dumps(file, allow_nan=False, separators=(",", ":")) + "\n"


class _Frames:
    """Frames are shared by the profiles: one for each path and type."""

    def __init__(self) -> None:
        self.listed: list[dict[str, str]] = []
        self._index: dict[str, int] = {}

    def index(self, name: str) -> int:
        if name not in self._index:
            self._index[name] = len(self.listed)
            self.listed.append({"name": name})
        return self._index[name]


def _sampled(name: str, modules: ModuleTimes, frames: _Frames) -> dict[str, Any]:
    types = {row.path: row.type for row in modules.rows}

    def frame(path: str) -> int:
        kind = types.get(path, "")
        return frames.index(f"{path}: {kind}" if path and kind else path or kind or "root")

    rows = [row for row in modules.rows if row.own_ms > 0]
    return {
        "type": "sampled",
        "name": name,
        "unit": "milliseconds",
        "startValue": 0,
        "endValue": sum(row.own_ms for row in rows),
        "samples": [[frame(path) for path in reversed([*ancestors(row.path)])] for row in rows],
        "weights": [row.own_ms for row in rows],
    }
