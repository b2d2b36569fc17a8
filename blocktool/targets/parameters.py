"""Arguments as a constructor wants them, and values held against them."""

from __future__ import annotations

import difflib
import functools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from blocktool.targets.references import is_reference


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a constructor.

    ``type`` is the annotation as an object (``typing.Any`` where it cannot be evaluated),
    ``default`` the value where it is a literal, otherwise its source text.
    """

    name: str
    type: Any
    required: bool
    default: object = None

    @property
    def type_name(self) -> str:
        """The type as a person would write it: ``integer or null``, ``'conv' or 'avg'``."""
        return spell_type(self.type)


class ArgumentProblem(ValueError):  # noqa: N818
    """An argument that does not fit; whoever knows where it came from words the error.

    ``kind`` says how: the constructor does not take it, needs it and has it not, or takes a
    value of another type. ``wanted`` is that type, ``got`` the value, for the last kind.
    """

    def __init__(
        self,
        kind: Literal["unknown", "missing", "type"],
        name: str,
        hint: str,
        *,
        wanted: str = "",
        got: str = "",
    ) -> None:
        super().__init__(name)
        self.kind = kind
        self.name = name
        self.hint = hint
        self.wanted = wanted
        self.got = got


def check_arguments(
    values: Mapping[str, object], parameters: Mapping[str, Parameter]
) -> dict[str, object]:
    """The values as the types that the parameters want.

    Raises ArgumentProblem for the first one that does not fit.
    """
    for name in values:
        if name not in parameters:
            raise ArgumentProblem("unknown", name, _hint_for_unknown(name, parameters))
    for parameter in parameters.values():
        if parameter.required and parameter.name not in values:
            hint = f"{parameter.name} is {parameter.type_name}"
            raise ArgumentProblem("missing", parameter.name, hint)
    return {name: convert(value, parameters[name]) for name, value in values.items()}


def _hint_for_unknown(name: str, parameters: Mapping[str, Parameter]) -> str:
    if not parameters:
        return "there are none"
    close = difflib.get_close_matches(name.replace("-", "_"), parameters, n=1)
    listed = f"known: {', '.join(parameters)}"
    return f"did you mean {close[0]}? {listed}" if close else listed


def convert(value: object, parameter: Parameter) -> object:
    """``value``, as YAML gives it, as the type that the parameter wants.

    An integer serves as a float, a list becomes the tuple that is asked for; nothing else is
    converted. Where a callable is wanted, an import path stands for it, and stays one.

    Raises ArgumentProblem for a value of another type, or a word that is none of the choices.
    """
    import msgspec

    if parameter.type is Any:
        return value
    if _takes_callable(parameter.type):
        if is_reference(value):
            return value
        match value:
            case [str() as factory, dict() as arguments] if is_reference(factory):
                return factory, arguments
    try:
        return msgspec.convert(value, _yaml_type(parameter.type))
    except (msgspec.ValidationError, RecursionError):
        pass
    words = _words(parameter.type)
    # Of a pair, such as [group, {num_groups: 8}], it is the word that may be misspelt.
    word = value[0] if isinstance(value, list) and value else value
    close = difflib.get_close_matches(word, words, n=1) if isinstance(word, str) else []
    default = f"{parameter.name}: {show_value(parameter.default)} is the default"
    if close and close[0] != word:
        hint = f"did you mean {close[0]}?"
    else:
        hint = (
            "values are YAML: 3, 0.5, true, null, word, [1, 2]" if parameter.required else default
        )
    raise ArgumentProblem(
        "type", parameter.name, hint, wanted=parameter.type_name, got=show_value(value)
    )


@functools.cache
def _yaml_type(wanted: Any) -> Any:
    """The part of a type that can be written in YAML, in msgspec's terms."""
    origin, members = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        known = [_yaml_type(member) for member in members if not _is_callable(member)]
        return functools.reduce(lambda union, member: union | member, known)
    if origin is tuple:
        return tuple[tuple(m if m is Ellipsis else _yaml_type(m) for m in members)]  # type: ignore[misc]
    return dict[str, Any] if _is_mapping(wanted) else wanted


def _takes_callable(wanted: Any) -> bool:
    return any(map(_is_callable, (wanted, *typing.get_args(wanted))))


def _is_callable(wanted: Any) -> bool:
    return Callable in (wanted, typing.get_origin(wanted))


def _is_mapping(wanted: Any) -> bool:
    origin = typing.get_origin(wanted)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _words(wanted: Any) -> tuple[str, ...]:
    """Every word that a value of this type may be, or may begin with."""
    members = typing.get_args(wanted)
    if typing.get_origin(wanted) is Literal:
        return tuple(member for member in members if isinstance(member, str))
    return tuple(dict.fromkeys(word for member in members for word in _words(member)))


_PLAIN = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}


def spell_type(wanted: Any) -> str:
    """A type as a person would write it: ``an integer or null``, ``'conv' or 'avg'``."""
    parts = _spell_parts(wanted)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _spell_parts(wanted: Any) -> list[str]:
    """The alternatives of a type, each spelled."""
    origin, members = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted in (None, types.NoneType):
        return ["null"]
    if origin is Literal:
        return [repr(member) for member in members]
    if origin in (typing.Union, types.UnionType):
        return [part for member in members for part in _spell_parts(member)]
    if _is_callable(wanted):
        return ["an import path"]
    if _is_mapping(wanted):
        return ["{...}"]
    if origin in (tuple, list):
        names = ["..." if member is Ellipsis else _short(member) for member in members]
        return [f"[{', '.join(names)}]" if origin is tuple else f"[{names[0]}, ...]"]
    if wanted is Any:
        return ["a value"]
    return [_PLAIN.get(wanted, getattr(wanted, "__name__", str(wanted)))]


def _short(wanted: Any) -> str:
    """A member of a list: words are named above it already."""
    return "name" if _words(wanted) else spell_type(wanted).removeprefix("an ").removeprefix("a ")


def show_value(value: object) -> str:
    """A value as it is written in YAML, shortened: ``null``, ``[1, 2]``, ``'word'``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        shown = f"[{', '.join(map(show_value, value[:5]))}{', ...' if len(value) > 5 else ''}]"
    elif isinstance(value, Mapping):
        shown = "{...}" if value else "{}"
    else:
        shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
