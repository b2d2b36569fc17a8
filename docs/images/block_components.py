"""Draw block_components.svg: what each block of the library is made of.

    python docs/images/block_components.py > docs/images/block_components.svg

The PNG beside it is the same picture, rendered by a browser at twice the size.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

COLOURS = {
    "conv": "#f6c9f0",
    "norm": "#e4e4ea",
    "act": "#fbe3c0",
    "linear": "#cfe0fb",
    "attention": "#bdeef0",
    "block": "#fdf6b2",
    "plain": "#ffffff",
}
WIDTH, HEIGHT, GAP = 132, 22, 9  # of a layer, and the arrow between two
CARD, MARGIN, TOP = 190, 14, 52
FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass(frozen=True)
class Sum:
    """Where a shortcut joins: from above layer ``start``, as a sum or a product."""

    start: int
    label: str = ""
    sign: str = "+"


Layer = tuple[str, str] | Sum

CONV, NORM, ACT = ("conv 3×3", "conv"), ("norm", "norm"), ("activation", "act")
ONE = ("conv 1×1", "conv")
SELF = ("SelfAttention", "attention")

CARDS: dict[str, dict[str, tuple[str, list[Layer]]]] = {
    "Convolution: maps (B, C, H, W)": {
        "ConvBlock": ("order='nac' puts the conv last", [CONV, NORM, ACT]),
        "DepthwiseSeparableConv": (
            "positions first, then channels",
            [("depthwise 3×3", "conv"), NORM, ACT, ONE, NORM, ACT],
        ),
        "GroupedConv": (
            "groups that do not mix",
            [("conv 3×3 in groups", "conv"), NORM, ACT, ("channel shuffle", "plain")],
        ),
        "DilatedConv": ("a 3×3 kernel that spans 5", [("conv 3×3, dilation 2", "conv"), NORM, ACT]),
        "SqueezeExcite": (
            "a gate for each channel",
            [("mean over H, W", "plain"), ONE, ACT, ONE, ("sigmoid", "act"), Sum(0, sign="×")],
        ),
    },
    "Attention: tokens (B, N, C) or maps": {
        "MultiHeadAttention": (
            "to itself, or to a context",
            [("q, k, v", "linear"), ("softmax(q kᵀ/√d) v", "attention"), ("projection", "linear")],
        ),
        "SelfAttention": (
            "of a map, or its windows",
            [
                ("map to tokens", "plain"),
                ("q, k, v", "linear"),
                ("softmax(q kᵀ/√d) v", "attention"),
                ("projection", "linear"),
                ("tokens to map", "plain"),
            ],
        ),
        "CrossAttention": (
            "kv can be kept",
            [
                ("q of x; k, v of context", "linear"),
                ("softmax(q kᵀ/√d) v", "attention"),
                ("projection", "linear"),
            ],
        ),
        "FeedForward": (
            "also gated, also with a conv",
            [("linear, wider", "linear"), ("activation or gate", "act"), ("linear", "linear")],
        ),
        "AttentionBlock": ("pre-norm, with residual", [NORM, SELF, Sum(0)]),
        "TransformerBlock": (
            "attention, then feed-forward",
            [NORM, SELF, Sum(0), NORM, ("FeedForward", "linear"), Sum(3)],
        ),
    },
    "Residual: maps (B, C, H, W)": {
        "ResidualBlock": ("the basic block", [CONV, NORM, ACT, CONV, NORM, Sum(0), ACT]),
        "BottleneckBlock": (
            "narrow inside, also in groups",
            [ONE, NORM, ACT, CONV, NORM, ACT, ONE, NORM, Sum(0), ACT],
        ),
        "PreActBlock": ("norm and activation first", [NORM, ACT, CONV, NORM, ACT, CONV, Sum(0)]),
        "PreActBottleneck": (
            "norm and activation first",
            [NORM, ACT, ONE, NORM, ACT, CONV, NORM, ACT, ONE, Sum(0)],
        ),
        "SEResidualBlock": (
            "a gate before the sum",
            [CONV, NORM, ACT, CONV, NORM, ("SqueezeExcite", "block"), Sum(0), ACT],
        ),
    },
    "Putting them together": {
        "Stage": (
            "drop path rises along it",
            [("block: width, stride", "block"), ("block", "block"), ("…", "plain")],
        ),
        "FeatureExtractor": (
            "logits, or the stages' maps",
            [
                ("stem", "conv"),
                ("positions (optional)", "plain"),
                ("stages", "block"),
                ("head (optional)", "linear"),
            ],
        ),
    },
}


def text(x: float, y: float, words: str, size: int, extra: str = "") -> str:
    """Words that begin at (x, y), or as ``extra`` says."""
    return (
        f"<text x='{x:g}' y='{y:g}' font-size='{size}' {FONT} {extra}>{html.escape(words)}</text>"
    )


def arrow(x: float, y: float) -> str:
    """From one layer down to the next."""
    return f"<path d='M{x:g} {y:g} v{GAP:g}' stroke='#555' fill='none' marker-end='url(#tip)'/>"


def card(name: str, note: str, layers: list[Layer], left: float, top: float) -> tuple[str, float]:
    """One block as a column of layers, and the height that it takes."""
    centre = left + 14 + WIDTH / 2
    middle = "text-anchor='middle'"
    parts = [
        text(left + 14, top + 18, name, 13, "font-weight='bold' fill='#222'"),
        text(left + 14, top + 34, note, 10, "fill='#666'"),
    ]
    y = top + TOP
    parts.append(arrow(centre, y - GAP))
    starts: list[float] = []
    for layer in layers:
        starts.append(y - GAP / 2)
        if isinstance(layer, Sum):
            begin, end, side = starts[layer.start], y + 8, centre + WIDTH / 2 + 14
            parts += [
                f"<path d='M{centre:g} {begin:g} H{side:g} V{end:g} H{centre + 10:g}' "
                "stroke='#555' fill='none' marker-end='url(#tip)'/>",
                f"<circle cx='{centre:g}' cy='{end:g}' r='8' fill='#fff' stroke='#555'/>",
                text(centre, end + 4, layer.sign, 12, middle),
            ]
            y += 16
        else:
            label, kind = layer
            parts += [
                f"<rect x='{centre - WIDTH / 2:g}' y='{y:g}' width='{WIDTH}' height='{HEIGHT}' "
                f"rx='4' fill='{COLOURS[kind]}' stroke='#888'/>",
                text(centre, y + 15, label, 11, middle + " fill='#222'"),
            ]
            y += HEIGHT
        parts.append(arrow(centre, y))
        y += GAP
    return "\n".join(parts), y + 8 - top


def picture() -> str:
    """All cards, in a row for each kind."""
    columns = max(len(row) for row in CARDS.values())
    parts, y = [], float(MARGIN)
    for title, row in CARDS.items():
        parts.append(text(MARGIN, y + 14, title, 15, "font-weight='bold' fill='#444'"))
        y += 24
        drawn = [
            card(name, note, layers, MARGIN + index * CARD, y)
            for index, (name, (note, layers)) in enumerate(row.items())
        ]
        height = max(used for _, used in drawn)
        for index, (shapes, _) in enumerate(drawn):
            parts.append(
                f"<rect x='{MARGIN + index * CARD}' y='{y:g}' width='{CARD - 10}' "
                f"height='{height:g}' rx='8' fill='#fbfbfd' stroke='#ddd'/>\n{shapes}"
            )
        y += height + 16
    width = columns * CARD + 2 * MARGIN - 10
    return "\n".join(
        (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{y:g}' "
            f"viewBox='0 0 {width} {y:g}' role='img'>",
            "<title>The blocks of blocktool and what they are made of</title>",
            "<defs><marker id='tip' markerWidth='6' markerHeight='6' refX='5' refY='3' "
            "orient='auto'><path d='M0 0 L6 3 L0 6 z' fill='#555'/></marker></defs>",
            f"<rect width='{width}' height='{y:g}' fill='#ffffff'/>",
            *parts,
            "</svg>",
        )
    )


if __name__ == "__main__":
    print(picture())
