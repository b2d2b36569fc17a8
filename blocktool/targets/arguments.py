"""KEY=VALUE arguments: reading them, and holding them against a constructor's signature."""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from blocktool.errors import TargetError, UsageError

_KEY = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
_SHAPE = re.compile(r"\d+(x\d+)+(:\w+)?")


def parse_arguments(items: Iterable[str]) -> dict[str, object]:
    """Read ``KEY=VALUE`` strings, in order; a key may be dotted (``stages.2.num_blocks=5``).

    Raises UsageError for an item without ``=``, an empty or odd key, a key given twice, and a
    value that is no YAML.
    """
    values: dict[str, object] = {}
    for item in items:
        key, equals, text = item.partition("=")
        key = key.strip()
        if not equals:
            raise UsageError(f"'{item}' is not KEY=VALUE", hint=_hint_for_bare(item))
        if not _KEY.fullmatch(key):
            what = "has no key before '='" if not key else f"has an odd key '{key}'"
            raise UsageError(f"argument '{item}' {what}", hint="write KEY=VALUE, e.g. channels=64")
        if key in values:
            raise UsageError(f"argument '{key}' is given twice", hint="give each key once")
        values[key] = parse_value(text, key)
    return values


def _hint_for_bare(item: str) -> str:
    if _SHAPE.fullmatch(item):
        return f"an input is given with -i {item}"
    return "arguments follow the target as KEY=VALUE, e.g. channels=64"


def parse_value(text: str, key: str = "value") -> object:
    """Read one value as YAML (core schema, 1.2): ``3``, ``1e-3``, ``true``, ``null``, ``[1, 2]``.

    Unlike YAML 1.1, ``on`` and ``no`` are words, ``010`` is ten and ``1e-3`` a number; ``None``
    means null, as it does everywhere else in Python.

    Raises UsageError, naming ``key``, for text that is not YAML.
    """
    from blocktool.targets.yaml_values import load_value, plain_scalar

    text = text.strip()
    # Numbers and words need no YAML parser, and most values are one: PyYAML costs 20 ms to import.
    if re.fullmatch(r"[\w.+-]*", text, re.ASCII) and text not in ("-", "..."):
        return plain_scalar(text)
    try:
        return load_value(text)
    except ValueError as error:
        raise UsageError(
            f"argument '{key}': '{text}' is not a YAML value: {error}",
            hint=f"quote it: {key}='\"...\"'",
        ) from None


def bind_arguments(
    function: Callable[..., Any], values: Mapping[str, object], what: str
) -> dict[str, object]:
    """The keyword arguments for ``function``, checked against its signature.

    ``what`` names the function in errors (``"net.py:Net"``). Values are checked where the
    annotation is plain (bool, int, float, str, list, tuple, their unions and Literals): an int
    serves as float, a list becomes the tuple that is asked for, nothing else is converted.

    Raises TargetError for an argument that the function does not take, a required one that is
    missing, and a value of the wrong type.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # some builtins have none; the call itself will tell
        return dict(values)
    parameters = signature.parameters
    by_keyword = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in values:
        if key not in by_keyword and not open_ended:
            raise TargetError(
                f"{what} takes no argument '{key}'", hint=_hint_for_unknown(key, list(by_keyword))
            )
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.POSITIONAL_ONLY and required:
            raise TargetError(
                f"{what} takes '{name}' by position only, so it cannot be given",
                hint="name a factory function that builds it",
            )
        if name in by_keyword and required and name not in values:
            raise TargetError(
                f"{what} needs the argument '{name}'", hint=_hint_for_missing(function, parameter)
            )
    bound: dict[str, object] = {}
    for key, value in values.items():
        parameter = by_keyword.get(key, inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY))
        bound[key] = _checked(function, parameter, value, what)
    return bound


def _hint_for_unknown(key: str, names: list[str]) -> str:
    if not names:
        return "it takes no arguments"
    close = difflib.get_close_matches(key.replace("-", "_"), names, n=1)
    listed = f"arguments: {', '.join(names)}"
    return f"did you mean {close[0]}? {listed}" if close else listed


def _hint_for_missing(function: Callable[..., Any], parameter: inspect.Parameter) -> str:
    annotation = _annotation(function, parameter)
    examples = {int: "64", float: "0.1", bool: "true"}
    example = examples.get(annotation, "VALUE") if isinstance(annotation, type) else "VALUE"
    return f"add {parameter.name}={example} after the target"


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation as an object, or ``parameter.empty`` where it cannot be evaluated.

    Each is evaluated on its own, so that one name under TYPE_CHECKING does not hide the others.
    """
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    target: Any = inspect.unwrap(function)
    if isinstance(target, type):
        target = inspect.unwrap(target.__init__)  # type: ignore[misc]
    try:
        return eval(annotation, getattr(target, "__globals__", {}))
    except Exception:
        return parameter.empty


def _checked(
    function: Callable[..., Any], parameter: inspect.Parameter, value: object, what: str
) -> object:
    annotation = _annotation(function, parameter)
    if value is None and parameter.default is None:
        return value
    fits, converted = _fit(value, annotation)
    if fits:
        return converted
    shown = f"'{value}'" if isinstance(value, str) else _as_yaml(value)
    hint = f"{parameter.name}={_as_yaml(parameter.default)} is the default"
    if parameter.default is parameter.empty:
        hint = "values are YAML: 3, 0.5, true, null, word, [1, 2]"
    raise TargetError(
        f"{what}: argument '{parameter.name}' must be {_spell(annotation)}, got {shown}", hint=hint
    )


def _fit(value: object, annotation: Any) -> tuple[bool, object]:
    """Whether ``value`` fits ``annotation``, and the value to pass; what is not plain fits."""
    origin, choices = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        # An exact member first: 3 for `float | int` stays an int.
        fitting = [made for ok, made in (_fit(value, choice) for choice in choices) if ok]
        same = [made for made in fitting if made is value]
        return bool(fitting), (same or fitting or [value])[0]
    if origin is typing.Literal:
        return any(value == c and type(value) is type(c) for c in choices), value
    if annotation is None or annotation is type(None):
        return value is None, value
    if annotation in (bool, str):
        return type(value) is annotation, value
    if annotation is int:
        return type(value) is int, value
    if annotation is float:
        if type(value) is int:
            return True, float(value)
        return type(value) is float, value
    if (origin or annotation) in (list, tuple):
        return _fit_sequence(value, origin or annotation, choices)
    return True, value


def _fit_sequence(value: object, kind: type, items: tuple[Any, ...]) -> tuple[bool, object]:
    if not isinstance(value, list):
        return False, value
    if kind is tuple and items and items[-1] is not Ellipsis:
        if len(value) != len(items):
            return False, value
        fitted = [_fit(element, item) for element, item in zip(value, items, strict=True)]
    else:
        fitted = [_fit(element, items[0]) if items else (True, element) for element in value]
    return all(ok for ok, _ in fitted), kind(made for _, made in fitted)


def _spell(annotation: Any) -> str:
    """``int | None``, ``tuple[int, int]``, ``'a' or 'b'``: as a person would write it."""
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(annotation)))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(_spell(choice) for choice in typing.get_args(annotation))
    if annotation is type(None) or annotation is None:
        return "null"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _as_yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return str(value)
