"""A YAML file as plain values, with the line of each of them.

Scalars follow YAML 1.2 as KEY=VALUE arguments do (:mod:`blocktool.targets.yaml_values`), keys are
words, a key may not appear twice. Anchors, aliases and ``<<`` merging work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blocktool.errors import ConfigError
from blocktool.targets.yaml_values import plain_scalar

_MAX_VALUES = 100_000  # aliases of aliases can make a short file unfold without end

KeyPath = tuple[str | int, ...]


class YamlFile:
    """A mapping read from ``name``; ``values`` may be changed, ``line`` answers for the file.

    ``example`` is two keys that such files begin with, for hints; the second is one that they
    need. Raises ConfigError, naming file and line, for a file that cannot be read, is empty, is
    not YAML (half a file, say), holds no mapping, or gives a key twice.
    """

    def __init__(self, name: str, example: tuple[str, str] = ("stem", "stages")) -> None:
        self.name = name
        self._example = example
        self._count = 0
        self._root = self._compose(_read_text(name))
        self.values: dict[str, Any] = self._mapping(self._root, ())

    def line(self, path: KeyPath) -> int:
        """The line of the value at ``path``, or of the nearest part around it that is there."""
        import yaml

        node, line = self._root, self._root.start_mark.line
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = next((pair for pair in self._pairs(node) if pair[0].value == part), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if not -len(node.value) <= part < len(node.value):
                    break
                node = node.value[part]
                line = node.start_mark.line
            else:
                break
        return int(line) + 1

    def has(self, path: KeyPath) -> bool:
        """Whether there is a value at ``path``, changes included."""
        value: Any = self.values
        for part in path:
            try:
                value = value[part]
            except (LookupError, TypeError):
                return False
        return True

    def _compose(self, text: str) -> Any:
        import yaml

        loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
        try:
            root = yaml.compose(text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            lines = max(len(text.rstrip().splitlines()), 1)  # the end may lie behind the last one
            place = f"{self.name}:{min(mark.line + 1, lines)}" if mark else self.name
            reason = f"{error.problem or error.context} {error.context or ''}".strip()
            hint = (
                "is the file whole?"
                if mark and mark.line + 1 >= lines
                else "check indentation and brackets"
            )
            raise ConfigError(f"{place}: not YAML: {reason}", hint=hint) from None
        except (yaml.YAMLError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{self.name}: not YAML: {reason}") from None
        if root is None or (isinstance(root, yaml.ScalarNode) and root.value == ""):
            hint = f"it needs at least '{self._example[1]}:'"
            raise ConfigError(f"{self.name}: the file is empty", hint=hint)
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(
                f"{self.name}:{root.start_mark.line + 1}: not a mapping of keys to values",
                hint="the file begins with keys such as '{}:' and '{}:'".format(*self._example),
            )
        return root

    def _value(self, node: Any, around: tuple[Any, ...]) -> Any:
        import yaml

        self._count += 1
        if self._count > _MAX_VALUES or len(around) > 100 or node in around:
            raise self._error(node, "unfolds without end (aliases within aliases?)")
        if isinstance(node, yaml.ScalarNode):
            plain = not node.style and not node.tag.startswith("!")
            return plain_scalar(node.value) if plain else node.value
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*around, node)) for child in node.value]
        return self._mapping(node, around)

    def _mapping(self, node: Any, around: tuple[Any, ...]) -> dict[str, Any]:
        import yaml

        seen: dict[str, Any] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key must be a word")
            if key.value in seen:
                first = seen[key.value].start_mark.line + 1
                raise self._error(
                    key, f"the key '{key.value}' is given twice", f"the first is in line {first}"
                )
            seen[key.value] = key
        around = (*around, node)
        return {key.value: self._value(value, around) for key, value in self._pairs(node)}

    def _pairs(self, node: Any, depth: int = 0) -> list[tuple[Any, Any]]:
        """The keys and values of a mapping; those that ``<<`` brings in are overruled."""
        import yaml

        pairs: dict[str, tuple[Any, Any]] = {}
        for key, value in node.value:
            if key.value != "<<" or key.style:
                continue
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in reversed(sources):
                if not isinstance(source, yaml.MappingNode) or depth > 20:
                    raise self._error(key, "'<<' takes a mapping, or a list of them")
                pairs.update((k.value, (k, v)) for k, v in self._pairs(source, depth + 1))
        pairs.update((k.value, (k, v)) for k, v in node.value if k.value != "<<" or k.style)
        return list(pairs.values())

    def _error(self, node: Any, reason: str, hint: str | None = None) -> ConfigError:
        return ConfigError(f"{self.name}:{node.start_mark.line + 1}: {reason}", hint=hint)


def _read_text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"no such file: {name}", hint=_hint_for_missing(Path(name))) from None
    except IsADirectoryError:
        raise ConfigError(f"{name} is a folder, not a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: not a text file in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None


def _hint_for_missing(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [file.name for file in path.parent.iterdir() if file.suffix in (".yaml", ".yml")]
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f"did you mean {path.with_name(close[0])}?"
    return f"looked in {path.parent.resolve()}"
