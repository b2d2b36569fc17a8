"""Over the arguments of every block: it refuses them in words, or it is what it says."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
from block_strategies import ARGUMENTS, WRONG, arguments
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from blocktool.blocks import Block, CrossAttention, MultiHeadAttention, ShapeError
from blocktool.blocks.names import BLOCK_PATHS, load_block

few = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
every_class = pytest.mark.parametrize("block", ARGUMENTS, ids=lambda block: block.__name__)
NAMES = frozenset().union(*ARGUMENTS.values())


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Any:
    with warnings.catch_warnings():
        # torch about padding="same" with an even kernel, and empty layers that nobody has here.
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel", UserWarning)
        yield


def build(block: type[Block], given_arguments: dict[str, Any]) -> Any:
    """The block, or None where the constructor refuses the arguments as documented."""
    try:
        return block(**given_arguments)
    except (ValueError, TypeError) as error:
        message = str(error)
        assert "\n" not in message
        assert any(name in message for name in (*given_arguments, "num_groups")), message
        return None


def inputs_of(block: Any, draw: Any) -> tuple[Tensor, ...]:
    """Random inputs: mostly of the block's width, of both kinds, of small sizes."""
    batch = draw(st.integers(0, 3))
    height, width = draw(st.integers(0, 9)), draw(st.integers(1, 9))
    inputs = [_tensor(draw(st.booleans()), batch, block.in_channels, height, width)]
    if isinstance(block, (CrossAttention, MultiHeadAttention)):
        other = draw(st.sampled_from([batch, batch, batch, 2]))
        kind = isinstance(block, CrossAttention) and draw(st.booleans())
        inputs.append(_tensor(kind, other, block.kv_dim, draw(st.integers(1, 4)), 2))
    return tuple(inputs)


def _tensor(is_map: bool, batch: int, channels: int, height: int, width: int) -> Tensor:
    shape = (channels, height, width) if is_map else (height * width, channels)
    return torch.linspace(-2, 2, batch * height * width * channels).sin().view(batch, *shape)


def meets_its_contract(block: Any, inputs: tuple[Tensor, ...]) -> bool:
    """Whether it took the inputs; forward and output_shape must be of one mind."""
    try:
        promised = block.output_shape(*(x.shape for x in inputs))
    except ShapeError:
        with pytest.raises(ShapeError):
            block(*inputs)
        return False
    before = [x.clone() for x in inputs]
    out = block(*inputs)
    assert tuple(out.shape) == promised
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, before, strict=True))
    return True


@every_class
def test_a_block_is_refused_in_words_or_meets_its_contract(block: type[Block]) -> None:
    built = []
    took = []

    @few
    @given(st.data())
    def check(data: Any) -> None:
        made = build(block, data.draw(arguments(block)))
        if made is None:
            return
        built.append(True)
        made.train(data.draw(st.booleans()))
        for _ in range(2):
            took.append(meets_its_contract(made, inputs_of(made, data.draw)))
        again = block(**made.arguments)
        assert str(again) == str(made)
        shapes = {name: tensor.shape for name, tensor in made.state_dict().items()}
        assert {name: tensor.shape for name, tensor in again.state_dict().items()} == shapes

    check()
    assert len(built) >= 5
    assert sum(took) >= 5


@every_class
def test_a_wrong_value_is_refused_by_the_argument_s_name(block: type[Block]) -> None:
    refused = []

    @few
    @given(st.data())
    def check(data: Any) -> None:
        known = sorted(ARGUMENTS[block])
        right = {
            name: {
                "in_channels": 8,
                "out_channels": 8,
                "channels": 8,
                "dim": 8,
                "grid": 3,
                "groups": 2,
            }[name]
            for name, parameter in inspect.signature(block).parameters.items()
            if parameter.default is parameter.empty
        }
        name = data.draw(st.sampled_from(known))
        wrong = {**right, name: data.draw(WRONG)}
        error = refusal = None
        try:
            made = block(**wrong)
        except (ValueError, TypeError) as raised:
            error, refusal = raised, str(raised)
        if error is not None:
            assert "\n" not in refusal, error
            assert name in refusal, error
            refused.append(name)
            return
        # What is taken must work.
        for training in (True, False):
            for x in ((2, 8, 6, 6), (2, 36, 8)):
                inputs = [torch.ones(x)]
                if isinstance(made, (CrossAttention, MultiHeadAttention)):
                    inputs.append(torch.ones(2, 4, made.kv_dim))
                meets_its_contract(made.train(training), tuple(inputs))

    check()
    assert len(refused) >= 10


def test_every_block_and_argument_is_drawn() -> None:
    assert {load_block(name) for name in BLOCK_PATHS} <= set(ARGUMENTS)
    for block, known in ARGUMENTS.items():
        assert {*known, "device", "dtype"} == set(inspect.signature(block).parameters)
