"""The routing of attention against the choice that torch itself makes on CPU."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as imported_by_name

from blocktool.errors import UsageError
from blocktool.trace.attention import attention_for, cpu_takes_flash
from blocktool.trace.tracer import trace

FLASH = 1
"""torch.nn.attention.SDPBackend.FLASH_ATTENTION"""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 3)])
@pytest.mark.parametrize("dims", [(16, 16, 16), (16, 16, 8)])
def test_the_choice_is_that_of_torch(
    dtype: torch.dtype, heads: tuple[int, int], dims: tuple[int, int, int]
) -> None:
    masks = {
        "none": None,
        "full": (2, 4, 6, 5),
        "row": (6, 5),
        "batch": (2, 1, 1, 5),
        "odd": (4, 6, 5),
    }
    for (mask_name, shape), dropout, gqa, rank in itertools.product(
        masks.items(), (0.0, 0.1), (False, True), (3, 4)
    ):
        q = torch.zeros(2, heads[0], 6, dims[0], dtype=dtype)
        k = torch.zeros(2, heads[1], 5, dims[1], dtype=dtype)
        v = torch.zeros(2, heads[1], 5, dims[2], dtype=dtype)
        if rank == 3:
            q, k, v = q[0], k[0], v[0]
        mask = None if shape is None else torch.zeros(shape, dtype=torch.bool)
        try:
            theirs = torch._fused_sdp_choice(q, k, v, mask, dropout, False, enable_gqa=gqa)
        except RuntimeError:
            continue
        ours = cpu_takes_flash(q, k, v, mask, dropout, gqa)
        assert ours == (theirs == FLASH), (mask_name, dropout, gqa, rank)


def test_a_strided_last_dimension_takes_the_unfused_path() -> None:
    q = torch.zeros(2, 4, 16, 6).transpose(2, 3)
    k = v = torch.zeros(2, 4, 5, 16)
    assert torch._fused_sdp_choice(q, k, v) != FLASH
    assert not cpu_takes_flash(q, k, v, None, 0.0, False)


class Attention(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "imported by name":
            return imported_by_name(x, x, x)
        if self.how == "inference mode":
            with torch.inference_mode():
                return F.scaled_dot_product_attention(x, x, x)
        if self.how == "boolean mask":
            mask = torch.ones(x.shape[2], x.shape[2], dtype=torch.bool, device=x.device)
            return F.scaled_dot_product_attention(x, x, x, attn_mask=mask)
        return F.scaled_dot_product_attention(x, x, x, is_causal=True)


HOWS = ["imported by name", "inference mode", "boolean mask", "causal"]


@pytest.mark.parametrize("how", HOWS)
def test_operations_without_data_are_those_of_the_cpu(how: str) -> None:
    without_data = trace(Attention(how), (2, 4, 10, 16), device="meta")
    real = trace(Attention(how), (2, 4, 10, 16), device="cpu")
    names = [op.op for op in without_data.ops]
    assert "aten._scaled_dot_product_flash_attention_for_cpu" in names
    assert names == [op.op for op in real.ops]
    assert [op.macs for op in without_data.ops] == [op.macs for op in real.ops]


@pytest.mark.parametrize("device", ["cpu", "cuda", "math"])
def test_the_macs_do_not_depend_on_the_kernel(device: str) -> None:
    record = trace(Attention("causal"), (2, 4, 10, 16), attention=device, dtype="bfloat16")
    assert sum(op.macs for op in record.ops) == 2 * 2 * 4 * 10 * 10 * 16


@pytest.mark.parametrize(
    ("dtype", "head_dim", "kernel"),
    [
        ("bfloat16", 64, "aten._scaled_dot_product_flash_attention"),
        ("bfloat16", 60, "aten._scaled_dot_product_flash_attention"),
        ("float32", 64, "aten._scaled_dot_product_efficient_attention"),
        ("float64", 64, "aten.bmm"),
    ],
)
def test_cuda_kernels_are_assumed_without_a_gpu(dtype: str, head_dim: int, kernel: str) -> None:
    record = trace(Attention("causal"), (2, 4, 10, head_dim), attention="cuda", dtype=dtype)
    assert kernel in [op.op for op in record.ops]


def test_attention_is_as_before_afterwards() -> None:
    was = torch.backends.mha.get_fastpath_enabled()
    trace(Attention("causal"), (2, 4, 10, 16))
    assert torch.backends.mha.get_fastpath_enabled() == was
    q = torch.empty(2, 4, 10, 16, device="meta")
    names: list[str] = []

    class Names(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            names.append(str(func))
            return func(*args, **(kwargs or {}))

    with Names():
        F.scaled_dot_product_attention(q, q, q)
    assert not any("flash" in name for name in names)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown attention device 'tpu'"):
        attention_for("tpu")


class Flex(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from torch.nn.attention.flex_attention import flex_attention

        return flex_attention(x, x, x)


@pytest.mark.filterwarnings("ignore")
def test_flex_attention_is_counted() -> None:
    record = trace(Flex(), (2, 4, 16, 16))
    assert sum(op.macs for op in record.ops) == 2 * 2 * 4 * 16 * 16 * 16
    assert not [op.op for op in record.ops if op.kind == "uncovered"]
