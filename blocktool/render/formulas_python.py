"""Formulas as a Python module: functions of the sizes that return whole numbers.

The module needs nothing but Python. ``holds`` tells whether sizes are among those for which the
formulas were found; ``modules`` gives the figures of every module.
"""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.analysis.expressions import names_in, parse
from blocktool.render.formula_python import python
from blocktool.render.formula_shorthand import FIGURES, Shorthand, shorthand_of
from blocktool.render.formula_words import holds_for, peak_holds_for, remarks, signature, sizes
from blocktool.render.styled import clean
from blocktool.render.view import View
from blocktool.results.formulas import FormulaRow, Formulas

_OF_MODULES = ("params", "macs", "flops", "elementwise_flops", "activation_bytes")


def render(formulas: Formulas, view: View) -> str:
    """The source; every function takes the symbols in their order."""
    short = shorthand_of(formulas)
    arguments = ", ".join(f"{symbol.name}: int" for symbol in formulas.symbols)
    blocks = [_docstring(formulas), _holds(formulas, arguments)]
    for name in FIGURES:
        text = getattr(formulas.totals, name)
        if text is not None:
            only = _only(formulas) if name == "peak_live_bytes" else []
            body = [*only, *_locals(short, [text]), f"return {python(short.node(text))}"]
            blocks.append(_function(name, arguments, "int", body))
    blocks.append(_modules(formulas, short, arguments))
    return "\n\n\n".join(blocks) + "\n"


def _docstring(formulas: Formulas) -> str:
    lines = [
        f"Figures of {formulas.target} ({formulas.root_type}) as functions of its sizes.",
        "",
        f"{signature(formulas, '->')}, {formulas.mode}, by blocktool "
        f"{formulas.environment.blocktool}.",
    ]
    if formulas.symbols:
        lines += [f"For {sizes(formulas)}."]
    conditions = holds_for(formulas)
    if conditions is not None:
        lines.append(f"Where {conditions}.")
    lines += [f"Note: {remark}." for remark in remarks(formulas)]
    return '"""' + "\n".join(_escaped(clean(line)) for line in lines) + '\n"""'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _holds(formulas: Formulas, arguments: str) -> str:
    tests = [f"{symbol.name} >= {symbol.least}" for symbol in formulas.symbols]
    tests += [f"({python(parse(text))})" for text in formulas.conditions]
    body = [f"return {' and '.join(tests) or 'True'}"]
    return _function("holds", arguments, "bool", body)


def _only(formulas: Formulas) -> list[str]:
    """Refuses sizes for which the other figures hold, but the peak does not."""
    where = peak_holds_for(formulas)
    if where is None:
        return []
    test = " and ".join(f"({python(parse(t))})" for t in formulas.totals.peak_live_bytes_where)
    message = _escaped(clean(f"peak_live_bytes holds only where {where}"))
    return [f"if not ({test}):", f'    raise ValueError("{message}")']


def _function(name: str, arguments: str, kind: str, body: list[str]) -> str:
    return "\n".join([f"def {name}({arguments}) -> {kind}:", *(f"    {line}" for line in body)])


def _locals(short: Shorthand, texts: list[str]) -> Iterator[str]:
    """Definitions of the short names that ``texts`` use, directly or not."""
    used = {name for text in texts for name in names_in(short.node(text))}
    for name, node in reversed(short.definitions):
        if name in used:
            used |= names_in(node)
    for name, node in short.definitions:
        if name in used:
            yield f"{name} = {python(node)}"


def _modules(formulas: Formulas, short: Shorthand, arguments: str) -> str:
    texts = [text for row in formulas.modules for _, text in _figures(row)]
    body = [*_locals(short, texts), "return {"]
    for row in formulas.modules:
        figures = ", ".join(f'"{n}": {python(short.node(t))}' for n, t in _figures(row))
        body.append(f"    {row.path!r}: {{{figures}}},")
    body.append("}")
    return _function("modules", arguments, "dict[str, dict[str, int]]", body)


def _figures(row: FormulaRow) -> Iterator[tuple[str, str]]:
    for name in _OF_MODULES:
        text = getattr(row, name)
        if text is not None:
            yield name, text
