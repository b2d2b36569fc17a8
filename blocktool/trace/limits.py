"""Tells a limit of running without data from a mistake in the module or its inputs."""

from __future__ import annotations

import opcode
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_SIGNS = (
    "meta tensor",
    "meta device",
    "'Meta' backend",
    "on meta",
    "no data",
    "meta and",
    "and meta",
    "device type meta",
    "device meta",
    "FakeTensor",
    "fake tensor",
    "Expected all tensors to be on the same device",
    "Unhandled FakeTensor",
    "device type of values",
    "storage of size 0",
    "doesn't have storage",
    "Cannot access data pointer",
    "unbacked",
    "data-dependent",
    ".numpy() is not supported",
)


# With the separator: torchvision lies beside torch, and a user's folder may be called like ours.
_TORCH = os.path.join(torch.__path__[0], "")
_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


class RungUnavailableError(NotImplementedError):
    """A rung of the ladder cannot hold this kind of module at all."""


@contextmanager
def autocast_refused() -> Iterator[None]:
    """Autocast acts on a device's tensors, not on meta's: where it is on, meta will not do."""

    def refuse(device: str, enabled: bool) -> None:
        if enabled and device == "cpu":
            raise RungUnavailableError("autocast does not act on meta tensors")

    original = torch.autocast.__enter__

    def enter(self: torch.autocast) -> Any:
        refuse(self.device, self._enabled)
        return original(self)  # type: ignore[no-untyped-call]

    refuse("cpu", torch.is_autocast_enabled("cpu"))
    torch.autocast.__enter__ = enter  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.autocast.__enter__ = original  # type: ignore[method-assign]


def needs_data(error: BaseException) -> bool:
    """Whether ``error`` arose because there was no data, so that the next rung may do better."""
    return any(_is_limit(link) for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from, outermost first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def cause_of(error: BaseException) -> BaseException:
    """The innermost link of the chain that is such a limit, or the error itself."""
    return [error, *(link for link in _chain(error) if _is_limit(link))][-1]


def _is_limit(error: BaseException) -> bool:
    if isinstance(error, RungUnavailableError):
        return True
    if not raised_in_torch(error):
        return False
    text = text_of(error)
    if isinstance(error, NotImplementedError):
        return 'missing the required "forward"' not in text
    cls = type(error)
    if cls.__name__ in ("DynamicOutputShapeException", "DataDependentOutputException"):
        return True
    return (
        cls.__module__.startswith("torch._subclasses")
        or any(sign in text for sign in _SIGNS)
        or _raised_in_meta_kernel(error)
    )


def raised_in_torch(error: BaseException) -> bool:
    """Whether the innermost Python frame is torch's, or called into torch's compiled code: what a
    user raises with such words is the user's."""
    traceback = error.__traceback__
    if traceback is None:
        return True
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    if code.co_filename.startswith((_TORCH, _OURS)):
        return True
    # A call into C++ leaves no frame of its own: the last instruction there is a call, no raise.
    instruction = traceback.tb_frame.f_code.co_code[traceback.tb_lasti]
    return instruction != opcode.opmap["RAISE_VARARGS"]


_LINE = 300


def _raised_in_meta_kernel(error: BaseException) -> bool:
    """A bug of the stand-in kernels themselves, rather than a check that they made."""
    if isinstance(error, (RuntimeError, ValueError, IndexError)) or error.__traceback__ is None:
        return False
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    file = traceback.tb_frame.f_code.co_filename
    return file.startswith(_TORCH) and any(
        part in file
        for part in ("_meta_registrations", "_refs", "_decomp", "_prims", "_subclasses")
    )


def text_of(error: BaseException) -> str:
    """What an exception says; nothing where its own ``__str__`` fails."""
    try:
        return str(error)
    except Exception:
        return ""


def one_line(error: BaseException) -> str:
    """The first line of an exception's text, with its type where the text alone is not clear."""
    text = text_of(error).strip().split("\n", 1)[0].strip()
    if len(text) > _LINE:
        text = f"{text[: _LINE - 3]}..."
    if isinstance(error, RungUnavailableError):
        return text
    name = "RuntimeError" if type(error).__name__ == "ShapeMismatchError" else type(error).__name__
    return f"{name}: {text}" if text else name
