"""What a proof says, in words; shared by the formats that people read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from blocktool.analysis.words import in_words, together
from blocktool.results.shapes import Alternative, Proof

_FEW_OUTPUTS = 4
_SYMBOL = re.compile(r"\b[A-Z]\w*\b")


def proofs_line(proofs: Sequence[Proof]) -> str:
    """``16 proofs: 14 proved, 1 refuted, 1 not proved``."""
    verdicts = Counter(proof.verdict for proof in proofs)
    parts = [f"{count} {name}" for name, count in verdicts.items()]
    return f"{len(proofs)} {'proof' if len(proofs) == 1 else 'proofs'}: {', '.join(parts)}"


def claim(proof: Proof, arrow: str) -> str:
    """What a proof is about: inputs, output, and for which sizes it holds, in plain words."""
    inputs = "; ".join(proof.inputs)
    sizes = f"{inputs} {arrow} {output(proof)}" if proof.output else inputs
    symbols = list(dict.fromkeys(_SYMBOL.findall(inputs)))
    if words := conditions(proof):
        sizes = f"{sizes} where {' and '.join(words)}"
    elif symbols and proof.output and proof.complete:
        sizes = f"{sizes} for every {', '.join(symbols)}"
    return f"{sizes}{'; '.join(['', *exceptions(proof)])}{_follows(proof)}"


def _follows(proof: Proof) -> str:
    """That the contract holds, and for which sizes that is known."""
    if proof.contract is None or proof.verdict != "proved":
        return ""
    if proof.where:
        return f", so the contract holds where {proof.where}"
    # An output_shape also says where a module refuses its inputs.
    if proof.constraints and proof.contract != "output_shape":
        return ", so the contract holds wherever it runs"
    return ", so the contract holds"


def output(proof: Proof) -> str:
    """What comes out, but for exceptions; empty where nothing is known."""
    if not proof.outputs:
        return proof.output or ""
    first = proof.outputs[0]
    # Where sizes are left open, none of several outputs is the usual one.
    return first.output if proof.complete or len(proof.outputs) == 1 else _alternative(first)


def _alternative(way: Alternative) -> str:
    where = in_words(together(way.constraints)) if way.constraints else ""
    return f"{way.output} where {where}" if where else way.output


def exceptions(proof: Proof) -> list[str]:
    """What else comes out, and for which sizes: ``"but B, 2, H, W where H is at least 101"``."""
    others = proof.outputs[1:]
    told = [f"but {_alternative(each)}" for each in others[:_FEW_OUTPUTS]]
    more = len(others) - len(told)
    plural = "output" if more == 1 else "outputs"
    return [*told, f"and {more} other {plural}"] if more > 0 else told


def conditions(proof: Proof) -> list[str]:
    """The conditions under which it runs, in plain words."""
    fixed = proof.fixed or {}
    worded = {condition.expression: condition.words for condition in proof.conditions}
    said = {f"{symbol} == {size}": f"{symbol} is {size} only" for symbol, size in fixed.items()}
    rest = [words for expression, words in worded.items() if expression not in said]
    rest += [text for text in proof.constraints if text not in worded and text not in said]
    return [*said.values(), *rest]


def objections(proof: Proof) -> list[tuple[str, str]]:
    """Why a claim is not proved, and where we contradict ourselves."""
    told: list[tuple[str, str]] = [(proof.verdict, proof.reason)] if proof.reason else []
    if proof.contract and proof.verdict != "proved":
        told.append(("contract", proof.contract))
    return told + [
        ("contradiction", f"blocktool contradicts itself: {text}; please report this")
        for text in proof.contradictions
    ]
