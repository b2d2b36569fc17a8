"""A page as text: what is in it, that it is whole, and that nothing in it can do harm."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from render import comparisons, formula_reports, profiles, shape_reports, summaries
from render.html.hostile import MARKUP, everything, listing
from render.summaries import row

from blocktool.errors import UsageError
from blocktool.render.html import needs, page, render, render_together
from blocktool.render.html.page import in_script
from blocktool.render.view import View
from blocktool.results.summary import Summary

VOID = {"meta", "link", "br", "img", "input", "hr"}
MAKERS: dict[str, Callable[[], Any]] = {
    **{f"profile {name}": make for name, make in profiles.MAKERS.items()},
    **{f"comparison {name}": make for name, make in comparisons.MAKERS.items()},
    "comparison same": comparisons.same,
    "summary": summaries.backbone,
    "training": summaries.troubled,
    "formulas": formula_reports.backbone,
    "shapes": shape_reports.catalog,
    "findings": shape_reports.broken,
    "proofs": shape_reports.proved,
    "ways": shape_reports.varied,
    "list": listing,
}


class Reader(HTMLParser):
    """Elements that are open, ids, scripts, headings, texts; an element closed wrongly is an
    error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def said(self, *tags: str) -> str:
        return "".join(text for tag, text in self.texts if not tags or tag in tags)


@pytest.fixture(autouse=True)
def short_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """plotly's five megabytes say nothing here."""
    monkeypatch.setattr(page, "plotly_script", lambda: "window.Plotly = {};")


@pytest.mark.parametrize("name", MAKERS)
def test_a_page_is_well_formed_and_can_be_read_without_its_script(name: str):
    read = Reader(render(MAKERS[name](), View()))
    assert read.open == []
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for attrs in read.all("a"):
        assert (attrs["href"] or "")[1:] in ids
    assert len(read.all("main")) == len(read.all("header")) == len(read.all("nav")) == 1
    for attrs in read.all("th"):
        assert attrs["scope"] in ("row", "col")
    assert len(read.all("table")) == len(read.all("caption"))
    # Each chart has a title and words of its own, and all but overviews their data as a table.
    for figure in read.all("figure"):
        assert {f"{figure['id']}-title", f"{figure['id']}-told"} <= set(ids)


@pytest.mark.parametrize("name", MAKERS)
def test_the_data_of_the_charts_are_json(name: str):
    read = Reader(render(MAKERS[name](), View()))
    figures = [text for tag, text in read.texts if tag == "script" and text.startswith("{")]
    assert len(figures) == (1 if read.all("figure") else 0)
    for chart in map(json.loads, figures):
        for each in chart.values():
            for variant in [*each["variants"], {"figure": each["figure"], "told": "."}]:
                assert variant["told"].endswith(".")
                for trace in variant["figure"]["data"]:
                    sizes = {len(trace[axis]) for axis in ("x", "y", "text") if axis in trace}
                    assert len(sizes) <= 1


@pytest.mark.parametrize("name", everything())
def test_what_comes_from_outside_is_text(name: str):
    text = render(everything()[name], View())
    read = Reader(text)
    assert read.open == []
    assert "<script>alert" not in text
    assert read.all("img") == []
    assert not any(key.startswith("on") for _, attrs in read.tags for key in attrs)
    if name != "formulas":  # its names are other ones
        assert MARKUP.replace("\u2028", "") in read.said().replace("\u2028", "")


def test_no_name_turns_the_text_behind_it():
    name = "a\u202efdp.b\u2066\u200f"
    made = summaries.summary([row("", "Net", params=2), row(name, name, params=2)])
    text = render(replace(made, target=name), View())
    assert "fdp.b" in text
    for turn in ("\u202e", "\u2066", "\u200f"):
        assert turn not in text
        assert json.dumps(turn)[1:-1] not in text.lower()


