"""In words, what became of the cases of a profile: which fail now, which are slower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blocktool.results.comparison import MetricChange, Statement, StatementKind
from blocktool.results.profile import ProfileCase

_NAMES = {
    "latency_ms.p50": "latency",
    "peak_bytes": "peak memory",
    "macs": "MACs",
    "moved_bytes": "bytes moved",
    "predicted_peak_bytes": "predicted peak memory",
    "roofline.predicted_ms": "predicted time",
    "max_batch.predicted": "predicted largest batch",
    "max_batch.batch": "largest batch",
}
"""The figures that statements are made of; throughput says again what latency does."""
_ALL_AT_ONCE = 2
"""Changes of one figure that are told case by case; more are told together."""

_LEAST_SHOWN = 0.0005

NamedRow = tuple[str, ProfileCase | None, ProfileCase | None]


def outcome_statements(rows: Sequence[NamedRow]) -> tuple[Statement, ...]:
    """What became of each case, with its label: failures first, then what passes now, what is no
    longer measured, and what came or went. Of cases that were interrupted nothing is said."""
    told = [(_became(label, old, new), label) for label, old, new in rows]
    ranked = sorted((rank, text) for (rank, text), _ in told if text)
    return tuple(Statement("cases", text, effect=1.0) for _, text in ranked)


def _became(label: str, old: ProfileCase | None, new: ProfileCase | None) -> tuple[int, str]:
    """How early it is told, and what; nothing where its outcome is as it was."""
    if old is None:
        if new is not None and new.outcome == "failed":
            return 0, f"case added, and fails ({new.kind}): {label}: {new.reason}"
        return 4, f"case added: {label}"
    if new is None:
        return 5, f"case removed: {label}"
    if "interrupted" in (old.kind, new.kind):
        return 9, ""
    if new.outcome == "failed":
        if old.outcome != "failed":
            return 0, f"fails now ({new.kind}): {label}: {new.reason}"
        if old.kind != new.kind:
            return 1, f"fails otherwise ({old.kind} -> {new.kind}): {label}: {new.reason}"
    elif old.outcome == "failed" and new.outcome == "passed":
        return 2, f"passes now: {label}; failed before: {old.reason}"
    elif old.outcome == "passed" and new.outcome == "skipped":
        return 3, f"no longer measured: {label}: {new.reason}"
    elif old.outcome == "skipped" and new.outcome == "passed":
        return 3, f"measured now: {label}"
    return 9, ""


def figure_statements(totals: Sequence[MetricChange]) -> tuple[Statement, ...]:
    """What grew or shrank, the largest first: measured figures only where that is certain."""
    found = [
        statement
        for metric in _NAMES
        for statement in _of_metric([each for each in totals if each.metric == metric])
    ]
    return tuple(sorted(found, key=lambda each: -each.effect))


def _of_metric(changes: Sequence[MetricChange]) -> Iterator[Statement]:
    for verdict in ("increased", "decreased"):
        found = [each for each in changes if each.verdict == verdict]
        if len(found) > _ALL_AT_ONCE:
            yield _together(found, of=len(changes))
        else:
            for change in found:
                where = f": {change.case}" if len(changes) > 1 and change.case else ""
                yield _statement(change, f"{_moved(change)} by {_size([change])}{where}")


def _together(changes: Sequence[MetricChange], of: int) -> Statement:
    largest = max(changes, key=lambda each: abs(each.change or 0.0))
    where = "all" if len(changes) == of else f"{len(changes)} of {of}"
    return _statement(largest, f"{_moved(largest)} by {_size(changes)} in {where} cases")


def _statement(change: MetricChange, text: str) -> Statement:
    kind: StatementKind = "measured" if change.lane == "measured" else "figures"
    return Statement(kind, text, effect=min(1.0, abs(change.change or 1.0)))


def _moved(change: MetricChange) -> str:
    return f"{_NAMES[change.metric]} {'rose' if change.verdict == 'increased' else 'fell'}"


def _size(changes: Sequence[MetricChange]) -> str:
    """``10.2% (8.4% to 12.1%)``; of several changes the smallest and the largest."""
    if any(each.change is None for each in changes):
        return f"{changes[0].new} from 0"
    sizes = sorted(abs(each.change or 0.0) for each in changes)
    if len(changes) > 1:
        low, high = _share(sizes[0]), _share(sizes[-1])
        return low if low == high else f"{low} to {high}"
    only = changes[0]
    if only.low is None or only.high is None or only.low == only.high:
        return _share(sizes[0])
    ends = sorted((abs(only.low), abs(only.high)))
    return f"{sizes[0]:.1%} ({ends[0]:.1%} to {ends[1]:.1%})"


def _share(size: float) -> str:
    return f"{size:.1%}" if size >= _LEAST_SHOWN else "less than 0.1%"
