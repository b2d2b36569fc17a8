"""Figures as people read them: counts in powers of 1000, bytes in powers of 1024, times in the
unit that leaves one to three digits before the point."""

from __future__ import annotations

import math
from collections.abc import Sequence

_COUNT_UNITS = ("", "K", "M", "G", "T", "P", "E")
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_TIME_UNITS = ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))  # of each, in one second


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


def figure(number: float) -> str:
    """A measured figure, four significant digits or all before the point: ``61.24``, ``12,345``."""
    if abs(number) >= 999.95:
        return f"{number:,.0f}"
    if not number:
        return "0"
    return _significant(number) if abs(number) >= 0.001 else f"{number:.1e}"


def rate(number: float) -> str:
    """A rate for a column, three significant digits or all before the point: ``0.604``."""
    if abs(number) >= 99.95:
        return f"{number:,.0f}"
    return _significant(number, 3) if abs(number) >= 0.001 or not number else f"{number:.0e}"


def duration(ms: float) -> str:
    """A time given in ms, four significant digits: ``12.34 ms``, ``850.0 µs``, ``1.234 s``."""
    scale, unit = _time_unit(ms)
    return f"{_significant(ms / 1e3 * scale)} {unit}"


def seconds(given: float) -> str:
    """A time that someone chose, as they would write it: ``1 s``, ``0.25 s``, ``600 s``."""
    return f"{given:.3g} s" if given < 999.5 else f"{given:,.0f} s"


def durations(first: float, last: float, *, between: str = " – ") -> str:
    """A range of times given in ms, both in the unit of the last: ``12.1 – 13.0 ms``."""
    scale, unit = _time_unit(last)
    return f"{_significant(first / 1e3 * scale)}{between}{_significant(last / 1e3 * scale)} {unit}"


def gflops(rate: float) -> str:
    """A rate given in 1e9 FLOPs per second: ``158.9 GFLOP/s``, ``1.234 TFLOP/s``."""
    if abs(rate) >= 999.95:
        return f"{figure(rate / 1e3)} TFLOP/s"
    return f"{figure(rate)} GFLOP/s" if abs(rate) >= 0.1 else f"{figure(rate * 1e3)} MFLOP/s"


def gbytes(rate: float) -> str:
    """A rate given in 1e9 bytes per second: ``14.20 GB/s``, ``3.350 TB/s``."""
    if abs(rate) >= 999.95:
        return f"{figure(rate / 1e3)} TB/s"
    return f"{figure(rate)} GB/s" if abs(rate) >= 0.1 else f"{figure(rate * 1e3)} MB/s"


def whole_percent(part: float) -> str:
    """A share of one without decimals, for shares that may be above one: ``84%``, ``112%``."""
    return "<1%" if 0 < part < 0.005 else f"{100 * part:.0f}%"


def precision(part: float) -> str:
    """Half an interval as a share of its middle, two digits: ``±0.42%``, ``±12%``."""
    shown = f"{100 * part:.0f}" if part >= 0.0995 else f"{100 * part:.2g}"
    return "±<0.01%" if 0 < part < 0.0001 else f"±{shown}%"


def error(relative: float | None) -> str:
    """A relative error, two digits: ``3.1e-3``; ``0`` where there is none, None: not finite."""
    if relative is None or not math.isfinite(relative):
        return "not finite"
    mantissa, _, exponent = f"{relative:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if relative else "0"


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


def _time_unit(ms: float) -> tuple[float, str]:
    seconds = abs(ms) / 1e3
    for scale, unit in _TIME_UNITS:
        if seconds * scale >= 0.99995:
            return scale, unit
    return (1.0, "s") if not seconds else _TIME_UNITS[-1]


def _significant(number: float, digits: int = 4) -> str:
    """So many digits, not fewer than those before the point, and no exponent."""
    if not number:
        return "0"
    first = math.floor(math.log10(abs(float(f"{number:.{digits - 1}e}"))))
    return f"{number:.{max(digits - 1 - first, 0)}f}"
