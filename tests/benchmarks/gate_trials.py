"""How often the gate on latency alarms falsely, and how often it finds a slowdown of 10%.

A trial is what ``blocktool compare --targets --measure OLD NEW --fail-on latency_ms.p50:+5%`` does
with its defaults. Old and new are chains of ten equal layers (``same``), or the new one has eleven
(``slow``; a long run beside them says what ratio that is). ``--apart-rounds`` adds profiles of both
that are made one after another, some minutes apart, and compared as saved reports are (``apart``).

    python tests/benchmarks/gate_trials.py --trials 100 --slow-trials 50 --raw gate_trials.jsonl

The medians of each trial go to the file of ``--raw``, a line each; a run that is given such a file
goes on where it ended. ``--judge-only`` computes the table anew from such a file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common import machine, output_option, say, table, versions, write

if TYPE_CHECKING:
    from blocktool.measure.request import Request
    from blocktool.results.comparison import MetricChange
    from blocktool.results.profile import Profile

CHAINS = Path(__file__).with_name("gate_chains.py")
KINDS = ("conv", "bottleneck", "transformer")
RULE = "latency_ms.p50:+5%"
THRESHOLD = 0.05
LAYERS = 10


@dataclass(frozen=True)
class Trial:
    """The medians of all processes of both sides, in ms."""

    what: str
    module: str
    old: tuple[float, ...]
    new: tuple[float, ...]
    seconds: float
    load: float


@dataclass(frozen=True)
class Judged:
    """What compare says of a trial, and whether the gate fails."""

    trial: Trial
    change: MetricChange
    fires: bool


def request(module: str, layers: int, threads: int | None) -> Request:
    """A chain, as the command line asks for it."""
    from gate_chains import SHAPES

    from blocktool.measure.request import Request
    from blocktool.targets.inputs import parse_inputs

    return Request(
        target=f"{CHAINS}:Chain",
        arguments=(f"kind={module}", f"layers={layers}"),
        inputs=parse_inputs([SHAPES[module]]),
        device="cpu",
        threads=threads,
        ceilings=False,
    )


def side_by_side(what: str, module: str, threads: int | None, processes: int | None) -> Trial:
    """One trial, as the command makes it."""
    from blocktool.measure.side_by_side import DEFAULT_RULE, run_both

    rule = replace(DEFAULT_RULE, processes=processes or DEFAULT_RULE.processes)
    layers = (LAYERS, LAYERS + (what == "slow"))
    began = time.perf_counter()
    both = (request(module, each, threads) for each in layers)
    profiles = run_both(*both, rule, until=THRESHOLD if processes is None else None)
    return trial_of(what, module, profiles, time.perf_counter() - began)


def trial_of(what: str, module: str, profiles: Sequence[Profile], seconds: float) -> Trial:
    """What is kept of two profiles. Fails where one is not whole."""
    for profile in profiles:
        (case,) = profile.cases
        assert case.outcome == "passed", case.reason
    old, new = (profile.cases[0].process_medians_ms for profile in profiles)
    return Trial(what, module, old, new, seconds, os.getloadavg()[0])


def apart(threads: int | None, processes: int | None, rounds: int) -> Iterator[Trial]:
    """Profiles of ten and of eleven layers, round by round; those of two rounds are compared."""
    from blocktool.measure.runner import run
    from blocktool.measure.side_by_side import DEFAULT_RULE

    rule = replace(DEFAULT_RULE, processes=processes or DEFAULT_RULE.processes)
    before: dict[str, Profile] = {}
    for _ in range(rounds):
        for module in KINDS:
            began = time.perf_counter()
            ten, eleven = (run(request(module, n, threads), rule) for n in (LAYERS, LAYERS + 1))
            if module in before:
                seconds = time.perf_counter() - began
                yield trial_of("apart, same", module, (before[module], ten), seconds)
                yield trial_of("apart, slow", module, (before[module], eleven), seconds)
            before[module] = ten


def judged(trial: Trial) -> Judged:
    """The verdict and the gate, as compare has them for a report with one case."""
    from blocktool.analysis import gate
    from blocktool.analysis.gate_rules import read_rule
    from blocktool.analysis.measured_figures import Judge, bare
    from blocktool.analysis.significance import FALSE_ALARM, LOOKS

    apart = trial.what.startswith("apart")
    judge = Judge(THRESHOLD, not apart, error=FALSE_ALARM / (1 if apart else LOOKS))
    ends = statistics.median(trial.old), statistics.median(trial.new)
    change = judge.time(bare("latency_ms.p50", *ends), trial.old, trial.new)
    _, findings = gate.judged([read_rule(RULE)], [change])
    return Judged(trial, change, bool(findings))


def true_ratios(threads: int | None, seconds: float) -> dict[str, float]:
    """Eleven layers over ten, in one process, call by call in turn."""
    import torch
    from gate_chains import SHAPES, Chain
    from paired import Step, interleaved

    if threads is not None:
        torch.set_num_threads(threads)
    found = {}
    for module in KINDS:
        value = torch.randn([int(size) for size in SHAPES[module].split("x")])
        chains = {str(n): Chain(module, n).eval() for n in (LAYERS, LAYERS + 1)}
        steps = {name: Step(partial(chain, value)) for name, chain in chains.items()}
        with torch.inference_mode():
            times = interleaved(steps, seconds, "wall")
        found[module] = times[str(LAYERS + 1)].to(times[str(LAYERS)]).value
    return found


def load(path: Path | None) -> list[Trial]:
    """The trials of an earlier run."""
    if path is None or not path.exists():
        return []
    return [Trial(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def run_trials(options: argparse.Namespace, done: list[Trial]) -> list[Trial]:
    """All that are missing, in turn over what is tried and the modules."""
    wanted = {"same": options.trials, "slow": options.slow_trials}
    trials = list(done)

    def keep(trial: Trial) -> None:
        trials.append(trial)
        said = judged(trial).change
        say(
            f"{len(trials)}: {trial.what} {trial.module}: {said.verdict}, "
            f"{said.change:+.1%} ({said.low:+.1%} to {said.high:+.1%}), {trial.seconds:.1f} s"
        )
        if options.raw is not None:
            with options.raw.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(trial)) + "\n")

    counts = {what: sum(trial.what == what for trial in trials) for what in wanted}
    while any(counts[what] < wanted[what] for what in wanted):
        # Most of what is still to do first, so that both kinds meet the same hours.
        what = max(wanted, key=lambda each: 1 - counts[each] / max(1, wanted[each]))
        module = KINDS[counts[what] % len(KINDS)]
        keep(side_by_side(what, module, options.threads, options.processes))
        counts[what] += 1
    for trial in apart(options.threads, options.processes, options.apart_rounds):
        keep(trial)
    return trials


def rows(judgements: Sequence[Judged]) -> list[list[object]]:
    """One for each kind of trial and module, and one for the kind."""
    found: list[list[object]] = []
    for what in dict.fromkeys(each.trial.what for each in judgements):
        these = [each for each in judgements if each.trial.what == what]
        for module in (*KINDS, "all"):
            some = [each for each in these if module in (each.trial.module, "all")]
            if some:
                found.append([f"{what}: {module}", *_figures(some)])
    return found


def _figures(some: Sequence[Judged]) -> list[object]:
    verdicts = [each.change.verdict for each in some]
    changes = sorted(each.change.change or 0.0 for each in some)
    widths = [(each.change.high or 0.0) - (each.change.low or 0.0) for each in some]
    return [
        len(some),
        sum(each.fires for each in some),
        *(verdicts.count(verdict) for verdict in ("same", "inconclusive", "decreased")),
        f"{statistics.median(changes):+.1%} ({changes[0]:+.1%} to {changes[-1]:+.1%})",
        f"±{statistics.median(widths) / 2:.1%}",
        f"{statistics.mean(len(each.trial.old) for each in some):.0f}",
        f"{statistics.median(each.trial.seconds for each in some):.1f} s",
        f"{statistics.median(each.trial.load for each in some):.1f}",
    ]


def main() -> None:
    """Run the trials, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--slow-trials", type=int, default=50)
    parser.add_argument("--apart-rounds", type=int, default=0)
    parser.add_argument("--processes", type=int, help="pairs of them (default: compare's)")
    parser.add_argument("--threads", type=int, help="of torch (default: compare's)")
    parser.add_argument("--ratio-seconds", type=float, default=20.0, help="of each long run")
    parser.add_argument("--raw", type=Path, help="where the medians go, and come from")
    parser.add_argument("--judge-only", action="store_true")
    output_option(parser)
    options = parser.parse_args()
    done = load(options.raw)
    if options.threads is None:
        from blocktool.measure.side_by_side import spare_threads

        options.threads = spare_threads()
    ratios = {} if options.judge_only else true_ratios(options.threads, options.ratio_seconds)
    for module, ratio in ratios.items():
        say(f"{module}: eleven layers take {ratio:.3f} times as long as ten")
    trials = done if options.judge_only else run_trials(options, done)
    header = ["trials", "number", "gate fails", "same", "inconclusive", "faster"]
    header += ["change", "interval", "pairs", "took", "load"]
    told = ", ".join(f"{module} {ratio:.3f}" for module, ratio in ratios.items())
    parts = [table(header, rows([judged(trial) for trial in trials])), ""]
    if told:
        parts.append(f"Eleven layers over ten, in a long run: {told}.\n")
    parts.append(f"{versions('torch')}; {machine()}")
    write("\n".join(parts), options.output)


if __name__ == "__main__":
    main()
