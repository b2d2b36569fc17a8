"""What the gate says of rules that are about nothing: errors, and what was meant perhaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from blocktool.analysis.gate_rules import Rule, plain_metric
from blocktool.errors import UsageError
from blocktool.results.comparison import MetricChange

_MOST_NAMED = 5
_MOST_METRICS = 15

_ALIASES = {
    "parameters": "params",
    "trainable_parameters": "trainable_params",
    "parameter_bytes": "param_bytes",
    "parameter_dtype": "param_dtype",
    "activations": "activation_bytes",
    "bytes_read": "read_bytes",
    "bytes_written": "written_bytes",
    "bytes_moved": "moved_bytes",
    "flops_per_byte": "arithmetic_intensity",
    "operations_not_counted": "uncovered_operations",
    "latency": "latency_ms.p50",
    "latency_median": "latency_ms.p50",
    "latency_predicted": "roofline.predicted_ms",
    "time": "total_ms",
    "own_time": "own_ms",
    "largest_batch": "max_batch.batch",
    "largest_batch_predicted": "max_batch.predicted",
}
"""What figures are called in tables, where no likeness leads from there to the metric."""


def unknown(rule: Rule, level: Sequence[MetricChange], *, elsewhere: bool) -> UsageError:
    """Of a metric that no figure has; of the figures of a ``level``, the whole or modules."""
    of = "the modules" if rule.glob is not None else "the whole"
    known = sorted({plain_metric(each.metric) for each in level})
    if elsewhere:
        other = f"*:{rule.metric}" if rule.glob is None else rule.metric
        hint = f"it is one of {'the whole' if rule.glob is not None else 'modules'}: {other}"
    elif near := _nearest_metric(rule.metric, known):
        hint = f"did you mean {near}?"
    else:
        more = ", ..." if len(known) > _MOST_METRICS else ""
        hint = f"there is {', '.join(known[:_MOST_METRICS])}{more}" if known else "there are none"
    return UsageError(
        f"the rule '{rule.text}' is about no figure of {of}: there is no '{rule.metric}'", hint=hint
    )


def _nearest_metric(name: str, known: Sequence[str]) -> str | None:
    written = name.lower()
    if _ALIASES.get(written) in known:
        return _ALIASES[written]
    near = get_close_matches(written, [each.lower() for each in known], 1)
    return next((each for each in known if [each.lower()] == near), None)


def no_case(rule: Rule, figures: Sequence[MetricChange]) -> UsageError:
    """Of a choice of cases that fits none of the figures."""
    cases = list(dict.fromkeys(each.case for each in figures if each.case))
    more = f", and {len(cases) - _MOST_NAMED} more" if len(cases) > _MOST_NAMED else ""
    return UsageError(
        f"the rule '{rule.text}' fits no case",
        hint=f"cases are {'; '.join(cases[:_MOST_NAMED])}{more}"
        if cases
        else f"these reports have no cases: {rule.metric} without the brackets",
    )


def no_module(glob: str, paths: Iterable[str]) -> str:
    """Of a pattern that fits none of the modules' paths."""
    near = _nearest_glob(glob, paths)
    return f"no module matches '{glob}'{f', did you mean {near}?' if near else ''}"


def _nearest_glob(glob: str, paths: Iterable[str]) -> str | None:
    """The nearest of the first two parts of the paths, and of the patterns of all that is below
    them, upper case or lower."""
    known: dict[str, str] = {}
    for path in paths:
        first, *below = path.split(".")
        known.setdefault(first.lower(), first)
        if below:
            second = f"{first}.{below[0]}"
            known.setdefault(f"{first}.*".lower(), f"{first}.*")
            known.setdefault(second.lower(), second)
        if len(below) > 1:
            known.setdefault(f"{second}.*".lower(), f"{second}.*")
    near = get_close_matches(glob.lower(), known, 1)
    return known[near[0]] if near else None
