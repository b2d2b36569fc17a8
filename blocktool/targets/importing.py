"""The user's own modules: ``pkg.module:attr`` and ``path/to/file.py:attr``."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from blocktool.errors import BlocktoolError, InputError, ModuleError, TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.arguments import bind_arguments
from blocktool.targets.inputs import parse_input
from blocktool.targets.loading import load_module, user_code_running
from blocktool.targets.target import Target
from blocktool.targets.user_code import describe_exception, user_frames

if TYPE_CHECKING:
    import torch

_MAX_LISTED = 8


def import_target(name: str, arguments: Mapping[str, object]) -> Target:
    """The target that an import path names, with keyword arguments for its constructor.

    ``name`` is ``pkg.module:attr`` or ``path/to/file.py:attr``; ``attr`` may be dotted and names
    an nn.Module class, a factory (any callable that returns an nn.Module), or an instance.
    ``file.py`` alone means the one nn.Module class that it defines.

    The object's attribute ``example_inputs``, where it has one, gives the default inputs: a
    string as after ``-i`` (``"1x3x224x224"``), a list of them, or tensors in their place; a dict
    names them. It is read without building anything, so on a class it is a class attribute.

    Raises TargetError for a module or attribute that does not exist or is of another kind, and
    for arguments that do not fit; InputError for an ``example_inputs`` that cannot be read.
    """
    reference, attr = _split(name)
    module = load_module(reference)
    if attr is None:
        found: Any = _only_class(module, reference)
        name = f"{name}:{found.__name__}"
    else:
        found = find_attribute(module, reference, attr)
    inputs = _own_inputs(found, name)
    if _is_instance(found):
        if arguments:
            raise TargetError(
                f"{name} is an instance and takes no arguments",
                hint=f"name its class, {type(found).__name__}, or a factory",
            )
        return Target(name, "python", lambda: _instance(found), inputs, shared=True)
    if not callable(found) or (isinstance(found, type) and not _is_class(found)):
        raise TargetError(
            f"{name} is {_describe(found)}, not an nn.Module, its class or a factory",
            hint=f"name something in it: {found.__name__}:Net"
            if isinstance(found, ModuleType)
            else _listing(module, reference),
        )
    bound = bind_arguments(_constructor(found), arguments, name)
    return Target(name, "python", lambda: build_user_module(name, found, bound), inputs)


def build_user_module(
    name: str, make: Callable[..., object], arguments: Mapping[str, object]
) -> torch.nn.Module:
    """Call a class or a factory of the user's, on the device of an enclosing ``torch.device``.

    Raises ModuleError, with the user's lines of the traceback, for whatever it raises itself, and
    TargetError where it returns something else than an nn.Module.
    """
    from torch import nn

    try:
        with user_code_running():
            made = make(**arguments)
    except BlocktoolError:
        raise
    except (Exception, SystemExit) as error:
        raise ModuleError(
            f"{name} cannot be built: {describe_exception(error)}", details=user_frames(error)
        ) from error
    if not isinstance(made, nn.Module):
        raise TargetError(
            f"{name} returned {_describe(made)}, not an nn.Module",
            hint="a factory returns the module that it builds",
        )
    return made


def _instance(found: torch.nn.Module) -> torch.nn.Module:
    return found


def _split(name: str) -> tuple[str, str | None]:
    if name.endswith(".py"):
        return name, None
    reference, _, attr = name.rpartition(":")
    if not reference:
        raise TargetError(f"'{name}' names no module", hint="write pkg.module:Net or file.py:Net")
    return reference, attr or None


def find_attribute(module: ModuleType, reference: str, attr: str) -> object:
    """A dotted attribute of a module. Raises TargetError, with a suggestion, where it is not."""
    found: Any = module
    seen = reference
    for part in attr.split("."):
        try:
            with user_code_running():
                found = getattr(found, part)
        except AttributeError:
            hint = _suggestion(found, part) or _listing(module, reference)
            raise TargetError(f"{seen} has no attribute '{part}'", hint=hint) from None
        except Exception as error:  # a property, or the module's own __getattr__
            raise TargetError(
                f"{seen}: '{part}' cannot be read: {describe_exception(error)}",
                details=user_frames(error),
            ) from error
        seen = f"{seen}:{part}" if found is not module and seen == reference else f"{seen}.{part}"
    return found


def _suggestion(holder: object, part: str) -> str | None:
    """The nearest public name, nn.Module classes before everything else."""
    names = [name for name in dir(holder) if not name.startswith("_")]
    classes = [name for name in names if _is_class(getattr(holder, name, None))]
    for candidates in (classes, names):
        close = difflib.get_close_matches(part, candidates, n=1)
        folded = [name for name in candidates if name.lower() == part.lower()]
        if close or folded:
            return f"did you mean {(folded or close)[0]}?"
    return None


def _only_class(module: ModuleType, reference: str) -> type:
    classes = _own_classes(module)
    if len(classes) == 1:
        return classes[0]
    if classes:
        raise TargetError(
            f"{reference} defines {len(classes)} modules: which one?",
            hint="write " + _shortened([f"{reference}:{cls.__name__}" for cls in classes]),
        )
    raise TargetError(
        f"{reference} defines no nn.Module class", hint=f"name a factory: {reference}:FUNCTION"
    )


def _own_classes(module: ModuleType) -> list[type]:
    """The public nn.Module classes that the module or package defines, in the source's order."""
    within = f"{module.__name__}."
    return [
        value
        for name, value in vars(module).items()
        if _is_class(value)
        and f"{value.__module__}.".startswith(within)
        and not name.startswith("_")
    ]


