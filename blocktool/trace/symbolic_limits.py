"""What to say of a limit that a run with symbols met."""

from __future__ import annotations

from blocktool.targets.user_code import user_frames
from blocktool.trace.limits import RungUnavailableError, cause_of, one_line, text_of

_UNHASHABLE = "unhashable type: non-nested SymInt"


def limit_of(error: BaseException) -> str:
    """In one line, with the user's own where a size was used as a key."""
    if isinstance(error, RungUnavailableError):
        return one_line(error)  # which names the operation; what torch said may be a page
    cause = cause_of(error)
    if _UNHASHABLE in text_of(cause):
        lines = [line.strip() for line in user_frames(cause)[-2:]]
        place = f" ({': '.join(lines)})" if lines else ""
        return f"a size is used as a key{place}"
    return one_line(cause)
