"""Pieces of JUnit's XML: what is the same in every report that CI servers read.

The elements and attributes are those of the schema by which Jenkins reads such files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from blocktool.results.environment import Environment

# What XML 1.0 cannot hold, not even escaped.
_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(name: str, suites: Sequence[Element], *, seconds: float | None = None) -> str:
    """The whole file; the counts of the root are the sums of the suites'."""
    root = Element("testsuites", name=name)
    root.extend(suites)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    if seconds is not None:
        root.set("time", time_text(seconds))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def new_suite(name: str, about: Environment, more: Mapping[str, str]) -> Element:
    """A suite without tests, with the environment and ``more`` as its properties."""
    suite = Element("testsuite", name=valid(name))
    values = {
        "blocktool": about.blocktool,
        "torch": about.torch,
        "python": about.python,
        "platform": about.platform,
        **about.packages,
        **more,
    }
    properties = SubElement(suite, "properties")
    for key, value in values.items():
        SubElement(properties, "property", name=valid(key), value=valid(value))
    return suite


def new_test(suite: Element, classname: str, name: str, seen: Counter[str]) -> Element:
    """A test with a name of its own: CI servers follow a test by its name from run to run."""
    name = valid(name)
    seen[name] += 1
    if seen[name] > 1:
        name = f"{name} ({seen[name]})"
    return SubElement(suite, "testcase", classname=classname, name=name)


def objection(test: Element, tag: str, kind: str, message: str, lines: Sequence[str]) -> None:
    """What speaks against a test: a ``failure`` or an ``error``."""
    element = SubElement(test, tag, type=kind, message=valid(message))
    element.text = valid("\n".join(lines))


def skipped(test: Element, reason: str) -> None:
    """That the test was not made, and why."""
    SubElement(test, "skipped", message=valid(reason))


def output(test: Element, text: str) -> None:
    """What a test has to say though it passed."""
    SubElement(test, "system-out").text = valid(text)


def close(suite: Element) -> None:
    """The counts of a suite that has all its tests."""
    suite.set("tests", str(len(suite.findall("testcase"))))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))


def classname_of(target: str) -> str:
    """The target as a dotted name, which CI servers show as a tree of packages and classes."""
    path, _, attr = target.rpartition(":") if ":" in target else (target, "", "")
    path = re.sub(r"\.(py|ya?ml)$", "", path.replace("\\", "/"))
    dotted = ".".join(filter(None, [*re.split(r"[/.]+", path), attr]))
    return valid(dotted if "." in dotted else f"blocktool.{dotted}")


def time_text(seconds: float) -> str:
    """A time as the schema wants it: ``21.340``."""
    return f"{seconds:.3f}"


def valid(text: str) -> str:
    """The text without what XML cannot hold."""
    return _INVALID.sub("", text)
