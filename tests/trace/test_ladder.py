"""The ladder meta -> fake -> real: which rung holds, and what is said of the others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from blocktool.errors import InputError, ModuleError, TraceError, UsageError
from blocktool.trace.tracer import trace


class OnCpu(nn.Module):
    """Makes a tensor on the CPU: fails on meta, not with fake tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x + torch.ones(4))


class ReadsValues(nn.Module):
    """Branches on values: only real tensors will do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if x.abs().sum().item() >= 0 else x


class Indexes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x > -1e9]


class ToNumpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy())


@pytest.mark.parametrize(
    ("module", "rung", "failed"),
    [
        (nn.Linear(4, 5), "meta", []),
        (OnCpu(), "fake", ["meta"]),
        (ReadsValues(), "cpu", ["meta", "fake"]),
        (Indexes(), "cpu", ["meta", "fake"]),
        (ToNumpy(), "cpu", ["meta", "fake"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_the_first_rung_that_holds_is_used(module: nn.Module, rung: str, failed: list[str]) -> None:
    record = trace(module, (2, 4))
    assert record.traced_on == rung
    assert [fallback.rung for fallback in record.fallbacks] == failed
    assert all(fallback.reason for fallback in record.fallbacks)
    if not isinstance(module, (Indexes, ToNumpy)):
        assert sum(op.macs for op in record.ops) == 2 * 4 * 5


def test_the_reason_names_the_module() -> None:
    record = trace(nn.Sequential(nn.Identity(), ReadsValues()), (2, 4))
    assert record.fallbacks[0].reason.startswith("in 1: ")


def test_a_module_without_values_is_rebuilt_for_the_last_rung() -> None:
    with torch.device("meta"):
        module = ReadsValues()
    with pytest.raises(TraceError, match="needs values"):
        trace(module, (2, 4))
    assert trace(module, (2, 4), rebuild=ReadsValues).traced_on == "cpu"


def test_a_rung_that_was_asked_for_is_not_left() -> None:
    with pytest.raises(TraceError, match="cannot be traced on fake tensors"):
        trace(ReadsValues(), (2, 4), device="fake")
    assert trace(nn.Linear(4, 5), (2, 4), device="cpu").traced_on == "cpu"


def test_a_mistake_is_reported_at_once_and_names_the_module() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(9, 8, 3))
    with pytest.raises(ModuleError) as caught:
        trace(module, (1, 3, 16, 16))
    assert "in '1'" in caught.value.message
    assert "channels" in caught.value.message
    assert caught.value.hint is not None
    assert "1x3x16x16" in caught.value.hint


def test_the_users_own_lines_are_kept() -> None:
    class Mine(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("no such thing")

    with pytest.raises(ModuleError) as caught:
        trace(Mine(), (1, 3))
    assert "KeyError" in caught.value.message
    assert any("no such thing" in line for line in caught.value.details)
    assert not any("torch/nn" in line for line in caught.value.details)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "sideways"}, "unknown mode 'sideways'"),
        ({"device": "nowhere"}, "device 'nowhere' cannot be used"),
        ({"dtype": "int64"}, "'int64' is not a floating dtype"),
        ({"attention": "tpu"}, "unknown attention device 'tpu'"),
        ({"optimizer": "adm", "mode": "training"}, "unknown optimizer 'adm'"),
        ({"optimizer": "adam"}, "steps only in training mode"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trace(nn.Linear(4, 5), (2, 4), **settings)  # type: ignore[arg-type]


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="no inputs given"):
        trace(nn.Linear(4, 5), None)
    with pytest.raises(InputError, match="sizes must be positive"):
        trace(nn.Linear(4, 5), (0, 4))
    with pytest.raises(InputError, match=r"not an nn\.Module"):
        trace(torch.relu, (2, 4))  # type: ignore[arg-type]


def test_a_module_without_forward_says_so() -> None:
    class Empty(nn.Module):
        pass

    with pytest.raises(ModuleError, match="missing the required"):
        trace(Empty(), (2, 4))


def test_a_block_says_what_to_do_about_a_shape() -> None:
    from blocktool.blocks import ConvBlock

    with pytest.raises(ModuleError) as caught:
        trace(nn.Sequential(ConvBlock(64, 64)), (1, 56, 56, 64))
    assert "in '0'" in caught.value.message
    assert "expected (B, C=64, H, W), got (1, 56, 56, 64)" in caught.value.message
    assert caught.value.hint == "looks channels-last (N,H,W,C); try x.permute(0, 3, 1, 2)"
    assert "  C: wanted 64, got 56 (dim 1)" in caught.value.details


class Idioms(nn.Module):
    """What works on a CPU but not on meta, for want of a device of that name."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 5)
        self.how = how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "autocast off":
            with torch.autocast(device_type=x.device.type, enabled=False):
                return self.linear(x)
        if self.how == "autocast on":
            with torch.autocast("cpu", torch.bfloat16):
                return self.linear(x)
        if self.how == "generator":
            torch.Generator(device=x.device)
        if self.how == "type":
            x = x.type(x.type())
        return self.linear(x)


@pytest.mark.parametrize("how", ["autocast off", "autocast on", "generator", "type"])
def test_what_only_meta_lacks_is_no_mistake(how: str) -> None:
    record = trace(Idioms(how), (2, 4))
    assert record.traced_on == "fake"
    assert sum(op.macs for op in record.ops) == 2 * 4 * 5
    assert record.outputs[0].dtype == ("bfloat16" if how == "autocast on" else "float32")


def test_what_the_user_raises_is_the_users_whatever_its_words() -> None:
    class Mine(nn.Module):
        runs = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            type(self).runs += 1
            raise NotImplementedError("no data for this meta tensor")

    with pytest.raises(ModuleError, match="no data for this meta tensor"):
        trace(Mine(), (2, 4))
    assert Mine.runs == 1


def test_an_exit_in_the_forward_is_an_error() -> None:
    class Exits(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise SystemExit(5)

    with pytest.raises(ModuleError, match="SystemExit"):
        trace(Exits(), (2, 4))


def test_real_runs_repeat_themselves() -> None:
    shapes = {trace(Selects(), (200, 4)).outputs[0].shape for _ in range(3)}
    assert len(shapes) == 1


class Selects(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x > 0]


def test_the_hint_speaks_of_shapes_only_where_shapes_may_be_at_fault() -> None:
    class Looks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return {}["missing"]

    with pytest.raises(ModuleError) as caught:
        trace(Looks(), (2, 4))
    assert caught.value.hint == "the inputs were: -i 2x4"
    with pytest.raises(ModuleError) as caught:
        trace(nn.Linear(4, 5), (2, 3))
    assert caught.value.hint == "the inputs were: -i 2x3; other shapes with -i"
    with pytest.raises(ModuleError) as caught:
        trace(nn.Embedding(10, 4), (2, 3))
    assert str(caught.value.hint).endswith("indices are integers: -i 2x77:int64")
