"""The errors that blocktool raises on purpose.

::

    BlocktoolError            message, hint
    ├── UsageError            an option or argument makes no sense
    ├── TargetError           the target cannot be found, imported or built
    │   └── ConfigError       a configuration file is wrong (file, line, key)
    ├── InputError            inputs are missing, malformed or do not fit the module
    ├── ModuleError           the user's own module raised; carries the user's lines
    ├── TraceError            a module cannot be traced on any rung of the ladder
    ├── OptimizationError     a module cannot be fused or quantized
    ├── ReportError           a saved report cannot be read
    └── OutputError           a result cannot be written

Each prints as one line and a hint, and the command line turns each into exit code 2.
"""

from __future__ import annotations


class BlocktoolError(Exception):
    """Something that could not be done, in one line, and what to do about it.

    ``message`` is the line, ``hint`` the remedy (or None), ``details`` further lines that are
    shown below the message: the part of a traceback that lies in the user's own code, say.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        if hint:
            self.add_note(f"  hint: {hint}")  # where a traceback is all that is seen


class UsageError(BlocktoolError):
    """An option or an argument makes no sense."""


class TargetError(BlocktoolError):
    """The target cannot be found, imported or built."""


class ConfigError(TargetError):
    """A configuration file is wrong; the message names the file, the line or key, and why."""


class InputError(BlocktoolError):
    """The inputs are missing, malformed, or do not fit the module."""


class ModuleError(BlocktoolError):
    """The user's own constructor or forward raised; ``details`` keeps the user's lines.

    ``reason`` is what was raised, in one line, and ``path`` the submodule that was running (""
    for the module itself), where that is known.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: tuple[str, ...] = (),
        reason: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.reason = reason or message
        self.path = path


class TraceError(BlocktoolError):
    """The module cannot be traced on any rung of the ladder."""


class OptimizationError(BlocktoolError):
    """A module cannot be fused or quantized as asked, or the result would not hold."""


class ReportError(BlocktoolError):
    """A saved report is damaged, of another kind, or of a newer version than can be read."""


class OutputError(BlocktoolError):
    """A result cannot be written where it was asked for."""
