"""The rules of the gate: what may change, and by how much.

    macs:+1%                        must not rise by more than 1%
    throughput:-5%                  must not fall by more than 5%
    activation_bytes:+-1%           neither
    params:0                        must not change at all
    peak_live_bytes:+64MiB          must not rise by more than an amount
    macs<=5G                        a budget on the new report alone: < <= >= > ==
    layer1.*:macs:+1%               the same for every module whose path fits the pattern
    latency_ms.p50[batch=8]:+5%     for some cases of a profile only

Amounts are exact fractions, so that a limit means what it says, also for counts of 20 digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Literal, NoReturn, cast

from blocktool.analysis.gate_cases import CASE_KEYS, fits
from blocktool.errors import UsageError

Direction = Literal["+", "-", "+-"]
Operator = Literal["<=", "<", ">=", ">", "=="]

_LONGEST = 80  # so much of a rule is shown in an error
_EXAMPLE = "for example macs:+1%, latency_ms.p50:+5%, params:0 or macs<=5G"

# Of bounded length: 1e999999999 would keep a processor busy for hours.
_NUMBER = r"(?:[0-9][0-9_]{0,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?"
_BUDGET = re.compile(r"(?P<figure>.*?)(?P<operator><=|>=|==|≤|≥|<|>)(?P<value>.*)")
_FIGURE = re.compile(r"(?:(?P<glob>.*):)?\s*(?P<metric>[\w./()-]+)\s*(?:\[(?P<case>[^\[\]]*)\])?")
_LIMIT = re.compile(rf"(?P<sign>\+-|-\+|\+/-|±|\+|-|)(?P<number>{_NUMBER})(?P<unit>%|[^\W\d_]*)")
_VALUE = re.compile(rf"(?P<sign>[+-]?)(?P<number>{_NUMBER})(?P<unit>%|[^\W\d_]*)")
_BRACKETS = re.compile(r"\[[^\]]*\]?")
_SET = re.compile(r"\[(?:!.|[^!])[^]]*\]")  # what stands first is meant, a ] as well
_SIGNS: dict[str, Direction] = {"+": "+", "-": "-"}  # every other one means both
_MINUS = str.maketrans("−–—", "---")

_COUNTS = {letter: 1000**power for power, letter in enumerate("KMGTPE", 1)}
_BYTES = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtpe", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtpe", 1)},
}
_TIMES = {
    "ns": Fraction(1, 10**6),
    "us": Fraction(1, 1000),
    "µs": Fraction(1, 1000),
    "μs": Fraction(1, 1000),  # the Greek letter, where that was the micro sign
    "ms": Fraction(1),
    "s": Fraction(1000),
}


@dataclass(frozen=True, slots=True)
class Change:
    """How far a figure may move: by ``amount``, a share of the old one where it is ``relative``.

    ``direction`` is the one in which it is limited. ``text`` is how it is said: ``"+1%"``.
    """

    direction: Direction
    amount: Fraction
    relative: bool
    text: str

    @property
    def forbids_any(self) -> bool:
        """Whether no change at all is allowed, so that it makes sense for texts as well."""
        return self.direction == "+-" and not self.amount


@dataclass(frozen=True, slots=True)
class Budget:
    """What a figure of the new report must be; ``value`` is None where it is a text (a shape)."""

    operator: Operator
    value: Fraction | None
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as ``text`` says it.

    ``glob`` is a pattern of module paths, None for the whole; ``case`` what a case of a profile
    must have, as pairs of a key and its value. Amounts are in the unit of the metric (ms, bytes).
    """

    text: str
    metric: str
    limit: Change | Budget
    glob: str | None = None
    case: tuple[tuple[str, str], ...] = ()

    def takes(self, label: str | None) -> bool:
        """Whether a case is meant: ``"batch 8 · float32 · inference · eager"``, None for none."""
        return fits(self.case, label)


def read_rule(text: str) -> Rule:
    """The rule that a text says. Raises UsageError with a hint that shows a right one."""
    told = " ".join(text.split())
    if budget := _BUDGET.fullmatch(told):
        figure, limit = budget["figure"], None
    elif "=" in _BRACKETS.sub("", told):
        left, _, right = told.rpartition("=")
        if left.rstrip().endswith("!"):
            _refuse(told, "there is no !=", "there are <=, <, >=, > and ==; params:0 for no change")
        meant = f"{left.rstrip()}=={right.strip()}"
        _refuse(told, "= is no comparison", f"did you mean {meant[:_LONGEST]}?")
    else:
        figure, colon, limit = told.rpartition(":")
        if not colon:
            _refuse(told, "it has no limit", _EXAMPLE)
    match = _FIGURE.fullmatch(figure.strip())
    if match is None and figure.endswith(("=", "!")):
        _refuse(told, "it has no comparison that there is", "write <=, <, >=, > or ==")
    if match is None:
        _refuse(told, "it names no metric", f"METRIC:LIMIT or GLOB:METRIC:LIMIT, {_EXAMPLE}")
    metric = plain_metric(match["metric"])
    return Rule(
        told,
        metric,
        _budget(told, metric, budget) if budget else _change(told, metric, limit or ""),
        _glob(told, match["glob"]),
        _case(told, match["case"]),
    )


