"""Each shape rule against torch's CPU kernel: shapes, strides and dtypes."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch

from blocktool.trace.classify import traits_of
from blocktool.trace.shape_memo import ShapeMemo

aten = torch.ops.aten
META = {"device": "meta"}


def t(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def layout(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        # The stride of a dimension of one element means nothing, and kernels differ on it.
        strides = tuple(s for s, n in zip(value.stride(), value.shape, strict=True) if n != 1)
        return tuple(value.shape), strides, value.dtype
    if isinstance(value, (tuple, list)):
        return [layout(item) for item in value]
    return value


def real(value: Any) -> Any:
    """The same arguments with data."""
    if isinstance(value, torch.Tensor):
        new = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
        return new.fill_(1)
    if isinstance(value, (tuple, list)):
        return type(value)(real(item) for item in value)
    return value


def last(*shape: int) -> torch.Tensor:
    return t(*shape).to(memory_format=torch.channels_last)


def conv_args(**change: Any) -> tuple[Any, ...]:
    settings: dict[str, Any] = {
        "x": t(2, 8, 9, 7),
        "w": t(12, 8, 3, 3),
        "bias": None,
        "stride": [1, 1],
        "padding": [0, 0],
        "dilation": [1, 1],
        "transposed": False,
        "output_padding": [0, 0],
        "groups": 1,
    } | change
    return tuple(settings.values())


ANSWERED: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.convolution.default, conv_args()),
    (aten.convolution.default, conv_args(bias=t(12), stride=[2, 1], padding=[1, 2])),
    (aten.convolution.default, conv_args(w=t(12, 2, 3, 3), groups=4, dilation=[2, 2])),
    (aten.convolution.default, conv_args(stride=[2], padding=[1], dilation=[1])),
    (
        aten.convolution.default,
        conv_args(w=t(8, 5, 3, 3), transposed=True, stride=[2, 2], output_padding=[1, 0]),
    ),
    (
        aten.convolution.default,
        conv_args(w=t(8, 3, 3, 3), transposed=True, groups=2, padding=[1, 1]),
    ),
    (
        aten.convolution.default,
        (t(2, 8, 9), t(4, 8, 3), None, [1], [1], [1], False, [0], 1),
    ),
    (
        aten.convolution.default,
        (
            t(1, 4, 5, 6, 7),
            t(2, 4, 3, 3, 3),
            t(2),
            [1, 2, 1],
            [1, 1, 1],
            [1, 1, 1],
            False,
            [0] * 3,
            1,
        ),
    ),
    (aten.convolution.default, conv_args(x=last(2, 8, 9, 7))),
    (aten.convolution.default, conv_args(w=last(12, 8, 3, 3))),
    (aten.convolution.default, conv_args(x=last(2, 8, 9, 7), w=t(8, 1, 3, 3), groups=8)),
    (aten.convolution.default, conv_args(x=last(2, 8, 9, 7), w=t(12, 8, 1, 1))),
    (aten.convolution.default, conv_args(x=last(2, 8, 9, 7), w=t(8, 6, 3, 3), transposed=True)),
    (aten.convolution.default, conv_args(x=last(2, 8, 3, 3))),
    *(
        (aten.convolution_backward.default, (t(2, 12, 7, 5), *conv_args(x=x, w=w)[:2], bias, *rest))
        for x in (t(2, 8, 9, 7), last(2, 8, 9, 7))
        for w in (t(12, 8, 3, 3), last(12, 8, 3, 3))
        for bias, rest in (
            (None, ([1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False])),
            ([12], ([1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, True])),
        )
    ),
    (aten.native_batch_norm.default, (t(2, 8, 5, 5), t(8), t(8), t(8), t(8), False, 0.1, 1e-5)),
    (aten.native_batch_norm.default, (t(2, 8, 5, 5), t(8), t(8), t(8), t(8), True, 0.1, 1e-5)),
    (aten.native_batch_norm.default, (t(4, 8), None, None, t(8), t(8), False, 0.1, 1e-5)),
    (aten.native_layer_norm.default, (t(2, 7, 16), [16], t(16), t(16), 1e-5)),
    (aten.native_layer_norm.default, (t(2, 7, 16), [7, 16], None, None, 1e-5)),
    (aten.native_layer_norm.default, (t(2, 8, 5, 5).permute(0, 2, 3, 1), [8], t(8), t(8), 1e-5)),
    (aten._softmax.default, (last(2, 8, 5, 5), 1, False)),
    (aten._softmax.default, (t(2, 8, 5).transpose(1, 2), -1, False)),
    (aten.native_group_norm.default, (t(2, 8, 5, 5), t(8), t(8), 2, 8, 25, 4, 1e-5)),
    # In half precision torch's own meta kernels keep the statistics in float32; the CPU does not.
    *(
        case
        for dtype in (torch.bfloat16, torch.float16)
        for x, c in [(t(2, 8, 5, 5).to(dtype), t(8).to(dtype))]
        for case in (
            (aten.native_batch_norm.default, (x, c, c, c, c, True, 0.1, 1e-5)),
            (aten.native_batch_norm.default, (x, c, c, c, c, False, 0.1, 1e-5)),
            (aten.native_layer_norm.default, (x, [5], c[:5], None, 1e-5)),
            (aten.native_group_norm.default, (x, c, c, 2, 8, 25, 4, 1e-5)),
            (
                aten.native_batch_norm_backward.default,
                (x, x, c, c, c, c, c, True, 1e-5, [True, False, True]),
            ),
        )
    ),
    (aten._softmax.default, (t(2, 4, 7), -1, False)),
    (aten.mm.default, (t(3, 4), t(4, 5))),
    (aten.mm.default, (t(4, 3).t(), t(5, 4).t())),
    (aten.addmm.default, (t(5), t(3, 4), t(4, 5))),
    (aten.addmm.default, (t(3, 5), t(3, 4), t(5, 4).t())),
    (aten.bmm.default, (t(2, 3, 4), t(2, 4, 5))),
    (aten.bmm.default, (t(2, 3, 4), t(2, 5, 4).transpose(1, 2))),
    (aten.max_pool2d_with_indices.default, (t(2, 8, 9, 9), [3, 3], [2, 2], [1, 1])),
    (aten.max_pool2d_with_indices.default, (t(2, 8, 9, 9), [2, 2])),
    (aten.avg_pool2d.default, (t(2, 8, 9, 9), [3, 3], [2, 2], [1, 1])),
    (aten.avg_pool2d.default, (t(2, 8, 9, 9), [2, 2])),
    (aten.mean.dim, (t(2, 8, 9, 9), [2, 3], True)),
    (aten.mean.dim, (t(2, 8, 9, 9), [-1, 1])),
    (aten.sum.dim_IntList, (t(2, 8, 9), [0], True)),
    (aten.amax.default, (t(2, 8, 9), [1])),
    (aten.cat.default, ([t(2, 3, 4), t(2, 5, 4)], 1)),
    (aten.cat.default, ([t(2, 3), t(4, 3)],)),
    (
        aten._scaled_dot_product_flash_attention_for_cpu.default,
        (t(2, 4, 10, 16), t(2, 4, 12, 16), t(2, 4, 12, 16)),
    ),
    (
        aten._scaled_dot_product_flash_attention_for_cpu.default,
        (t(2, 10, 3, 4, 16).permute(2, 0, 3, 1, 4)[0], t(2, 4, 12, 16), t(2, 4, 12, 16)),
    ),
    (
        aten._scaled_dot_product_flash_attention_for_cpu.default,
        (t(2, 10, 1, 16).transpose(1, 2), t(2, 1, 12, 16), t(2, 1, 12, 16)),
    ),
    (aten.silu.default, (t(2, 8, 5, 5).to(memory_format=torch.channels_last),)),
    (aten.relu.default, (t(1, 8, 1, 5).to(memory_format=torch.channels_last),)),
    (aten.relu.default, (t(2, 3, 4),)),
    (aten.gelu.default, (t(2, 3, 4).transpose(0, 2),)),
    (aten.add.Tensor, (t(2, 3, 4), t(2, 3, 4))),
    (aten.add.Tensor, (t(2, 3, 4), t(3, 1))),
    (aten.mul.Tensor, (t(2, 3, 5, 5), t(2, 3, 1, 1))),
    (aten.mul.Tensor, (t(4, 1), t(3))),
    (aten.mul.Tensor, (t(2, 3, 4).transpose(0, 1), t(2, 3, 4).transpose(0, 1))),
    (aten.div.Tensor, (t(2, 3), 3)),
    (aten.sub.Tensor, (t(2, 3, dtype=torch.float64), 0.5)),
    (aten.add_.Tensor, (t(2, 3, 4), t(3, 4))),
    (aten.relu_.default, (t(2, 3),)),
    (aten.normal_.default, (t(2, 3), 0.0, 1.0)),
    (aten.zero_.default, (t(2, 3),)),
    (aten.clamp.default, (t(2, 3), 0.0, 6.0)),
    (aten.threshold_backward.default, (t(2, 3), t(2, 3), 0)),
    (aten.constant_pad_nd.default, (t(2, 3, 4, 5), [1, 2], 0)),
    (aten.constant_pad_nd.default, (t(2, 3, 4, 5), [0, 0, 1, 2, 3, 0], 0)),
    (aten.clone.default, (t(2, 3, 4),)),
    (aten.clone.default, (t(2, 3, 4, 5).permute(0, 2, 3, 1),)),
    (aten.upsample_nearest1d.default, (t(2, 3, 4), [9])),
    (aten.upsample_nearest2d.default, (t(2, 3, 4, 5), [8, 11])),
    (aten.upsample_bilinear2d.default, (t(2, 3, 4, 5), [2, 3], False)),
    (aten.upsample_bicubic2d.default, (t(2, 3, 4, 5), [8, 10], True)),
    (aten.upsample_trilinear3d.default, (t(2, 3, 4, 5, 6), [4, 3, 2], False)),
]


@pytest.mark.parametrize(
    ("func", "args"), ANSWERED, ids=[f"{i}-{f}" for i, (f, _) in enumerate(ANSWERED)]
)
def test_a_rule_answers_as_the_cpu_does(func: Any, args: tuple[Any, ...]) -> None:
    rule = traits_of(func).rule
    assert rule is not None
    answer = rule(args, {})
    assert answer is not NotImplemented
    assert layout(answer) == layout(func(*real(args)))


DECLINED: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.convolution.default, conv_args(x=t(2, 8, 2, 2))),
    (aten.convolution.default, conv_args(bias=t(11))),
    (aten.convolution.default, conv_args(groups=5)),
    (aten.convolution.default, conv_args(x=t(2, 9, 7, 8).permute(0, 3, 2, 1))),
    (aten.convolution.default, conv_args(x=t(1, 8, 9, 7).expand(2, -1, -1, -1))),
    (
        aten.convolution.default,
        conv_args(w=t(8, 5, 3, 3), transposed=True, output_padding=[1, 0]),
    ),
    (aten.cat.default, ([],)),
    (aten.amax.default, (t(0, 8, 9), [0])),
    (aten.convolution.default, conv_args(x=t(2, 8, 9), w=t(4, 8, 3), stride=[1])),
    (aten.convolution.default, conv_args(w=t(12, 8, 3, 3, dtype=torch.float64))),
    (aten.native_batch_norm.default, (t(2, 8, 5), t(7), t(7), t(7), t(7), False, 0.1, 1e-5)),
    (aten.native_layer_norm.default, (t(2, 7, 16), [15], None, None, 1e-5)),
    (aten.addmm.default, (t(6), t(3, 4), t(4, 5))),
    (aten.bmm.default, (t(2, 3, 4), t(3, 4, 5))),
    (aten.add.Tensor, (t(2, 3), t(2, 4))),
    (aten.add_.Tensor, (t(3), t(2, 3))),
    (aten.cat.default, ([t(2, 3), t(2, 3, 1)], 0)),
    (aten.cat.default, ([t(2, 3), t(3, 4)], 0)),
    (aten.max_pool2d_with_indices.default, (t(2, 8, 1, 1), [3, 3])),
    (aten.mean.dim, (t(2, 3), [2])),
    (aten.constant_pad_nd.default, (t(2, 3), [1, -1], 0)),
    (aten.constant_pad_nd.default, (t(2, 3), [1, 1, 1, 1, 1, 1], 0)),
    (aten.clone.default, (t(2, 1, 4).expand(2, 3, 4),)),
    (aten.upsample_nearest2d.default, (t(2, 3, 4), [8, 11])),
    (aten.upsample_nearest2d.default, (t(2, 3, 4, 5).permute(0, 3, 1, 2), [8, 11])),
    (aten._softmax.default, (t(2, 3), 2, False)),
]


@pytest.mark.parametrize(
    ("func", "args"), DECLINED, ids=[f"{i}-{f}" for i, (f, _) in enumerate(DECLINED)]
)
def test_what_does_not_fit_is_left_for_torch_to_refuse(func: Any, args: tuple[Any, ...]) -> None:
    rule = traits_of(func).rule
    assert rule is not None
    assert rule(args, {}) is NotImplemented


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (aten.convolution.default, conv_args(x=t(2, 9, 9, 7))),
        (aten.convolution.default, conv_args(w=t(9, 4, 3, 3), transposed=True)),
        (aten.mm.default, (t(3, 4), t(5, 4))),
        (aten.addmm.default, (t(4), t(3, 4), t(5, 4))),
    ],
)
def test_common_mistakes_are_refused_in_the_words_of_the_cpu(
    func: Any, args: tuple[Any, ...]
) -> None:
    rule = traits_of(func).rule
    assert rule is not None
    with pytest.raises(RuntimeError) as theirs:
        func(*real(args))
    with pytest.raises(RuntimeError) as ours:
        rule(args, {})
    if func is not aten.convolution.default or not args[6]:
        assert str(ours.value) == str(theirs.value)


def test_mixed_dtypes_and_odd_layouts_are_left_to_torch() -> None:
    add = traits_of(aten.add.Tensor).rule
    assert add is not None
    assert add((t(2, 3), t(2, 3, dtype=torch.float64)), {}) is NotImplemented
    assert add((t(2, 3, dtype=torch.int64), 1.5), {}) is NotImplemented


def odd_layout(generator: random.Random, shape: list[int]) -> torch.Tensor:
    """A tensor of this shape: permuted, sliced or expanded at random."""
    order = list(range(len(shape)))
    generator.shuffle(order)
    kind = generator.choice(["plain", "permuted", "permuted", "sliced", "expanded"])
    if kind == "plain":
        return t(*shape)
    if kind == "expanded":
        base = [1 if generator.random() < 0.4 else n for n in shape]
        return t(*base).expand(shape)
    sizes = [shape[dim] * (2 if kind == "sliced" and dim == order[-1] else 1) for dim in order]
    tensor = t(*sizes)
    if kind == "sliced":
        tensor = tensor[..., ::2]
    return tensor.permute([order.index(dim) for dim in range(len(shape))])


@pytest.mark.parametrize("func", [aten.add.Tensor, aten.gelu.default])
def test_odd_layouts_come_out_as_on_the_cpu(func: Any) -> None:
    generator = random.Random(1)
    rule = traits_of(func).rule
    assert rule is not None
    for _ in range(400):
        shape = [generator.choice([1, 2, 3, 4]) for _ in range(generator.randint(1, 5))]
        args = [odd_layout(generator, shape)]
        if func is aten.add.Tensor:
            other = [n if generator.random() < 0.7 else 1 for n in shape]
            args.append(odd_layout(generator, other))
        strides = [arg.stride() for arg in args]
        assert layout(rule(tuple(args), {})) == layout(func(*real(args))), (shape, strides)


def test_random_broadcasts_agree_with_the_cpu() -> None:
    generator = random.Random(0)
    rule = traits_of(aten.mul.Tensor).rule
    assert rule is not None
    answered = 0
    for _ in range(300):
        full = [generator.choice([1, 2, 3, 5]) for _ in range(generator.randint(1, 4))]
        shapes = []
        for _ in range(2):
            shape = [n if generator.random() < 0.6 else 1 for n in full]
            shapes.append(shape[generator.randint(0, len(shape) - 1) :])
        a, b = t(*shapes[0]), t(*shapes[1])
        answer = rule((a, b), {})
        if answer is not NotImplemented:
            answered += 1
            assert layout(answer) == layout(aten.mul.Tensor(real(a), real(b))), shapes
    assert answered > 250


def test_convolution_sizes_agree_with_the_cpu() -> None:
    rule = traits_of(aten.convolution.default).rule
    assert rule is not None
    grid = itertools.product([5, 8], [1, 3], [1, 2, 3], [0, 1], [1, 2], [False, True])
    for size, kernel, stride, padding, dilation, transposed in grid:
        args = conv_args(
            x=t(1, 4, size, size + 1),
            w=t(4, 4, kernel, kernel),
            stride=[stride, stride],
            padding=[padding, padding],
            dilation=[dilation, dilation],
            transposed=transposed,
        )
        answer = rule(args, {})
        if answer is not NotImplemented:
            assert layout(answer) == layout(aten.convolution.default(*real(args)))


def test_the_memo_gives_what_torch_gave() -> None:
    memo = ShapeMemo()
    args = (t(2, 3, 8, 8), [2, 2], [1, 3])
    func = aten.roll.default
    key = memo.key(func, args, {})
    assert memo.answer(key) is NotImplemented
    out = func(*args)
    memo.learn(key, args, out)
    again = memo.answer(key)
    assert layout(again) == layout(out)
    assert again.untyped_storage()._cdata != out.untyped_storage()._cdata
    assert memo.key(func, (t(2, 3, 8, 9), [2, 2], [1, 3]), {}) != key
    assert memo.key(func, (t(2, 3, 8, 8), [2.0, 2], [1, 3]), {}) != key


def test_the_memo_does_not_keep_hidden_views() -> None:
    memo = ShapeMemo()
    args = (t(2, 6), [3, 4])
    key = memo.key(aten._unsafe_view.default, args, {})
    memo.learn(key, args, aten._unsafe_view.default(*args))
    assert memo.answer(key) is NotImplemented


def test_the_memo_is_bounded() -> None:
    memo = ShapeMemo(limit=3)
    for size in range(1, 9):
        args = (t(size, 2), [1], [0])
        key = memo.key(aten.roll.default, args, {})
        memo.learn(key, args, aten.roll.default(*args))
    assert memo.answer(key) is not NotImplemented
    first = memo.key(aten.roll.default, (t(1, 2), [1], [0]), {})
    assert memo.answer(first) is NotImplemented
