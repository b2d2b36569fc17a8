"""Importing the user's module, from a file or by its dotted name, with errors worth reading."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import os
import pkgutil
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from blocktool.errors import TargetError
from blocktool.targets.user_code import describe_exception, display_path, user_frames


def load_module(reference: str) -> ModuleType:
    """Import ``path/to/file.py`` or ``pkg.module``, with the working directory importable.

    A file that lies in a package (its folder has an ``__init__.py``) is imported as part of that
    package, so that its relative imports work; any other file as ``python file.py`` would, with
    its own folder importable. A module that is imported already is not imported again.

    What is added to ``sys.path`` stays there: constructors and forwards import lazily as well.

    Raises TargetError for a file or module that does not exist (with a suggestion) and for one
    that fails while it is imported, with the user's own lines of the traceback as details.
    """
    if is_path(reference):
        return _load_file(reference)
    return _load_dotted(reference)


def is_path(reference: str) -> bool:
    """Whether a reference means a file rather than a dotted module name."""
    return reference.endswith(".py") or "/" in reference or os.sep in reference


@contextlib.contextmanager
def user_code_running() -> Iterator[None]:
    """What user code prints while this lasts goes to stderr: stdout is for results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _load_dotted(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        file = Path(f"{name}.py")
        hint = f"did you mean {file}:...?" if file.is_file() else "write pkg.module:Net"
        raise TargetError(f"'{name}' is not the name of a module", hint=hint)
    _make_importable(os.getcwd())
    try:
        with _failures_as_errors(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise TargetError(
            f"there is no module '{error.name}'", hint=_hint_for_missing_module(name, error)
        ) from None


def _load_file(text: str) -> ModuleType:
    if not os.path.isfile(text):
        raise no_file(text)
    path = Path(text).resolve()
    root, dotted = _package_of(path)
    _make_importable(os.getcwd())
    _make_importable(str(root))  # before the working directory: siblings come first
    if dotted is not None:
        with _failures_as_errors(text):
            module = importlib.import_module(dotted)
        if _is_file_of(module, path):
            return module
        # Another package of this name was imported before; take the file on its own.
    name = path.stem
    if not name.isidentifier() or name in sys.modules:
        if name in sys.modules and _is_file_of(sys.modules[name], path):
            return sys.modules[name]
        name = f"_blocktool_{name}_{zlib.crc32(str(path).encode()):08x}"
        if name in sys.modules:
            return sys.modules[name]
    return _execute_file(text, path, name)


def _execute_file(text: str, path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{text} is not a Python file", hint="its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs, as dataclasses and pickle look it up there
    try:
        with _failures_as_errors(text):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextlib.contextmanager
def _failures_as_errors(what: str) -> Iterator[None]:
    """Whatever the user's module raises while it is imported becomes a TargetError.

    A ModuleNotFoundError that no line of user code caused passes: ``what`` itself is missing.
    """
    try:
        with user_code_running():
            yield
    except ModuleNotFoundError as error:
        frames = user_frames(error)
        if not frames and not is_path(what) and f"{what}.".startswith(f"{error.name}."):
            raise
        raise TargetError(
            f"cannot import {what}: it needs the module '{error.name}', which is not there",
            hint="install it, or run from the folder that holds it",
            details=frames,
        ) from error
    except SyntaxError as error:
        place = f"{display_path(error.filename)}:{error.lineno}" if error.filename else what
        raise TargetError(
            f"{place}: {type(error).__name__}: {error.msg}",
            hint=f"python -m py_compile {display_path(error.filename)}" if error.filename else None,
            details=user_frames(error),
        ) from error
    except SystemExit as error:
        raise TargetError(
            f"{what} exits when it is imported",
            hint="keep what runs it as a script under `if __name__ == '__main__':`",
            details=user_frames(error),
        ) from error
    except Exception as error:
        raise TargetError(
            f"cannot import {what}: {describe_exception(error)}", details=user_frames(error)
        ) from error


def _package_of(path: Path) -> tuple[Path, str | None]:
    """The folder to import from, and the dotted name seen from there; None outside of packages."""
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    if folder == path.parent or not path.stem.isidentifier():
        return path.parent, None
    return folder, ".".join(parts)


def _is_file_of(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path


def _make_importable(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()


def no_file(text: str, hint: str | None = None) -> TargetError:
    """The error for a path that leads to no file; ``hint`` is used where nothing lies near it."""
    # os.path, as it answers where Path raises: a name that is too long, say.
    if os.path.isdir(text):
        return TargetError(f"{text} is a folder, not a Python file", hint="write path/to/file.py")
    if not text.endswith(".py") and os.path.isfile(f"{text}.py"):
        return TargetError(f"no such file: {text}", hint=f"did you mean {text}.py?")
    if os.path.exists(text):
        return TargetError(f"{text} is not a regular file")
    path = Path(text)
    stems = [file.stem for file in _list_folder(path.parent) if file.suffix == ".py"]
    close = difflib.get_close_matches(path.stem, stems, n=1)
    if close:
        hint = f"did you mean {path.with_name(close[0] + '.py')}?"
    elif not os.path.isdir(path.parent):
        hint = f"there is no folder {path.parent} in {Path.cwd()}"
    return TargetError(f"no such file: {text}", hint=hint or f"looked in {path.parent.resolve()}")


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _hint_for_missing_module(name: str, error: ModuleNotFoundError) -> str:
    parent, _, last = (error.name or name).rpartition(".")
    package = sys.modules.get(parent)
    search: Iterable[str] | None = getattr(package, "__path__", []) if parent else None
    siblings = {info.name for info in pkgutil.iter_modules(search)}
    close = difflib.get_close_matches(last, sorted(siblings), n=1)
    if parent and hasattr(package, last):
        return f"did you mean {parent}:{last}?"
    if close:
        rest = name[len(error.name or name) :]
        return f"did you mean {parent + '.' if parent else ''}{close[0]}{rest}?"
    if parent:
        return f"'{parent}' has no such part"
    return f"run from the folder that holds it (this is {Path.cwd()}), or install it"
