"""Reports in which every text that may come from outside is markup."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from render import comparisons, formula_reports, profiles, shape_reports, summaries

from blocktool.results.listing import ListedBlock, ListedConfig, ListedOption, Listing
from blocktool.results.summary import LiveBytes, SharedTensor

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"&\u2028]]>-->"
"""A name that would do harm in HTML, in an attribute and in a script."""


def poisoned(value: Any, hint: Any = None) -> Any:
    """The same result with ``MARKUP`` behind each text that is not one of a few fixed words."""
    if isinstance(value, str):
        return value + MARKUP if hint is None or str in (hint, *get_args(hint)) else value
    if isinstance(value, tuple | list):
        inner = [arg for arg in get_args(hint) if arg is not Ellipsis] or [None]
        return type(value)(
            poisoned(each, inner[0] if len(inner) != len(value) else inner[i])
            for i, each in enumerate(value)
        )
    if isinstance(value, dict):
        return {key: poisoned(each) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        made = {f.name: poisoned(getattr(value, f.name), hints[f.name]) for f in fields(value)}
        return type(value)(**made)
    return value


def summary() -> Any:
    """A training step with a timeline, shared tensors and operations that were not counted."""
    made = summaries.troubled()
    rest = {each.name: getattr(made, each.name) for each in fields(made)}
    rest["timeline"] = LiveBytes(
        (0, 5, 9), ("", "[red]", "head"), {"parameters": (5, 5, 5), "activations": (0, 9, 3)},
        {"forward": 0, "backward": 5},
    )  # fmt: skip
    rest["shared"] = (SharedTensor((8, 8), "float32", ("a", "b")),)
    return type(made)(**rest)


def listing() -> Listing:
    option = ListedOption("width", "int", False, "8")
    block = ListedBlock("conv", "convolution", "what it is", "a:B", ("1x3",), (option,))
    return Listing((block,), (ListedConfig("a.yaml", "a model", (option,)),))


def everything() -> dict[str, Any]:
    """One poisoned report of each kind and sort."""
    made = {
        "summary": summary(),
        "profile": profiles.by_module(),
        "profile-variants": profiles.variants(),
        "profile-batches": profiles.batches(),
        "profile-largest": profiles.largest(),
        "profile-training": profiles.training(),
        "check-shapes": shape_reports.broken(),
        "proofs": shape_reports.proved(),
        "comparison": comparisons.widened(),
        "comparison-measured": comparisons.profiled(),
        "comparison-cases": comparisons.checked(),
        "list": listing(),
    }
    found = {name: poisoned(report) for name, report in made.items()}
    # The expressions of formulas are no free texts: this one has hostile names only.
    return {**found, "formulas": formula_reports.hostile()}
