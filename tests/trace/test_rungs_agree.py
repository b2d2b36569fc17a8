"""A trace without data against one with real tensors on CPU: operation by operation the same."""

from __future__ import annotations

from typing import Any

import pytest
import zoo_stub

from blocktool.analysis.memory import peak_memory
from blocktool.results.trace import OpRecord, OpTrace
from blocktool.trace.tracer import trace

timm = zoo_stub.import_timm()

MODELS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "resnet": ("resnet18", 64, {}),
    "mobilenet": ("mobilenetv3_small_100", 64, {}),
    "se": ("seresnext26t_32x4d", 64, {"layers": (1, 1, 1, 1)}),
    "dense": ("densenet121", 64, {"block_config": (2, 2, 2, 2)}),
    "vit": ("vit_tiny_patch16_224", 224, {"depth": 2}),
    "swin": ("swin_tiny_patch4_window7_224", 224, {"depths": (2, 2), "num_heads": (3, 6)}),
}


def facts(op: OpRecord) -> tuple[Any, ...]:
    return (
        op.op,
        op.phase,
        [ref.shape for ref in op.outputs],
        [ref.dtype for ref in op.outputs],
        op.macs,
        op.elementwise_flops,
        op.read_bytes,
        op.written_bytes,
        op.new_bytes,
        op.workspace_bytes,
    )


def both(name: str, size: int, mode: Any, **settings: Any) -> tuple[OpTrace, OpTrace]:
    module = timm.create_model(name, **settings)
    shape = (2, 3, size, size)
    without_data = trace(module, shape, mode=mode)
    assert without_data.traced_on == "meta"
    return without_data, trace(module, shape, mode=mode, device="cpu")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["forward", "training"])
def test_operations_are_those_of_the_cpu(name: str, mode: Any) -> None:
    model, size, settings = MODELS[name]
    without_data, real = both(model, size, mode, **settings)
    assert len(without_data.ops) == len(real.ops)
    for ours, theirs in zip(without_data.ops, real.ops, strict=True):
        assert facts(ours) == facts(theirs)
        assert without_data.calls[ours.call].path == real.calls[theirs.call].path
    # What lives when is the same, too.
    lives = [(s.nbytes, s.born, s.died, s.category) for s in without_data.storages if s.born >= 0]
    assert lives == [(s.nbytes, s.born, s.died, s.category) for s in real.storages if s.born >= 0]


@pytest.mark.parametrize("mode", ["forward", "training"])
def test_channels_last_layouts_are_followed(mode: Any) -> None:
    without_data, real = both("convnext_atto", 64, mode, depths=(1, 1, 1, 1))

    def dear(record: OpTrace) -> list[Any]:
        kinds = ("contraction", "normalization", "elementwise")
        return [facts(op) for op in record.ops if op.kind in kinds]

    assert dear(without_data) == dear(real)
    # The CPU's pooling of channels-last maps makes a small copy in its backward.
    peaks = [peak_memory(record).peak_live_bytes for record in (without_data, real)]
    assert peaks[0] == pytest.approx(peaks[1], rel=0.005)
