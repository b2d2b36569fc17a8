"""Reports of targets that are to be compared: made here, each target in a process of its own.

Two checkouts of one repository have modules of the same names. In one process the second target
would get what the first one has imported, and be compared with itself.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocktool.cli import profile_options, summary_options
from blocktool.cli.options import chosen
from blocktool.cli.profile_request import case_line, read_request
from blocktool.errors import TargetError, UsageError
from blocktool.results.summary import Summary

if TYPE_CHECKING:
    from blocktool.cli.compared import Asked
    from blocktool.measure.request import CaseSpec, Request, Rule
    from blocktool.measure.workers import Progress
    from blocktool.results.profile import Profile


def target_words(operand: str) -> tuple[str, list[str]]:
    """``"conv stride=2"``: a target and its arguments."""
    if os.path.exists(operand):
        return operand, []
    try:
        words = shlex.split(operand)
    except ValueError as error:
        raise UsageError(f"'{operand}' cannot be read: {error}", hint='"conv stride=2"') from None
    if not words:
        raise UsageError("a target is empty", hint='name it: "conv stride=2"')
    return words[0], words[1:]


def summarized(operand: str, asked: Asked, *, like: Summary | None = None) -> Summary:
    """The summary of a target with its arguments.

    What is not asked for is as in the report that it is compared with (``like``), or else as the
    target's budget says.
    """
    from blocktool.cli.settings import budgets

    target, arguments = target_words(operand)
    name = f"{target} {asked.select}" if asked.select else target
    if like is not None:
        asked = replace(
            asked,
            inputs=asked.inputs or tuple(map(str, like.inputs)),
            mode=asked.mode or like.mode,
            optimizer=like.optimizer,
            dtype=asked.dtype or _dtype_of(like),
        )
    elif budget := budgets(Path.cwd()).get(name):
        asked = replace(
            asked,
            inputs=asked.inputs or budget.input,
            batch=asked.batch or ((budget.batch,) if budget.batch is not None else ()),
            dtype=asked.dtype or budget.dtype,
            mode=asked.mode or budget.mode,
        )
    return _in_a_process(
        operand,
        {
            "name": target,
            "arguments": arguments,
            "shapes": list(asked.inputs),
            "batch": _one_batch(asked.batch),
            "mode": chosen("--mode", asked.mode or "forward", summary_options.MODES),
            "optimizer": asked.optimizer,
            "dtype": asked.dtype,
            "select": asked.select,
        },
        verbose=asked.verbose,
    )


def _dtype_of(report: Summary) -> str | None:
    """The dtype that all parameters have, where it is not the usual one."""
    dtypes = {row.param_dtype for row in report.modules if row.param_dtype}
    return dtypes.pop() if len(dtypes) == 1 and dtypes != {"float32"} else None


def _in_a_process(operand: str, words: dict[str, Any], *, verbose: bool) -> Summary:
    from blocktool.measure.in_worker import WorkerError
    from blocktool.measure.workers import WorkerLostError, Workers
    from blocktool.targets.inputs import parse_inputs

    parse_inputs(words["shapes"])  # so that a slip costs no second
    with Workers("blocktool.cli.summarizing", verbose=verbose) as workers:
        try:
            made: Summary = workers.call("summarize_as", words)
        except (WorkerError, WorkerLostError) as error:
            raise TargetError(
                f"{operand} cannot be summarized: {error}",
                hint=f"blocktool summary {operand} --debug shows more",
                details=getattr(error, "details", ()),
            ) from error
    return made


def _one_batch(texts: tuple[str, ...]) -> int | None:
    if not texts:
        return None
    if len(texts) > 1 or not texts[0].isdecimal() or int(texts[0]) < 1:
        raise UsageError(
            f"--batch: '{','.join(texts)}' is not one batch size",
            hint="several are for --measure; without it, one number",
        )
    return int(texts[0])


def measured(old: str, new: str, asked: Asked) -> tuple[Profile, Profile]:
    """The profiles of two targets, measured side by side; both say ``interrupted`` after Ctrl-C.

    Raises TargetError where no case could be measured on either side.
    """
    from blocktool.cli.progress import Bar
    from blocktool.cli.signals import ends_interrupt
    from blocktool.measure.runner import Listener
    from blocktool.measure.server import start_server
    from blocktool.measure.side_by_side import run_both

    start_server()  # it imports torch while the rest is read here
    before, after = (_request(*target_words(each), asked) for each in (old, new))
    bar = Bar("cases", hidden=asked.quiet)

    def progress(done: int, total: int, spec: CaseSpec | None, said: Progress) -> None:
        bar.tell(case_line(done, total, spec, said))

    try:
        with ends_interrupt():
            profiles = run_both(
                before,
                after,
                _rule(asked),
                timeout=asked.timeout,
                until=asked.threshold if asked.processes is None else None,
                listener=Listener(progress),
                verbose=asked.verbose,
            )
    finally:
        bar.clear()
    cases = [case for profile in profiles for case in profile.cases]
    if all(case.outcome == "failed" for case in cases):
        raise TargetError(
            f"nothing could be measured: {cases[0].reason}",
            hint=f"blocktool profile {new} shows more",
            details=cases[0].details,
        )
    return profiles


def _request(target: str, arguments: list[str], asked: Asked) -> Request:
    from blocktool.measure.side_by_side import spare_threads

    modes = profile_options.listed([asked.mode] if asked.mode else None)
    return read_request(
        target,
        arguments,
        list(asked.inputs),
        select=asked.select,
        batch=list(asked.batch),
        dtype=profile_options.listed([asked.dtype] if asked.dtype else None),
        modes=modes or ("inference",),
        device=asked.device,
        threads=asked.threads or spare_threads(),
    )


def _rule(asked: Asked) -> Rule:
    from blocktool.measure.side_by_side import DEFAULT_RULE

    rule = DEFAULT_RULE
    if asked.processes is not None:
        rule = replace(rule, processes=asked.processes)
    if asked.min_time is not None:
        least = profile_options.seconds("--min-time", asked.min_time)
        if least <= 0:
            raise UsageError("--min-time must be more than 0", hint="for example 2")
        rule = replace(rule, min_seconds=least, max_seconds=max(least, rule.max_seconds))
    return rule
