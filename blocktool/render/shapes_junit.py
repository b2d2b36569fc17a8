"""A shape report as JUnit's XML, which CI servers read: a suite for each target, a test a case.

The elements and attributes are those of the schema by which Jenkins reads such files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from xml.etree import ElementTree

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
# What XML 1.0 cannot hold, not even escaped.
_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: ShapeReport, view: View) -> str:
    """The report as ``testsuites``; a claim that was to be proved is a test as well."""
    root = ElementTree.Element("testsuites", name="blocktool check-shapes")
    names = list(dict.fromkeys(target.target for target in report.targets))
    described = {target.target: target for target in report.targets}
    cases: dict[str, list[ShapeCase]] = {name: [] for name in names}
    proofs: dict[str, list[Proof]] = {name: [] for name in names}
    for case in report.cases:
        cases.setdefault(case.target, []).append(case)
    for proof in report.proofs:
        proofs.setdefault(proof.target, []).append(proof)
    for name in dict.fromkeys([*cases, *proofs]):
        suite = _suite(report, name, described.get(name), cases.get(name, []), proofs.get(name, []))
        root.append(suite)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", _time(report.seconds))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(
    report: ShapeReport,
    name: str,
    target: CheckedTarget | None,
    cases: Iterable[ShapeCase],
    proofs: Iterable[Proof],
) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_valid(name))
    suite.append(_properties(report, target))
    classname = _classname(name)
    seen: Counter[str] = Counter()
    seconds = []
    for case in cases:
        test = _test(suite, classname, _case_name(case), seen)
        if case.seconds is not None:
            seconds.append(case.seconds)
            test.set("time", _time(case.seconds))
        _outcome(test, case)
    for proof in proofs:
        label = words.named("proof", proof.arguments)
        _verdict(_test(suite, classname, label, seen), proof)
    suite.set("tests", str(len(suite.findall("testcase"))))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))
    if seconds:
        suite.set("time", _time(sum(seconds)))
    return suite


def _properties(report: ShapeReport, target: CheckedTarget | None) -> ElementTree.Element:
    about = report.environment
    values = {
        "blocktool": about.blocktool,
        "torch": about.torch,
        "python": about.python,
        "platform": about.platform,
        **about.packages,
    }
    if target is not None:
        values["held to"] = words.held_to(target)
    properties = ElementTree.Element("properties")
    for name, value in values.items():
        ElementTree.SubElement(properties, "property", name=_valid(name), value=_valid(value))
    return properties


def _test(
    suite: ElementTree.Element, classname: str, name: str, seen: Counter[str]
) -> ElementTree.Element:
    """A test with a name of its own: CI servers follow a test by its name from run to run."""
    name = _valid(name)
    seen[name] += 1
    if seen[name] > 1:
        name = f"{name} ({seen[name]})"
    return ElementTree.SubElement(suite, "testcase", classname=classname, name=name)


def _classname(target: str) -> str:
    """The target as a dotted name, which CI servers show as a tree of packages and classes."""
    path, _, attr = target.rpartition(":") if ":" in target else (target, "", "")
    path = re.sub(r"\.(py|ya?ml)$", "", path.replace("\\", "/"))
    dotted = ".".join(filter(None, [*re.split(r"[/.]+", path), attr]))
    return _valid(dotted if "." in dotted else f"blocktool.{dotted}")


def _case_name(case: ShapeCase) -> str:
    arguments = words.arguments_text(case.arguments)
    return f"{words.case_text(case)}{f', {arguments}' if arguments else ''}"


def _outcome(test: ElementTree.Element, case: ShapeCase) -> None:
    outcome = case.outcome
    if isinstance(outcome, Skipped):
        ElementTree.SubElement(test, "skipped", message=_valid(outcome.reason))
    elif isinstance(outcome, Failed):
        lines = [f"in '{outcome.module}'"] if outcome.module else []
        told = {"expected": outcome.expected, "actual": outcome.actual, "hint": outcome.hint}
        lines += [f"{label}: {text}" for label, text in told.items() if text]
        lines += [*outcome.details, f"reproduce with: {command(case.reproduce)}"]
        tag = "error" if outcome.kind in _ERRORS else "failure"
        _objection(test, tag, outcome.kind, outcome.message, lines)


def _verdict(test: ElementTree.Element, proof: Proof) -> None:
    if proof.verdict != "proved":
        lines = [proof_words.claim(proof, "->")]
        lines += [f"{label}: {text}" for label, text in proof_words.objections(proof)]
        _objection(test, "failure", proof.verdict, proof.reason or proof.verdict, lines)
    else:
        ElementTree.SubElement(test, "system-out").text = _valid(proof_words.claim(proof, "->"))


def _objection(
    test: ElementTree.Element, tag: str, kind: str, message: str, lines: list[str]
) -> None:
    element = ElementTree.SubElement(test, tag, type=kind, message=_valid(message))
    element.text = _valid("\n".join(lines))


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _valid(text: str) -> str:
    return _INVALID.sub("", text)
