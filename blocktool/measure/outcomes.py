"""What goes wrong in a case is its outcome, and no exception."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from blocktool.errors import BlocktoolError
from blocktool.measure.answers import Measured, blank
from blocktool.measure.changed import Unavailable
from blocktool.measure.memory_limits import out_of_memory
from blocktool.measure.request import CaseSpec
from blocktool.measure.subject import Subject
from blocktool.results.profile import ProfileCase
from blocktool.targets.loading import user_code_running
from blocktool.trace.failures import forward_error
from blocktool.trace.limits import one_line


def guarded(
    subject: Subject,
    spec: CaseSpec,
    run: Callable[[], Measured],
    *,
    passing: tuple[type[BaseException], ...] = (),
) -> Measured:
    """What ``run`` gives, or the case as it failed; exceptions of ``passing`` come through: an
    interrupt, where this is the process that is interrupted."""
    started = time.perf_counter()
    spoiled = False
    try:
        with user_code_running():
            return run()
    except Unavailable as error:
        case = replace(blank(spec), outcome="skipped", kind="unavailable", reason=str(error))
    except passing:
        raise
    except BaseException as error:
        case = _failed(subject, spec, error)
        # After such an error a GPU answers nothing any more in this process.
        spoiled = "CUDA error" in (case.reason or "")
    seconds = time.perf_counter() - started
    return Measured(replace(case, seconds=seconds), spoiled=spoiled)


def _failed(subject: Subject, spec: CaseSpec, error: BaseException) -> ProfileCase:
    case = replace(blank(spec), outcome="failed", kind="error")
    if out_of_memory(error):
        return replace(case, kind="out-of-memory", reason=one_line(error))
    if not isinstance(error, BlocktoolError):
        given = subject.arguments_of(None if spec.as_given else spec.inputs)
        error = forward_error(error, subject.name, None, given)
    hints = (f"hint: {error.hint}",) if error.hint else ()
    reason = str(getattr(error, "reason", None) or error.message)
    return replace(case, reason=reason, details=(*error.details, *hints))
