"""What every block is: an nn.Module that knows its widths, its arguments and its output shape."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import nn

from blocktool.blocks.layers import reset_parameters

_WHERE = ("device", "dtype")  # where a block is built is not what it is


class Block(nn.Module):
    """The base of all blocks.

    A subclass sets ``in_channels``, ``out_channels`` and ``stride``, and says in ``output_shape``
    what forward gives. What it was constructed with is kept as ``arguments``, from which an equal
    block can be built; :func:`blocktool.blocks.to_config` writes it as a configuration.
    """

    in_channels: int
    out_channels: int
    stride: int | tuple[int, int]
    _given: Given

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Note what the constructor is given, before it can go wrong or be overridden."""
        block = super().__new__(cls)
        # Past nn.Module's bookkeeping, which does not exist yet. Unpickling and copying come
        # without arguments, and bring the note with the rest of the state.
        block.__dict__["_given"] = Given(cls, _copied(args), _copied(kwargs))
        return block

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments by name, as given; defaults, device and dtype left out.

        Raises ValueError in a copy that came through pickle without them, where some of them cannot
        be pickled.
        """
        # Not type(self): parametrizations and sharding put a class of theirs in front.
        cls, args, kwargs = self._given.cls, self._given.args, self._given.kwargs
        if args is None or kwargs is None:
            raise ValueError(f"{cls.__name__}: its arguments could not be pickled and are lost")
        signature = inspect.signature(cls)
        bound = dict(signature.bind(*_copied(args), **_copied(kwargs)).arguments)
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                bound |= bound.pop(name, {})
            elif name in bound and _same(bound[name], parameter.default):
                del bound[name]
        return {name: value for name, value in bound.items() if name not in _WHERE}

    def output_shape(self, input_shape: Sequence[int]) -> Any:
        """The shape that forward gives for this one, without running; the block's contract.

        Raises ShapeError where forward would.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say its output shape")

    def reset_parameters(self) -> None:
        """Initialise every layer anew, in place; on the meta device nothing is drawn."""
        for layer in self.children():
            reset_parameters(layer)

    def fuse(self) -> Self:
        """Fold norms into convolutions where that changes nothing in eval mode, in place.

        Returns the block itself. Training it afterwards is training without those norms.
        ``blocktool.fuse`` does the same and more to a copy of any module, and verifies it.

        Raises ValueError in training mode, in which norms use the statistics of the batch.
        """
        if self.training:
            raise ValueError(f"{type(self).__name__}.fuse() needs eval mode; call eval() first")
        for child in self.children():
            if isinstance(child, Block):
                child.fuse()
            else:
                for inner in child.modules():
                    if isinstance(inner, Block):
                        inner.fuse()
        return self


@dataclass(frozen=True)
class Given:
    """What a block was constructed with, and as what; never changed, so that copies share it."""

    cls: type
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any] | None

    def __deepcopy__(self, memo: dict[int, Any]) -> Given:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        # A lambda among the arguments must not keep the whole model from being saved.
        try:
            pickle.dumps((self.args, self.kwargs))
        except Exception:
            return Given, (self.cls, None, None)
        return Given, (self.cls, self.args, self.kwargs)


def _copied(value: Any) -> Any:
    """A copy of containers within containers: the caller may go on to change those given."""
    if type(value) is dict:
        return {key: _copied(each) for key, each in value.items()}
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def _same(value: object, default: object) -> bool:
    # Only where it is known what == gives.
    plain = isinstance(value, (bool, int, float, str)) and type(value) is type(default)
    return value is default or (plain and value == default)
