"""The values of a configuration, and where each of them was said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from blocktool.blocks.config import format_path
from blocktool.errors import ConfigError
from blocktool.targets.parameters import ArgumentProblem, Parameter, check_arguments, show_value
from blocktool.targets.yaml_file import KeyPath, YamlFile


class ConfigSource:
    """The values of a configuration and where each came from."""

    def __init__(self, path: str) -> None:
        self.file = YamlFile(path)
        self.values = self.file.values
        self._overridden: dict[KeyPath, str] = {}

    def override(self, key: str, value: object) -> None:
        """Set the value at a dotted key."""
        said = f"{key}={show_value(value)}"
        *parents, last = key.split(".")
        container: Any = self.values
        path: KeyPath = ()
        for name in parents:
            part = self._part(container, path, name, said)
            path = (*path, part)
            if isinstance(container, dict) and container.get(name) is None:
                container[name] = {}
                self._overridden[path] = said
            container = container[part]
        part = self._part(container, path, last, said)
        container[part] = value
        self._overridden[(*path, part)] = said

    def _part(self, container: Any, path: KeyPath, name: str, said: str) -> str | int:
        where = format_path(path)
        if isinstance(container, dict):
            return name
        if not isinstance(container, list):
            raise ConfigError(
                f"{self.file.name}: {said}: {where} has no keys", hint=f"{where} is one value"
            )
        if not re.fullmatch(r"-?\d{1,9}", name):
            raise ConfigError(
                f"{self.file.name}: {said}: '{name}' is not an index of {where}",
                hint=f"{where} is a list: {'.'.join(map(str, path))}.0 is its first item",
            )
        index = int(name)
        if not -len(container) <= index < len(container):
            raise ConfigError(
                f"{self.file.name}: {said}: {where} has no item {index}",
                hint=f"it has {len(container)}, counted from 0",
            )
        return index % len(container)

    def error(
        self,
        path: KeyPath,
        reason: str,
        hint: str | None = None,
        details: tuple[str, ...] = (),
    ) -> ConfigError:
        """The error for the value at ``path``: in which line it is, or by what override."""
        key = format_path(path)
        place = f"{self.file.name}:{self.file.line(path)}"
        for length in range(len(path), 0, -1):
            said = self._overridden.get(path[:length])
            if said is not None:
                place = f"{self.file.name}: {said}"
                break
        message = f"{place}: {key}: {reason}" if key else f"{place}: {reason}"
        return ConfigError(message, hint=hint, details=details)

    def refusal(self, path: KeyPath, reason: str, details: tuple[str, ...] = ()) -> ConfigError:
        """The error for what a constructor refused, at the key that its reason begins with."""
        reason = reason.partition("\n")[0] or "refused without a reason"
        named = re.match(r"\w+", reason)
        if named and self.file.has((*path, named[0])):
            path = (*path, named[0])
        if path:
            reason = re.sub(f"^{path[-1]}:? ", "", reason)
        return self.error(path, reason, None, details)

    def check(
        self, path: KeyPath, values: Mapping[str, object], parameters: Mapping[str, Parameter]
    ) -> dict[str, Any]:
        """The values of a section as the types that are wanted."""
        try:
            return check_arguments(values, parameters)
        except ArgumentProblem as problem:
            reasons = {
                "unknown": "unknown key",
                "missing": "missing",
                "type": f"must be {problem.wanted}, got {problem.got}",
            }
            raise self.error((*path, problem.name), reasons[problem.kind], problem.hint) from None
