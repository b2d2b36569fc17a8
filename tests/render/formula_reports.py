"""Reports of formulas for the tests: a small backbone, and one in which all can go wrong."""

from __future__ import annotations

from blocktool.results.environment import Environment
from blocktool.results.formulas import FormulaRow, Formulas, FormulaSymbol, FormulaTotals
from blocktool.results.symbolic import SymbolicTensor

ENVIRONMENT = Environment("0.1.0", "2.13.0", "3.11.7", "Linux x86_64", {})
MAP = ("B", "H", "W")


def symbols(least: int = 2) -> tuple[FormulaSymbol, ...]:
    meanings = ("batch size", "height", "width")
    return tuple(
        FormulaSymbol(name, meaning, 2 if name == "B" else least, 56)
        for name, meaning in zip(MAP, meanings, strict=True)
    )


def row(path: str, kind: str, output: str, params: int, macs: str, made: str) -> FormulaRow:
    return FormulaRow(
        path=path,
        type=kind,
        calls=1,
        depth=path.count(".") + bool(path),
        input_shapes=("B, 3, H, W",),
        output_shapes=(output,),
        params=str(params),
        macs=macs,
        flops=f"2*({macs})",
        elementwise_flops="0",
        activation_bytes=made,
        read_bytes=made,
        written_bytes=made,
    )


def backbone() -> Formulas:
    """A stem, three equal blocks and a head."""
    h, w = "((H + 1)//2)", "((W + 1)//2)"
    half = f"B, 16, {h[1:-1]}, {w[1:-1]}"
    block = f"2304*B*{h}*{w}"
    quarter = "B*((H + 3)//4)*((W + 3)//4)"
    macs = f"B*(7344*{h}*{w} + 16*((H + 3)//4)*((W + 3)//4) + 160)"
    made = f"256*B*{h}*{w} + 64*{quarter} + 40*B"
    rows = (
        row("", "Net", "B, 10", 7610, macs, made),
        row("stem", "Conv2d", half, 432, f"432*B*{h}*{w}", f"64*B*{h}*{w}"),
        row("body", "Sequential", half, 6912, f"6912*B*{h}*{w}", f"192*B*{h}*{w}"),
        *(row(f"body.{n}", "Block", half, 2304, block, f"64*B*{h}*{w}") for n in range(3)),
        row("pool", "MaxPool2d", "B, 16, (H + 3)//4, (W + 3)//4", 0, "0", f"64*{quarter}"),
        row("head", "Linear", "B, 10", 170, "160*B", "40*B"),
    )
    return Formulas(
        target="net.yaml",
        root_type="Net",
        mode="forward",
        attention="cpu",
        environment=ENVIRONMENT,
        symbols=symbols(3),
        conditions=(),
        inputs=(SymbolicTensor(("B", 3, "H", "W")),),
        outputs=(SymbolicTensor(("B", 10)),),
        totals=FormulaTotals(
            params="7610",
            param_bytes="30440",
            macs=macs,
            flops=f"2*{macs}",
            elementwise_flops=f"B*{h}*{w}",
            activation_bytes=made,
            read_bytes=made,
            written_bytes=made,
            peak_live_bytes=f"max(12*B*H*W + 64*B*{h}*{w} + 30440, 128*B*{h}*{w} + 30840)",
        ),
        modules=rows,
        compared=5,
        notes=("compared at B = 1, too: the same figures",),
    )


def hostile() -> Formulas:
    """Names that are markup, free arguments, conditions, figures without a formula."""
    rows = (
        row("", 'N"""et', "B, C, H, W", 0, "9*B*C**2*H*W/G", "4*B*C*H*W"),
        row("a_b|<b>$%", "Conv\\2d", "B, C, H, W", 0, "9*B*C**2*H*W/G", "4*B*C*H*W"),
    )
    free = (
        FormulaSymbol("C", "arguments in_channels, out_channels", 16, 64),
        FormulaSymbol("G", "argument groups", 1, 2),
    )
    return Formulas(
        target='x_"""[red]|`in_channels=C`\n\x1b[31m',
        root_type='N"""et',
        mode="training",
        attention="cpu",
        environment=ENVIRONMENT,
        symbols=(*free, *symbols(8)),
        conditions=("C % 4 == 0", "H == W or H % 7 == 0", "ceil(H/4) >= 3"),
        inputs=(SymbolicTensor(("B", "C", "H", "W"), "bfloat16", "x"),),
        outputs=(SymbolicTensor(("B", "C", "H", "W"), "bfloat16"),),
        totals=FormulaTotals(
            params="9*C**2/G + 17*C/4",
            param_bytes="36*C**2/G + 17*C",
            macs="9*B*C**2*H*W/G",
            flops="18*B*C**2*H*W/G",
            elementwise_flops=None,
            activation_bytes="4*B*C*H*W",
            read_bytes="12*B*C*H*W",
            written_bytes="B*C*(H*W + 3*H + 2*W)",
            peak_live_bytes=None,
        ),
        modules=rows,
        compared=0,
        notes=("not a polynomial in C, G, so left out: elementwise_flops, peak_live_bytes",),
    )
