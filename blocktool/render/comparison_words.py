"""What a comparison says, in words; shared by the formats that people read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from blocktool.render import comparison_figures as figures
from blocktool.results.comparison import (
    Comparison,
    Finding,
    MetricChange,
    Mismatch,
    ModuleChange,
    ModuleVerdict,
    RuleOutcome,
    Statement,
)

ROOT = "(root)"
_BETWEEN = " · "  # the parts of a case's label
_EACH = ("added", "removed")  # statements that are of each of their modules, one by one
_OWN: tuple[ModuleVerdict, ...] = ("changed", "added", "removed", "renamed")


def silent(comparison: Comparison) -> bool:
    """Whether there is nothing to say: both sides are alike, and no rule is broken."""
    return not (comparison.old is None or comparison.changed or broken(comparison))


def broken(comparison: Comparison) -> int:
    """How many rules of the gate are broken."""
    failed = {rule.rule for rule in comparison.rules if rule.outcome == "failed"}
    return len(failed | {finding.rule for finding in comparison.findings})


def counted(number: int, noun: str) -> str:
    """``1 module``, ``1,024 modules``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def path(of: str | None) -> str:
    """A module's path; the root has a name as well."""
    return of or ROOT


def statement(
    made: Statement, most: int | None = 3, show: Callable[[str], str] = str
) -> tuple[str, str]:
    """A statement and what follows it, the modules that it concerns: at most ``most`` of them by
    name, each as ``show`` writes it: ``("kernel_size 3 -> 5", " in 12 modules: a, b, c, ...")``.

    Paths that the statement names itself are not named again.
    """
    paths = made.modules
    if not paths or all(_names(made.text, each) for each in paths):
        return made.text, ""
    shown = paths if most is None else paths[:most]
    named = ", ".join(show(path(each)) for each in shown)
    if len(paths) == 1:
        return made.text, f": {named}"
    rest = ", ..." if len(paths) > len(shown) else ""
    several = f"{len(paths):,} times" if made.kind in _EACH else f"in {len(paths):,} modules"
    return made.text, f"{',' if made.kind in _EACH else ''} {several}: {named}{rest}"


def _names(text: str, path: str) -> bool:
    """Whether a path stands in the text, and not only as a part of another or of a word."""
    return bool(path) and bool(re.search(rf"(?<![\w.]){re.escape(path)}(?!\.?\w)", text))


def statement_line(made: Statement, most: int | None = 3) -> str:
    """``kernel_size 3 -> 5: conv1``, ``kernel_size 3 -> 5 in 2 modules: conv1, conv2``."""
    return "".join(statement(made, most))


def finding_line(finding: Finding) -> str:
    """``fails macs:+1%: macs of the whole rose by 12.5%``."""
    return f"fails {finding.rule}: {finding.message}"


def unexplained(comparison: Comparison) -> list[RuleOutcome]:
    """Rules that failed though no finding says where."""
    told = {finding.rule for finding in comparison.findings}
    return [r for r in comparison.rules if r.outcome == "failed" and r.rule not in told]


def rule_line(outcome: RuleOutcome) -> str:
    """``holds macs:+1%``, ``skipped latency_ms.p50:+5%: inconclusive``."""
    verb = {"passed": "holds", "failed": "fails", "skipped": "skipped"}[outcome.outcome]
    return (
        f"{verb} {outcome.rule}: {outcome.reason}" if outcome.reason else f"{verb} {outcome.rule}"
    )


def rules_line(comparison: Comparison) -> str:
    """``3 rules hold``, ``1 of 4 rules fails, 1 is skipped``; nothing where none were given."""
    rules, failed = comparison.rules, broken(comparison)
    if not rules:
        return ""
    skipped = sum(rule.outcome == "skipped" for rule in rules)
    if failed:
        told = f"{failed} of {counted(len(rules), 'rule')} {'fails' if failed == 1 else 'fail'}"
        if len(rules) == 1:
            return "the rule fails"
    else:
        passed = len(rules) - skipped
        told = f"{counted(passed, 'rule')} {'holds' if passed == 1 else 'hold'}"
    if not skipped:
        return told
    return f"{told}, {skipped} {'is' if skipped == 1 else 'are'} skipped"


