"""What went wrong, on stderr: one line, what belongs to it, and a hint."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from blocktool.cli.terminal import paint
from blocktool.errors import BlocktoolError

FAILED = 2
INTERRUPTED = 130


def report(error: BlocktoolError, *, debug: bool) -> int:
    """Print an error that blocktool raised on purpose; the exit code."""
    if debug:
        traceback.print_exception(error)
    say_error(error.message, error.hint, error.details)
    return FAILED


def report_usage(error: Exception) -> int:
    """Print an error of the command line's own parser in our words; the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
    else:
        say_error(*_usage(error))
    return FAILED


def report_defect(error: Exception, *, debug: bool) -> int:
    """Print an exception that nobody meant to raise; the exit code."""
    if debug:
        traceback.print_exception(error)
    told = str(error).strip().split("\n")[0]
    say_error(
        f"blocktool itself failed: {type(error).__name__}" + (f": {told}" if told else ""),
        None if debug else "this is a defect in blocktool; --debug shows the traceback",
    )
    return FAILED


def say_error(message: str, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
    """``error: ...``, the details indented, ``hint: ...``."""
    _print(f"{paint('error:', 'error', sys.stderr)} {message}")
    for line in details:
        _print(f"  {line}")
    if hint:
        _print(f"  {paint('hint:', 'hint', sys.stderr)} {hint}")


def warn(message: str) -> None:
    """``warning: ...``."""
    _print(f"{paint('warning:', 'warning', sys.stderr)} {message}")


def note(message: str) -> None:
    """A line about how the work goes."""
    _print(message)


def is_usage_error(error: Exception) -> bool:
    """Whether the parser raised it. Its classes are private to Typer; their shape is not."""
    return callable(getattr(error, "format_message", None))


def _usage(error: Any) -> tuple[str, str]:
    """Message and hint for an error of the parser."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "blocktool"
    hint = f"{path} --help shows what there is"
    option = getattr(error, "option_name", None)
    if option and hasattr(error, "possibilities"):
        near = list(error.possibilities or ())
        commands: dict[str, Any] = getattr(getattr(context, "command", None), "commands", {})
        if any(_has_option(each, option) for each in commands.values()):
            hint = f"options follow the command: blocktool COMMAND ... {option}"
        elif near:
            hint = f"did you mean {near[0]}?"
        return f"no such option: {option}", hint
    parameter = getattr(error, "param", None)
    if parameter is not None and error.message:
        return f"{_shown_name(parameter)}: {_plain(error.message)}", hint
    message, _, suggestion = _plain(error.format_message()).partition(". Did you mean ")
    return message, f"did you mean {suggestion}" if suggestion else hint


def _has_option(command: Any, option: str) -> bool:
    return any(option in parameter.opts for parameter in command.params)


def _shown_name(parameter: Any) -> str:
    """``--depth``, or a positional's metavar."""
    named = [opt for opt in parameter.opts if opt.startswith("-")]
    return str(max(named, key=len) if named else parameter.metavar or parameter.name)


def _plain(message: str) -> str:
    """The parser's sentence in the style of ours: no capital, no full stop, one line."""
    message = " ".join(message.split()).rstrip(".")
    return message[:1].lower() + message[1:]


def _print(line: str) -> None:
    try:
        print(line, file=sys.stderr)
    except UnicodeEncodeError:
        encoding = sys.stderr.encoding or "ascii"
        print(line.encode(encoding, "replace").decode(encoding), file=sys.stderr)
    except OSError:
        pass  # nobody is listening
