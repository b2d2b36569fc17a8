"""How a diagram is to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from blocktool.render.view import View

CostKey = Literal["macs", "params", "activations", "bytes", "none"]
COST_KEYS: tuple[CostKey, ...] = get_args(CostKey)
Direction = Literal["TD", "LR"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


@dataclass(frozen=True, slots=True)
class DiagramView(View):
    """``cost`` is what nodes are shaded by and tell; ``direction`` is where the data flows:
    downwards or to the right."""

    cost: CostKey = "macs"
    direction: Direction = "TD"


def diagram_view(view: View) -> DiagramView:
    """The view of a diagram, also where none of its own questions were asked."""
    if isinstance(view, DiagramView):
        return view
    return DiagramView(width=view.width, color=view.color, unicode=view.unicode)
