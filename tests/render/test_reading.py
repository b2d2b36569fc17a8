"""Saved reports: older ones are read, and whatever else lies in a file is refused in one line."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from render.refusals import checked_refusal, refused
from render.summaries import backbone

from blocktool.errors import ReportError
from blocktool.render import upgrades
from blocktool.render.formats import renderer
from blocktool.render.json import KINDS, read_any, to_json
from blocktool.render.reading import load, load_report
from blocktool.render.view import View
from blocktool.results.listing import Listing
from blocktool.results.profile import Profile
from blocktool.results.summary import Summary

FOLDER = Path(__file__).parents[1] / "data" / "reports"
OLD = sorted(FOLDER.glob("*.json"))
SUMMARY = to_json(backbone())


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_reports_of_earlier_commits_are_read_and_shown(path: Path):
    kind = json.loads(path.read_text("utf-8"))["kind"]
    report = load_report(str(path))
    assert type(report) is KINDS[kind]
    target = {"list": "conv", "check-shapes": "odd.py:Odd"}.get(kind, "Tied")
    assert target in renderer(kind, "table")(report, View())
    assert f"`{path.name}`" in (FOLDER / "README.md").read_text("utf-8")


def test_there_is_an_older_report_of_every_kind_that_has_been_written():
    kinds = {json.loads(path.read_text("utf-8"))["kind"] for path in OLD}
    assert kinds == {"summary", "list", "check-shapes", "formulas", "profile"}


def test_what_older_reports_lack_has_a_default():
    old = load(str(FOLDER / "summary-first.json"), Summary)
    assert (old.shared, old.timeline, old.cross_check) == ((), None, None)
    assert old.totals.macs == old.modules[0].macs == 2 * 64 * 4 * 27 + 2 * 2 * 16
    assert load(str(FOLDER / "profile-first.json"), Profile).protocol.processes == 1


def _from_0(report: dict[str, Any]) -> dict[str, Any]:
    """Version 0, which never was, called the target ``model``."""
    report["half"] = report.pop("model", None)
    return report


def _from_half(report: dict[str, Any]) -> dict[str, Any]:
    return {**report, "target": report["half"]}


def test_older_schema_versions_are_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch):
    report = json.loads(SUMMARY)
    report |= {"schema_version": "0", "model": report.pop("target")}
    text = json.dumps(report)
    assert "schema version 0; this blocktool reads version 1" in refused(text)
    monkeypatch.setitem(upgrades.UPGRADES, "half", ("1", _from_half))
    monkeypatch.setitem(upgrades.UPGRADES, "0", ("half", _from_0))
    assert read_any(text) == backbone()
    assert "damaged: Expected `str`, got `null` - at `$.target`" in refused(
        json.dumps({**report, "model": None})
    )
    monkeypatch.setitem(upgrades.UPGRADES, "half", ("0", _from_half))  # leads nowhere
    assert "schema version 0" in refused(text)


def test_a_newer_version_is_refused():
    assert "schema version 2" in refused(json.dumps({**json.loads(SUMMARY), "schema_version": "2"}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "does not begin with {"),
        (b"[1, 2]", "does not begin with {"),
        (SUMMARY.encode("utf-16"), "is UTF-16, a report is UTF-8"),
        (SUMMARY.encode("utf-16-be"), "does not begin with {"),
        (SUMMARY.replace("Backbone", "Bäckbone").encode("latin-1"), "is not UTF-8: byte"),
        (SUMMARY.encode()[:-2], "is not JSON"),
        (b'{"a":' * 100_000, "is nested too deeply"),
        (b'{"a":' + b"[" * 100_000, "is nested too deeply"),
        (b"{" * 5_000_000, "is not JSON"),
        (b'{"a": "' + b"x" * 5_000_000, "is not JSON"),
    ],
    ids=range(12),
)
def test_files_that_are_no_report(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "old.json"
    path.write_bytes(content)
    with pytest.raises(ReportError) as caught:
        load_report(str(path))
    assert message in checked_refusal(caught.value)


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path):
    path = tmp_path / "old.json"
    path.write_bytes(b"\xef\xbb\xbf" + SUMMARY.encode())
    assert load_report(str(path)) == backbone()


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("folder-old.json").mkdir()
    for name, reason in [
        ("missing/old.json", "No such file or directory"),
        ("folder-old.json", "Is a directory"),
        ("a\0old.json", "null byte"),
        ("a\n\x1b[31m" + 300 * "x" + "old.json", "File name too long"),
    ]:
        with pytest.raises(ReportError, match=reason) as caught:
            load_report(name)
        checked_refusal(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_one_may_not_read(tmp_path: Path):
    path = tmp_path / "old.json"
    path.touch(mode=0)
    with pytest.raises(ReportError, match="Permission denied"):
        load_report(str(path))


def test_a_device_without_end_is_not_read_to_its_end():
    with pytest.raises(ReportError, match="/dev/zero is not a blocktool report"):
        load_report("/dev/zero")


def test_stdin(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SUMMARY.encode())))
    assert load_report("-") == backbone()
    with pytest.raises(ReportError, match="stdin is empty"):
        load_report("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ReportError, match="cannot read stdin: it is closed"):
        load_report("-")


def test_only_the_kinds_that_are_wanted():
    path = str(FOLDER / "list-first.json")
    assert isinstance(load(path, Summary, Listing), Listing)
    with pytest.raises(ReportError, match="kind 'list', not 'summary' or 'profile'") as caught:
        load(path, Summary, Profile)
    assert caught.value.hint == "one is written by blocktool summary -f json"
