from __future__ import annotations

import json

import torch
from conftest import Project

from blocktool.targets.importing import import_target
from blocktool.targets.loading import load_module
from blocktool.targets.user_code import describe_exception, display_path, user_frames


def raised_by(call: object) -> Exception:
    try:
        call()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("it must raise")


def test_keeps_the_users_lines_and_no_others(project: Project) -> None:
    project.write(
        "net.py",
        """
        import json
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                return self.inner(x)
            def inner(self, x):
                json.loads("{")
        """,
    )
    module = import_target("net.py:Net", {}).build()
    error = raised_by(lambda: module(torch.zeros(1)))
    assert isinstance(error, json.JSONDecodeError)
    lines = user_frames(error)
    assert lines[-4:] == (
        'File "net.py", line 5, in forward',
        "    return self.inner(x)",
        'File "net.py", line 7, in inner',
        '    json.loads("{")',
    )
    places = [line for line in lines if line.startswith("File ")]
    assert not any("/torch/" in place or "/json/" in place for place in places)


def test_an_installed_package_only_where_it_is_all_there_is(project: Project) -> None:
    import yaml

    lines = user_frames(raised_by(lambda: yaml.safe_load("[")))
    assert "test_user_code.py" in lines[0]
    error = raised_by(lambda: yaml.safe_load("["))
    assert error.__traceback__ is not None
    inner = error.with_traceback(error.__traceback__.tb_next.tb_next)  # type: ignore[union-attr]
    assert "yaml" in user_frames(inner)[-2]


def test_deep_recursion_is_cut(project: Project) -> None:
    project.write("deep.py", "def f(n):\n    return f(n - 1) if n else 1 / 0\n")
    deep = load_module("deep")
    lines = user_frames(raised_by(lambda: deep.f(50)))
    assert len(lines) == 11  # five frames of two lines, and how many are left out
    assert lines[0].startswith("... ")


def test_describe_exception() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe_exception(ValueError("a\n  b")) == "ValueError: a"
    assert describe_exception(ValueError("\n\n b")) == "ValueError: b"
    assert describe_exception(ValueError()) == "ValueError"
    assert describe_exception(OddError()) == "OddError"
    assert len(describe_exception(ValueError("x" * 9999))) == len("ValueError: ") + 300


def test_display_path(project: Project) -> None:
    inside = project.write("a/b.py", "")
    assert display_path(str(inside)) == "a/b.py"
    assert display_path("/nowhere/b.py") == "/nowhere/b.py"
