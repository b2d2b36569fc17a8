"""A description of a device from a file: YAML or JSON, or the limits in a saved profile."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from blocktool.errors import ConfigError, InputError, ReportError
from blocktool.results.roofline import Ceilings, DeviceKind
from blocktool.targets.inputs import parse_dtype
from blocktool.targets.yaml_file import KeyPath, YamlFile

_SUFFIXES = (".yaml", ".yml", ".json")
_KEYS = (
    *("device", "gflops", "gbps", "overhead_us"),
    *("memory_gb", "memory_bytes", "efficiency", "source", "kind"),
)
_SHARES = ("compute", "memory")
_KINDS: tuple[DeviceKind, ...] = get_args(DeviceKind)


def is_device_file(text: str) -> bool:
    """Whether ``--assume`` was given a path rather than a name: it has a suffix or a folder."""
    return text.lower().endswith(_SUFFIXES) or "/" in text or os.sep in text


def read_device_file(name: str) -> Ceilings:
    """The ceilings that a file describes.

    The keys are those of :class:`~blocktool.results.roofline.Ceilings`: ``gflops`` (by dtype, in
    1e9 FLOPs per second), ``gbps`` (1e9 bytes per second) and ``overhead_us`` must be there;
    ``memory_gb`` is ``memory_bytes`` in 1e9, and ``kind`` is ``"cuda"`` if left out. A report that
    ``blocktool profile`` saved as JSON gives the limits that it measured.

    Raises ConfigError, with file, line and key, for a file that cannot be read or has a value
    that makes no sense, and ReportError for a report without limits.
    """
    report = _report(name)
    if report is not None:
        return _of_report(name, report)
    file = YamlFile(name, ("device", "gflops"))
    _check_keys(file)
    memory = _positive(file, ("memory_bytes",), None)
    if memory is None and (gigabytes := _positive(file, ("memory_gb",), None)) is not None:
        memory = gigabytes * 1e9
    return Ceilings(
        device=_text(file, "device", Path(name).stem),
        gflops=_rates(file),
        gbps=_needed(file, ("gbps",), "1e9 bytes per second, such as gbps: 936"),
        overhead_us=_overhead(file),
        source=_text(file, "source", name),
        memory_bytes=None if memory is None else int(memory),
        efficiency=_efficiency(file),
        kind=_kind(file),
    )


def _report(name: str) -> dict[str, Any] | None:
    """The report that the file holds; None where it is no report."""
    if not name.lower().endswith(".json"):
        return None
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None  # what is wrong is said where the file is read as YAML
    if not isinstance(found, dict) or "kind" not in found or found["kind"] in _KINDS:
        return None  # the kind of a description is that of its device
    return found


def _of_report(name: str, report: dict[str, Any]) -> Ceilings:
    import msgspec

    if report["kind"] != "profile":
        raise ReportError(
            f"{name} is a report of kind {report['kind']!r}, which has no limits of a device",
            hint="blocktool profile -o FILE.json measures them",
        )
    if report.get("ceilings") is None:
        raise ReportError(
            f"{name}: the report has no limits of its device",
            hint="profile again with them: they are measured unless they are switched off",
        )
    given = report["ceilings"]
    if isinstance(given, dict):
        given = {"kind": _ran_on(report)} | given
    try:
        found = msgspec.convert(given, Ceilings)
        if not all(rate > 0 for rate in (found.gbps, *found.gflops.values())):
            raise msgspec.ValidationError("a rate is not positive")
    except msgspec.ValidationError as error:
        raise ReportError(
            f"{name} is damaged: ceilings: {error}", hint="write it again with blocktool profile"
        ) from error
    return found


def _ran_on(report: dict[str, Any]) -> DeviceKind:
    """The kind of device of a report whose limits do not say it."""
    machine = report.get("machine")
    device = machine.get("device") if isinstance(machine, dict) else None
    return "cpu" if isinstance(device, str) and not device.startswith("cuda") else "cuda"


def _check_keys(file: YamlFile) -> None:
    for key in file.values:
        if key not in _KEYS:
            raise _error(file, (key,), "unknown key", _meant(key, _KEYS))
    if "memory_bytes" in file.values and "memory_gb" in file.values:
        raise _error(file, ("memory_gb",), "memory_bytes is given as well", "keep one of them")


def _rates(file: YamlFile) -> dict[str, float]:
    given = file.values.get("gflops")
    example = "for example gflops: {float32: 19500, bfloat16: 312000}"
    if not isinstance(given, dict) or not given:
        reason = "missing" if given is None else "must be rates by dtype, in 1e9 FLOPs per second"
        raise _error(file, ("gflops",), reason, example)
    rates: dict[str, float] = {}
    for key in given:
        path = ("gflops", key)
        try:
            dtype = "tf32" if key.lower() == "tf32" else parse_dtype(key)
        except InputError as error:
            raise _error(file, path, error.message, error.hint) from None
        if dtype in rates:
            raise _error(file, path, f"the rate of {dtype} is given twice", "keep one of them")
        rates[dtype] = _needed(file, path, "1e9 FLOPs per second")
    return rates


def _overhead(file: YamlFile) -> float:
    path = ("overhead_us",)
    if file.values.get("overhead_us") == 0:
        return 0.0
    return _needed(file, path, "µs that starting an operation takes, such as overhead_us: 5")


def _efficiency(file: YamlFile) -> dict[str, float] | None:
    given = file.values.get("efficiency")
    if given is None:
        return None
    example = "for example efficiency: {compute: 0.7, memory: 0.8}"
    if not isinstance(given, dict):
        raise _error(file, ("efficiency",), "must be the shares that are reached", example)
    shares: dict[str, float] = {}
    for key in given:
        path = ("efficiency", key)
        if key not in _SHARES:
            raise _error(file, path, "unknown key", _meant(key, _SHARES))
        share = _positive(file, path, example)
        if share is None or share > 1:
            raise _error(file, path, "must be more than 0 and at most 1", example)
        shares[key] = share
    return shares


def _kind(file: YamlFile) -> DeviceKind:
    text = _text(file, "kind", "cuda")
    for kind in _KINDS:
        if text == kind:
            return kind
    raise _error(file, ("kind",), f"must be {' or '.join(_KINDS)}, got {text!r}", "cuda is a GPU")


def _needed(file: YamlFile, path: KeyPath, unit: str) -> float:
    value = _positive(file, path, unit)
    if value is None:
        raise _error(file, path, "missing", f"give it in {unit}")
    return value


def _positive(file: YamlFile, path: KeyPath, unit: str | None) -> float | None:
    """A positive number; None where there is none."""
    value: Any = file.values
    for part in path:
        value = value.get(part)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        said = f"must be a positive number, got {value!r}"
        raise _error(file, path, said, f"give it in {unit}" if unit else None)
    return float(value)


def _text(file: YamlFile, key: str, default: str) -> str:
    value = file.values.get(key)
    if value is None:
        return default
    if isinstance(value, dict | list):
        raise _error(file, (key,), "must be a text", f"for example {key}: my GPU")
    return str(value)


def _meant(key: str, known: Iterable[str]) -> str:
    names = tuple(known)
    close = get_close_matches(key, names, n=1)
    return f"did you mean {close[0]}?" if close else f"known keys: {', '.join(names)}"


def _error(file: YamlFile, path: KeyPath, reason: str, hint: str | None = None) -> ConfigError:
    key = ".".join(map(str, path))
    return ConfigError(f"{file.name}:{file.line(path)}: {key}: {reason}", hint=hint)