def mismatch_line(mismatch: Mismatch) -> str:
    """``made differently: device NVIDIA H100 -> NVIDIA A100``."""
    return f"made differently: {mismatch.name} {mismatch.old} -> {mismatch.new}"


def minor_line(mismatches: Sequence[Mismatch]) -> str:
    """``blocktool, timm also differ``, of what is not decisive; nothing where all is."""
    names = [each.name for each in mismatches if not each.decisive]
    if not names:
        return ""
    verb = "differs" if len(names) == 1 else "differ"
    return f"{', '.join(names)} also {verb}; no figure depends on it"


def what(change: ModuleChange) -> list[str]:
    """How a module is not as it was, in words, what it was and is first."""
    told = []
    if change.old_path is None or change.new_path is None:
        told.append((change.new_type if change.old_path is None else change.old_type) or "")
    else:
        if change.old_path != change.new_path:
            told.append(f"was {path(change.old_path)}")
    if change.modules > 1:
        told.append(counted(change.modules, "module"))
    told += change.details or [
        f"{figures.name(each.metric)} {figures.figure(each.metric, each.old)} -> "
        f"{figures.figure(each.metric, each.new)}"
        for each in change.metrics
        if each.verdict == "changed"
    ]
    return [each for each in told if each]


def where(change: ModuleChange) -> str:
    """The path of the module in the new report, or in the old one where it is gone."""
    return path(change.old_path if change.new_path is None else change.new_path)


def where_all(changes: Sequence[ModuleChange]) -> str:
    """``layer3.6 and 16 more``."""
    rest = f" and {len(changes) - 1:,} more" if len(changes) > 1 else ""
    return f"{where(changes[0])}{rest}"


def modules_line(modules: Sequence[ModuleChange]) -> str:
    """``24 modules changed, 1 added, 1 renamed``; nothing of those that merely follow."""
    counts = Counter(each.verdict for each in modules)
    told = [f"{counts[verdict]:,} {verdict}" for verdict in _OWN if counts[verdict]]
    if not told:
        return ""
    number, verb = told[0].split(" ", 1)
    noun = "module" if number == "1" else "modules"
    return ", ".join([f"{number} {noun} {verb}", *told[1:]])


def follows_line(number: int) -> str:
    """``14 modules follow: as they were, with other figures``."""
    verb = "follows" if number == 1 else "follow"
    return f"{counted(number, 'module')} {verb}: built as before, with other figures"


def same_line(comparison: Comparison) -> str:
    """``9 figures are the same, measured ones to within 5%``; nothing where none are."""
    alike = [each for each in comparison.totals if each.verdict == "same"]
    if not alike:
        return ""
    told = f"{counted(len(alike), 'figure')} {'is' if len(alike) == 1 else 'are'} the same"
    if any(each.lane == "measured" for each in alike):
        told += f", measured ones to within {100 * comparison.threshold:g}%"
    return told


def told_figures(comparison: Comparison) -> tuple[list[MetricChange], int]:
    """The figures of the whole that are not as they were, and how many more there are that only
    tell the details of these."""
    changed = [each for each in comparison.totals if each.verdict != "same"]
    main = [each for each in changed if not figures.is_detail(each)] or changed
    return main, len(changed) - len(main)


def reasons(changes: Sequence[MetricChange]) -> list[str]:
    """Why figures are inconclusive or not compared, equal reasons once."""
    told = Counter((each.verdict, each.reason) for each in changes if each.reason)
    return [
        f"{verdict}{f' ({number} figures)' if number > 1 else ''}: {reason}"
        for (verdict, reason), number in told.items()
        if verdict != "same"
    ]


def cases_apart(cases: Sequence[str]) -> tuple[str, dict[str, str]]:
    """What all labels of cases have in common, and what tells each from the others."""
    labels = list(dict.fromkeys(cases))
    parts = {label: label.split(_BETWEEN) for label in labels}
    common = [part for part in parts[labels[0]] if all(part in parts[of] for of in labels)]
    apart = {
        label: _BETWEEN.join(part for part in parts[label] if part not in common)
        for label in labels
    }
    return _BETWEEN.join(common), apart
