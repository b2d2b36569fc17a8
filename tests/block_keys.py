"""Other libraries' weights under the names of ours."""

from __future__ import annotations

import re

import torch
from torch import Tensor

State = dict[str, Tensor]

_IN_BLOCK = (
    (r"downsample\.conv\.", "shortcut.conv."),
    (r"downsample\.norm\.", "shortcut.norm."),
    (r"conv(\d)\.", r"conv\1.conv."),
    (r"bn(\d)\.", r"conv\1.norm."),
    (r"se\.", "attn."),
)


def resnet_keys(state: State) -> State:
    """The state of a torchvision or timm ResNet under FeatureExtractor's names."""
    result = {}
    for key, value in state.items():
        if match := re.fullmatch(r"layer(\d)\.(.*)", key):
            (inner,) = resnet_stage_keys({match[2]: value})
            result[f"stages.{int(match[1]) - 1}.{inner}"] = value
        else:
            key = re.sub(r"^conv1\.", "stem.conv.conv.", key)
            key = re.sub(r"^bn1\.", "stem.conv.norm.", key)
            result[re.sub(r"^fc\.", "head.fc.", key)] = value
    return result


def resnet_stage_keys(state: State) -> State:
    """The state of ``resnet.layer1`` (to 4) under Stage's names."""
    result = {}
    for key, value in state.items():
        index, _, inner = key.partition(".")
        # The projection: its convolution is the only weight of four dimensions.
        part = "conv" if value.ndim == 4 else "norm"
        inner = re.sub(r"^downsample\.\d\.", f"downsample.{part}.", inner)
        for pattern, replacement in _IN_BLOCK:
            inner, found = re.subn(f"^{pattern}", replacement, inner)
            if found:
                break
        result[f"{index}.{inner}"] = value
    return result


def resnetv2_keys(state: State) -> State:
    """The state of timm's ResNetV2 under FeatureExtractor's names."""
    result = renamed(
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
    result["head.fc.weight"] = result["head.fc.weight"].flatten(1)
    return result


def mobilenetv1_keys(state: State) -> State:
    """The state of timm's MobileNetV1 under FeatureExtractor's names."""
    return renamed(
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
    return renamed(
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
    return renamed(
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


def renamed(state: State, *pairs: tuple[str, str]) -> State:
    """The state with every pattern of the pairs replaced, one after the other, in each name."""
    result = {}
    for key, value in state.items():
        for theirs, ours in pairs:
            key = re.sub(theirs, ours, key)
        assert key not in result, key
        result[key] = value
    return result


def resnetv2_stage_keys(state: State) -> State:
    """The state of a stage of timm's ResNetV2 under Stage's names."""
    return renamed(
        state,
        (r"^blocks\.", ""),
        (r"\.downsample\.conv\.", ".shortcut.conv."),
        (r"\.norm1\.", ".norm."),
        (r"\.norm([23])\.", r".conv\1.norm."),
        (r"(\.conv\d)\.weight$", r"\1.conv.weight"),
    )


def conv_norm_act_keys(state: State) -> State:
    """The state of torchvision's Conv2dNormActivation or timm's ConvNormAct under ConvBlock's."""
    return renamed(state, (r"^0\.", "conv."), (r"^1\.", "norm."), (r"^bn\.", "norm."))


def multihead_attention_keys(state: State) -> State:
    """The state of torch.nn.MultiheadAttention under SelfAttention's names."""
    return renamed(state, (r"^in_proj_", "qkv."), (r"^out_proj\.", "proj."))


def separate_attention_keys(state: State) -> State:
    """The state of torch.nn.MultiheadAttention with kdim and vdim under CrossAttention's names."""
    dim = state["q_proj_weight"].shape[0]
    result = {
        "q.weight": state["q_proj_weight"],
        "kv.weight": torch.cat([state["k_proj_weight"], state["v_proj_weight"]]),
        "proj.weight": state["out_proj.weight"],
    }
    if "in_proj_bias" in state:
        bias = state["in_proj_bias"]
        result |= {
            "q.bias": bias[:dim],
            "kv.bias": bias[dim:],
            "proj.bias": state["out_proj.bias"],
        }
    return result


def as_linear(state: State) -> State:
    """Weights of 1x1 convolutions as those of linear layers."""
    one = {key for key, value in state.items() if value.shape[2:] == (1, 1)}
    return {key: value.flatten(1) if key in one else value for key, value in state.items()}
