"""Formulas as LaTeX, for a paper: totals and modules, with amsmath and nothing else."""

from __future__ import annotations

from blocktool.analysis.expressions import (
    Call,
    Comparison,
    Logic,
    Name,
    Node,
    Number,
    Operation,
    parse,
)
from blocktool.render.formula_rows import shown_rows
from blocktool.render.formula_shorthand import FIGURES, TITLES, shorthand_of
from blocktool.render.formula_words import NO_SHAPE, output_of, remarks
from blocktool.render.styled import clean
from blocktool.render.view import View
from blocktool.results.formulas import FormulaRow, Formulas

_COLUMNS = ("params", "macs", "activation_bytes")
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
}  # fmt: skip
_COMPARED = {"==": "=", "!=": r"\neq", "<=": r"\leq", ">=": r"\geq", "<": "<", ">": ">"}
_COMMA, _INDENT, _TIMES = r",\; ", r"\quad ", r" \times "
_SUM, _PRODUCT, _ATOM = 1, 2, 3


def render(formulas: Formulas, view: View) -> str:
    """An ``align*`` of the totals and the names that they use, and a ``tabular`` of modules."""
    short = shorthand_of(formulas)
    lines = [f"% {_comment(formulas.target)}: made by blocktool, needs amsmath"]
    lines += [f"% {_comment(remark)}" for remark in remarks(formulas)]
    equations = [
        rf"\text{{{escape(TITLES[name])}}} &= {latex(short.node(text))}{_only(formulas, name)}"
        for name in FIGURES
        if (text := getattr(formulas.totals, name)) is not None
    ]
    equations += [f"{_name(name)} &= {latex(node)}" for name, node in short.definitions]
    conditions = [f"{_name(s.name)} \\geq {s.least}" for s in formulas.symbols]
    conditions += [latex(parse(text)) for text in formulas.conditions]
    if conditions:
        equations.append(rf"\text{{for }} & {_COMMA.join(conditions)}")
    lines += [r"\begin{align*}", *(f"  {each} \\\\" for each in equations[:-1])]
    lines += [f"  {equations[-1]}", r"\end{align*}"]
    nodes, _, _ = shown_rows(formulas, view.depth, expand=view.expand)
    lines += [r"\begin{tabular}{lllll}", f"  Module & Output & {_titles()} \\\\ \\hline"]
    for node in nodes:
        times = f" $\\times {node.count}$" if node.count > 1 else ""
        cells = [
            f"{_INDENT * node.level}{escape(node.name)}{times}",
            _output(node.row),
            *(
                "" if text is None else f"${latex(short.node(text))}$"
                for text in (getattr(node.row, name) for name in _COLUMNS)
            ),
        ]
        lines.append(f"  {' & '.join(cells)} \\\\")
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def _only(formulas: Formulas, name: str) -> str:
    """For which sizes the peak holds, where these are fewer than for the rest."""
    where = formulas.totals.peak_live_bytes_where if name == "peak_live_bytes" else ()
    conditions = _COMMA.join(latex(parse(text)) for text in where)
    return rf" \quad \text{{for }} {conditions}" if conditions else ""


def _output(row: FormulaRow) -> str:
    shape = output_of(row)
    if shape is None:
        return NO_SHAPE
    return f"${_TIMES.join(latex(parse(n)) for n in shape.split(', '))}$" if shape else ""


def _titles() -> str:
    return " & ".join(TITLES[name] for name in _COLUMNS)


def _comment(text: str) -> str:
    return clean(" ".join(text.split()))


def escape(text: str) -> str:
    """Text in which no character has a meaning of its own."""
    return "".join(_SPECIAL.get(char, char) for char in text if char.isprintable())


def latex(node: Node) -> str:
    """An expression in math mode."""
    return _latex(node)[0]


def _latex(node: Node) -> tuple[str, int]:
    """The text, and how tightly it binds."""
    match node:
        case Number(value):
            return str(value), _ATOM if value >= 0 else _SUM
        case Name(name):
            return _name(name), _ATOM
        case Operation("+" | "-" as op, left, right):
            tight = _PRODUCT if op == "-" else _SUM
            return f"{_within(left, _SUM)} {op} {_within(right, tight)}", _SUM
        case Operation("*", left, right):
            return f"{_within(left, _PRODUCT)} \\, {_within(right, _PRODUCT)}", _PRODUCT
        case Operation("/", left, right):
            return rf"\frac{{{latex(left)}}}{{{latex(right)}}}", _ATOM
        case Operation("//", left, right):
            return (
                rf"\left\lfloor \frac{{{latex(left)}}}{{{latex(right)}}} \right\rfloor",
                _ATOM,
            )
        case Operation("**", left, right):
            return f"{_within(left, _ATOM)}^{{{latex(right)}}}", _PRODUCT
        case Operation(_, left, right):
            return rf"{_within(left, _PRODUCT)} \bmod {_within(right, _ATOM)}", _SUM
        case Call("ceil" | "floor" as function, (part,)):
            return rf"\left\l{function} {latex(part)} \right\r{function}", _ATOM
        case Call(function, parts):
            return rf"\{function}\left({', '.join(map(latex, parts))}\right)", _ATOM
        case Comparison(op, left, right):
            return f"{latex(left)} {_COMPARED[op]} {latex(right)}", 0
        case Logic("not", (part,)):
            return rf"\lnot \left({latex(part)}\right)", 0
        case Logic(op, parts):
            sign = r" \land " if op == "and" else r" \lor "
            return rf"\left({sign.join(map(latex, parts))}\right)", 0


def _within(node: Node, tight: int) -> str:
    text, own = _latex(node)
    return text if own >= tight else rf"\left({text}\right)"


def _name(name: str) -> str:
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    base = letters if len(letters) == 1 else rf"\mathit{{{escape(letters)}}}"
    return f"{base}_{{{digits}}}" if digits else base
