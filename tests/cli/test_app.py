"""The root command: help, version, variables, settings, defects, start-up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from blocktool import __version__, cli
from blocktool.cli import summary as summary_command
from blocktool.cli.app import command
from blocktool.cli.options import chosen


def _process(*args: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(cli.__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "blocktool", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )


def test_version(blocktool):
    done = blocktool("--version")
    assert (done.code, done.out) == (0, f"blocktool {__version__}\n")


def test_help_names_every_command_and_option(blocktool):
    assert "summary" in blocktool("--help").out
    done = blocktool("summary", "--help")
    assert done.code == 0
    assert "blocktool summary [OPTIONS] TARGET [KEY=VALUE ...]" in done.out
    for option in ("--input", "--batch", "--mode", "--depth", "--format", "--color", "--debug"):
        assert f"{option} " in done.out
    assert done.out == blocktool("summary", "-h").out


def test_every_option_has_its_variable():
    for parameter in command().commands["summary"].params:
        if parameter.param_type_name == "option":
            long = max(parameter.opts, key=len)
            assert parameter.envvar == "BLOCKTOOL_" + long[2:].replace("-", "_").upper()


def test_without_a_command_the_help_is_shown(blocktool):
    done = blocktool()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: blocktool ")


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["sumary"], "no such command 'sumary'", "did you mean 'summary'?"),
        (["--versoin"], "no such option: --versoin", "did you mean --version?"),
        (["--bogus"], "no such option: --bogus", "blocktool --help shows what there is"),
        (
            ["-f", "json", "summary", "x"],
            "no such option: -f",
            "options follow the command: blocktool COMMAND ... -f",
        ),
    ],
)
def test_usage_errors(blocktool, args, message, hint):
    done = blocktool(*args)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {message}\n  hint: {hint}\n"


def test_variables(blocktool, net, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BLOCKTOOL_FORMAT", "json")
    monkeypatch.setenv("BLOCKTOOL_INPUT", "2x3x8x8")
    monkeypatch.setenv("BLOCKTOOL_INPUT_GRAD", "1")
    monkeypatch.setenv("BLOCKTOOL_MODE", "training")
    report = json.loads(blocktool("summary", net).out)
    assert report["inputs"][0]["shape"] == [2, 3, 8, 8]
    forward, backward = report["phases"]
    assert backward["macs"] == 2 * forward["macs"]
    assert blocktool("summary", net, "-f", "csv").out.startswith("path,")
    monkeypatch.setenv("BLOCKTOOL_DEPTH", "deep")
    assert "--depth: 'deep' is not a whole number" in blocktool("summary", net).err
    monkeypatch.setenv("BLOCKTOOL_DEPTH", "1")
    monkeypatch.setenv("BLOCKTOOL_OPS", "perhaps")
    assert "--ops: 'perhaps' is neither true nor false" in blocktool("summary", net).err


def test_settings(blocktool, net, project: Project, monkeypatch: pytest.MonkeyPatch):
    project.write(
        "pyproject.toml",
        """
        [tool.blocktool]
        format = "json"
        input = "1x3x8x8"

        [tool.blocktool.summary]
        mode = "training"
        input-grad = true
        batch = 3
        """,
    )
    report = json.loads(blocktool("summary", net).out)
    assert report["inputs"][0]["shape"] == [3, 3, 8, 8]
    assert report["mode"] == "training"
    assert json.loads(blocktool("summary", net, "--mode", "forward").out)["mode"] == "forward"
    monkeypatch.setenv("BLOCKTOOL_MODE", "forward")
    assert json.loads(blocktool("summary", net).out)["mode"] == "forward"
    below = project.root / "deeply" / "below"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    done = blocktool("summary", f"../../{net}")
    assert json.loads(done.out)["inputs"][0]["shape"] == [3, 3, 8, 8]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[tool.blocktool]\ndept = 1", "unknown key 'dept' in [tool.blocktool]", "depth?"),
        (
            "[tool.blocktool.summary]\ninput-grd = true",
            "unknown key 'input-grd' in [tool.blocktool.summary]",
            "input-grad?",
        ),
        ("[tool.blocktool.sumary]\ndepth = 1", "unknown key 'sumary'", "summary?"),
        ("[tool.blocktool]\nzzz = 1", "unknown key 'zzz'", "long names of options"),
        ("[tool.blocktool]\nops = 'yes'", "ops: 'yes' is not true or false", None),
        ("[tool.blocktool]\ninput = 3", "input: 3 is not a text or a list of texts", None),
        ("[tool.blocktool]\ndepth = [1]", "depth: [1] is not a text or a number", None),
        ("[tool.blocktool]\nforce = true", "unknown key 'force'", None),
        ("[tool]\nblocktool = 3", "tool.blocktool is not a table", None),
        ("[tool.blocktool\n", "pyproject.toml cannot be read", None),
    ],
)
def test_wrong_settings(blocktool, project: Project, text, message, hint):
    project.write("pyproject.toml", text)
    done = blocktool("summary", "anything")
    assert done.code == 2
    assert done.err.startswith(f"error: {project.root}")
    assert message in done.err.splitlines()[0]
    assert hint is None or hint in done.err.splitlines()[1]


def test_a_pyproject_of_others_is_none_of_our_business(blocktool, project: Project):
    project.write("pyproject.toml", "this is not [TOML")
    assert "pyproject" not in blocktool("summary", "nothing").err


def test_a_defect_of_our_own_is_called_one(blocktool, net, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr(summary_command, "summarize", fail)
    done = blocktool("summary", net)
    assert done.code == 2
    assert done.err == (
        "error: blocktool itself failed: ZeroDivisionError: division by zero\n"
        "  hint: this is a defect in blocktool; --debug shows the traceback\n"
    )
    assert "Traceback" in blocktool("summary", net, "--debug").err


def test_an_interrupt_is_130(blocktool, net, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(summary_command, "summarize", interrupt)
    done = blocktool("summary", net)
    assert (done.code, done.out, done.err) == (130, "", "")


def test_color(blocktool, net, monkeypatch: pytest.MonkeyPatch):
    line = ("summary", net, "-i", "1x3x8x8")
    assert "\x1b[" in blocktool(*line, "--color", "always").out
    assert blocktool("summary", "--color", "always", net).err.startswith("\x1b[1;31merror:\x1b[0m")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in blocktool(*line, "--color", "auto").out
    assert "\x1b[" not in blocktool(*line, "--color", "never").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in blocktool(*line, "--color", "auto").out


def test_columns(blocktool, net, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "70")
    out = blocktool("summary", net, "-i", "1x3x8x8").out
    assert max(map(len, out.splitlines())) <= 70


def test_choices():
    assert chosen("--mode", "a", ("a", "b")) == "a"


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path: Path):
    """Neither torch nor Rich's console nor Pydantic for help; and the parser alone for errors."""
    code = (
        "import sys; from blocktool.cli import run; run(sys.argv[1:]); "
        "heavy = {'torch', 'rich.console', 'pydantic', 'msgspec', 'yaml'} & set(sys.modules); "
        "print(sorted(heavy), file=sys.stderr)"
    )
    for args in (["--help"], ["summary", "--help"], ["summary", "x", "--depth", "a"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr.splitlines()[-1] == "[]", args


def test_a_process_end_to_end(net, project: Project):
    done = _process("summary", net, "-i", "1x3x8x8", cwd=project.root, NO_COLOR="")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"MACs +50\.688 K", done.stdout)
    ascii_only = _process(
        "summary", net, "-i", "1x3x8x8", cwd=project.root, PYTHONIOENCODING="ascii"
    )
    assert ascii_only.returncode == 0
    assert ascii_only.stdout.isascii()
    assert "|- a" in ascii_only.stdout


def test_a_reader_that_goes_away_is_no_error(net, project: Project):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "blocktool", "summary", net, "-i", "1x3x8x8"],
            cwd=project.root,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupted_process_ends_quietly(project: Project):
    project.write(
        "slow.py",
        """
        import pathlib, time
        pathlib.Path("started").touch()
        time.sleep(60)
        """,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "blocktool", "summary", "slow.py:Net", "-i", "1x3"],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (project.root / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 130
