from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Project
from render import profiles
from render.shape_reports import case, report

from blocktool.render.json import read, to_json
from blocktool.results.comparison import Comparison
from blocktool.results.shapes import Failed

SHAPE = ("-i", "1x3x10x10")
PER_WIDTH = 3 * 9 * 100  # MACs of the first convolution for each of its channels


@pytest.fixture
def saved(blocktool, net: str) -> Any:
    """Saves a summary of the net with this width, and gives the file's name."""

    def save(width: int, name: str) -> str:
        done = blocktool("summary", net, f"width={width}", *SHAPE, "-o", name, "-q")
        assert done.code == 0
        return name

    return save


def test_two_reports(blocktool, saved):
    done = blocktool("compare", saved(8, "old.json"), saved(16, "new.json"))
    assert (done.code, done.err) == (0, "")
    first = done.out.splitlines()[0]
    assert first.startswith("width 8 -> 16")
    assert "old.json" in done.out


def test_nothing_changed_is_silent(blocktool, saved):
    old, new = saved(8, "old.json"), saved(8, "new.json")
    for more in ((), ("--fail-on", "macs:0"), ("-f", "github")):
        done = blocktool("compare", old, new, *more)
        assert (done.code, done.out, done.err) == (0, "", "")
    assert blocktool("compare", old, new, "-v").err == "nothing changed\n"


def test_a_rule_about_nothing_is_heard_of(blocktool, saved):
    """Lest a gate holds because what it guards has another name now."""
    old, new = saved(8, "old.json"), saved(8, "new.json")
    done = blocktool("compare", old, new, "--fail-on", "bakcbone.*:macs:0")
    assert (done.code, done.out) == (0, "")
    assert done.err == "skipped bakcbone.*:macs:0: no module matches 'bakcbone.*'\n"
    assert blocktool("compare", old, new, "--fail-on", "bakcbone.*:macs:0", "-q").err == ""


def test_json(blocktool, saved):
    line = ("compare", saved(8, "old.json"), saved(16, "new.json"), "-f", "json")
    done = blocktool(*line, "--fail-on", "macs:+1%")
    found = json.loads(done.out)
    assert (found["kind"], done.code) == ("comparison", 1)
    (macs,) = [total for total in found["totals"] if total["metric"] == "macs"]
    old, new = (width * PER_WIDTH + width * width * 900 for width in (8, 16))
    assert (macs["old"], macs["new"], macs["verdict"]) == (old, new, "increased")
    assert macs["change"] == pytest.approx(new / old - 1)
    verdicts = {module["new_path"]: module["verdict"] for module in found["modules"]}
    assert verdicts == {"a": "changed", "b": "changed", "": "follows"}
    assert [finding["metric"] for finding in found["findings"]] == ["macs"]
    assert read(done.out, Comparison).findings


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (["macs:+1%"], 1),
        (["macs:+300%"], 0),
        (["params:0"], 1),
        (["params:+10K"], 0),
        (["macs<=1G", "params<=1K"], 1),
        (["a:macs:+50%"], 1),
        (["b:params<=1M"], 0),
        (["*:calls:0"], 0),
    ],
)
def test_rules(blocktool, saved, rules: list[str], code: int):
    given = [word for rule in rules for word in ("--fail-on", rule)]
    done = blocktool("compare", saved(8, "old.json"), saved(16, "new.json"), *given)
    assert done.code == code
    assert (rules[-1] in done.out) == bool(code)