def plain_metric(name: str) -> str:
    """A metric's name as rules are compared with it: hyphens are underscores."""
    return name.replace("-", "_")


def _glob(rule: str, text: str | None) -> str | None:
    """A pattern of module paths. A shell takes a bracket that is never closed for itself, so that
    the pattern would fit nothing, ever."""
    if text is None:
        return None
    glob = text.strip()
    if not glob:
        _refuse(rule, "its pattern of modules is empty", "leave it out for the whole: macs:+1%")
    if "[" in _SET.sub("", glob):
        _refuse(rule, "its pattern has a [ without a ]", "for example layer[12].*:macs:+1%")
    return glob


def _change(rule: str, metric: str, text: str) -> Change:
    compact = "".join(text.split()).translate(_MINUS)
    match = _LIMIT.fullmatch(compact)
    if match is None:
        _refuse(rule, f"'{text.strip()[:_LONGEST]}' is no limit", _EXAMPLE)
    relative = match["unit"] == "%"
    unit = "" if relative else match["unit"]
    amount = _amount(rule, metric, match["number"], unit) / (100 if relative else 1)
    if amount and not match["sign"]:
        bare = match["number"] + match["unit"]
        _refuse(
            rule,
            "it does not say which way",
            f"+{bare} limits a rise, -{bare} a fall, +-{bare} both",
        )
    direction = _SIGNS.get(match["sign"], "+-")
    return Change(direction, amount, relative, direction + match["number"] + match["unit"])


def _budget(rule: str, metric: str, match: re.Match[str]) -> Budget:
    operator = cast(Operator, {"≤": "<=", "≥": ">="}.get(match["operator"], match["operator"]))
    text = match["value"].strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    number = _VALUE.fullmatch("".join(text.split()).translate(_MINUS))
    if number is None:
        if operator != "==" or not text or text[0] in "<>=":
            _refuse(
                rule,
                f"'{text[:_LONGEST]}' is no number",
                "for example macs<=5G or output_shapes==1x1000",
            )
        return Budget(operator, None, text)
    if number["unit"] == "%":
        _refuse(rule, "a budget has no %", f"{metric}:+{number['number']}% limits a change")
    value = _amount(rule, metric, number["number"], number["unit"])
    return Budget(operator, -value if number["sign"] == "-" else value, text)


def _case(rule: str, text: str | None) -> tuple[tuple[str, str], ...]:
    found = []
    for item in () if text is None else text.split(","):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not value:
            _refuse(
                rule, f"'{item.strip()}' chooses no case", "for example [batch=8,dtype=float32]"
            )
        if key not in CASE_KEYS:
            near = get_close_matches(key, CASE_KEYS, 1)
            _refuse(
                rule,
                f"cases are not told apart by '{key}'",
                f"did you mean {near[0]}?" if near else f"by {', '.join(CASE_KEYS)}",
            )
        found.append((key, value))
    return tuple(found)


def _amount(rule: str, metric: str, number: str, unit: str) -> Fraction:
    """A number with its unit, in the unit of the metric: ms, bytes, or one."""
    value = Fraction(number.replace("_", ""))
    if not unit:
        return value
    letter = "K" if unit == "k" else unit
    factor: Fraction | int | None
    if is_ms(metric):
        factor, units = _TIMES.get(unit), "times are in ns, us, ms or s"
    elif metric.endswith("_bytes"):
        factor, units = _BYTES.get(unit.lower()), "bytes are in B, KB, MB, GB, KiB, MiB, GiB, ..."
        if letter in _COUNTS:
            # --memory-limit 8G is binary, 5G MACs are decimal: neither may be guessed here.
            units = f"{number}{letter}B is in powers of 1000, {number}{letter}iB in powers of 1024"
    else:
        factor, units = _COUNTS.get(letter), "K, M, G and T are powers of 1000"
    if factor is None:
        _refuse(rule, f"'{unit}' is no unit of {metric}", units)
    return value * factor


def is_ms(metric: str) -> bool:
    """Whether a metric is a time, in ms: ``latency_ms.p50``, ``total_ms``."""
    return any(part.endswith("_ms") for part in metric.split("."))


def _refuse(rule: str, why: str, hint: str) -> NoReturn:
    shown = rule if len(rule) <= _LONGEST else f"{rule[:_LONGEST]}..."
    raise UsageError(f"the rule '{shown}' cannot be read: {why}", hint=hint)
