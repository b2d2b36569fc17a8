"""Values of KEY=VALUE, by the core schema of YAML 1.2.

PyYAML reads YAML 1.1, where ``on`` is true, ``010`` is eight, ``1:30`` is ninety and ``1e-3`` a
string; none of that is what someone means who writes ``act=on`` or ``eps=1e-3``. The scalar rules
of 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema) are these few lines, with Python's ``None``
as one more way to write null.
"""

from __future__ import annotations

import re

_NULL = re.compile(r"~|null|Null|NULL|None|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")


def plain_scalar(text: str) -> object:
    """What an unquoted scalar means: None, a bool, an int, a float, or the text itself."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text):
        return int(text) if len(text) <= 4000 else text  # int() refuses more digits than this
    if _RADIX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _INF.fullmatch(text):
        return float(match[1] + "inf")
    return float("nan") if _NAN.fullmatch(text) else text


def load_value(text: str) -> object:
    """Read any YAML value: a list, a mapping, a quoted string, a plain scalar.

    Raises ValueError, with the reason in one line, for text that is not YAML.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else _construct(node)
    except yaml.YAMLError as error:
        raise ValueError(getattr(error, "problem", None) or "cannot be read") from None
    except RecursionError:  # an alias that contains itself, or very deep nesting
        raise ValueError("nested too deeply") from None


def _construct(node: object) -> object:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        plain = node.style is None and not node.tag.startswith("!")
        return plain_scalar(node.value) if plain else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_construct(child) for child in node.value]
    if isinstance(node, yaml.MappingNode):
        pairs = [(_construct(key), _construct(value)) for key, value in node.value]
        if any(isinstance(key, (list, dict)) for key, _ in pairs):
            raise ValueError("a key must be a scalar")
        return dict(pairs)
    raise ValueError("cannot be read")
