"""Diagrams made by hand, for the tests of their pictures."""

from __future__ import annotations

from blocktool.results.diagram import (
    Cost,
    Diagram,
    DiagramEdge,
    DiagramGroup,
    DiagramNode,
    NodeKind,
    Shape,
)
from blocktool.results.environment import Environment

ENVIRONMENT = Environment("0.1", "2.13.0", "3.11.0", "Linux")
HOSTILE = (
    "<script>alert(1)</script>",
    'a"b`c#59;',
    "style: x #1;",
    "__init__",
    "- x",
    "1. one",
    "*bold*",
    "%%{init: {}}%%",
    "]]></svg>",
    "\\n[x](http://y)",
    "end",
    "na\x1b[31mme\n\x00",
    "图层",
    "a\u202etxt.exe\u2066b\u200f",
    "&amp;",
)
"""What modules might be called; a dot is left out of none."""


def node(
    number: int,
    kind: NodeKind,
    name: str = "",
    type_: str = "",
    shapes: tuple[Shape, ...] = ((1, 8, 4, 4),),
    **rest: object,
) -> DiagramNode:
    return DiagramNode(
        id=f"n{number}",
        kind=kind,
        path=name,
        name=name,
        type=type_,
        detail=str(rest.pop("detail", "")),
        shapes=shapes,
        dtype=str(rest.pop("dtype", "float32")),
        cost=rest.pop("cost", Cost()),  # type: ignore[arg-type]
        **rest,  # type: ignore[arg-type]
    )


def diagram(
    nodes: tuple[DiagramNode, ...],
    edges: tuple[DiagramEdge, ...],
    groups: tuple[DiagramGroup, ...] = (),
    **rest: object,
) -> Diagram:
    total = Cost(
        *(
            sum(getattr(n.cost, name) * n.count for n in nodes)
            for name in ("params", "macs", "activation_bytes", "moved_bytes")
        )
    )
    return Diagram(
        target=str(rest.pop("target", "net.py:Net")),
        root_type="Net",
        mode="forward",
        traced_on="meta",
        attention="cpu",
        environment=ENVIRONMENT,
        depth=2,
        levels=3,
        symbols=rest.pop("symbols", {}),  # type: ignore[arg-type]
        conditions=(),
        total=total,
        nodes=nodes,
        groups=groups,
        edges=edges,
        **rest,  # type: ignore[arg-type]
    )


def residual() -> Diagram:
    """An opened block with a skip and a run of blocks behind it."""
    return diagram(
        (
            node(1, "input", "x"),
            node(
                2, "module", "conv", "Conv2d", detail="3×3, stride 2", group="g1",
                cost=Cost(584, 9216, 512, 4096),
            ),
            node(3, "module", "act", "ReLU", group="g1", uses=2, use=1),
            node(4, "operation", "", "add", group="g1", cost=Cost(0, 0, 512, 1536)),
            node(
                5, "module", "blocks.1-4", "Block", ((1, 8, 4, 4), (1, 8)), count=4,
                cost=Cost(1168, 18432, 1024, 8192), dtype="bfloat16",
            ),
            node(6, "output", "output", shapes=((1, 8),)),
        ),
        (
            DiagramEdge("n1", "n2"),
            DiagramEdge("n1", "n4", skip=True),
            DiagramEdge("n2", "n3"),
            DiagramEdge("n3", "n4"),
            DiagramEdge("n4", "n5"),
            DiagramEdge("n5", "n6", ((1, 8),)),
        ),
        (DiagramGroup("g1", "blocks.0", "blocks.0", "Block"),),
        notes=("not drawn: 1 module that is never called: aux",),
    )  # fmt: skip


def hostile() -> Diagram:
    """Names and types that are markup elsewhere."""
    names = [name.replace(".", "") for name in HOSTILE]
    nodes = [
        node(1, "input", names[0]),
        *(
            node(
                number, "module", name, names[1 - number], group=f"g{1 + (number > 8)}", detail=name
            )
            for number, name in enumerate(names, 2)
        ),
    ]
    return diagram(
        tuple(nodes),
        tuple(DiagramEdge(f"n{n}", f"n{n + 1}", ((1, 2),)) for n in range(1, len(nodes))),
        tuple(DiagramGroup(f"g{n}", names[n], names[n], names[-n]) for n in (1, 2)),
        target=names[0],
        notes=(names[1],),
    )


def symbolic() -> Diagram:
    """Shapes with symbols."""
    return diagram(
        (
            node(1, "input", "input", shapes=(("B", 3, "H", "W"),)),
            node(
                2, "module", "pool", "MaxPool2d", (("B", 3, "(H + 1)//2", "(W + 1)//2"),),
                cost=Cost(8, 64, 64, 64),
            ),
            node(3, "output", "output", shapes=(("B", 3, "(H + 1)//2", "(W + 1)//2"),)),
        ),
        (DiagramEdge("n1", "n2"), DiagramEdge("n2", "n3")),
        symbols={"B": 2, "H": 8, "W": 8},
    )  # fmt: skip


MAKERS = {"residual": residual, "hostile": hostile, "symbolic": symbolic}
