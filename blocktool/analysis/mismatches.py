"""In what the places differ where two reports were made, and which figures that spoils.

======================= ============================== ======================================
differs                 decisive                       and then
======================= ============================== ======================================
device                  for a profile                  refused, unless it is allowed
torch (release)         always                         refused, unless it is allowed
torch (build: ``+cpu``) for a profile                  refused, unless it is allowed
attention               for a summary                  the operations counted are others
threads                 for a profile                  measured figures are not compared
settings, driver        for a profile, but for those   measured figures are not compared
                        of :data:`_HARMLESS`
caches, optimizer       for a profile                  measured figures are not compared
python (release)        for a profile                  measured figures are not compared
platform                for a profile                  measured figures are not compared
python (patch), cores,  never                          said
min_seconds, governor,
blocktool, packages
======================= ============================== ======================================

What changes by itself (load, clocks, temperatures) is not looked at: that is noise, and statistics
are to tell it from a change. Packages are compared where both reports name them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from blocktool.results.comparison import Mismatch
from blocktool.results.environment import Environment
from blocktool.results.profile import Machine, Profile, Protocol
from blocktool.results.shapes import ShapeReport
from blocktool.results.summary import Summary

Report = Summary | Profile | ShapeReport

_REFUSED = ("device", "torch")
_NOT_SET = "not set"
_HARMLESS = frozenset(
    (
        "interop_threads",  # of work that is given to torch in parallel, which nothing here does
        "persistence_mode",  # of the driver while no process uses it
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS"),  # what comes of them is told as threads
        *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"),  # and here as device
    )
)
"""Settings that change no speed, or only through something that is compared itself."""


def mismatches(old: Report, new: Report) -> tuple[Mismatch, ...]:
    """What differs, the decisive first. The reports are of one kind."""
    found = list(_versions(old.environment, new.environment, timed=isinstance(new, Profile)))
    if isinstance(old, Profile) and isinstance(new, Profile):
        found += [*_devices(old, new), *_protocols(old.protocol, new.protocol)]
        if old.machine is not None and new.machine is not None:
            found += _machines(old.machine, new.machine)
    if isinstance(old, Summary) and isinstance(new, Summary):
        found += _differ("attention", old.attention, new.attention, decisive=True)
    return tuple(sorted(found, key=lambda each: (not each.decisive, each.name not in _REFUSED)))


def refusal(found: Sequence[Mismatch]) -> str | None:
    """Why the reports should not be compared at all, in one line; None where they may be."""
    said = [
        f"another {'device' if each.name == 'device' else 'torch'} ({each.old} and {each.new})"
        for each in found
        if each.decisive and each.name in _REFUSED
    ]
    return f"the reports were made with {' and '.join(said)}" if said else None


def incomparable(found: Sequence[Mismatch]) -> str | None:
    """Why measured figures are not compared, in a few words; None where they are."""
    names = [each.name for each in found if each.decisive]
    return f"not the same {', '.join(names)}" if names else None


def _differ(name: str, old: object, new: object, *, decisive: bool) -> Iterator[Mismatch]:
    if old != new:
        yield Mismatch(name, str(old), str(new), decisive)


def _versions(old: Environment, new: Environment, *, timed: bool) -> Iterator[Mismatch]:
    another = timed or _release(old.torch) != _release(new.torch)
    yield from _differ("torch", old.torch, new.torch, decisive=another)
    another = timed and _minor(old.python) != _minor(new.python)
    yield from _differ("python", old.python, new.python, decisive=another)
    yield from _differ("platform", old.platform, new.platform, decisive=timed)
    yield from _differ("blocktool", old.blocktool, new.blocktool, decisive=False)
    for name in sorted(old.packages.keys() & new.packages.keys()):
        yield from _differ(name, old.packages[name], new.packages[name], decisive=False)


def _release(version: str) -> str:
    """Without the build: ``2.13.0`` for ``2.13.0+cu126``."""
    return version.partition("+")[0]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _devices(old: Profile, new: Profile) -> Iterator[Mismatch]:
    before, after = _device(old), _device(new)
    if _kind_and_name(old) != _kind_and_name(new):
        yield Mismatch("device", before, after, decisive=True)
    elif before != after:
        yield Mismatch("device number", before, after, decisive=False)


def _kind_and_name(profile: Profile) -> tuple[str, ...]:
    if profile.assumed is not None or profile.machine is None:
        return ("assumed", profile.assumed or "unknown")
    return profile.machine.device.partition(":")[0], profile.machine.name


def _device(profile: Profile) -> str:
    if profile.assumed is not None or profile.machine is None:
        return f"{profile.assumed or 'unknown'}, predicted"
    return f"{profile.machine.device}, {profile.machine.name}"


def _machines(old: Machine, new: Machine) -> Iterator[Mismatch]:
    yield from _differ("threads", old.threads, new.threads, decisive=True)
    yield from _differ("driver", old.driver or "none", new.driver or "none", decisive=True)
    yield from _settings(old.settings, new.settings)
    yield from _differ("cores", old.cores, new.cores, decisive=False)
    rule = (each.state.get("governor", _NOT_SET) for each in (old, new))
    yield from _differ("governor", *rule, decisive=False)


def _settings(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Mismatch]:
    for name in dict.fromkeys((*old, *new)):
        values = old.get(name, _NOT_SET), new.get(name, _NOT_SET)
        yield from _differ(name, *values, decisive=name not in _HARMLESS)


def _protocols(old: Protocol, new: Protocol) -> Iterator[Mismatch]:
    said = {True: "cleared", False: "as they are"}
    caches = said[old.cold_cache], said[new.cold_cache]
    yield from _differ("caches", *caches, decisive=True)
    if old.optimizer and new.optimizer:  # one has no training otherwise, and nothing to compare
        yield from _differ("optimizer", old.optimizer, new.optimizer, decisive=True)
    for name in ("min_seconds", "isolated"):
        yield from _differ(name, getattr(old, name), getattr(new, name), decisive=False)