def test_the_policy_lets_nothing_in_but_the_scripts_of_the_page():
    text = render(summaries.backbone(), View())
    read = Reader(text)
    (policy,) = [a["content"] for a in read.all("meta") if "http-equiv" in a]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    sources = rules["script-src"].split()
    run = [text for tag, text in read.texts if tag == "script" and not text.startswith("{")]
    made = [f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in run]
    assert sorted(sources) == sorted(made)
    assert not re.search(r"(?:src|href|action)=[\"']?(?:https?:|//|data:)", text)


def test_json_in_a_script_ends_nothing():
    value = {"a": f"</script><!--{MARKUP}\u2029", "b": [0.1234567891, 2]}
    text = str(in_script(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {**value, "b": [0.123457, 2]}


def test_the_version_and_the_target_are_named():
    said = Reader(render(summaries.backbone(), View())).said("p", "h1", "title")
    assert "net.py:Net" in said
    assert "blocktool 0.1.0, torch 2.13.0, Python 3.11.7, timm 1.0.31, Linux x86_64" in said


def test_several_reports_make_one_page():
    made = [summaries.backbone(), summaries.troubled(), profiles.single()]
    read = Reader(render_together(made, ["a.json", "b.json", "c.json"], View()))
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    said = read.said("h2")
    assert "a.json: Where it goes" in said
    assert "c.json: Samples" in said


def large(modules: int, path: str) -> Summary:
    rows = [row("", "Net", params=modules, macs=modules, read=modules)]
    rows += [row(f"{path}{n}", params=1, macs=1, read=1) for n in range(modules)]
    return summaries.summary(rows)


@pytest.mark.parametrize(
    ("reports", "modules", "path"),
    [(2, 3_000, "m"), (9, 1_000, "m"), (2, 2_000, "a name of a module " * 20)],
)
def test_a_page_stays_below_six_million_bytes(
    reports: int, modules: int, path: str, monkeypatch: pytest.MonkeyPatch
):
    script = "x" * len(needs.plotly_script())
    monkeypatch.setattr(page, "plotly_script", lambda: script)
    names = [f"{n}.json" for n in range(reports)]
    text = render_together([large(modules, path)] * reports, names, View(expand=True))
    assert len(text.encode()) < 6_000_000
    assert text.count("<tr data-l=") >= 400  # there is room for so many
    assert text.count("-f csv has all)</caption>") == reports


def test_the_page_of_one_large_report_stays_below_six_million_bytes(
    monkeypatch: pytest.MonkeyPatch,
):
    script = "x" * len(needs.plotly_script())
    monkeypatch.setattr(page, "plotly_script", lambda: script)
    text = render(large(4_000, "features."), View(expand=True))
    assert len(text.encode()) < 6_000_000
    assert 1_000 <= text.count("<tr data-l=") <= 2_500


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        needs.check_needs()
    assert "jinja2" in caught.value.message
    assert caught.value.hint == "pip install 'blocktool[html]'"
    with pytest.raises(UsageError):
        needs.plotly_script()


def test_plotly_is_whole_and_can_stand_in_a_page():
    script = needs.plotly_script()
    assert "MIT license" in script[:400]
    assert script.count("window.Plotly = Plotly;") == 1
    assert len(script) > 1_000_000
    assert "</script" not in script
    assert "<!--" not in script


@pytest.mark.parametrize(
    ("script", "inside"),
    [
        (
            "/** M */\n(\n function(root, factory) {\n x } (self, () => {\n"
            '"use strict";var Plotly=1;\nreturn Plotly;\n}));\n',
            '/** M */\n"use strict";var Plotly=1;\n',
        ),
        ("var Plotly = 1;", "var Plotly = 1;"),
        ("(\n function(root, factory) {} (self, () => {\n1", None),
    ],
)
def test_the_function_around_plotly_is_taken_off_where_it_is_as_expected(
    script: str, inside: str | None
):
    assert needs.unwrapped(script) == (script if inside is None else inside)
