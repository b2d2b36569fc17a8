"""Where a figure was made."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Environment:
    """Versions and platform behind a report; ``packages`` holds what else mattered (timm, ...)."""

    blocktool: str
    torch: str
    python: str
    platform: str
    packages: dict[str, str] = field(default_factory=dict)
