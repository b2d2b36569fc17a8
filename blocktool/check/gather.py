"""From the words of a command line to the groups of a sweep. Needs no torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import get_args

from blocktool.analysis.contracts import parse_contracts
from blocktool.analysis.expressions import ExpressionError
from blocktool.check.group import Group, expression_error, where_of
from blocktool.check.plan import MODES, Sweep
from blocktool.check.sizes import parse_batches, parse_extents
from blocktool.errors import BlocktoolError, ConfigError, InputError, TargetError, UsageError
from blocktool.results.shapes import CaseMode, FailureKind
from blocktool.targets.inputs import parse_dtype, parse_inputs
from blocktool.targets.sweep_words import SweepWords, read_sweep, split_values

_YAML = (".yaml", ".yml")
_MOST_COMBINATIONS = 5000


def expand_targets(names: Sequence[str]) -> list[str]:
    """The targets with globs of configurations replaced by the files, in order, each once.

    Raises TargetError for a glob that matches nothing.
    """
    found: list[str] = []
    for name in names:
        if (
            name.lower().endswith(_YAML)
            and any(c in name for c in "*?[")
            and not os.path.exists(name)
        ):
            files = sorted(glob.glob(name, recursive=True))
            if not files:
                raise TargetError(
                    f"no configuration matches '{name}'", hint="globs are as in a shell"
                )
            found += files
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def to_sweep(
    words: SweepWords,
    *,
    as_given: bool = False,
    channels_last: bool | None = None,
    select: str | None = None,
) -> Sweep:
    """The sweep that the words describe.

    Raises UsageError or InputError for what cannot be read, pointing at the place where it is an
    expression.
    """
    sweep = Sweep(
        batches=parse_batches(words.batch) if words.batch else None,
        extents=parse_extents(words.size) if words.size else None,
        dtypes=tuple(dict.fromkeys(map(_floating, _several(words.dtype)))) or None,
        modes=tuple(dict.fromkeys(map(_mode, _several(words.mode)))) or None,
        arguments=words.arguments,
        expect=words.expect,
        where=words.where,
        skip=frozenset(map(_kind, _several(words.skip))),
        inputs=parse_inputs(words.input) or None,
        as_given=as_given,
        channels_last=channels_last,
        select=select,
    )
    try:
        parse_contracts(sweep.expect)
    except ExpressionError as error:
        raise expression_error("--expect", error) from None
    where_of(sweep, None)
    return sweep


def _several(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",")]


def _floating(text: str) -> str:
    dtype = parse_dtype(text)
    if not dtype.startswith(("float", "bfloat")):
        raise InputError(
            f"--dtype: '{text}' is no floating dtype", hint="float32, bfloat16, float16"
        )
    return dtype


def _mode(text: str) -> CaseMode:
    # summary has a --mode as well, and a default in pyproject.toml holds for both.
    known: dict[str, CaseMode] = {
        **{mode: mode for mode in MODES},
        "training": "train",
        "forward": "eval",
        "inference": "eval",
    }
    if text in known:
        return known[text]
    raise UsageError(f"--mode: no such choice: '{text}'", hint="choose eval, train or eval,train")


def _kind(text: str) -> str:
    kinds = [kind for kind in get_args(FailureKind) if kind not in ("error", "build")]
    if text not in kinds:
        from difflib import get_close_matches

        near = get_close_matches(text, kinds, 1)
        raise UsageError(
            f"--skip: no such check: '{text}'",
            hint=f"did you mean {near[0]}?" if near else f"choose from {', '.join(kinds)}",
        )
    return text


def groups_of(target: str, sweep: Sweep) -> list[Group]:
    """One group for each combination of the values of the swept arguments."""
    combinations = list(combined(sweep.arguments))
    if len(combinations) > _MOST_COMBINATIONS:
        raise UsageError(
            f"{target}: {len(combinations)} combinations of arguments are too many",
            hint=f"at most {_MOST_COMBINATIONS}; sweep fewer at a time",
        )
    return [Group(target, arguments, sweep) for arguments in combinations]


def combined(arguments: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """``{"stride": ("1", "2"), "groups": ("4",)}`` as lists of ``KEY=VALUE``."""
    keys = list(arguments)
    return [
        tuple(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        for values in product(*arguments.values())
    ]


def swept_arguments(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["stride=1,2", "groups=4"]`` as several values for each key.

    Raises UsageError for a key given twice; what else may be wrong is said where it is read.
    """
    found: dict[str, tuple[str, ...]] = {}
    for item in items:
        key, _, text = item.partition("=")
        if key in found:
            raise UsageError(f"argument '{key}' is given twice", hint=f"several values: {key}=1,2")
        found[key] = split_values(text)
    return found


def gather(
    targets: Sequence[str],
    said: SweepWords,
    *,
    declared: Mapping[str, object] = MappingProxyType({}),
    as_given: bool = False,
    channels_last: bool | None = None,
    select: str | None = None,
) -> list[Group]:
    """The groups of a command line: of each target; without any, of those that are ``declared``
    (``[tool.blocktool.sweeps]``); without these, of the whole catalog.

    What the command line says comes before what is declared for a target or written in its
    configuration. Raises TargetError, UsageError, InputError and ConfigError.
    """
    if as_given and (said.size or said.batch):
        raise UsageError(
            "--as-given tries no other sizes than those of the inputs",
            hint="leave out --size and --batch, or --as-given",
        )
    to_sweep(said)  # what is wrong with the command line is said of it, not of a target
    found: list[Group] = []
    names = expand_targets(targets or list(declared))
    for target in names:
        words = said.over(_declared(target, declared))
        try:
            sweep = to_sweep(words, as_given=as_given, channels_last=channels_last, select=select)
        except BlocktoolError as error:
            message = f"the sweep of {target}: {error.message}"
            raise UsageError(message, hint=error.hint, details=error.details) from None
        found += groups_of(target, sweep)
    if not names:
        from blocktool.targets.catalog_sweeps import CATALOG_SWEEPS

        for name, grids in CATALOG_SWEEPS.items():
            for grid in grids:
                found += groups_of(name, to_sweep(said.over(grid), channels_last=channels_last))
    return list({(group.target, group.arguments): group for group in found}.values())


def _declared(target: str, declared: Mapping[str, object]) -> SweepWords:
    """What pyproject.toml, and after it the configuration itself, say of a target's sweep."""
    words = SweepWords()
    if target in declared:
        try:
            words = read_sweep(declared[target])
        except UsageError as error:
            where = f'pyproject.toml: tool.blocktool.sweeps."{target}"'
            raise ConfigError(f"{where}: {error.message}", hint=error.hint) from None
    if target.lower().endswith(_YAML):
        from blocktool.targets.config import sweep_of

        words = words.over(sweep_of(target))
    return words
