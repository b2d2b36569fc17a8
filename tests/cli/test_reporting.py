"""``blocktool report``: from saved reports to pages, and to any other format of their kind."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Project
from render import comparisons, formula_reports, profiles, shape_reports, summaries

from blocktool import cli
from blocktool.render.formats import renderer
from blocktool.render.html import page
from blocktool.render.json import read_any, to_json
from blocktool.render.view import View

KINDS: dict[str, Callable[[], Any]] = {
    "summary": summaries.backbone,
    "profile": profiles.by_module,
    "check-shapes": shape_reports.broken,
    "comparison": comparisons.widened,
    "formulas": formula_reports.backbone,
}


@pytest.fixture(autouse=True)
def short_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """plotly's five megabytes say nothing here."""
    monkeypatch.setattr(page, "plotly_script", lambda: "window.Plotly = {};")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_a_page_beside_its_report(blocktool, project: Project, kind: str):
    made = KINDS[kind]()
    project.write("out/a.report.json", to_json(made))
    done = blocktool("report", "out/a.report.json")
    assert (done.code, done.out, done.err) == (0, "", f"wrote {project.root}/out/a.report.html\n")
    text = Path("out/a.report.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text == renderer(kind, "html")(read_any(to_json(made)), View())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_shown_as_a_table_again(blocktool, project: Project, kind: str):
    made = KINDS[kind]()
    project.write("a.json", to_json(made))
    done = blocktool("report", "a.json", "-f", "table")
    assert (done.code, done.err) == (0, "")
    assert done.out == renderer(kind, "table")(made, View())
    assert blocktool("report", "a.json", "-f", "json").out == to_json(made)


def test_the_suffix_implies_the_format(blocktool, project: Project):
    project.write("a.json", to_json(summaries.backbone()))
    blocktool("report", "a.json", "-o", "a.csv")
    assert Path("a.csv").read_text(encoding="utf-8").startswith("path,type,calls")
    assert not Path("a.html").exists()
    assert blocktool("report", "a.json", "-o", "-").out.startswith("<!DOCTYPE html>")


def test_a_view_is_taken(blocktool, project: Project):
    project.write("a.json", to_json(summaries.backbone()))
    shallow = blocktool("report", "a.json", "-f", "table", "--depth", "1", "--sort", "macs").out
    assert "conv1" not in shallow
    assert shallow.index("stage") < shallow.index("stem")
    assert "conv1" in blocktool("report", "a.json", "-f", "table", "--expand").out
    project.write("b.json", to_json(profiles.by_module()))
    ordered = blocktool("report", "b.json", "-f", "table", "--sort", "time").out
    assert ordered.index("stage") < ordered.index("stem")


def test_stdin(blocktool, project: Project, monkeypatch: pytest.MonkeyPatch):
    class Stdin:
        buffer = io.BytesIO(to_json(summaries.backbone()).encode())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert blocktool("report", "-").out.startswith("<!DOCTYPE html>")
    assert list(project.root.iterdir()) == []


def test_an_existing_page_is_replaced_only_with_force(blocktool, project: Project):
    project.write("a.json", to_json(summaries.backbone()))
    project.write("a.html", "mine")
    done = blocktool("report", "a.json")
    assert done.code == 2
    assert done.err.startswith("error: a.html exists\n  hint: replace it with --force")
    assert Path("a.html").read_text(encoding="utf-8") == "mine"
    assert blocktool("report", "a.json", "--force", "-q").err == ""
    assert Path("a.html").read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("name", "output"),
    [("a.html", None), ("a.json", "a.json"), ("a.json", "./b/../a.json"), ("a.html", "link.html")],
)
def test_a_report_is_never_written_over(blocktool, project: Project, name: str, output: str | None):
    made = to_json(summaries.backbone())
    project.write(name, made)
    project.write("other.json", made)
    Path("b").mkdir()
    Path("link.html").symlink_to(name)
    chosen = () if output is None else ("-o", output)
    for reports in ((name,), ("other.json", name)) if output else ((name,),):
        done = blocktool("report", *reports, *chosen, "-f", "html", "--force")
        assert done.code == 2
        assert done.err == (
            f"error: {output or name} is the report itself, and would be written over\n"
            "  hint: name another file with -o\n"
        )
    assert Path(name).read_text(encoding="utf-8") == made


def test_several_reports_go_on_one_page(blocktool, project: Project):
    project.write("a.json", to_json(summaries.backbone()))
    project.write("b.json", to_json(profiles.single()))
    assert blocktool("report", "a.json", "b.json", "-o", "both.html").code == 0
    text = Path("both.html").read_text(encoding="utf-8")
    assert "a.json: Where it goes" in text
    assert "b.json: Samples" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none.json"], "cannot read none.json: No such file"),
        (["half.json"], "half.json is not JSON"),
        (["new.json"], "new.json has schema version 99; this blocktool reads version 1"),
        (["other.json"], "other.json is a report of the unknown kind 'recipe'"),
        (["a.json", "-f", "junit"], "summary has no format 'junit'"),
        (["a.json", "-o", "a.xyz"], "the suffix of 'a.xyz' implies no format"),
        (["a.json", "--depth", "-1"], "--depth: -1 is too small"),
        (["a.json", "-f", "table", "--sort", "tme"], "--sort: no such choice: 'tme'"),
        (["c.json", "-f", "table", "--sort", "time"], "--sort: a comparison has no order"),
        (["a.json", "c.json", "-f", "csv"], "several reports go on one page, but not into csv"),
        (["a.json", "-"], "stdin cannot be one of several reports"),
        ([], "missing argument 'REPORT ...'"),
    ],
)
def test_what_cannot_be_done_is_one_line(blocktool, project: Project, args, message: str):
    whole = to_json(summaries.backbone())
    project.write("a.json", whole)
    project.write("half.json", whole[: len(whole) // 2])
    project.write("new.json", whole.replace('"schema_version": "1"', '"schema_version": "99"'))
    project.write("other.json", json.dumps({"schema_version": "1", "kind": "recipe"}))
    project.write("c.json", to_json(comparisons.widened()))
    done = blocktool("report", *args)
    assert (done.code, done.out) == (2, "")
    first, *rest = done.err.splitlines()
    assert message in first
    assert len(rest) <= 1


def test_needs_no_torch(project: Project):
    project.write("a.json", to_json(summaries.backbone()))
    code = """
import sys
from blocktool import cli
assert cli.run(["report", "a.json", "-q"]) == 0
assert not {"torch", "numpy", "plotly"} & set(sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert Path("a.html").stat().st_size < 6_000_000
