"""Command lines that are shown to be copied."""

from __future__ import annotations

import shlex


def command(text: str, *, unicode: bool = True) -> str:
    """A command line that can be copied: words that cannot be shown are written with escapes."""
    if text.isprintable() and (unicode or text.isascii()):
        return text
    try:
        words = shlex.split(text)
    except ValueError:
        words = [text]
    return " ".join(_quoted(word, unicode) for word in words)


def _quoted(word: str, unicode: bool) -> str:
    if word.isprintable() and (unicode or word.isascii()):
        return shlex.quote(word)
    return f"$'{''.join(_escaped(char, unicode) for char in word)}'"


def _escaped(char: str, unicode: bool) -> str:
    """A character as it stands between ``$'`` and ``'`` in bash and zsh."""
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable() and (unicode or char.isascii()):
        return char
    return f"\\{ord(char):03o}" if char.isascii() else f"\\U{ord(char):08x}"
