"""Figures as people read them: counts in powers of 1000, bytes in powers of 1024."""

from __future__ import annotations

from collections.abc import Sequence

_COUNT_UNITS = ("", "K", "M", "G", "T", "P", "E")
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def count(number: int) -> str:
    """A count with three decimals: ``25.557 M``, ``4.089 G``; whole below a thousand."""
    return _scaled(number, 1000, 3, _COUNT_UNITS)


def size(nbytes: int) -> str:
    """Bytes in binary units with two decimals: ``97.49 MiB``; whole below a kibibyte."""
    return _scaled(nbytes, 1024, 2, _BYTE_UNITS)


def ratio(number: float) -> str:
    """A plain ratio, three significant figures: ``31.2``, ``0.125``, ``1280``."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def percent(part: float) -> str:
    """A share of one: ``2.9%``; what is there but rounds to nothing reads ``<0.1%``,
    and the ends ``0%`` and ``100%``."""
    if 0 < part < 0.0005:
        return "<0.1%"
    return f"{100 * part:.1f}%".replace("100.0%", "100%") if part else "0%"


def shape(sizes: Sequence[int]) -> str:
    """``1x3x224x224``; ``scalar`` without dimensions."""
    return "x".join(map(str, sizes)) or "scalar"


def _scaled(number: int, base: int, decimals: int, units: tuple[str, ...]) -> str:
    if abs(number) < base:
        return f"{number} {units[0]}".rstrip()
    scaled, power = float(number), 0
    # Against the rounded figure: 999,999.6 K is 1.000 M, never 1000.000 K.
    while round(abs(scaled), decimals) >= base and power < len(units) - 1:
        scaled, power = scaled / base, power + 1
    return f"{scaled:.{decimals}f} {units[power]}"
