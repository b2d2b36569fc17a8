"""What a sweep has tried, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from blocktool.analysis.contracts import Contract
from blocktool.check.chunk import RanCase
from blocktool.check.group import Group
from blocktool.check.runner import Subject
from blocktool.results.specs import TensorSpec


@dataclass
class Tried:
    """A group, its module where it could be built, and the cases that ran."""

    group: Group
    subject: Subject | None
    ran: list[RanCase] = field(default_factory=list)
    relations: dict[str, tuple[Contract, ...]] = field(default_factory=dict)
    """What was found of the outputs' sizes, by mode."""

    @property
    def relation(self) -> tuple[Contract, ...] | None:
        """That of eval mode, where there is one."""
        return self.relations.get("eval") or self.relations.get("train")


def numel(inputs: Sequence[TensorSpec]) -> int:
    """Elements of all inputs together."""
    return sum(prod(spec.shape) for spec in inputs)
