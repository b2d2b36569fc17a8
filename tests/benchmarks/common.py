"""What the benchmark scripts share: the machine in one line, tables, progress, timing."""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def say(text: str) -> None:
    """Progress goes to stderr; stdout is for the table."""
    print(text, file=sys.stderr, flush=True)


def versions(*packages: str) -> str:
    """``name version`` of each package that is installed, Python first."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def machine() -> str:
    """Cores, architecture, vector units, threads of torch, GPU and load, in one line."""
    import os

    import torch

    vectors = torch.backends.cpu.get_cpu_capability()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{os.cpu_count()}-core {platform.machine()} ({vectors}), {gpu}, "
        f"{torch.get_num_threads()} threads, load average {load}"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A markdown table; the first column is text, the others are aligned to the right."""
    lines = ["| " + " | ".join(header) + " |", "|-|" + "-:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def output_option(parser: argparse.ArgumentParser) -> None:
    """``-o FILE``: where the markdown goes instead of stdout."""
    parser.add_argument("-o", "--output", type=Path, help="write the markdown here, not to stdout")


def write(text: str, output: Path | None) -> None:
    """To the file, or to stdout where there is none."""
    if output is None:
        print(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


def isolated(count: Callable[..., Any], *args: Any) -> Any:
    """The result of ``count`` in a forked process, or the exception that it raised there.

    The fork has what was imported before, and leaves nothing behind in this process. Torch's
    threads do not survive a fork, so it computes on one.
    """

    def run(pipe: Any) -> None:
        import torch

        torch.set_num_threads(1)
        quiet = io.StringIO()
        try:
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(quiet),
                contextlib.redirect_stderr(quiet),
            ):
                warnings.simplefilter("ignore")
                pipe.send(count(*args))
        except BaseException as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=run, args=(there,))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        return RuntimeError("the process died")
    finally:
        process.join()


@dataclass(frozen=True)
class Times:
    """Seconds of one contestant over the rounds of a race."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        """Median, and in brackets the fastest and the slowest, in ms (s where long)."""
        scale, unit, digits = (1.0, "s", 2) if self.median >= 10 else (1e3, "ms", 0)
        if self.median < 0.02:
            digits = 2
        low, middle, high = (
            f"{value * scale:.{digits}f}"
            for value in (min(self.seconds), self.median, max(self.seconds))
        )
        return f"{middle} {unit} ({low} to {high})"


def race(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """Time each contestant once per round, in turn, so that drift of the machine hits all alike.

    One round before the first is run and thrown away. ``clock`` gives seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            start = clock()
            run()
            if number:
                seconds[name].append(clock() - start)
    return {name: Times(tuple(values)) for name, values in seconds.items()}


def ratio(ours: Times, theirs: Times) -> float:
    """Our time over theirs: the median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True))
