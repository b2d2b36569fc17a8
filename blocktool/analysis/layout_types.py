"""What a layout is made of, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]
EdgeKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Box:
    """A box to be placed. ``frame`` is the frame that it lies in, None for none."""

    id: str
    width: float
    height: float
    frame: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame around boxes and other frames, with room for a title at its top left."""

    id: str
    frame: str | None
    title_width: float
    title_height: float


@dataclass(frozen=True, slots=True)
class Line:
    """From one box to another; a label gets a place of its own beside the boxes."""

    source: str
    target: str
    label_width: float = 0.0
    label_height: float = 0.0

    @property
    def key(self) -> EdgeKey:
        """Its ends."""
        return self.source, self.target


@dataclass(frozen=True, slots=True)
class Place:
    """Left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """A piece of a line: straight down, in a curve to the side, and straight down again.

    ``points`` are the four corners; ``lines`` are those that share it. ``arrow``: a box is
    reached here.
    """

    points: tuple[Point, Point, Point, Point]
    lines: tuple[EdgeKey, ...]
    arrow: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies, from (0, 0) on."""

    width: float
    height: float
    boxes: dict[str, Place]
    frames: dict[str, Place]
    labels: dict[EdgeKey, Place]
    routes: tuple[Route, ...]
