from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest
from conftest import Project

from blocktool.errors import BlocktoolError, TargetError, UsageError
from blocktool.targets.resolve import SOURCES_GROUP, resolve
from blocktool.targets.target import Target

NET = "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, width: int = 3): ...\n"


class TestKinds:
    def test_block(self) -> None:
        assert resolve("bottleneck").source == "catalog"

    def test_block_with_arguments(self) -> None:
        module = resolve("bottleneck", ["in_channels=64"]).build()
        assert module.in_channels == 64

    def test_configuration(self, project: Project) -> None:
        with pytest.raises(TargetError, match=r"gone\.yaml"):
            resolve("gone.yaml")

    def test_import_path(self, project: Project) -> None:
        project.write("net.py", NET)
        project.write("pkg/__init__.py", NET)
        assert resolve("net.py:Net", ["width=5"]).source == "python"
        assert resolve("net.py").name == "net.py:Net"
        assert resolve("./net.py:Net").source == "python"
        assert resolve("pkg:Net").source == "python"

    @pytest.mark.parametrize("zoo", ["timm", "torchvision"])
    def test_zoo(self, zoo: str) -> None:
        target = resolve(f"{zoo}:resnet18", ["num_classes=10"])
        assert target.source == zoo

    def test_a_folder_does_not_hide_a_block(self, project: Project) -> None:
        project.write("bottleneck/notes.txt", "")
        assert resolve("bottleneck").source == "catalog"


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "message", "hint"),
        [
            ("", "empty target", "a target is a block"),
            ("  ", "empty target", "a target is a block"),
            ("botleneck", "botleneck", "did you mean"),
            ("pkg.models.Net", "unknown target 'pkg.models.Net'", "pkg.models:Net"),
            ("models/net", "no such file: models/net", "did you mean models/net.py?"),
            ("models/gone", "no such file: models/gone", "a target is a block"),
            ("models/gone.py", "no such file: models/gone.py", "looked in"),
            ("notes.txt", "neither a Python file nor a YAML", "a target is a block"),
            ("models", "neither a Python file nor a YAML", "a target is a block"),
            ("zzzqqq", "zzzqqq", "timm:resnet50"),
            ("a\x00b", "a", "a target is a block"),
        ],
    )
    def test_one_line_and_a_hint(
        self, project: Project, name: str, message: str, hint: str
    ) -> None:
        project.write("models/net.py", NET)
        project.write("notes.txt", "")
        with pytest.raises(TargetError) as caught:
            resolve(name)
        assert message in caught.value.message
        assert "\n" not in caught.value.message
        assert hint in (caught.value.hint or "")

    def test_malformed_arguments(self) -> None:
        with pytest.raises(UsageError, match="not KEY=VALUE"):
            resolve("bottleneck", ["64"])


class Entry:
    """Stands for an installed entry point."""

    value = "third.party:source"

    def __init__(self, load: Callable[[], object]) -> None:
        self.load = load


class TestThirdParties:
    @pytest.fixture
    def sources(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
        """Sources by prefix, as if they were installed."""
        made: dict[str, object] = {}

        def entry_points(*, group: str, name: str) -> list[Entry]:
            assert group == SOURCES_GROUP == "blocktool.sources"
            return [Entry(lambda: made[name])] if name in made else []

        monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
        return made

    def test_a_source_gets_the_rest_and_the_arguments(
        self, project: Project, sources: dict[str, object]
    ) -> None:
        seen: list[object] = []
        answer = Target("lab:net", "lab", lambda: None)  # type: ignore[arg-type,return-value]

        def source(name: str, arguments: dict[str, object]) -> Target:
            seen.append((name, arguments))
            return answer

        sources["lab"] = source
        assert resolve("lab:net:v2", ["width=3"]) is answer
        assert seen == [("net:v2", {"width": 3})]
        project.write("lab.py", NET)
        assert resolve("lab:Net").source == "python"

    def test_its_failures_are_its_own(self, project: Project, sources: dict[str, object]) -> None:
        def refuse(name: str, arguments: dict[str, object]) -> Target:
            raise TargetError("no such model in the lab")

        sources["bad"] = lambda name, arguments: 1 / 0
        sources["odd"] = lambda name, arguments: 3
        sources["no"] = refuse
        with pytest.raises(TargetError, match=r"source 'bad' \(third.party:source\) failed: Zero"):
            resolve("bad:net")
        with pytest.raises(TargetError, match="returned int, not a Target"):
            resolve("odd:net")
        with pytest.raises(BlocktoolError, match="no such model in the lab"):
            resolve("no:net")

    def test_only_a_word_is_looked_up(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**kwargs: object) -> None:
            raise AssertionError("looked up")

        monkeypatch.setattr(importlib.metadata, "entry_points", refuse)
        project.write("net.py", NET)
        project.write("pkg/sub.py", NET)
        assert resolve("net.py:Net")
        assert resolve("net:Net")
        assert resolve("pkg.sub:Net")
        assert resolve("timm:resnet18")


@pytest.mark.parametrize("name", ["bottleneck", "nothing", "a.py:B", "net.py:WIDTH", "net.yaml"])
def test_no_torch_is_imported_to_resolve_what_needs_none(project: Project, name: str) -> None:
    project.write("net.py", "WIDTH = 3\n")
    code = (
        "import sys\n"
        "from blocktool.targets.resolve import resolve\n"
        "from blocktool.errors import TargetError\n"
        "try: resolve(sys.argv[1])\n"
        "except TargetError: pass\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, name], check=True, timeout=60)
