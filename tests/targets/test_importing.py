from __future__ import annotations

import sys

import pytest
import torch
from conftest import Project
from torch import nn

from blocktool.errors import InputError, ModuleError, TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.importing import import_target

NET = """
    import torch
    from torch import nn

    WIDTH = 8

    class Net(nn.Module):
        example_inputs = "1x3x32x32"

        def __init__(self, width: int = 4, *, bias: bool = True):
            super().__init__()
            self.fc = nn.Linear(width, width, bias=bias)

        @classmethod
        def small(cls):
            return cls(2)

    class Encoder(nn.Module):
        pass

    class Config:
        pass

    def make(width: int):
        return Net(width)

    def broken():
        return 3

    made = Net(7)
"""


LISTING = "net.py defines Net, Encoder"


def fails(name: str, kind: type[TargetError] = TargetError, **arguments: object) -> TargetError:
    """The error of resolving and building; it must be one line."""
    with pytest.raises(kind) as caught:
        import_target(name, arguments).build()
    assert "\n" not in caught.value.message
    assert "\n" not in (caught.value.hint or "")
    return caught.value


class TestWhatServes:
    def test_class_with_arguments(self, project: Project) -> None:
        project.write("net.py", NET)
        target = import_target("net.py:Net", {"width": 6, "bias": False})
        assert (target.name, target.source) == ("net.py:Net", "python")
        assert target.inputs == (TensorSpec((1, 3, 32, 32)),)
        first, second = target.build(), target.build()
        assert first is not second
        assert [tuple(p.shape) for p in first.parameters()] == [(6, 6)]

    def test_dotted_module_in_the_working_directory(self, project: Project) -> None:
        project.write("pkg/__init__.py", "")
        project.write("pkg/net.py", NET)
        assert type(import_target("pkg.net:Net", {}).build()).__name__ == "Net"

    def test_factory_and_dotted_attribute(self, project: Project) -> None:
        project.write("net.py", NET)
        assert import_target("net.py:make", {"width": 3}).build().fc.in_features == 3
        assert import_target("net.py:Net.small", {}).build().fc.in_features == 2

    def test_instance_is_returned_as_it_is(self, project: Project) -> None:
        project.write("net.py", NET)
        target = import_target("net.py:made", {})
        assert target.build() is target.build()
        assert target.inputs == (TensorSpec((1, 3, 32, 32)),)
        assert "takes no arguments" in fails("net.py:made", width=3).message

    def test_builds_on_meta(self, project: Project) -> None:
        project.write("net.py", NET)
        with torch.device("meta"):
            module = import_target("net.py:Net", {}).build()
        assert all(p.is_meta for p in module.parameters())

    def test_the_only_class_needs_no_name(self, project: Project) -> None:
        project.write(
            "one.py",
            """
            from torch.nn import Identity, Module
            class _Part(Module): ...
            class Only(Module): ...
            """,
        )
        assert import_target("one.py", {}).name == "one.py:Only"

    def test_file_in_a_package_with_relative_imports(self, project: Project) -> None:
        project.write("src/pkg/__init__.py", "")
        project.write("src/pkg/parts.py", "from torch import nn\nclass Part(nn.Module): ...")
        project.write("src/pkg/net.py", "from .parts import Part\nclass Net(Part): ...")
        assert type(import_target("src/pkg/net.py:Net", {}).build()).__module__ == "pkg.net"

    def test_file_beside_its_siblings(self, project: Project) -> None:
        project.write("sub/parts_of_it.py", "from torch import nn\nclass Part(nn.Module): ...")
        project.write("sub/net.py", "from parts_of_it import Part\nclass Net(Part): ...")
        assert import_target("sub/net.py:Net", {}).build()

    def test_file_with_an_odd_or_a_taken_name(self, project: Project) -> None:
        source = "from torch import nn\nclass Net(nn.Module): ..."
        project.write("my-net.v2.py", source)
        project.write("torch.py", source)
        assert import_target("my-net.v2.py:Net", {}).build()
        assert import_target("torch.py:Net", {}).build()
        assert sys.modules["torch"] is torch

    def test_a_module_runs_once(self, project: Project) -> None:
        project.write("net.py", NET)
        one, two = import_target("net.py:Net", {}), import_target("net.py:Net", {})
        assert type(one.build()) is type(two.build())

    def test_an_installed_module(self) -> None:
        module = import_target("torch.nn:Linear", {"in_features": 2, "out_features": 3}).build()
        assert isinstance(module, nn.Linear)

    def test_imports_made_late_still_find_the_working_directory(self, project: Project) -> None:
        project.write("late_part.py", "WIDTH = 5")
        project.write(
            "net.py",
            """
            from torch import nn
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    from late_part import WIDTH
                    self.fc = nn.Linear(WIDTH, WIDTH)
            """,
        )
        assert import_target("net.py:Net", {}).build()

    def test_what_user_code_prints_is_not_a_result(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.write(
            "net.py",
            """
            from torch import nn
            print("importing")
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    print("building")
            """,
        )
        import_target("net.py:Net", {}).build()
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == "importing\nbuilding\n"


class TestWhereItIs:
    def test_no_such_file(self, project: Project) -> None:
        project.write("models/resnet.py", NET)
        error = fails("models/resnt.py:Net")
        assert error.message == "no such file: models/resnt.py"
        assert error.hint == "did you mean models/resnet.py?"
        assert fails("models/resnet:Net").hint == "did you mean models/resnet.py?"
        assert "there is no folder modles" in (fails("modles/resnet.py:Net").hint or "")
        assert "is a folder" in fails("./models:Net").message
        assert "no such file" in fails(f"{'x' * 5000}.py:Net").message

    def test_no_such_module(self, project: Project) -> None:
        project.write("pkg/__init__.py", "")
        project.write("pkg/resnet.py", NET)
        error = fails("pkg.resnt:Net")
        assert error.message == "there is no module 'pkg.resnt'"
        assert error.hint == "did you mean pkg.resnet?"
        assert fails("pkgg.resnet:Net").hint == "did you mean pkg.resnet?"
        assert fails("torch.nnn:Linear").hint == "did you mean torch.nn?"
        assert fails("torch.nn.Linear:x").hint == "did you mean torch.nn:Linear?"
        assert "run from the folder" in (fails("zzzzqqqq:Net").hint or "")

    def test_not_the_name_of_a_module(self, project: Project) -> None:
        project.write("my-net.py", NET)
        error = fails("my-net:Net")
        assert error.message == "'my-net' is not the name of a module"
        assert "my-net.py" in (error.hint or "")
        assert "names no module" in fails(":Net").message

    def test_no_such_attribute(self, project: Project) -> None:
        project.write("net.py", NET)
        error = fails("net.py:Nett")
        assert error.message == "net.py has no attribute 'Nett'"
        assert error.hint == "did you mean Net?"
        assert fails("net.py:net").hint == "did you mean Net?"
        assert fails("net.py:makee").hint == "did you mean make?"
        assert fails("net.py:Zzzqq").hint == LISTING
        assert fails("net.py:Net.smal").message == "net.py:Net has no attribute 'smal'"

    def test_several_classes_and_none(self, project: Project) -> None:
        project.write("net.py", NET)
        project.write("empty.py", "")
        error = fails("net.py")
        assert error.message == "net.py defines 2 modules: which one?"
        assert error.hint == "write net.py:Net, net.py:Encoder"
        assert fails("net.py:").hint == error.hint
        assert fails("empty.py").message == "empty.py defines no nn.Module class"

    @pytest.mark.parametrize(
        ("attr", "what"),
        [
            ("WIDTH", "an int"),
            ("Config", "the class Config"),
            ("nn", "the Python module 'torch.nn'"),
        ],
    )
    def test_attribute_of_another_kind(self, project: Project, attr: str, what: str) -> None:
        project.write("net.py", NET)
        error = fails(f"net.py:{attr}")
        assert error.message.startswith(f"net.py:{attr} is {what}, not an nn.Module")
        module = attr == "nn"
        assert error.hint == ("name something in it: torch.nn:Net" if module else LISTING)

    def test_what_a_package_gives_on_counts_as_its_own(self, project: Project) -> None:
        project.write("pkg/__init__.py", "from torch.nn import Linear\nfrom .net import Net")
        project.write("pkg/net.py", "from torch import nn\nclass Net(nn.Module): ...")
        assert fails("pkg:Zzzqq").hint == "pkg defines Net"

    def test_factory_that_returns_something_else(self, project: Project) -> None:
        project.write("net.py", NET)
        assert "net.py:broken returned an int" in fails("net.py:broken").message

    def test_arguments_that_do_not_fit(self, project: Project) -> None:
        project.write("net.py", NET)
        assert "did you mean width?" in (fails("net.py:Net", widht=3).hint or "")
        assert "needs the argument 'width'" in fails("net.py:make").message
        assert "must be int, got 'wide'" in fails("net.py:Net", width="wide").message
        assert fails("net.py:Encoder", width=3).hint == "it takes no arguments"


class TestWhatTheUserBroke:
    def test_syntax_error(self, project: Project) -> None:
        project.write("net.py", "x = 1\ndef f(:\n    pass\n")
        error = fails("net.py:Net")
        assert error.message == "net.py:2: SyntaxError: invalid syntax"
        assert error.details == ('File "net.py", line 2', "    def f(:")

    def test_missing_requirement_is_not_a_missing_target(self, project: Project) -> None:
        project.write("net.py", "import torch\nimport not_there.deep\n")
        project.write("pkg/__init__.py", "import pkg.gone\n")
        error = fails("net.py:Net")
        assert "cannot import net.py: it needs the module 'not_there'" in error.message
        assert error.details == (
            'File "net.py", line 2, in <module>',
            "    import not_there.deep",
        )
        assert "cannot import pkg.gone: it needs" in fails("pkg.gone:Net").message

    def test_any_other_exception_while_importing(self, project: Project) -> None:
        project.write("net.py", "def f():\n    raise ValueError('one\\ntwo')\nf()\n")
        error = fails("net.py:Net")
        assert error.message == "cannot import net.py: ValueError: one"
        assert error.details[-2:] == (
            'File "net.py", line 2, in f',
            "    raise ValueError('one\\ntwo')",
        )
        assert "net" not in sys.modules

    def test_a_script_that_exits(self, project: Project) -> None:
        project.write("net.py", "import argparse, sys\nsys.exit(0)\n")
        error = fails("net.py:Net")
        assert error.message == "net.py exits when it is imported"
        assert "__main__" in (error.hint or "")

    def test_constructor_that_raises(self, project: Project) -> None:
        project.write(
            "net.py",
            """
            from torch import nn
            class Net(nn.Module):
                def __init__(self, width: int = 3):
                    super().__init__()
                    self.conv = nn.Conv2d(width, 4, 3, groups=2)
            """,
        )
        with pytest.raises(ModuleError) as caught:
            import_target("net.py:Net", {}).build()
        error = caught.value
        assert error.message.startswith("net.py:Net cannot be built: ValueError: in_channels must")
        assert error.details == (
            'File "net.py", line 5, in __init__',
            "    self.conv = nn.Conv2d(width, 4, 3, groups=2)",
        )

    def test_attribute_that_raises(self, project: Project) -> None:
        project.write("net.py", "def __getattr__(name):\n    raise RuntimeError('no ' + name)\n")
        assert "'Net' cannot be read: RuntimeError: no Net" in fails("net.py:Net").message


class TestExampleInputs:
    @pytest.mark.parametrize(
        ("source", "specs"),
        [
            ("'2x3:int64'", (TensorSpec((2, 3), "int64"),)),
            ("['1x3', 'mask=1x8:bool']", (TensorSpec((1, 3)), TensorSpec((1, 8), "bool", "mask"))),
            ("{'a': '1x3'}", (TensorSpec((1, 3), name="a"),)),
            ("torch.zeros(1, 3)", (TensorSpec((1, 3)),)),
            ("(torch.zeros(1, 3).half(),)", (TensorSpec((1, 3), "float16"),)),
            ("None", None),
            ("property(lambda self: 3)", None),
        ],
    )
    def test_forms(
        self, project: Project, source: str, specs: tuple[TensorSpec, ...] | None
    ) -> None:
        project.write(
            "net.py",
            f"import torch\nclass Net(torch.nn.Module):\n    example_inputs = {source}\n",
        )
        assert import_target("net.py:Net", {}).inputs == specs

    def test_unreadable(self, project: Project) -> None:
        project.write("net.py", "import torch\nclass Net(torch.nn.Module):\n  example_inputs='1x0'")
        project.write("bad.py", "import torch\nclass Net(torch.nn.Module):\n  example_inputs=[3]")
        with pytest.raises(InputError, match=r"net.py:Net: example_inputs: .*size 0"):
            import_target("net.py:Net", {})
        with pytest.raises(InputError, match="example_inputs holds an int"):
            import_target("bad.py:Net", {})