def _listing(module: ModuleType, reference: str) -> str:
    classes = [cls.__name__ for cls in _own_classes(module)]
    if classes:
        return f"{reference} defines {_shortened(classes)}"
    functions = [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]
    if functions:
        return f"{reference} defines no nn.Module class; its functions: {_shortened(functions)}"
    return f"{reference} defines no nn.Module class and no function"


def _shortened(names: list[str]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _module_class() -> type | None:
    """nn.Module, None while torch is not imported: then nothing is a module yet."""
    torch = sys.modules.get("torch")
    return getattr(getattr(torch, "nn", None), "Module", None)


def _is_class(value: object) -> bool:
    base = _module_class()
    return base is not None and isinstance(value, type) and issubclass(value, base)


def _is_instance(value: object) -> bool:
    base = _module_class()
    return base is not None and isinstance(value, base)


def _constructor(found: Callable[..., Any]) -> Callable[..., Any]:
    """What to check arguments against: nn.Module's own __init__ takes anything, then refuses it."""
    base: Any = _module_class()
    if _is_class(found) and found.__init__ is base.__init__:
        return lambda: None
    return found


def _describe(value: object) -> str:
    if isinstance(value, ModuleType):
        return f"the Python module '{value.__name__}'"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def _own_inputs(found: object, name: str) -> tuple[TensorSpec, ...] | None:
    value = inspect.getattr_static(found, "example_inputs", None)
    if isinstance(value, (str, bytes)) or hasattr(value, "shape"):
        value = [value]
    pairs: list[tuple[str | None, Any]]
    if isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        pairs = [(None, item) for item in value]
    else:  # none, or a property or method that means something else
        return None
    return tuple(_own_input(key, item, name) for key, item in pairs) or None


def _own_input(key: str | None, value: Any, name: str) -> TensorSpec:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return TensorSpec(tuple(value.shape), str(value.dtype).removeprefix("torch."), key)
    if not isinstance(value, str):
        raise InputError(
            f"{name}: example_inputs holds {_describe(value)}",
            hint='write example_inputs = "1x3x224x224", or a list of such strings',
        )
    try:
        return parse_input(f"{key}={value}" if key else value)
    except InputError as error:
        raise InputError(f"{name}: example_inputs: {error.message}", hint=error.hint) from None