def test_targets(blocktool, net):
    done = blocktool("compare", "--targets", net, f"{net} width=16", *SHAPE, "-f", "json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["new"]["name"] == f"{net} width=16"
    assert [each["text"] for each in found["statements"]] == ["width 8 -> 16"]
    one = blocktool("compare", "--targets", net, f"{net} width=16", *SHAPE, "--batch", "2,4")
    assert (one.code, one.err.count("\n")) == (2, 2)


def test_a_report_and_a_target(blocktool, net, saved):
    old = saved(8, "old.json")
    assert blocktool("compare", "--targets", old, f"{net} width=8", *SHAPE).out == ""
    done = blocktool("compare", "--targets", old, f"{net} width=9", *SHAPE, "--fail-on", "macs:0")
    assert done.code == 1


def test_a_baseline_is_made_held_and_updated(blocktool, net, saved, project: Project):
    base = project.root / "baseline.json"
    line = ("compare", "baseline.json", saved(8, "new.json"), "--fail-on", "macs:+1%")
    done = blocktool(*line)
    assert done.code == 2
    assert "--update" in done.err
    plain = blocktool("compare", "first.json", "new.json", "--update")
    assert (plain.code, plain.out) == (0, "")
    done = blocktool(*line, "--update")
    assert done.code == 0
    assert base.read_text() == Path("new.json").read_text()
    before = base.read_text()
    wider = ("compare", "baseline.json", saved(16, "wide.json"), "--fail-on", "macs:+1%")
    assert blocktool(*wider).code == 1
    assert base.read_text() == before
    done = blocktool(*wider, "--update")
    assert done.code == 0
    assert "updated baseline.json" in done.err
    assert blocktool(*wider).code == 0
    assert [path.name for path in project.root.iterdir() if path.suffix == ".tmp"] == []


def test_update_writes_over_nothing_else(blocktool, net, saved, project: Project):
    new = saved(8, "new.json")
    project.write("notes.json", '{"mine": 1}')
    for words in (("notes.json", new), (new,), ("--targets", net, net, *SHAPE)):
        done = blocktool("compare", *words, "--update")
        assert (done.code, len(done.err.splitlines())) == (2, 2)
    assert json.loads(Path("notes.json").read_text()) == {"mine": 1}


def test_a_baseline_that_a_merge_damaged_is_replaced(blocktool, saved):
    new = saved(8, "new.json")
    text = Path(new).read_text()
    Path("base.json").write_text(text.replace('"modules"', '<<<<<<< HEAD\n"modules"', 1))
    assert blocktool("compare", "base.json", new).code == 2
    done = blocktool("compare", "base.json", new, "--update")
    assert (done.code, Path("base.json").read_text()) == (0, text)


def test_another_torch_is_accepted_by_update(blocktool, saved):
    old, new = changed(saved(8, "old.json"), torch="2.11.0"), saved(16, "new.json")
    assert blocktool("compare", old, new).code == 2
    assert blocktool("compare", old, new, "--update").code == 0
    assert Path(old).read_text() == Path(new).read_text()


def test_what_is_accepted_although_it_breaks_rules_is_said(blocktool, saved):
    old, new = saved(8, "old.json"), saved(16, "new.json")
    done = blocktool("compare", old, new, "--fail-on", "macs:+1%", "--update")
    assert done.code == 0
    assert "accepted, although 1 finding would fail" in done.err


def test_two_checkouts_with_modules_of_the_same_names(blocktool, project: Project):
    """What the first target imports must not serve the second."""
    for folder, kernel in (("base", 3), ("head", 5)):
        project.write(
            f"{folder}/layers.py",
            f"""
            from torch import nn

            class Layer(nn.Conv2d):
                def __init__(self):
                    super().__init__(3, 4, {kernel}, padding={kernel // 2})
            """,
        )
        project.write(
            f"{folder}/net.py",
            """
            from layers import Layer
            from torch import nn

            class Net(nn.Sequential):
                example_inputs = "1x3x8x8"

                def __init__(self):
                    super().__init__(Layer())
            """,
        )
    done = blocktool("compare", "--targets", "base/net.py:Net", "head/net.py:Net")
    assert done.code == 0
    assert done.out.startswith("kernel_size (3, 3) -> (5, 5)")


def test_a_target_is_tried_as_the_report_was(blocktool, net, saved):
    """With its inputs, mode and dtype, unless others are asked for."""
    blocktool("summary", net, "-i", "4x3x12x12", "--mode", "training", "-q", "-o", "train.json")
    done = blocktool("compare", "--targets", "train.json", net)
    assert (done.code, done.out) == (0, "")
    blocktool("summary", net, *SHAPE, "--dtype", "bfloat16", "-q", "-o", "bf16.json")
    assert blocktool("compare", "--targets", "bf16.json", net).out == ""
    done = blocktool("compare", "--targets", "train.json", net, *SHAPE, "--fail-on", "macs:+1%")
    assert done.err.startswith("warning: the rules compare summaries of other inputs")


def test_a_budget_of_other_inputs_is_warned_of(blocktool, net, saved, project: Project):
    new = saved(8, "new.json")
    project.write(
        "pyproject.toml",
        f"""
        [tool.blocktool.budgets."{net}"]
        fail-on = ["macs<=1G"]
        input = "1x3x224x224"
        """,
    )
    done = blocktool("compare", new)
    assert done.code == 0
    assert "is meant for 1x3x224x224, and the summary is of 1x3x10x10" in done.err


def test_a_report_from_stdin(blocktool, saved, monkeypatch):
    old, new = saved(8, "old.json"), saved(16, "new.json")

    stdin = io.TextIOWrapper(io.BytesIO(Path(old).read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert blocktool("compare", "-", new).out.startswith("width 8 -> 16")
    assert blocktool("compare", "-", "-").code == 2


def test_a_budget_needs_no_other_report(blocktool, saved):
    new = saved(8, "new.json")
    assert blocktool("compare", new, "--fail-on", "macs<=5G").code == 0
    done = blocktool("compare", new, "--fail-on", "macs<=5")
    assert done.code == 1
    assert "macs<=5" in done.out
    done = blocktool("compare", new)
    assert (done.code, "nothing to hold" in done.err) == (2, True)


def test_budgets_of_pyproject(blocktool, net, saved, project: Project):
    new = saved(8, "new.json")
    target = json.loads(Path(new).read_text())["target"]
    project.write("pyproject.toml", f"[tool.blocktool.budgets]\n{target!r} = ['params<=1']\n")
    done = blocktool("compare", new)
    assert (done.code, "params<=1" in done.out) == (1, True)
    assert blocktool("compare", new, new).code == 1
    project.write("pyproject.toml", "[tool.blocktool.budgets]\n'other' = ['params<=1']\n")
    assert blocktool("compare", new, new).code == 0


def test_a_budget_of_another_kind_of_report_is_skipped(blocktool, project: Project):
    """One table serves summaries and profiles of a target."""
    made = profiles.single()
    project.write("p.json", to_json(made))
    project.write(
        "pyproject.toml",
        f"[tool.blocktool.budgets]\n'{made.target}' = ['params<=1', 'latency_ms.p50<=0.001']\n",
    )
    done = blocktool("compare", "p.json")
    assert done.code == 1
    assert "skipped params<=1" in done.out
    assert "fails latency_ms.p50<=0.001" in done.out


def test_a_budget_says_how_its_target_is_tried(blocktool, net, project: Project):
    project.write(
        "pyproject.toml",
        f"""
        [tool.blocktool.budgets."{net}"]
        fail-on = ["macs<=1000"]
        input = "1x3x4x4"
        batch = 2
        """,
    )
    done = blocktool("compare", "--targets", net, "-f", "json")
    found = json.loads(done.out)
    assert done.code == 1
    assert {t["metric"]: t["new"] for t in found["totals"]}["inputs"] == "2x3x4x4"


def changed(path: str, **changes: Any) -> str:
    """The report with other values in its environment, under another name."""
    found = json.loads(Path(path).read_text())
    found["environment"] |= changes
    Path(f"other-{path}").write_text(json.dumps(found))
    return f"other-{path}"


def test_another_torch_is_refused_unless_allowed(blocktool, saved):
    old = changed(saved(8, "old.json"), torch="2.11.0")
    new = saved(16, "new.json")
    done = blocktool("compare", old, new, "--fail-on", "macs:+1%")
    assert (done.code, len(done.err.splitlines())) == (2, 2)
    assert "2.11.0" in done.err
    done = blocktool("compare", old, new, "--fail-on", "macs:+1%", "--any-environment")
    assert done.code == 0
    assert "width 8 -> 16" in done.out
    budget = ("--fail-on", "macs<=1", "--any-environment")
    assert blocktool("compare", old, new, *budget).code == 1


def test_another_device_is_refused_unless_allowed(blocktool, project: Project):
    made = profiles.single()
    other = replace(made, machine=replace(made.machine, name="Another CPU"))
    project.write("old.json", to_json(made))
    project.write("new.json", to_json(other))
    done = blocktool("compare", "old.json", "new.json")
    assert (done.code, "Another CPU" in done.err) == (2, True)
    assert blocktool("compare", "old.json", "new.json", "--any-environment").code == 0


def test_one_process_is_inconclusive_and_fails_nothing(blocktool, project: Project):
    project.write("old.json", to_json(profiles.single()))
    line = ("compare", "old.json", "old.json", "--fail-on", "latency_ms.p50:+5%")
    done = blocktool(*line, "-f", "json")
    found = json.loads(done.out)
    assert done.code == 0
    (latency,) = [t for t in found["totals"] if t["metric"] == "latency_ms.p50"]
    assert latency["verdict"] == "inconclusive"
    assert "--processes" in latency["reason"]
    assert "inconclusive" in blocktool(*line).out


def test_shape_reports(blocktool, project: Project):
    project.write("old.json", to_json(report(case())))
    project.write("new.json", to_json(report(case(Failed("error", "it broke")))))
    done = blocktool("compare", "old.json", "new.json", "--fail-on", "failed:0")
    assert done.code == 1
    assert done.out.splitlines()[0] == "1 case fails now: net.py:Net (it broke)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "two reports are compared, not 0"),
        (("a.json", "b.json", "c.json"), "two reports are compared, not 3"),
        (("missing.json", "old.json"), "there is no baseline missing.json"),
        (("old.json", "missing.json"), "missing.json"),
        (("old.json", "shapes.json"), "old.json is a summary, shapes.json a check-shapes"),
        (("old.json", "half.json"), "half.json"),
        (("old.json", "newer.json"), "newer.json has schema version 99"),
        (("old.json", "list.json"), "list.json is a report of kind 'list'"),
        (("old.json", "old.json", "--fail-on", "marcs:0"), "marcs"),
        (("old.json", "old.json", "--fail-on", "macs"), "macs"),
        (("old.json", "old.json", "--threshold", "5"), "--threshold"),
        (("old.json", "old.json", "-i", "1x3x8x8"), "--input is for --targets"),
        (("old.json", "old.json", "--measure"), "--measure is for --targets"),
        (("--targets", "conv", "conv", "--processes", "3"), "--processes is for --measure"),
        (("--targets", "--measure", "old.json", "conv"), "--measure needs two targets"),
        (("--targets", "conv 'stride", "conv"), "cannot be read"),
        (("old.json", "old.json", "-f", "speedscope"), "speedscope"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    blocktool, saved, project: Project, words: tuple[str, ...], message: str
):
    text = Path(saved(8, "old.json")).read_text()
    project.write("half.json", text[: len(text) // 2])
    project.write("newer.json", text.replace('"schema_version": "1"', '"schema_version": "99"'))
    project.write("shapes.json", to_json(report(case())))
    project.write(
        "list.json", '{"schema_version": "1", "kind": "list", "blocks": [], "configs": []}'
    )
    done = blocktool("compare", *words)
    lines = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert message in lines[0]
    assert len(lines) == 2
    assert lines[1].startswith("  hint: ")


def test_files(blocktool, saved):
    old, new = saved(8, "old.json"), saved(16, "new.json")
    for name, start in (
        ("out.md", "<!-- blocktool compare -->"),
        ("out.xml", "<?xml"),
        ("out.csv", "level,"),
        ("out.json", "{"),
    ):
        done = blocktool("compare", old, new, "-o", name)
        assert done.code == 0
        assert Path(name).read_text().startswith(start)
    assert blocktool("compare", old, new, "-o", "out.md").code == 2


def test_the_summary_of_a_job(blocktool, saved, project: Project, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root / "summary.md"))
    blocktool("compare", saved(8, "old.json"), saved(16, "new.json"))
    assert "width 8 -" in (project.root / "summary.md").read_text()


def test_measured_side_by_side(blocktool, net):
    """Two pairs of processes are too few for a verdict, and say so."""
    line = ("compare", "--targets", "--measure", net, f"{net} width=12", *SHAPE, "-f", "json")
    done = blocktool(*line, "--processes", "2", "--min-time", "0.02", "--threads", "1", "-d", "cpu")
    found = json.loads(done.out)
    assert (done.code, found["compares"]) == (0, "profile")
    verdicts = {total["metric"]: total["verdict"] for total in found["totals"]}
    assert (verdicts["macs"], verdicts["latency_ms.p50"]) == ("increased", "inconclusive")


def test_targets_that_cannot_be_measured(blocktool, project: Project):
    project.write(
        "boom.py",
        """
        from torch import nn

        class Fine(nn.Linear):
            def __init__(self):
                super().__init__(8, 8)

        class Boom(Fine):
            def forward(self, x):
                if x.device.type == "cpu":
                    raise RuntimeError("boom on real data")
                return super().forward(x)
        """,
    )
    line = ("compare", "--targets", "--measure", "-i", "2x8", "--processes", "1", "-d", "cpu")
    quick = ("--min-time", "0.01", "--threads", "1")
    done = blocktool(*line, *quick, "boom.py:Boom", "boom.py:Boom")
    assert (done.code, done.out) == (2, "")
    assert "boom on real data" in done.err
    gate = ("--fail-on", "latency_ms.p50:+5%")
    done = blocktool(*line, *quick, "boom.py:Fine", "boom.py:Boom", *gate)
    assert done.code == 1
    assert "boom on real data" in done.out


def test_reports_are_compared_without_torch(saved):
    old, new = saved(8, "old.json"), saved(16, "new.json")
    code = (
        "import sys; from blocktool import cli; "
        f"code = cli.run(['compare', {old!r}, {new!r}, '--fail-on', 'macs:+1%', '-q']); "
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 False"
