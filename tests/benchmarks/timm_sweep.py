"""Trace every architecture that timm can build, and name those that cannot be traced.

Each model of ``timm.list_models()`` is built and traced as ``blocktool summary timm:NAME`` does it:
without data where that works, else on the next rung of the ladder. Models are handed one by one to
a worker process with a limit on time and memory, so that a crash or a hang costs one model. The CSV
is appended to as results come in; a second start goes on where the first one ended.

    python tests/benchmarks/timm_sweep.py --csv sweep.csv -o sweep.md
    python tests/benchmarks/timm_sweep.py 'vit_*' --csv vit.csv
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from queue import Empty, Queue

from common import machine, output_option, say, table, versions, write


@dataclass(frozen=True)
class Row:
    """What became of one model; ``error`` is empty where it was traced."""

    model: str
    params: int = 0
    macs: int = 0
    ops: int = 0
    traced_on: str = ""
    fallbacks: str = ""
    notes: str = ""
    uncovered: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def reason(self) -> str:
        """Why it does not count as traced; empty where it does."""
        return self.error or (f"uncovered: {self.uncovered}" if self.uncovered else "")


def trace_model(name: str) -> Row:
    """Build and trace one model; whatever goes wrong is in the row."""
    from blocktool.analysis.summary import summarize_trace
    from blocktool.targets.resolve import resolve
    from blocktool.trace.target import trace_target

    start = time.perf_counter()
    try:
        record = trace_target(resolve(f"timm:{name}"))
        summary = summarize_trace(record)
    except Exception as error:
        return Row(
            name,
            error=" ".join(f"{type(error).__name__}: {error}".split()),
            seconds=round(time.perf_counter() - start, 3),
        )
    return Row(
        name,
        params=summary.totals.params,
        macs=summary.totals.macs,
        ops=len(record.ops),
        traced_on=summary.traced_on,
        fallbacks="; ".join(f"{f.rung}: {f.reason}" for f in summary.fallbacks),
        notes="; ".join(summary.notes),
        uncovered=" ".join(sorted({op.op for op in summary.uncovered_ops})),
        seconds=round(time.perf_counter() - start, 3),
    )


def work(memory_gib: float) -> None:
    """The worker: a name per line in, a row as JSON per line out."""
    limit = int(memory_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    out = sys.stdout
    sys.stdout = sys.stderr  # what a model prints is not an answer
    for line in sys.stdin:
        print(json.dumps(asdict(trace_model(line.strip()))), file=out, flush=True)


class Worker:
    """A child process that traces models; replaced when it dies or takes too long."""

    def __init__(self, memory_gib: float, timeout: float) -> None:
        self._command = [sys.executable, __file__, "--worker", "--memory", str(memory_gib)]
        self._timeout = timeout
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()

    def trace(self, name: str) -> Row:
        """The row of one model, also where the child did not survive it."""
        process = self._process or self._start()
        start = time.perf_counter()
        assert process.stdin is not None
        try:
            process.stdin.write(name + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=self._timeout)
        except (Empty, BrokenPipeError):
            line = ""
        if line:
            return Row(**json.loads(line))
        seconds = time.perf_counter() - start
        hung = process.poll() is None and seconds >= self._timeout
        self.stop()
        error = f"took over {self._timeout:.0f} s" if hung else "the process died"
        return Row(name, error=error, seconds=round(seconds, 3))

    def _start(self) -> subprocess.Popen[str]:
        process = self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        lines = self._lines = Queue()

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.put(line)
            lines.put("")  # it has ended

        threading.Thread(target=read, daemon=True).start()
        return process

    def stop(self) -> None:
        """End the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def sweep(names: list[str], path: Path, workers: list[Worker]) -> None:
    """Trace ``names`` and append a line each to the CSV at ``path`` as it comes in."""
    todo: Queue[str] = Queue()
    for name in names:
        todo.put(name)
    lock = threading.Lock()
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        done = 0

        def run(worker: Worker) -> None:
            nonlocal done
            while True:
                try:
                    name = todo.get_nowait()
                except Empty:
                    worker.stop()
                    return
                row = worker.trace(name)
                with lock:
                    writer.writerow(asdict(row))
                    file.flush()
                    done += 1
                    if row.reason or done % 50 == 0:
                        say(f"{done}/{len(names)} {row.model} {row.reason or 'ok'}")

        threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV that was written before; none where there is no file."""
    if not path.exists():
        return []
    kinds = {"params": int, "macs": int, "ops": int, "seconds": float}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(**{key: kinds.get(key, str)(value) for key, value in line.items()})
            for line in csv.DictReader(file)
        ]


def report(rows: list[Row]) -> str:
    """Totals, and a table of the models that were not fully traced."""
    failed = sorted((row for row in rows if row.reason), key=lambda row: row.model)
    whole = len(rows) - len(failed)
    rungs = Counter(row.traced_on for row in rows if not row.error)
    lowered = [row for row in rows if not row.error and row.traced_on != "meta"]
    built_on_cpu = sum("built on CPU" in row.notes for row in rows)
    lines = [
        f"{whole} of {len(rows)} models ({100 * whole / max(len(rows), 1):.2f}%) were traced "
        "without an exception and without uncovered operations; "
        + ", ".join(f"{count} on {rung}" for rung, count in rungs.most_common())
        + f"; {built_on_cpu} were built on CPU because their constructor needs data. "
        f"Together they took {sum(row.seconds for row in rows) / 60:.1f} minutes.",
        "",
        f"{versions('torch', 'torchvision', 'timm')}; {machine()}",
    ]
    if failed:
        lines += ["", table(["not fully traced", "reason"], [(f.model, f.reason) for f in failed])]
    if lowered:
        lines += [
            "",
            table(
                ["not on meta", "traced on", "why"],
                [(row.model, row.traced_on, row.fallbacks) for row in lowered],
            ),
        ]
    return "\n".join(lines)


def main() -> None:
    """Parse, sweep what is missing, report on all that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("filter", nargs="*", help="patterns of timm.list_models() (default: all)")
    parser.add_argument("--csv", type=Path, default=Path("timm_sweep.csv"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds per model")
    parser.add_argument("--memory", type=float, default=14.0, help="GiB of address space a worker")
    parser.add_argument("--retry", action="store_true", help="trace the failed ones once more")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    output_option(parser)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.memory)
        return

    from blocktool.targets.zoo_packages import import_zoo

    names = import_zoo("timm").list_models(arguments.filter or "")
    known = {row.model: row for row in read_rows(arguments.csv)}
    if arguments.retry and known:
        known = {name: row for name, row in known.items() if not row.reason}
    todo = [name for name in names if name not in known]
    if arguments.retry:
        rewrite(arguments.csv, list(known.values()))
    workers = [Worker(arguments.memory, arguments.timeout) for _ in range(arguments.workers)]
    sweep(todo, arguments.csv, workers)
    wanted = set(names)
    write(report([r for r in read_rows(arguments.csv) if r.model in wanted]), arguments.output)


def rewrite(path: Path, rows: list[Row]) -> None:
    """Replace the CSV by ``rows``."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


if __name__ == "__main__":
    main()
