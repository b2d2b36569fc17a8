"""Defaults from ``[tool.blocktool]`` of the nearest pyproject.toml.

Keys are the long names of options (``depth = 3``, ``input-grad = true``). Those of
``[tool.blocktool]`` hold for every command that has them, those of ``[tool.blocktool.summary]``
for ``summary``. Options and ``BLOCKTOOL_*`` variables come before them.
``[tool.blocktool.sweeps."net.py:Net"]`` is what check-shapes tries with a target,
``[tool.blocktool.budgets."net.py:Net"]`` what compare holds it to.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocktool.errors import ConfigError

if TYPE_CHECKING:
    from blocktool.cli.budgets import Budget

SWEEPS, BUDGETS = "sweeps", "budgets"
_NUMBERS = ("batch", "size")  # lists whose items may be written as numbers
# What makes sense on a command line only.
_NOT_HERE = ("help", "version", "force", "debug")


def defaults(commands: Mapping[str, Any], directory: Path) -> dict[str, dict[str, Any]]:
    """The defaults of each of ``commands`` (Typer's), by parameter name, seen from ``directory``.

    Raises ConfigError, naming file and key, for a file that is not TOML, a key that is no option,
    and a value of the wrong type.
    """
    path = _nearest(directory)
    table = _table(path) if path is not None else {}
    if path is None or not table:
        return {}
    options = {name: _options(command) for name, command in commands.items()}
    found: dict[str, dict[str, Any]] = {name: {} for name in commands}
    for key, value in table.items():
        if key in (SWEEPS, BUDGETS) or (key in commands and isinstance(value, dict)):
            continue
        takers = [name for name in commands if _name(key) in options[name]]
        if not takers:
            names = {option for each in options.values() for option in each}
            known = names | {*commands, SWEEPS, BUDGETS}
            raise _unknown(path, key, "tool.blocktool", known)
        for name in takers:
            option = options[name][_name(key)]
            found[name][option.name] = _value(option, value, f"{path}: {key}")
    for command in commands:
        section = table.get(command, {})
        for key, value in section.items() if isinstance(section, dict) else ():
            option = options[command].get(_name(key))
            if option is None:
                raise _unknown(path, key, f"tool.blocktool.{command}", set(options[command]))
            found[command][option.name] = _value(option, value, f"{path}: {command}.{key}")
    return found


def sweeps(directory: Path) -> dict[str, Any]:
    """The table of ``[tool.blocktool.sweeps]``, a mapping for each target, unread.

    Raises ConfigError for a file that is not TOML and a table that is none.
    """
    return _by_target(_nearest(directory), SWEEPS)


def budgets(directory: Path) -> dict[str, Budget]:
    """What ``[tool.blocktool.budgets]`` holds targets to, by the target's text, as it is given on
    the command line and stands in a report.

    Raises ConfigError, naming file and key, for a file that is not TOML and what is no budget.
    """
    from blocktool.cli.budgets import read_budget

    path = _nearest(directory)
    return {
        target: read_budget(value, f"{path}: budgets.'{target}'")
        for target, value in _by_target(path, BUDGETS).items()
    }


def _by_target(path: Path | None, key: str) -> dict[str, Any]:
    """The table of ``[tool.blocktool.KEY]``, unread."""
    found = _table(path).get(key, {}) if path is not None else {}
    if not isinstance(found, dict):
        raise ConfigError(
            f"{path}: tool.blocktool.{key} is not a table",
            hint=f'write [tool.blocktool.{key}."net.py:Net"]',
        )
    return found


def _nearest(directory: Path) -> Path | None:
    for folder in (directory, *directory.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            return path
    return None


def _table(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
        if "blocktool" not in text:
            return {}
        table = tomllib.loads(text).get("tool", {}).get("blocktool", {})
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", hint="blocktool takes its defaults from there"
        ) from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.blocktool is not a table", hint="write [tool.blocktool]")
    return table


def _options(command: Any) -> dict[str, Any]:
    """The options of a command by long name, written with underscores."""
    return {
        _name(opt.lstrip("-")): param
        for param in command.params
        if param.param_type_name == "option" and param.name not in _NOT_HERE
        for opt in param.opts
        if opt.startswith("--")
    }


def _name(key: str) -> str:
    return key.replace("-", "_")


def _value(option: Any, value: Any, where: str) -> Any:
    """The value as the option takes it, if its type fits."""
    if option.is_flag:
        if isinstance(value, bool):
            return value
        raise ConfigError(f"{where}: {value!r} is not true or false")
    if option.multiple:
        items = value if isinstance(value, list) else [value]
        kinds = str | int if option.name in _NUMBERS else str
        if all(isinstance(item, kinds) and not isinstance(item, bool) for item in items):
            return [str(item) for item in items]
        raise ConfigError(f"{where}: {value!r} is not a text or a list of texts")
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"{where}: {value!r} is not a text or a number")


def _unknown(path: Path, key: str, section: str, known: set[str]) -> ConfigError:
    from difflib import get_close_matches

    near = get_close_matches(_name(key), known, 1)
    return ConfigError(
        f"{path}: unknown key '{key}' in [{section}]",
        hint=f"did you mean {near[0].replace('_', '-')}?"
        if near
        else "keys are the long names of options, such as depth or format",
    )
