"""Places for the boxes and lines of a diagram: layers, from the first box to the last.

The method of Sugiyama, Tagawa and Toda (1981), for boxes of any size in frames inside frames. A
frame is laid out for itself and is one box for what is around it; a line that crosses its border
goes through a *port* there. Lines have places of their own in the layers that they pass, so that
they never run through a box; those that bring one box's result to several are one line as long
as they can.
"""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.analysis.layout_frames import Arrangement
from blocktool.analysis.layout_types import Box, Frame, Layout, Line, Place, Point, Route

__all__ = ["Box", "Frame", "Layout", "Line", "Place", "Point", "Route", "layout"]


def layout(
    boxes: Sequence[Box],
    frames: Sequence[Frame],
    lines: Sequence[Line],
    *,
    downwards: bool = True,
) -> Layout:
    """Places for ``boxes``, which are given so that every line leads from an earlier to a later
    one; the lines lead downwards, or to the right."""
    return Arrangement(boxes, frames, lines, downwards).whole()
