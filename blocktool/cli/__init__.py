"""The command line: parse, call, render. The only place that knows Typer.

Nothing here imports torch before a command has understood what it was asked.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from blocktool.cli.errors import INTERRUPTED, is_usage_error, report, report_defect, report_usage
from blocktool.errors import BlocktoolError

PROGRAM = "blocktool"


def run(args: Sequence[str]) -> int:
    """Run one command line and give its exit code.

    0 is fine, 1 that what was checked does not hold, 2 that it could not be done, 130 that it was
    interrupted. No exception comes out; what went wrong is on stderr.
    """
    debug = "--debug" in args or os.environ.get("BLOCKTOOL_DEBUG", "0").lower() not in _OFF
    try:
        from blocktool.cli.app import command

        code = command().main(list(args), prog_name=PROGRAM, standalone_mode=False)
    except BlocktoolError as error:
        return report(error, debug=debug)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except Exception as error:
        if type(error).__name__ == "Abort":  # how Typer passes an interrupt on
            return INTERRUPTED
        if is_usage_error(error):
            return report_usage(error)
        return report_defect(error, debug=debug)
    return code if isinstance(code, int) else 0


def main() -> NoReturn:
    """The console script: run the command line of this process, and end it.

    A process that is about to vanish need not take torch apart piece by piece, which costs a
    fifth of a second or more: once the exit handlers have run and the streams are flushed, it
    ends. With threads still at work it ends in the ordinary way.
    """
    code = run(sys.argv[1:])
    if threading.active_count() > 1:
        sys.exit(code)
    with suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


_OFF = ("", "0", "false", "no", "off")
