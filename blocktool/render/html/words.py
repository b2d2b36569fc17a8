"""Words that pages of several kinds share."""

from __future__ import annotations

from blocktool.results.environment import Environment


def versions(made: Environment) -> str:
    """``blocktool 0.1.0, torch 2.13.0, Python 3.11.7, timm 1.0.31, Linux x86_64``."""
    named = {"blocktool": made.blocktool, "torch": made.torch, "Python": made.python}
    told = [f"{name} {version}" for name, version in {**named, **made.packages}.items()]
    return ", ".join([*told, made.platform])


def plural(number: int, word: str) -> str:
    """``1 case``, ``12 cases``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
