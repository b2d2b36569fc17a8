"""``blocktool compare``: what changed, and whether it may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from blocktool.cli import compare_options as own
from blocktool.cli import options, profile_options
from blocktool.cli.errors import INTERRUPTED, note, warn
from blocktool.cli.options import at_least, color_choice
from blocktool.cli.step_summary import add_to_step_summary
from blocktool.cli.terminal import choose_color, fitted
from blocktool.errors import ReportError, UsageError
from blocktool.render.view import View

if TYPE_CHECKING:
    from blocktool.analysis.compare import Compared
    from blocktool.analysis.gate_rules import Rule
    from blocktool.analysis.mismatches import Report
    from blocktool.cli.compared import Sides
    from blocktool.results.comparison import Comparison

_TOLD = 10
"""Findings that are said on stderr, where the comparison itself goes elsewhere."""


def compare(
    operands: own.Operands = None,
    targets: own.Targets = False,
    input: options.Input = None,  # noqa: A002
    batch: own.Batch = None,
    dtype: own.Dtype = None,
    mode: own.Mode = None,
    select: options.Select = None,
    measure: own.Measure = False,
    device: own.Device = "auto",
    threads: own.Threads = None,
    processes: own.Processes = None,
    min_time: own.MinTime = None,
    timeout: profile_options.Timeout = "600",
    fail_on: own.FailOn = None,
    update: own.Update = False,
    threshold: own.Threshold = "5%",
    any_environment: own.AnyEnvironment = False,
    all: own.All = False,  # noqa: A002
    format: own.Format = None,  # noqa: A002
    output: options.Output = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    debug: options.Debug = False,
) -> None:
    """Tell what changed between two reports, or two targets, and hold it to rules.

    Counted and predicted figures are compared exactly. Measured ones count as changed where the
    difference is significant over processes and larger than --threshold. Nothing is printed where
    nothing changed. Exit code 1 if a rule of --fail-on, or a budget of pyproject.toml, is broken.
    """
    choose_color(color_choice(color))
    from blocktool.analysis.gate_rules import read_rule
    from blocktool.cli.baseline import accept
    from blocktool.cli.compared import Asked, Sides
    from blocktool.render.formats import choose_format, renderer
    from blocktool.render.json import to_json
    from blocktool.render.output import destination

    kind = choose_format("comparison", format, output)
    place = destination(output, force=force)
    rules = tuple(read_rule(text) for text in fail_on or ())
    limit = own.threshold_of(threshold)
    asked = Asked(
        targets=targets,
        measure=measure,
        inputs=tuple(input or ()),
        batch=tuple(batch or ()),
        dtype=dtype,
        mode=mode,
        select=select,
        device=device,
        threads=at_least("--threads", threads, 1),
        processes=at_least("--processes", processes, 1),
        min_time=min_time,
        timeout=profile_options.seconds("--timeout", timeout) or None,
        threshold=limit,
        quiet=quiet,
        verbose=verbose or debug,
    )
    sides = Sides.of(operands or [], asked, update=update)
    old, new = sides.load()
    compared = _compared(sides, old, new, limit, any_environment=any_environment or update)
    _warn_of_the_question(old, new, rules, quiet=quiet)
    comparison = _gated(compared, new, rules, any_rule_needed=old is None and not update)
    view = fitted(View(expand=all), to_file=place.path is not None)
    place.write(renderer("comparison", kind)(comparison, view))
    add_to_step_summary("comparison", comparison)
    if update:
        accept(to_json(new), Path(sides.baseline), quiet=quiet)
    if not quiet:
        shown = kind == "table" and place.path is None
        _conclude(comparison, place.path, shown=shown, update=update, verbose=verbose)
    if getattr(new, "interrupted", False):
        raise typer.Exit(INTERRUPTED)
    if comparison.findings and not update:
        raise typer.Exit(1)


def _compared(
    sides: Sides, old: Report | None, new: Report, threshold: float, *, any_environment: bool
) -> Compared:
    """What changed. Raises UsageError for other kinds, ReportError for another environment."""
    from blocktool.analysis.compare import KINDS, alone, compare
    from blocktool.analysis.mismatches import refusal

    if old is None:
        return alone(new, name=sides.new)
    if type(old) is not type(new):
        kinds = [KINDS[type(each)] for each in (old, new)]
        raise ReportError(
            f"{sides.old} is a {kinds[0]}, {sides.new} a {kinds[1]}",
            hint="reports of one kind can be compared",
        )
    compared = compare(old, new, names=(sides.old or "", sides.new), threshold=threshold)
    why = refusal(compared.comparison.mismatches)
    if why is not None and not any_environment:
        raise ReportError(
            why,
            hint="make both in one environment, or compare without the gate: --any-environment",
        )
    return compared


def _gated(
    compared: Compared, new: Report, rules: Sequence[Rule], *, any_rule_needed: bool
) -> Comparison:
    """The comparison with what became of the rules, among them the budgets of its target."""
    from blocktool.analysis.compare import target_of
    from blocktool.analysis.gate import judged
    from blocktool.analysis.gate_rules import read_rule
    from blocktool.analysis.mismatches import refusal
    from blocktool.cli.settings import budgets
    from blocktool.results.comparison import RuleOutcome

    budget = budgets(Path.cwd()).get(target_of(new))
    declared = [read_rule(text) for text in budget.fail_on] if budget else []
    if any_rule_needed and not (rules or declared):
        raise UsageError(
            f"there is nothing to hold {compared.comparison.new.name} to",
            hint='name the report to compare it with first, or a budget: --fail-on "macs<=5G"',
        )
    comparable = refusal(compared.comparison.mismatches) is None
    outcomes, findings = judged(rules, compared.changes, comparable=comparable)
    for rule in declared:  # of which some may be about another kind of report
        try:
            held, broken = judged([rule], compared.changes, comparable=comparable)
        except UsageError as error:
            held, broken = (RuleOutcome(rule.text, "skipped", 0, error.message),), ()
        outcomes, findings = (*outcomes, *held), (*findings, *broken)
    return replace(compared.comparison, rules=outcomes, findings=findings)


def _warn_of_the_question(
    old: Report | None, new: Report, rules: Sequence[Rule], *, quiet: bool
) -> None:
    """Warn where rules compare what was made of other inputs, or in another mode."""
    from blocktool.analysis.compare import target_of
    from blocktool.cli.settings import budgets
    from blocktool.results.summary import Summary

    if quiet or not isinstance(new, Summary):
        return
    asked = ("; ".join(map(str, new.inputs)), new.mode, new.optimizer)
    if rules and isinstance(old, Summary):
        was = ("; ".join(map(str, old.inputs)), old.mode, old.optimizer)
        if was != asked:
            warn("the rules compare summaries of other inputs, or in another mode")
    budget = budgets(Path.cwd()).get(target_of(new))
    if budget is not None and budget.input and "; ".join(budget.input) != asked[0]:
        warn(
            f"the budget of {target_of(new)} is meant for {'; '.join(budget.input)}, "
            f"and the summary is of {asked[0]}"
        )


def _conclude(
    comparison: Comparison, path: object, *, shown: bool, update: bool, verbose: bool
) -> None:
    """What is said beside the comparison: all that must be known and is not seen on the screen."""
    from blocktool.render.comparison_headline import steady
    from blocktool.render.comparison_words import counted, finding_line, rule_line, silent

    if not shown:
        for finding in comparison.findings[:_TOLD]:
            note(finding_line(finding))
        if (more := len(comparison.findings) - _TOLD) > 0:
            note(f"... and {more:,} more findings")
    if not shown or silent(comparison):
        for outcome in comparison.rules:
            if outcome.outcome == "skipped":
                note(rule_line(outcome))
        for line in steady(comparison):
            note(line)
    if update and comparison.findings:
        note(f"accepted, although {counted(len(comparison.findings), 'finding')} would fail")
    if verbose and not comparison.changed and comparison.old is not None:
        note("nothing changed")
    if path is not None:
        note(f"wrote {path}")
