"""What ways, samples and a contract show together: the verdict of a proof. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from blocktool.analysis.domain import Region
from blocktool.analysis.expressions import Node, NotWholeError, evaluate
from blocktool.analysis.ranges import OverdueError
from blocktool.check.claims import followed
from blocktool.check.explore import Exploration
from blocktool.check.follows import Promise, Shown, agrees, follows, runs
from blocktool.check.outputs import Outputs, shapes_at, shapes_text
from blocktool.check.tested import Numeric, Sample, Tested, can_run
from blocktool.results.shapes import Verdict

_SHOWN = 3

Answer = tuple[Verdict, str | None]
"""A verdict and its reason."""


@dataclass(frozen=True)
class Evidence:
    """All that is known of a module; ``promise`` or ``promised`` is its contract, if any.

    ``where`` are conditions on the sizes for which the module is meant.
    """

    found: Exploration
    out: Outputs | None
    test: Tested
    promise: Promise | None
    promised: Exploration | None
    numeric: Numeric
    where: tuple[Node, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every size is accounted for, so that the claim is known."""
        if self.found.blocked or not self.found.ways or self.test.least is None:
            return False
        return self.test.all_small and not self.test.unsettled

    def verdict(self, contradictions: list[str]) -> Answer:
        """What all of it shows; further contradictions are added to the list."""
        if not self.found.ways:
            return "not proved", self.found.blocked[0][1] if self.found.blocked else "no time"
        broken = self._broken(contradictions)
        if contradictions:
            return "not proved", "runs with numbers contradict the symbols"
        if broken is not None:
            return broken
        if self.out is None:
            return self._runs_nowhere()
        return self._open() or ("proved", None)

    def _runs_nowhere(self) -> Answer:
        first = self.found.ways[0].run
        if next((each for each in self.test.samples if each.ran), None) is not None:
            return "not proved", f"no size was found from which to start: {first.error}"
        return self._open() or ("refuted", f"it runs for no size: {first.error}")

    def _broken(self, contradictions: list[str]) -> Answer | None:
        """Where the contract does not follow, or that this is not decided."""
        try:
            shown = self._shown()
        except OverdueError:
            shown = Shown(undecided="the time is over")
        if shown.example is not None and not can_run(shown.example):
            return "not proved", f"it is broken at {_at(shown.example)}, which is too large to run"
        if shown.example is not None:
            example = Sample(shown.example, self.numeric(shown.example))
            if broken := self._breaks(example):
                return "refuted", broken
            kept = "it runs" if shown.way and not shown.way.runs else "the contract is kept"
            contradictions.append(f"at {example} {kept}, but not with symbols")
            return None
        for sample in self.test.samples:
            if broken := self._breaks(sample):
                return "refuted", broken
        if shown.undecided:
            return "not proved", f"whether the contract follows is not decided: {shown.undecided}"
        if self.promised is not None and (self.promised.blocked or self.promised.spent):
            return "not proved", "not all of output_shape was followed"
        return None

    def _shown(self) -> Shown:
        """What the ways say of the sizes that are meant: that it runs there, as it is to."""
        first = runs(self.found, self.where) if self.where else Shown()
        if first.example is not None:
            return first
        if self.promise is not None:
            second = follows(self.promise, self.found, self.where)
        elif self.promised is not None:
            second = agrees(self.found, self.promised, self.where)
        else:
            return first
        return second if second.example is not None or not first.undecided else first

    def _breaks(self, sample: Sample) -> str:
        """How a run breaks the contract, empty where it keeps it."""
        if not _meant(self.where, sample.sizes):
            return ""
        if self.where and isinstance(sample.result, str):
            return f"at {sample}, which is meant, it raises {sample.result}"
        if self.promise is not None:
            if isinstance(sample.result, str):
                return ""
            names = [tensor.name for tensor in self.out.formula] if self.out else []
            return self.promise.broken(sample.result, names, sample.sizes)
        ways = self.promised.ways if self.promised is not None else []
        for way in ways:
            if way.region.holds(sample.sizes):
                wanted = shapes_at(way.run.outputs, sample.sizes) if way.runs else None
                got = None if isinstance(sample.result, str) else sample.result
                if wanted != got:
                    says = shapes_text(wanted) if wanted else f"refuses: {way.run.error}"
                    return f"at {sample} output_shape says {says}, but it {_does(sample)}"
        return ""

    def _open(self) -> Answer | None:
        """What is left open, None where nothing is."""
        if self.found.blocked:
            blocked, reason = self.found.blocked[0]
            return "not proved", f"at some sizes ({_example(blocked, self.found)}): {reason}"
        spent = f" after {self.found.spent}" if self.found.spent else ""
        if self.test.least is None:
            examples = (sizes for _, sizes in self.found.open() if sizes is not None)
            example = next(examples, None)
            if example is None:
                return "not proved", f"it is not decided whether all sizes were followed{spent}"
            return "not proved", f"not every size was followed{spent}, for example {_at(example)}"
        if self.test.unsettled:
            return "not proved", self.test.unsettled[0]
        if not self.test.all_small:
            return "not proved", f"followed{spent} only {self._from()}; smaller sizes are sampled"
        return None

    def _from(self) -> str:
        least = {name: size for name, size in (self.test.least or {}).items() if size > 1}
        return "for " + " and ".join(f"{name} >= {size}" for name, size in least.items())

    def notes(self) -> list[str]:
        """What else there is to say."""
        notes = [] if self.complete or not self.found.ways else [followed(self.found)]
        least = {name: size for name, size in (self.test.least or {}).items() if size > 1}
        if least and self.complete:
            notes.append(
                f"followed with symbols {self._from()}; every smaller size was run with numbers"
            )
        errors: dict[str, Sample] = {}
        for sample in sorted(self.test.samples, key=self._unusual):
            if isinstance(sample.result, str) and not self.test.claim.holds(sample.sizes):
                errors.setdefault(_kind(sample.result), sample)
        for sample in list(errors.values())[:_SHOWN]:
            notes.append(f"at {sample}: {sample.result}")
        return notes

    def _unusual(self, sample: Sample) -> int:
        """In how many symbols a sample is not as usual."""
        return sum(size != self.found.base[name] for name, size in sample.sizes.items())


def _meant(where: Iterable[Node], sizes: Mapping[str, int]) -> bool:
    try:
        return all(bool(evaluate(node, sizes)) for node in where)
    except NotWholeError:
        return False


def _does(sample: Sample) -> str:
    if isinstance(sample.result, str):
        return f"raises {sample.result}"
    return f"gives {shapes_text(sample.result)}"


def _kind(error: str) -> str:
    """An error without its numbers."""
    return "".join(letter for letter in error if not letter.isdigit())


def _example(sizes: Region, found: Exploration) -> str:
    return _at({name: sizes.of(name).nearest(size) for name, size in found.base.items()})


def _at(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items())
