"""A Typer command with help in sections, and quick to parse its options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_ON = ("1", "true", "t", "yes", "y", "on")
_OFF = ("0", "false", "f", "no", "n", "off", "")


class Group(TyperGroup):
    """The root command, as quick as its commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in the base class, once the converters are in place."""
        _hand_converters_to(self.get_params(ctx))
        return super().parse_args(ctx, args)


class Command(TyperCommand):
    """Options stand in the sections that their ``rich_help_panel`` names, in plain text."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in the base class, once the converters are in place."""
        _hand_converters_to(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``[OPTIONS] TARGET [KEY=VALUE ...]``: metavars as they are declared."""
        arguments = [p.metavar or p.name for p in self.params if p.param_type_name == "argument"]
        return [self.options_metavar or "", *map(str, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The parameters, section by section, in the order in which they are declared."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if param.param_type_name == "argument":
                record: Any = (param.metavar, getattr(param, "help", None) or "")
                section = "Arguments"
            else:
                record = param.get_help_record(ctx)
                section = getattr(param, "rich_help_panel", None) or "General"
            if record is not None:
                sections.setdefault(section, []).append(record)
        general = sections.pop("General", [])
        for title, records in [*sections.items(), ("General", general)]:
            with formatter.section(title):
                formatter.write_dl(records)


def _hand_converters_to(params: Iterable[Any]) -> None:
    """Spare Typer its own converters, where it has a place for others.

    Recent releases of Typer convert every value with Pydantic, whose import costs as much as the
    rest of the command line. Our options are texts, whole numbers, flags and lists of texts; a
    parameter of these types is handed a converter of its own. Where Typer has no such place, it
    converts the values itself, and nothing is lost but time.
    """
    for param in params:
        kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if kind in _CONVERTERS and getattr(param, "_runtime_param", param) is None:
            param._runtime_param = _Converter(kind)


class _Converter:
    """From what was typed, or stands in the environment or the settings, to a value."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value, or BadParameter. None stays None, and nothing in a list an empty one."""
        several = self.kind == list[str]
        if value is None:
            return () if several else None
        if several:
            return [value] if isinstance(value, str) else [str(item) for item in value]
        try:
            return _CONVERTERS[self.kind](value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"'{value}' is not a whole number") from None


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _ON:
        return True
    if text in _OFF:
        return False
    raise ValueError(f"'{value}' is neither true nor false")


_CONVERTERS: dict[Any, Any] = {str: str, int: _whole, bool: _flag, list[str]: list}
