"""What operations and modules are called in a diagram."""

from __future__ import annotations

import re

_NAMES = {
    "convolution": "conv",
    "addmm": "linear",
    "mm": "matmul",
    "bmm": "matmul",
    "baddbmm": "matmul",
    "constant_pad_nd": "pad",
    "native_layer_norm": "layer norm",
    "native_group_norm": "group norm",
    "native_batch_norm": "batch norm",
    "max_pool2d_with_indices": "max pool",
    "unsafe_split": "split",
    "unsafe_index": "index",
    "copy": "assign",
    "native_dropout": "dropout",
}
_DIMENSIONS = re.compile(r"(?<=[a-z])[1-3]d(?=_|$)")
_ARGUMENT = re.compile(r"(\w+)=(\([^()]*\)|[^,()]+)")
_UNSHOWN = {"1", "None", "False", "", "-1"}


def operation_name(op: str) -> str:
    """``"aten._softmax"`` -> ``"softmax"``, ``"aten.add_"`` -> ``"add"``."""
    stem = op.rpartition(".")[2].strip("_")
    if "scaled_dot_product" in stem:
        return "attention"
    if name := _NAMES.get(stem):
        return name
    stem = _DIMENSIONS.sub("", stem).removeprefix("native_").removeprefix("upsample_")
    if op.partition("upsample_")[1]:
        return f"upsample {stem}".replace("_", " ")
    return stem.replace("_", " ")


def essential(detail: str) -> str:
    """What matters of a module's ``extra_repr``: ``"3×3, stride 2, groups 32"``; "" if nothing.

    The rest (widths, padding, eps) is plain from the shapes, or seldom asked for.
    """
    arguments = {key: _value(value) for key, value in _ARGUMENT.findall(detail)}
    parts = []
    if "in_features" in arguments and "out_features" in arguments:
        parts.append(f"{arguments['in_features']} → {arguments['out_features']}")
    if kernel := arguments.get("kernel_size"):
        parts.append(kernel if "×" in kernel else f"{kernel}×{kernel}")
    for key, word in _SHOWN.items():
        value = _once(arguments.get(key, ""))
        if value not in _UNSHOWN and not (key == "stride" and value == _once(kernel or "")):
            parts.append(f"{word} {value}")
    return ", ".join(parts)


_SHOWN = {
    "stride": "stride",
    "dilation": "dilation",
    "groups": "groups",
    "output_size": "to",
    "scale_factor": "×",
    "upscale_factor": "×",
    "downscale_factor": "÷",
    "num_heads": "heads",
    "heads": "heads",
    "window": "window",
    "window_size": "window",
    "num_layers": "layers",
    "hidden_size": "hidden",
}


def _once(value: str) -> str:
    """``2×2`` as ``2``."""
    items = value.split("×")
    return items[0] if len(set(items)) == 1 else value


def _value(text: str) -> str:
    """``(3, 3)`` as ``3×3``."""
    text = text.strip()
    if not text.startswith("("):
        return re.sub(r"\.0$", "", text)
    items = [item.strip() for item in text.strip("()").split(",") if item.strip()]
    return "×".join(items)
