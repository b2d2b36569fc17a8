"""Files for https://www.speedscope.app: flame graphs of the modules of a model.

The format is that of https://www.speedscope.app/file-format-schema.json (speedscope 0.6 and later).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from blocktool._version import __version__
from blocktool.analysis.summary import ancestors

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

Unit = Literal["none", "bytes", "milliseconds"]


class Frames:
    """Frames are shared by the profiles of a file: one for each path and type."""

    def __init__(self) -> None:
        self.listed: list[dict[str, str]] = []
        self._index: dict[str, int] = {}

    def index(self, name: str) -> int:
        """The number of the frame of that name, which is added if it is new."""
        if name not in self._index:
            self._index[name] = len(self.listed)
            self.listed.append({"name": name})
        return self._index[name]


def sampled(
    name: str,
    unit: Unit,
    own: Iterable[tuple[str, float]],
    types: Mapping[str, str],
    frames: Frames,
) -> dict[str, Any]:
    """One profile: for each path what is its module's own, without that of the modules below.

    A sample is a module's own figure under the stack of the modules above it by path; the samples
    stand in the order of ``own``, and what is not positive is left out. ``types`` are the classes
    of the modules by path.
    """

    def frame(path: str) -> int:
        kind = types.get(path, "")
        return frames.index(f"{path}: {kind}" if path and kind else path or kind or "root")

    shown = [(path, weight) for path, weight in own if weight > 0]
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weight for _, weight in shown),
        "samples": [[frame(path) for path in reversed([*ancestors(path)])] for path, _ in shown],
        "weights": [weight for _, weight in shown],
    }


def file(name: str, profiles: Sequence[dict[str, Any]], frames: Frames) -> str:
    """The text of a file with these profiles, of which the first is shown first."""
    whole = {
        "$schema": _SCHEMA,
        "shared": {"frames": frames.listed},
        "profiles": profiles,
        "name": name,
        "activeProfileIndex": 0,
        "exporter": f"blocktool@{__version__}",
    }
    return json.dumps(whole, allow_nan=False, separators=(",", ":")) + "\n"
