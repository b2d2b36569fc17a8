"""A comparison as JUnit's XML, which CI servers read: one suite, a test for each rule."""

from __future__ import annotations

from collections import Counter
from xml.etree.ElementTree import Element

from blocktool.render import junit
from blocktool.render.comparison_headline import changes, sides
from blocktool.render.comparison_held import held_to
from blocktool.render.view import View
from blocktool.results.comparison import Comparison, Finding, RuleOutcome


def render(comparison: Comparison, view: View) -> str:
    """The comparison as ``testsuites``: rules that are broken are failures, those that could not
    be held to anything are skipped. Without rules there is one test, which passes and tells what
    changed."""
    new = comparison.new
    told = {"compares": comparison.compares, "reports": sides(comparison)}
    differs = {each.name: f"{each.old} -> {each.new}" for each in comparison.mismatches}
    suite = junit.new_suite(new.target, new.environment, {**told, **differs})
    classname = junit.classname_of(new.target)
    seen: Counter[str] = Counter()
    found: dict[str, list[Finding]] = {rule.rule: [] for rule in comparison.rules}
    for finding in comparison.findings:
        found.setdefault(finding.rule, []).append(finding)
    outcomes = {rule.rule: rule for rule in comparison.rules}
    for rule, findings in found.items():
        test = junit.new_test(suite, classname, rule, seen)
        _outcome(test, comparison, outcomes.get(rule), findings)
    if not found:
        test = junit.new_test(suite, classname, "compared", seen)
        junit.output(test, "\n".join(changes(comparison)))
    junit.close(suite)
    return junit.document("blocktool compare", [suite])


def _outcome(
    test: Element, comparison: Comparison, outcome: RuleOutcome | None, findings: list[Finding]
) -> None:
    if findings:
        lines = [finding.message for finding in findings]
        junit.objection(test, "failure", "gate", findings[0].message, lines)
    elif outcome is not None and outcome.outcome == "failed":
        reason = outcome.reason or "the rule is broken"
        junit.objection(test, "failure", "gate", reason, [reason])
    elif outcome is not None and outcome.outcome == "skipped":
        junit.skipped(test, outcome.reason or "it was held to no figure")
    elif outcome is not None:
        lines = [f"held to {held_to(outcome, comparison)}"]
        junit.output(test, "\n".join(filter(None, [*lines, outcome.reason])))
