from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from blocktool.errors import OutputError
from blocktool.render.output import destination


def test_stdout(capsys: pytest.CaptureFixture[str]):
    destination(None).write("one\n")
    destination("-").write("two\n")
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_file_appears_whole_and_alone(tmp_path: Path):
    target = tmp_path / "out.txt"
    destination(str(target)).write("├─ naïve\n")
    assert target.read_bytes() == "├─ naïve\n".encode()
    assert os.listdir(tmp_path) == ["out.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    target.chmod(0o640)
    with pytest.raises(OutputError, match="exists") as caught:
        destination(str(target))
    assert "--force" in str(caught.value.hint)
    destination(str(target), force=True).write("new")
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path: Path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    destination(str(tmp_path / "link.txt"), force=True).write("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


@pytest.mark.parametrize("force", [True, False])
def test_what_can_never_be_written(tmp_path: Path, force: bool):
    with pytest.raises(OutputError, match="is a directory"):
        destination(str(tmp_path), force=force)
    with pytest.raises(OutputError, match="there is no directory"):
        destination(str(tmp_path / "missing" / "out.txt"), force=force)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        destination(str(tmp_path / "file" / "out.txt"), force=force)


def test_a_closed_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Asked of the system, not tried: root may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="is not writable"):
        destination(str(tmp_path / "out.txt"))


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "out.txt"
    target.write_text("old")
    place = destination(str(target), force=True)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        place.write("new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_pipe_is_written_to_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    destination(str(pipe)).write("text")
    reader.join(10)
    assert read == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
