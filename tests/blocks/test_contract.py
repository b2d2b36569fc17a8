"""What every block keeps to."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Callable
from functools import partial

import pytest
import torch
from block_references import randomize
from torch import Tensor, nn

import blocktool.blocks
from blocktool.blocks import (
    AttentionBlock,
    BottleneckBlock,
    ConvBlock,
    DepthwiseSeparableConv,
    DilatedConv,
    FeatureExtractor,
    FeedForward,
    GroupedConv,
    PositionEmbedding,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    SelfAttention,
    SEResidualBlock,
    SqueezeExcite,
    Stage,
    TransformerBlock,
)

Make = Callable[..., nn.Module]
SHORT = {"num_stages": 2, "blocks_per_stage": [1, 2], "channels": [16, 24, 32]}

BLOCKS: dict[str, Make] = {
    "conv": partial(ConvBlock, 16, 24, stride=2),
    "conv-nac": partial(ConvBlock, 16, 24, order="nac", norm="group", act="silu"),
    "conv-plain": partial(ConvBlock, 16, 24, norm=None),
    "se": partial(SqueezeExcite, 16),
    "residual": partial(ResidualBlock, 16),
    "residual-all": partial(
        ResidualBlock, 16, 24, stride=2, attn="se", shortcut="avg", drop_path=0.1, layer_scale=0.5
    ),
    "bottleneck": partial(BottleneckBlock, 16, 32, stride=2, norm="layer", act="gelu"),
    "attention": partial(SelfAttention, 16, norm="layer", qk_norm="rms", residual=True),
    "window": partial(SelfAttention, 16, 2, window=4, proj_drop=0.1),
    "separable": partial(DepthwiseSeparableConv, 16, 24, stride=2, depth_multiplier=2),
    "grouped": partial(GroupedConv, 16, 24, groups=4, shuffle=True),
    "dilated": partial(DilatedConv, 16, 24, bias=True),
    "se-residual": partial(SEResidualBlock, 16, reduction=4),
    "preact": partial(PreActBlock, 16, 24, stride=2, shortcut="avg", attn="se"),
    "preact-bottleneck": partial(PreActBottleneck, 16, 32, stride=2, layer_scale=0.5),
    "feed-forward": partial(FeedForward, 16),
    "feed-forward-conv": partial(FeedForward, 16, kind="conv"),
    "feed-forward-gated": partial(FeedForward, 16, kind="swiglu"),
    "attention-block": partial(AttentionBlock, 16, layer_scale=0.5, num_kv_heads=1),
    "transformer": partial(TransformerBlock, 16, 4, window=4, mlp="conv", layer_scale=0.5),
    "positions": partial(PositionEmbedding, 16, 7, class_token=False),
    "stage": partial(Stage, BottleneckBlock, 2, 16, 32),
    "hybrid-stage": partial(Stage, SelfAttention, 2, 16, 32, norm="rms", residual=True),
    "features": partial(FeatureExtractor, SHORT),
}
every_block = pytest.mark.parametrize("make", BLOCKS.values(), ids=BLOCKS.keys())

X = torch.linspace(-3, 3, 2 * 16 * 9 * 10).sin().view(2, 16, 9, 10)


def _last(out: Tensor | list[Tensor]) -> Tensor:
    return out[-1] if isinstance(out, list) else out


@every_block
def test_says_its_widths_and_its_output_shape(make: Make) -> None:
    block = make().eval()
    out = block(X)
    promised = block.output_shape(X.shape)
    if isinstance(out, list):
        assert [tuple(o.shape) for o in out] == promised
    else:
        assert tuple(out.shape) == promised
    assert block.in_channels == 16
    assert block.out_channels == _last(out).shape[1]
    assert _last(out).shape[2:] == tuple(-(-size // block.stride) for size in X.shape[2:])
    assert block.extra_repr()


@every_block
def test_does_not_touch_its_input(make: Make) -> None:
    x = X.clone()
    block = make()
    block(x), block.eval()(x)
    assert torch.equal(x, X)


@every_block
def test_has_gradients_everywhere(make: Make) -> None:
    block = randomize(make())
    leaf = X.clone().requires_grad_()
    torch.manual_seed(1)
    _last(block(leaf)).square().sum().backward()
    assert leaf.grad.abs().sum() > 0
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@every_block
def test_samples_do_not_see_each_other_in_eval(make: Make) -> None:
    block = randomize(make()).eval()
    alone = torch.cat([_last(block(x[None])) for x in X])
    torch.testing.assert_close(_last(block(X)), alone, rtol=1e-4, atol=1e-5)


@every_block
def test_is_built_on_meta_and_initialised_later(make: Make) -> None:
    on_meta = make(device="meta")
    with torch.device("meta"):
        as_well = make()
    for block in (on_meta, as_well):
        assert all(tensor.is_meta for tensor in [*block.parameters(), *block.buffers()])
        block.reset_parameters()
        assert _last(block(X.to("meta"))).is_meta
    on_meta.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in [*on_meta.parameters(), *on_meta.buffers()]:
            tensor.fill_(float("nan") if tensor.is_floating_point() else 7)
    torch.manual_seed(0)
    on_meta.reset_parameters()
    built = make()
    for name, tensor in built.state_dict().items():
        mine = on_meta.state_dict()[name]
        assert torch.isfinite(mine).all(), name
        # Constants are the same; what is random has the same spread.
        if tensor.float().std(correction=0) == 0:
            assert torch.equal(mine, tensor), name
        elif tensor.numel() > 500:
            assert mine.std().item() == pytest.approx(tensor.std().item(), rel=0.25), name


@every_block
def test_passes_the_dtype_on(make: Make) -> None:
    block = make(dtype=torch.float64)
    assert {p.dtype for p in block.parameters()} == {torch.float64}
    assert _last(block(X.double())).dtype == torch.float64


@every_block
def test_is_registered_in_the_order_of_execution(make: Make) -> None:
    block = make()
    ran: list[str] = []
    names = [name for name, module in block.named_modules() if not list(module.children())]
    for name in names:
        block.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    block(X)
    assert ran == names


@every_block
def test_keeps_no_activation_alive(make: Make) -> None:
    block = make().eval()
    alive: list[weakref.ref[Tensor]] = []

    def watch(module: nn.Module, args: object, out: object) -> None:
        if isinstance(out, Tensor):
            alive.append(weakref.ref(out))

    handles = [module.register_forward_hook(watch) for module in block.modules()]
    with torch.no_grad():
        block(X.clone())
    for handle in handles:
        handle.remove()
    assert alive
    assert all(ref() is None for ref in alive)


@every_block
def test_shares_no_module(make: Make) -> None:
    block = make()
    assert len(list(block.modules())) == len(list(block.named_modules(remove_duplicate=False)))


@every_block
def test_can_be_exported_with_any_batch(make: Make) -> None:
    block = make().eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(block, (X,), dynamic_shapes=({0: batch},))
    x = torch.cat([X, X.flip(3), X.flip(2)])
    torch.testing.assert_close(
        _last(list(out) if isinstance(out := program.module()(x), tuple) else out), _last(block(x))
    )


def test_convolutions_are_equivariant_to_flips() -> None:
    block = randomize(ResidualBlock(16, 24)).eval()
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data += module.weight.data.flip(3)
    torch.testing.assert_close(block(X.flip(3)), block(X).flip(3), rtol=1e-4, atol=1e-5)


def test_exported_names_are_there() -> None:
    for name in blocktool.blocks.__all__:
        assert getattr(blocktool.blocks, name).__name__ == name
    assert (
        set(blocktool.blocks._HOMES) == set(blocktool.blocks.__all__) == set(dir(blocktool.blocks))
    )
    with pytest.raises(AttributeError, match="no attribute 'ConvBlok'"):
        _ = blocktool.blocks.ConvBlok


def test_words_and_configuration_need_no_torch() -> None:
    code = (
        "import sys, blocktool.blocks.config, blocktool.blocks.options, blocktool.blocks.checks; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
