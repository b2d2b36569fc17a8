"""The names of variants, alone and joined by ``+``. Needs no torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from blocktool.errors import UsageError
from blocktool.measure.request import CaseSpec

BASELINE = "eager"

VARIANTS: dict[str, str] = {
    BASELINE: "the module as it is: the baseline, always included",
    "fused": "batch norms and per-channel factors folded, q/k/v packed (inference)",
    "channels-last": "inputs and weights of four or five dimensions with the channels innermost",
    "bf16": "the whole module and its inputs in bfloat16",
    "fp16": "the whole module and its inputs in float16",
    "amp-bf16": "under autocast to bfloat16, weights as they are",
    "amp-fp16": "under autocast to float16, weights as they are",
    "int8-weight-only": "linear layers keep int8 weights, compute in floating point (torchao)",
    "int8-dynamic": "linear layers in int8, inputs quantized in each call (torchao)",
    "int8-static": "convolutions and linear layers in int8, always compiled (CPU, torchao)",
    "compile": "torch.compile",
    "compile-max-autotune": "torch.compile that tries out kernels first, which takes long",
    "compile-reduce-overhead": "torch.compile with CUDA graphs, for small batches (CUDA)",
}
"""Each name and what it does, in the order in which they are applied and written."""

DTYPES = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "amp-bf16": "bfloat16",
    "amp-fp16": "float16",
}
"""The dtypes of those that compute in another one."""

CASTS = ("bf16", "fp16")
"""Those that convert the module and its inputs, where the others run under autocast."""

ALL = (
    BASELINE,
    "fused",
    "channels-last",
    "bf16",
    "amp-bf16",
    "int8-weight-only",
    "int8-dynamic",
    "int8-static+compile",
    "compile",
    "compile-reduce-overhead",
    "fused+channels-last",
    "fused+channels-last+bf16",
    "fused+channels-last+compile",
    "fused+channels-last+bf16+compile",
)
"""What ``all`` stands for. What a mode or a device does not have is skipped when it runs."""

_ALL = "all"

_ALIASES = {
    "bfloat16": "bf16",
    "half": "fp16",
    "float16": "fp16",
    "amp": "amp-bf16",
    "amp-bfloat16": "amp-bf16",
    "amp-float16": "amp-fp16",
    "fuse": "fused",
    "nhwc": "channels-last",
    "max-autotune": "compile-max-autotune",
    "reduce-overhead": "compile-reduce-overhead",
    "cuda-graphs": "compile-reduce-overhead",
}

_COMPILE = ("compile", "compile-max-autotune", "compile-reduce-overhead")
_PRECISIONS = ("bf16", "fp16", "amp-bf16", "amp-fp16")
_EXCLUSIVE: tuple[tuple[tuple[str, ...], str], ...] = (
    (_PRECISIONS, "a module computes in one dtype"),
    (("int8-weight-only", "int8-dynamic", "int8-static"), "a layer is quantized once"),
    (_COMPILE, "a module is compiled once"),
    *(((name, "int8-static"), "int8-static starts from float32") for name in _PRECISIONS),
)


def parse_variants(texts: Sequence[str]) -> tuple[str, ...]:
    """The variants that the user named, each once and in normal form, ``"eager"`` first.

    Each text may hold several, with commas; a variant is one name or several joined by ``+``.
    Case, ``_`` and the order in a combination do not matter, and some names have aliases. ``all``
    stands for :data:`ALL`. int8-static computes in int8 when it is compiled, so that it implies it.

    Raises UsageError for a name that is none, and names that cannot be combined.
    """
    found = [BASELINE]
    for text in texts:
        for variant in text.split(","):
            found += ALL if _plain(variant) == _ALL else [_normal(variant)]
    return tuple(dict.fromkeys(found))


def parts(variant: str) -> tuple[str, ...]:
    """The names in a variant in normal form, in the order in which they are applied; none for
    eager."""
    return () if variant == BASELINE else tuple(variant.split("+"))


def joined(names: Iterable[str]) -> str:
    """The normal form of names that may be combined."""
    wanted = set(names)
    return "+".join(name for name in VARIANTS if name in wanted - {BASELINE}) or BASELINE


def computed_dtypes(cases: Iterable[CaseSpec]) -> tuple[str, ...]:
    """The dtypes in which the contractions of these cases run, each once."""
    found: dict[str, None] = {}
    for case in cases:
        low = [DTYPES[name] for name in parts(case.variant) if name in DTYPES]
        found.setdefault(low[0] if low else case.dtype)
    return tuple(found)


def _plain(text: str) -> str:
    return text.strip().lower().replace("_", "-").replace(" ", "-")


def _normal(text: str) -> str:
    names = [_known(name, text) for name in text.split("+")]
    for group, reason in _EXCLUSIVE:
        both = [name for name in dict.fromkeys(names) if name in group]
        if len(both) > 1:
            raise UsageError(
                f"variant '{text.strip()}' joins {both[0]} and {both[1]}",
                hint=f"{reason}; name them as two variants, separated by a comma",
            )
    if "int8-static" in names and not any(name in _COMPILE for name in names):
        names.append("compile")
    return joined(names)


def _known(name: str, text: str) -> str:
    plain = _plain(name)
    plain = _ALIASES.get(plain, plain)
    if plain in VARIANTS:
        return plain
    if plain == _ALL:
        raise UsageError(
            f"variant '{text.strip()}' joins all with something", hint="all stands for itself"
        )
    if not plain:
        where = f" in '{text.strip()}'" if text.strip() else ""
        raise UsageError(
            f"a variant has no name{where}", hint="for example eager,channels-last,fused+bf16"
        )
    near = difflib.get_close_matches(plain, [*VARIANTS, *_ALIASES, _ALL], n=1)
    raise UsageError(
        f"unknown variant '{name.strip()}'",
        hint=f"did you mean {near[0]}?" if near else f"variants: {', '.join(VARIANTS)}, {_ALL}",
    )
