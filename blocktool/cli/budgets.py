"""What ``[tool.blocktool.budgets]`` says a target must keep to.

[tool.blocktool.budgets]
"net.py:Net" = ["macs<=5G", "params<=26M"]

[tool.blocktool.budgets."examples/resnet50.yaml"]
fail-on = ["macs<=5G"]
input = "1x3x384x384"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from blocktool.errors import ConfigError, UsageError

KEYS = ("fail-on", "input", "batch", "dtype", "mode")


@dataclass(frozen=True)
class Budget:
    """The rules of one target and what it is tried with: texts, as after the options of the same
    names; empty or None where nothing is said."""

    fail_on: tuple[str, ...]
    input: tuple[str, ...] = ()
    batch: str | None = None
    dtype: str | None = None
    mode: str | None = None


def read_budget(value: object, where: str) -> Budget:
    """A budget from a table of TOML, or from the rules alone; ``where`` is what errors call it.

    Raises ConfigError for an unknown key, one that is there in both spellings, a value of another
    type, and a rule that is none.
    """
    table = value if isinstance(value, Mapping) else {"fail-on": value}
    found: dict[str, object] = {}
    for key, given in table.items():
        name = str(key).replace("_", "-")
        if name not in KEYS:
            near = get_close_matches(name, KEYS, 1)
            raise ConfigError(
                f"{where}: unknown key '{key}'",
                hint=f"did you mean {near[0]}?" if near else f"keys: {', '.join(KEYS)}",
            )
        if name in found:
            raise ConfigError(
                f"{where}: '{key}' is said twice, with - and with _",
                hint=f"put all of it under {name}",
            )
        if name in ("fail-on", "input"):
            found[name] = _texts(given, f"{where}: {key}" if table is value else where)
        else:
            found[name] = _text(given, f"{where}: {key}")
    if not found.get("fail-on"):
        raise ConfigError(f"{where} has no rule", hint='for example fail-on = ["macs<=5G"]')
    budget = Budget(**{name.replace("-", "_"): given for name, given in found.items()})  # type: ignore[arg-type]
    _check(budget.fail_on, where)
    return budget


def _check(rules: tuple[str, ...], where: str) -> None:
    from blocktool.analysis.gate_rules import read_rule

    for rule in rules:
        try:
            read_rule(rule)
        except UsageError as error:
            raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error


def _texts(value: object, where: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        raise ConfigError(f"{where}: {value!r} is not a text or a list of texts")
    return tuple(items)


def _text(value: object, where: str) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"{where}: {value!r} is not a text or a number")
