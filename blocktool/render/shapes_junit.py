"""A shape report as JUnit's XML, which CI servers read: a suite for each target, a test a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from blocktool.render import junit
from blocktool.render import shapes_proofs as proof_words
from blocktool.render import shapes_words as words
from blocktool.render.shell import command
from blocktool.render.view import View
from blocktool.results.shapes import (
    CheckedTarget,
    Failed,
    Proof,
    ShapeCase,
    ShapeReport,
    Skipped,
)

_ERRORS = ("error", "build")  # the module stopped; the other kinds are failed expectations


def render(report: ShapeReport, view: View) -> str:
    """The report as ``testsuites``; a claim that was to be proved is a test as well."""
    names = list(dict.fromkeys(target.target for target in report.targets))
    described = {target.target: target for target in report.targets}
    cases: dict[str, list[ShapeCase]] = {name: [] for name in names}
    proofs: dict[str, list[Proof]] = {name: [] for name in names}
    for case in report.cases:
        cases.setdefault(case.target, []).append(case)
    for proof in report.proofs:
        proofs.setdefault(proof.target, []).append(proof)
    suites = [
        _suite(report, name, described.get(name), cases.get(name, []), proofs.get(name, []))
        for name in dict.fromkeys([*cases, *proofs])
    ]
    return junit.document("blocktool check-shapes", suites, seconds=report.seconds)


def _suite(
    report: ShapeReport,
    name: str,
    target: CheckedTarget | None,
    cases: Iterable[ShapeCase],
    proofs: Iterable[Proof],
) -> Element:
    held = {} if target is None else {"held to": words.held_to(target)}
    suite = junit.new_suite(name, report.environment, held)
    classname = junit.classname_of(name)
    seen: Counter[str] = Counter()
    seconds = []
    for case in cases:
        test = junit.new_test(suite, classname, _case_name(case), seen)
        if case.seconds is not None:
            seconds.append(case.seconds)
            test.set("time", junit.time_text(case.seconds))
        _outcome(test, case)
    for proof in proofs:
        label = words.named("proof", proof.arguments)
        _verdict(junit.new_test(suite, classname, label, seen), proof)
    junit.close(suite)
    if seconds:
        suite.set("time", junit.time_text(sum(seconds)))
    return suite


def _case_name(case: ShapeCase) -> str:
    arguments = words.arguments_text(case.arguments)
    return f"{words.case_text(case)}{f', {arguments}' if arguments else ''}"


def _outcome(test: Element, case: ShapeCase) -> None:
    outcome = case.outcome
    if isinstance(outcome, Skipped):
        junit.skipped(test, outcome.reason)
    elif isinstance(outcome, Failed):
        lines = [f"in '{outcome.module}'"] if outcome.module else []
        told = {"expected": outcome.expected, "actual": outcome.actual, "hint": outcome.hint}
        lines += [f"{label}: {text}" for label, text in told.items() if text]
        lines += [*outcome.details, f"reproduce with: {command(case.reproduce)}"]
        tag = "error" if outcome.kind in _ERRORS else "failure"
        junit.objection(test, tag, outcome.kind, outcome.message, lines)


def _verdict(test: Element, proof: Proof) -> None:
    if proof.verdict != "proved":
        lines = [proof_words.claim(proof, "->")]
        lines += [f"{label}: {text}" for label, text in proof_words.objections(proof)]
        junit.objection(test, "failure", proof.verdict, proof.reason or proof.verdict, lines)
    else:
        junit.output(test, proof_words.claim(proof, "->"))
