"""What the blocks are compared with: attention, feed-forward networks, transformer blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from block_cases import Case, Contestant
from block_keys import State, as_linear, multihead_attention_keys, renamed
from torch import Tensor, nn

from blocktool import blocks
from blocktool.targets.zoo_packages import import_zoo


def _query(module: nn.Module, x: Tensor) -> Tensor:
    return module(x, x, x, need_weights=False)[0]  # type: ignore[no-any-return]


def _of_context(module: nn.Module, x: Tensor, context: Tensor) -> Tensor:
    return module(x, context, context, need_weights=False)[0]  # type: ignore[no-any-return]


def _around_tokens(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A module over tokens as one over maps, the way a user would write it."""

    def on_map(module: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = call(module, x.flatten(2).transpose(1, 2))
        return out.transpose(1, 2).reshape(x.shape)

    return on_map


def _plain(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)  # type: ignore[no-any-return]


def _multihead(
    width: int, heads: int, call: Callable[..., Tensor] = _query
) -> dict[str, Contestant]:
    """torch.nn.MultiheadAttention, with its fast path in eval and without."""
    made = {}
    for fast in (True, False):
        module = nn.MultiheadAttention(width, heads, batch_first=True)
        name = f"nn.MultiheadAttention{'' if fast else ', no fast path'}"
        made[name] = Contestant(module, multihead_attention_keys, call, fast_path=fast)
    return made


def _self_attention(batch: int, tokens: int, width: int, heads: int) -> Case:
    module = import_zoo("timm").layers.Attention(width, heads, qkv_bias=True)
    theirs = {"timm Attention": Contestant(module), **_multihead(width, heads)}
    return Case(Contestant(blocks.SelfAttention(width, heads)), theirs, ((batch, tokens, width),))


def _map_attention() -> Case:
    layers = import_zoo("timm").layers
    theirs = {
        "timm Attention2d": Contestant(layers.Attention2d(256, num_heads=8), as_linear),
        "timm Attention, transposed around": Contestant(
            layers.Attention(256, 8, qkv_bias=True), call=_around_tokens(_plain)
        ),
        **{
            f"{name}, transposed around": contestant
            for name, contestant in _multihead(256, 8, _around_tokens(_query)).items()
        },
    }
    return Case(Contestant(blocks.SelfAttention(256, 8)), theirs, ((4, 256, 14, 14),))


def _without_bias_table(state: State) -> State:
    """What is learned besides the bias of relative positions, which ours has not."""
    return {key: value for key, value in state.items() if "relative" not in key}


def _windowed_attention() -> Case:
    """Swin's windows of 7x7; both of the others add a bias of relative positions, zero here."""
    import_zoo("torchvision")
    import_zoo("timm")
    from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
    from torchvision.models.swin_transformer import ShiftedWindowAttention

    def swin(module: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = module(x.permute(0, 2, 3, 1))
        return out.permute(0, 3, 1, 2)

    def partitioned(module: nn.Module, x: Tensor) -> Tensor:
        windows = window_partition(x.permute(0, 2, 3, 1), (7, 7)).view(-1, 49, 96)
        out = module(windows).view(-1, 7, 7, 96)
        back: Tensor = window_reverse(out, (7, 7), 28, 28)
        return back.permute(0, 3, 1, 2)

    first = ShiftedWindowAttention(96, [7, 7], [0, 0], num_heads=3)
    second = WindowAttention(96, 3, window_size=(7, 7))
    for module in (first, second):
        nn.init.zeros_(module.relative_position_bias_table)
    theirs = {
        "torchvision ShiftedWindowAttention": Contestant(first, _without_bias_table, swin),
        "timm WindowAttention": Contestant(second, _without_bias_table, partitioned),
    }
    ours = blocks.SelfAttention(96, 3, window=7)
    return Case(Contestant(ours), theirs, ((4, 96, 28, 28),), maps_last=True)


def _cross_keys(state: State) -> State:
    """nn.MultiheadAttention's packed projection in the two parts of CrossAttention."""
    width = state["out_proj.weight"].shape[0]
    made = {"proj.weight": state["out_proj.weight"], "proj.bias": state["out_proj.bias"]}
    for kind in ("weight", "bias"):
        packed = state[f"in_proj_{kind}"]
        made |= {f"q.{kind}": packed[:width], f"kv.{kind}": packed[width:]}
    return made


def _cross_attention(kind: str) -> Case:
    keys = multihead_attention_keys if kind == "packed" else _cross_keys
    module = nn.MultiheadAttention(256, 8, batch_first=True)
    theirs = {"nn.MultiheadAttention": Contestant(module, keys, _of_context)}
    ours: nn.Module = (
        blocks.MultiHeadAttention(256, 8)
        if kind == "packed"
        else blocks.CrossAttention(256, 256, 8)
    )
    kept: dict[Any, Any] = {}

    def cached(module: nn.Module, x: Tensor, context: Tensor) -> Tensor:
        # The context stays while the queries change, so that its projection is made once.
        if context not in kept:
            kept.clear()
            kept[context] = module.project_kv(context)  # type: ignore[operator]
        return module(x, kv=kept[context])  # type: ignore[no-any-return]

    contestant = Contestant(ours, call=cached) if kind == "cached" else Contestant(ours)
    shapes = (4, 196, 256), (4, 64, 256)
    return Case(contestant, theirs, shapes, training=kind != "cached")


def _feed_forward() -> Case:
    perceptron = import_zoo("torchvision").ops.MLP(256, [1024, 256], activation_layer=nn.GELU)

    def keys(state: State) -> State:
        return renamed(state, (r"^0\.", "fc1."), (r"^3\.", "fc2."))

    theirs = {
        "timm Mlp": Contestant(import_zoo("timm").layers.Mlp(256, 1024)),
        "torchvision MLP": Contestant(perceptron, keys),
    }
    return Case(Contestant(blocks.FeedForward(256, 1024)), theirs, ((4, 196, 256),))


def _encoder_keys(state: State) -> State:
    """torchvision's EncoderBlock and nn.TransformerEncoderLayer under TransformerBlock's names."""
    return renamed(
        state,
        (r"^ln_(\d)\.", r"norm\1."),
        (r"^(self_attention|self_attn)\.in_proj_", "attn.qkv."),
        (r"^(self_attention|self_attn)\.out_proj\.", "attn.proj."),
        (r"^(mlp\.0|linear1)\.", "mlp.fc1."),
        (r"^(mlp\.3|linear2)\.", "mlp.fc2."),
    )


def _transformer() -> Case:
    import_zoo("torchvision")
    import_zoo("timm")
    from timm.models.vision_transformer import Block
    from torchvision.models.vision_transformer import EncoderBlock

    theirs = {
        "timm Block": Contestant(Block(256, 8, qkv_bias=True, norm_layer=_norm)),
        "torchvision EncoderBlock": Contestant(EncoderBlock(8, 256, 1024, 0.0, 0.0), _encoder_keys),
    }
    for fast in (True, False):
        layer = nn.TransformerEncoderLayer(
            256, 8, 1024, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
        )
        name = f"nn.TransformerEncoderLayer{'' if fast else ', no fast path'}"
        theirs[name] = Contestant(layer, _encoder_keys, fast_path=fast)
    return Case(Contestant(blocks.TransformerBlock(256, 8)), theirs, ((4, 196, 256),))


def _norm(width: int, **options: Any) -> nn.Module:
    return nn.LayerNorm(width, eps=1e-6, **options)


ATTENTION: dict[str, Callable[[], Case]] = {
    "self-attention, B4 N196 C256, 8 heads": lambda: _self_attention(4, 196, 256, 8),
    "self-attention, B2 N1024 C64, 4 heads": lambda: _self_attention(2, 1024, 64, 4),
    "attention on a map, B4 C256 14x14, 8 heads": _map_attention,
    "windowed attention 7x7, B4 C96 28x28, 3 heads": _windowed_attention,
    "cross-attention N196 to M64 C256, packed": lambda: _cross_attention("packed"),
    "cross-attention, two projections": lambda: _cross_attention("separate"),
    "cross-attention, keys and values kept": lambda: _cross_attention("cached"),
    "feed-forward 256 to 1024, B4 N196": _feed_forward,
    "transformer block, B4 N196 C256, 8 heads": _transformer,
}
