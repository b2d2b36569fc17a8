"""The static records of cases, as they are joined with times or predicted from."""

from __future__ import annotations

from blocktool.analysis.memory import forward_part
from blocktool.measure.request import CaseSpec
from blocktool.measure.subject import Subject
from blocktool.results.trace import OpTrace


def record_of(
    subject: Subject, spec: CaseSpec, optimizer: str, attention: str, dtype: str | None = None
) -> OpTrace:
    """The operations of a case, converted to ``dtype`` or else as the case has it, with the
    attention kernels of a ``"cpu"`` or a ``"cuda"`` device."""
    record = subject.traced(
        None if spec.as_given else spec.inputs,
        dtype or (spec.dtype if spec.cast else None),
        spec.mode,
        optimizer,
        attention,
    )
    return part_of(record, spec)


def part_of(record: OpTrace, spec: CaseSpec) -> OpTrace:
    """What of a training step the case runs: in mode ``"forward"`` not the backward."""
    return forward_part(record) if spec.mode == "forward" else record


def macs_and_bytes(record: OpTrace) -> tuple[int, int]:
    """MACs, and bytes read and written, of all operations."""
    moved = sum(op.read_bytes + op.written_bytes for op in record.ops)
    return sum(op.macs for op in record.ops), moved
