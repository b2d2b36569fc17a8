"""``--update``: the baseline is replaced whole, and what was accepted is said."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from conftest import Project

from blocktool.cli.baseline import accept
from blocktool.errors import OutputError, UsageError


def report(target: str = "net.py:Net", kind: str = "summary", macs: int = 5) -> str:
    return json.dumps({"schema_version": "1", "kind": kind, "target": target, "macs": macs})


BASELINE = Path("baseline.json")


def test_a_baseline_is_made(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    accept(report(), BASELINE)
    assert BASELINE.read_text() == report()
    assert capsys.readouterr() == ("", "made baseline.json: summary of net.py:Net\n")


def test_a_baseline_is_replaced(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("baseline.json", report(macs=4))
    accept(report(), BASELINE)
    assert BASELINE.read_text() == report()
    assert capsys.readouterr().err == "updated baseline.json: summary of net.py:Net\n"
    accept(report("other.py:Net"), BASELINE)
    assert capsys.readouterr().err == (
        "updated baseline.json: summary of other.py:Net; it was summary of net.py:Net\n"
    )
    assert [file.name for file in project.root.iterdir()] == ["baseline.json"]


def test_what_is_the_same_is_not_written(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project.root / BASELINE
    file.write_text(report())
    os.utime(file, (1, 1))
    accept(report(), BASELINE)
    assert file.stat().st_mtime == 1
    assert capsys.readouterr().err == "baseline.json is up to date\n"


def test_it_can_be_quiet(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    accept(report(), BASELINE, quiet=True)
    accept(report(), BASELINE, quiet=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "text",
    ["", "\n", report()[:-9], f"<<<<<<< HEAD\n{report()}\n=======\n{report(macs=6)}\n>>>>>>> x\n"],
    ids=["empty", "blank", "cut short", "in the middle of a merge"],
)
def test_a_damaged_baseline_is_replaced(project: Project, text: str) -> None:
    (project.root / BASELINE).write_text(text)
    accept(report(), BASELINE, quiet=True)
    assert BASELINE.read_text() == report()


@pytest.mark.parametrize("text", ["class Net: pass", '{"name": "a package"}', "\udce9\x00"])
def test_another_file_is_not(project: Project, text: str) -> None:
    file = project.root / BASELINE
    file.write_bytes(text.encode(errors="surrogateescape"))
    before = file.read_bytes()
    with pytest.raises(OutputError, match=r"baseline\.json is no report") as raised:
        accept(report(), BASELINE)
    assert "BASELINE NEW --update" in (raised.value.hint or "")
    assert file.read_bytes() == before


def test_the_file_keeps_its_permissions_and_a_link_stays_one(project: Project) -> None:
    kept = project.write("kept/baseline.json", report(macs=4))
    kept.chmod(0o640)
    (project.root / BASELINE).symlink_to(kept)
    accept(report(), BASELINE, quiet=True)
    assert (project.root / BASELINE).is_symlink()
    assert kept.read_text() == report()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


def test_what_is_no_file(project: Project) -> None:
    with pytest.raises(UsageError, match="--update writes a baseline"):
        accept(report(), Path("-"))
    (project.root / "folder").mkdir()
    with pytest.raises(OutputError):
        accept(report(), Path("folder"))
    with pytest.raises(OutputError, match="there is no directory"):
        accept(report(), Path("nowhere/baseline.json"))
    assert not (project.root / "-").exists()
