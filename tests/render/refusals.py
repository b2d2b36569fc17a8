"""How reports that cannot be read are refused."""

from __future__ import annotations

import pytest

from blocktool.errors import ReportError
from blocktool.render.json import read_any


def refused(text: str) -> str:
    """The message with which a text is refused: one line, with the name and a hint."""
    with pytest.raises(ReportError) as caught:
        read_any(text, "old.json")
    return checked_refusal(caught.value)


def checked_refusal(error: ReportError) -> str:
    """The message of such an error."""
    assert error.message.isprintable()
    assert len(error.message) < 300
    assert "old.json" in error.message
    assert error.hint
    return error.message
