"""What a module says of itself (its ``extra_repr``), taken apart, and how two of them differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from blocktool.results.summary import ModuleRow

_POSITIONAL: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("Conv", "LazyConv", "Residual", "Bottleneck", "PreAct"), ("in_channels", "out_channels")),
    (("DepthwiseSeparable", "Grouped", "Dilated", "SE", "Stem"), ("in_channels", "out_channels")),
    (("BatchNorm", "InstanceNorm", "SyncBatchNorm", "LazyBatchNorm"), ("num_features",)),
    (("GroupNorm",), ("num_groups", "num_channels")),
    (("LayerNorm", "RMSNorm"), ("normalized_shape",)),
    (("Embedding",), ("num_embeddings", "embedding_dim")),
    (("LSTM", "GRU", "RNN"), ("input_size", "hidden_size")),
)
"""How torch's modules, and ours, name what they print without a name, by the class's beginning."""

WIDTHS = {
    "in_channels",
    "out_channels",
    "num_features",
    "num_channels",
    "in_features",
    "out_features",
    "normalized_shape",
    "embedding_dim",
    "embed_dim",
    "hidden_dim",
    "hidden_size",
    "head_hidden_size",
    "attn_dim",
    "inplanes",
    "channels",
    "dim",
}
"""Names for how wide a tensor is: where one changes, so do those of its neighbours."""


_DEFAULTS = {
    "groups": "1",
    "dilation": "1",
    "padding": "0",
    "output_padding": "0",
    "bias": "True",
    "inplace": "False",
    "padding_mode": "zeros",
}
"""What torch's modules do not print where it is the default."""


_LISTS = ("ParameterList", "ParameterDict")


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting of a module that is not as it was; None: it is not said, and not known."""

    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.old or 'default'} -> {self.new or 'default'}"


def settings(kind: str, detail: str) -> dict[str, str]:
    """``"64, 16, stride=(1, 1)"`` of a convolution as ``{"in_channels": "64", ...}``."""
    if kind in _LISTS:
        return {}  # it prints what it holds, and its own parameters tell that better
    found: dict[str, str] = {}
    names = _names(kind)
    for index, part in enumerate(_parts(detail)):
        name, equals, value = part.partition("=")
        if equals and name.strip().isidentifier():
            found[name.strip()] = _readable(value.strip())
        else:
            found[names[index] if index < len(names) else f"argument {index + 1}"] = _readable(part)
    return found


def differences(old: ModuleRow, new: ModuleRow) -> tuple[Difference, ...]:
    """In what two modules of one class differ, by what they say of themselves or hold."""
    before, after = settings(old.type, old.detail), settings(new.type, new.detail)
    if old.attributes and new.attributes:  # reports of earlier releases have none
        before |= {name: _short(value) for name, value in old.attributes.items()}
        after |= {name: _short(value) for name, value in new.attributes.items()}
    found = []
    for name in dict.fromkeys([*before, *after]):
        was, now = (each.get(name, _DEFAULTS.get(name)) for each in (before, after))
        if was != now:
            found.append(Difference(name, was, now))
    return tuple(found)


def _short(value: object) -> str:
    """A value as it is shown: ``0.01818`` rather than seventeen digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _readable(text: str) -> str:
    """The same for a value that is text already; the width of a norm, ``(768,)``, is a number."""
    if match := re.fullmatch(r"\((\d+),\)", text):
        return match[1]
    return _short(float(text)) if re.fullmatch(r"-?\d*\.\d{5,}", text) else text


@lru_cache(maxsize=4096)
def likeness(kind: str, old: str, new: str) -> float:
    """The share of settings that are equal in what two modules of one class say of themselves, 0 to
    1; 1 where neither says anything."""
    before, after = settings(kind, old), settings(kind, new)
    names = {*before, *after}
    return sum(before.get(n) == after.get(n) for n in names) / len(names) if names else 1.0


def _names(kind: str) -> tuple[str, ...]:
    for beginnings, names in _POSITIONAL:
        if kind.startswith(beginnings):
            return names
    return ()


def _parts(detail: str) -> list[str]:
    """The text parted at commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(detail):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append(detail[start:position].strip())
            start = position + 1
    parts.append(detail[start:].strip())
    return [part for part in parts if part]
