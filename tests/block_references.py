"""Other libraries' models as references for ours: their weights under our names."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

State = dict[str, Tensor]

_IN_BLOCK = (
    (r"downsample\.conv\.", "shortcut.conv."),
    (r"downsample\.norm\.", "shortcut.norm."),
    (r"conv(\d)\.", r"conv\1.conv."),
    (r"bn(\d)\.", r"conv\1.norm."),
    (r"se\.", "attn."),
)


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give norms, biases and running statistics values of their own, in place.

    As constructed, a norm's weight is one (or zero, at the end of a residual branch), its bias
    and mean zero: tests against such modules would pass with half of the work left out.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor: Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.copy_(values * (high - low) + low)

    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                draw(tensor, 0.3, 0.9)
            elif tensor.ndim == 1:
                draw(tensor, -0.3, 0.3)
    return module


def resnet_keys(state: State) -> State:
    """The state of a torchvision or timm ResNet under FeatureExtractor's names."""
    renamed = {}
    for key, value in state.items():
        if match := re.fullmatch(r"layer(\d)\.(.*)", key):
            (inner,) = resnet_stage_keys({match[2]: value})
            renamed[f"stages.{int(match[1]) - 1}.{inner}"] = value
        else:
            key = re.sub(r"^conv1\.", "stem.conv.conv.", key)
            key = re.sub(r"^bn1\.", "stem.conv.norm.", key)
            renamed[re.sub(r"^fc\.", "head.fc.", key)] = value
    return renamed


def resnet_stage_keys(state: State) -> State:
    """The state of ``resnet.layer1`` (to 4) under Stage's names."""
    renamed = {}
    for key, value in state.items():
        index, _, inner = key.partition(".")
        # The projection: its convolution is the only weight of four dimensions.
        part = "conv" if value.ndim == 4 else "norm"
        inner = re.sub(r"^downsample\.\d\.", f"downsample.{part}.", inner)
        for pattern, replacement in _IN_BLOCK:
            inner, found = re.subn(f"^{pattern}", replacement, inner)
            if found:
                break
        renamed[f"{index}.{inner}"] = value
    return renamed


def resnetv2_keys(state: State) -> State:
    """The state of timm's ResNetV2 under FeatureExtractor's names."""
    renamed = _renamed(
        state,
        (r"^stem\.conv\.", "stem.conv.conv."),
        (r"^norm\.", "head.norm."),
        (r"^(stages\.\d)\.blocks\.", r"\1."),
        (r"\.downsample\.conv\.", ".shortcut.conv."),
        (r"\.norm1\.", ".norm."),
        (r"\.norm([23])\.", r".conv\1.norm."),
        (r"^(stages.*\.conv\d)\.(weight|bias)$", r"\1.conv.\2"),
    )
    # Its classifier is a 1x1 convolution.
    renamed["head.fc.weight"] = renamed["head.fc.weight"].flatten(1)
    return renamed


def mobilenetv1_keys(state: State) -> State:
    """The state of timm's MobileNetV1 under FeatureExtractor's names."""
    return _renamed(
        state,
        (r"^conv_stem\.", "stem.conv.conv."),
        (r"^bn1\.", "stem.conv.norm."),
        (r"^classifier\.", "head.fc."),
        (r"^blocks\.", "stages."),
        (r"\.conv_dw\.", ".depthwise.conv."),
        (r"\.bn1\.", ".depthwise.norm."),
        (r"\.conv_pw\.", ".pointwise.conv."),
        (r"\.bn2\.", ".pointwise.norm."),
    )


def timm_vit_keys(state: State) -> State:
    """The state of timm's VisionTransformer under FeatureExtractor's names, in one stage."""
    return _renamed(
        state,
        (r"^patch_embed\.proj\.", "stem.conv.conv."),
        (r"^cls_token", "positions.class_token"),
        (r"^pos_embed", "positions.positions"),
        (r"^blocks\.", "stages.0."),
        (r"^head\.", "head.fc."),
        (r"^norm\.", "head.norm."),
    )


def torchvision_vit_keys(state: State) -> State:
    """The state of torchvision's VisionTransformer under FeatureExtractor's names, in one stage."""
    return _renamed(
        state,
        (r"^conv_proj\.", "stem.conv.conv."),
        (r"^class_token", "positions.class_token"),
        (r"^encoder\.pos_embedding", "positions.positions"),
        (r"^encoder\.layers\.encoder_layer_", "stages.0."),
        (r"^encoder\.ln\.", "head.norm."),
        (r"^heads\.head\.", "head.fc."),
        (r"\.ln_(\d)\.", r".norm\1."),
        (r"\.self_attention\.in_proj_", ".attn.qkv."),
        (r"\.self_attention\.out_proj\.", ".attn.proj."),
        (r"\.mlp\.0\.", ".mlp.fc1."),
        (r"\.mlp\.3\.", ".mlp.fc2."),
    )


def _renamed(state: State, *pairs: tuple[str, str]) -> State:
    renamed = {}
    for key, value in state.items():
        for theirs, ours in pairs:
            key = re.sub(theirs, ours, key)
        renamed[key] = value
    return renamed


def conv_norm_act_keys(state: State) -> State:
    """The state of torchvision's Conv2dNormActivation or timm's ConvNormAct under ConvBlock's."""
    renamed = {re.sub(r"^0\.", "conv.", key): value for key, value in state.items()}
    return {re.sub(r"^(1|bn)\.", "norm.", key): value for key, value in renamed.items()}


def multihead_attention_keys(state: State) -> State:
    """The state of torch.nn.MultiheadAttention under SelfAttention's names."""
    names = {
        "in_proj_weight": "qkv.weight",
        "in_proj_bias": "qkv.bias",
        "out_proj.weight": "proj.weight",
        "out_proj.bias": "proj.bias",
    }
    return {names[key]: value for key, value in state.items()}


def copy_over(ours: nn.Module, theirs: nn.Module, keys: Callable[[State], State]) -> None:
    """Randomise ``theirs`` and load it into ``ours``, every key of both being used."""
    randomize(theirs)
    ours.load_state_dict(keys(theirs.state_dict()), strict=True)


def assert_same(
    ours: nn.Module,
    theirs: nn.Module,
    x: Tensor,
    keys: Callable[[State], State],
    *,
    tolerance: float = 0.0,
) -> None:
    """Both give the same output, the same gradients of input and parameters, the same buffers.

    ``tolerance`` is relative to the largest magnitude of what is compared; 0 is bit for bit.
    """
    results = []
    for module in (ours, theirs):
        module.zero_grad()
        leaf = x.clone().requires_grad_()
        out = module(leaf.clone())  # a copy: a layer that works in place may not touch a leaf
        # Weighted, since the plain sum of what a norm gives has no gradient.
        weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
        (out * weights).sum().backward()
        results.append((out.detach(), leaf.grad))
    for mine, wanted in zip(*results, strict=True):
        _assert_close(mine, wanted, tolerance)
    compared = 0
    for take in (_gradients, lambda module: dict(module.named_buffers())):
        mine, wanted = take(ours), keys(take(theirs))
        assert mine.keys() == wanted.keys()
        for name, value in mine.items():
            _assert_close(value, wanted[name], tolerance, name)
            compared += 1
    assert compared


def _gradients(module: nn.Module) -> State:
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def _assert_close(mine: Tensor, wanted: Tensor, tolerance: float, name: str = "") -> None:
    if tolerance and wanted.is_floating_point():
        error = (mine - wanted).abs().max()
        assert error <= tolerance * wanted.abs().max(), f"{name}: {error:g} off"
    else:
        assert torch.equal(mine, wanted), name
