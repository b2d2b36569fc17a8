"""Draw the pictures of the blocks, as ``blocktool diagram NAME --symbolic --cost none`` does.

    python docs/images/make.py               all of them
    python docs/images/make.py bottleneck    some

Each is written to docs/images/blocks/NAME.svg.
"""

from __future__ import annotations

import sys
from pathlib import Path

from blocktool.analysis.flow import flow
from blocktool.render.diagram_svg import render
from blocktool.render.diagram_view import DiagramView
from blocktool.targets.catalog import CATALOG
from blocktool.trace.derive import derive
from blocktool.trace.derive_target import Request
from blocktool.trace.identities import identities_told_apart

FOLDER = Path(__file__).parent / "blocks"


def picture(name: str) -> str:
    """The block of this name with its default arguments, as SVG."""
    question = Request(name).question({})
    with identities_told_apart(question.module) as noted:
        derived = derive(question, compare=0)
    sizes, names = derived.question.hints, noted.input_names()
    drawn = flow(derived.trace, sizes=sizes, names=names, same=noted.same)
    return render(drawn, DiagramView(cost="none"))


if __name__ == "__main__":
    for name in sys.argv[1:] or CATALOG:
        file = FOLDER / f"{name}.svg"
        file.parent.mkdir(exist_ok=True)
        file.write_text(picture(name), encoding="utf-8")
        print(file)
