"""What a constructor takes: names, types and defaults, as Parameters.

For blocktool's own blocks they are read from the source. Importing a block means importing torch,
which takes longer than everything else that listing the blocks or checking their arguments needs;
the source says the same, and cannot be out of date.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import pkgutil
import typing
from collections.abc import Callable, Mapping
from typing import Any

from blocktool.blocks import options
from blocktool.targets.parameters import Parameter

_NOT_ARGUMENTS = ("self", "device", "dtype")  # where a module is built is not what it is
_NAMES = {**vars(typing), **vars(options), "Sequence": list}


def dataclass_parameters(cls: type) -> dict[str, Parameter]:
    """The fields of a dataclass whose annotations can be evaluated."""
    types = typing.get_type_hints(cls)
    return {
        field.name: Parameter(
            name=field.name,
            type=types[field.name],
            required=field.default is field.default_factory is dataclasses.MISSING,
            default=None if field.default is dataclasses.MISSING else field.default,
        )
        for field in dataclasses.fields(cls)
    }


def callable_parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The arguments of a callable that is imported already; of any type where it says none."""
    import inspect

    annotated: Any = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    try:
        types = typing.get_type_hints(annotated)
    except (TypeError, NameError):  # a partial, or a name that is only there for type checkers
        types = {}
    return {
        parameter.name: Parameter(
            name=parameter.name,
            type=types.get(parameter.name, Any),
            required=parameter.default is parameter.empty,
            default=None if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name not in _NOT_ARGUMENTS
    }


def takes_any_keyword(function: Callable[..., Any]) -> bool:
    """Whether a callable takes arguments that its signature does not name."""
    import inspect

    parameters = inspect.signature(function).parameters.values()
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


@functools.cache
def class_parameters(path: str) -> Mapping[str, Parameter]:
    """The arguments of a class of blocktool, ``"blocktool.blocks.conv:ConvBlock"``.

    ``device`` and ``dtype`` are left out. Raises LookupError where there is no such class.
    """
    module, _, name = path.partition(":")
    definition = _find_class(_parse(module), name)
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _function_parameters(statement)
    # No constructor of its own: that of the first base that is found.
    for base in definition.bases:
        if isinstance(base, ast.Name) and (home := _home_of(module, base.id)):
            return class_parameters(f"{home}:{base.id}")
    return {}


@functools.cache
def _parse(module: str) -> ast.Module:
    package, _, rest = module.partition(".")
    source = pkgutil.get_data(package, rest.replace(".", "/") + ".py")
    if source is None:
        raise LookupError(f"the source of {module} is not there")
    return ast.parse(source)


def _find_class(tree: ast.Module, name: str) -> ast.ClassDef:
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return statement
    raise LookupError(f"there is no class {name}")


def _home_of(module: str, name: str) -> str | None:
    """The module of ours in which a class is defined that ``module`` uses."""
    for statement in _parse(module).body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return module
        if isinstance(statement, ast.ImportFrom) and statement.module:
            ours = statement.module.startswith("blocktool.")
            if ours and any(alias.name == name for alias in statement.names):
                return statement.module
    return None


def _function_parameters(function: ast.FunctionDef) -> dict[str, Parameter]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [
        *zip(positional, [*defaults, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {
        argument.arg: Parameter(
            name=argument.arg,
            type=_evaluate(argument.annotation),
            required=default is None,
            default=_literal(default),
        )
        for argument, default in pairs
        if argument.arg not in _NOT_ARGUMENTS
    }


def _evaluate(annotation: ast.expr | None) -> Any:
    if annotation is None:
        return Any
    try:
        return eval(ast.unparse(annotation), dict(_NAMES))
    except Exception:
        return Any


def _literal(node: ast.expr | None) -> object:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
