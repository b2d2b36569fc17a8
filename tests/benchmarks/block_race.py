"""One case of a block under one setting: weights shared, outputs compared, then the race."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from block_cases import Case, Contestant
from block_references import randomize
from paired import Ratio, Samples, Step, interleaved
from torch import Tensor

OURS = "ours"
PLAIN = "ours, float32, contiguous"
# Of the largest magnitude; with bfloat16's 8 bits the order of sums shows early.
BFLOAT16_TOLERANCE = 0.1


@dataclass(frozen=True)
class Setting:
    """How all contestants are run."""

    threads: int
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    training: bool = False

    @property
    def clock(self) -> str:
        """What a call is timed by: see :mod:`paired`."""
        if self.device == "cuda":
            return "events"
        return "thread" if self.threads == 1 else "wall"

    def __str__(self) -> str:
        words = ["training" if self.training else "inference"]
        words += [str(self.dtype).removeprefix("torch.")] * (self.dtype != torch.float32)
        words += ["channels-last"] * self.channels_last
        return (
            f"{', '.join(words)}, {self.threads} thr."
            if self.device == "cpu"
            else ", ".join([*words, self.device])
        )


@dataclass(frozen=True)
class Result:
    """What a race of one case gave."""

    samples: dict[str, Samples]
    differences: dict[str, float]  # of the outputs, relative to the largest magnitude

    def ratio(self, theirs: str) -> Ratio:
        """Our time over that of one of them."""
        return self.samples[OURS].to(self.samples[theirs])

    @property
    def best(self) -> str:
        """The fastest of the references."""
        theirs = {n: s for n, s in self.samples.items() if n not in (OURS, PLAIN)}
        return min(theirs, key=lambda name: theirs[name].low)


def run_case(build: Callable[[], Case], setting: Setting, seconds: float) -> Result | None:
    """Share weights, compare outputs, then time; None where the case has no such setting.

    Raises ValueError where outputs differ.
    """
    torch.manual_seed(0)
    case = build()
    if setting.training and not case.training:
        return None
    ours, theirs = case.ours, dict(case.theirs)
    if setting.training:
        theirs = {name: each for name, each in theirs.items() if each.fast_path}
    randomize(ours.module)
    torch.set_num_threads(setting.threads)
    with torch.no_grad():
        for each in theirs.values():
            _share(ours, each)
    plain = torch.float32, torch.contiguous_format
    wanted = setting.dtype, torch.channels_last if setting.channels_last else plain[1]
    inputs = [torch.randn(shape, device=setting.device) for shape in case.shapes]
    steps, outputs = {}, {}
    if wanted != plain:
        # Before the others are moved: it is timed on a copy.
        steps[PLAIN] = _plain_copy(build, ours, inputs, case.maps_last, setting)
    for name, each in {OURS: ours, **theirs}.items():
        each.module.to(setting.device, setting.dtype).train(setting.training)
        last = setting.channels_last or case.maps_last
        if setting.channels_last:
            each.module.to(memory_format=torch.channels_last)
        own = [_placed(x, setting.dtype, last) for x in inputs]
        steps[name] = _step(each, own, setting.training)
        outputs[name] = _output(each, own)
    differences = {name: _difference(out, outputs[OURS]) for name, out in outputs.items()}
    allowed = case.tolerance if setting.dtype is torch.float32 else BFLOAT16_TOLERANCE
    for name, difference in differences.items():
        if not difference <= allowed:
            raise ValueError(f"{name} computes something else than ours: {difference:.2g} off")
    with nullcontext() if setting.training else torch.no_grad():
        return Result(interleaved(steps, seconds, setting.clock), differences)


def _share(ours: Contestant, theirs: Contestant) -> None:
    """Write our values into their parameters and buffers."""
    values = ours.keys(ours.module.state_dict())
    views = theirs.keys(theirs.module.state_dict())
    if views.keys() != values.keys():
        raise ValueError(f"names differ: {sorted(views.keys() ^ values.keys())}")
    for name, view in views.items():
        view.copy_(values[name])


def _plain_copy(
    build: Callable[[], Case], ours: Contestant, inputs: list[Tensor], last: bool, setting: Setting
) -> Step:
    case = build()
    case.ours.module.load_state_dict(ours.module.state_dict())
    case.ours.module.to(setting.device).train(setting.training)
    own = [_placed(x, torch.float32, last) for x in inputs]
    return _step(case.ours, own, setting.training)


def _placed(x: Tensor, dtype: torch.dtype, last: bool) -> Tensor:
    x = x.to(dtype)
    return x.contiguous(memory_format=torch.channels_last) if last and x.ndim == 4 else x


@contextmanager
def _fast_path(wanted: bool) -> Iterator[None]:
    torch.backends.mha.set_fastpath_enabled(wanted)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def _output(contestant: Contestant, inputs: list[Tensor]) -> Tensor:
    with torch.no_grad(), _fast_path(contestant.fast_path):
        return contestant.call(contestant.module, *inputs).float()


def _difference(out: Tensor, wanted: Tensor) -> float:
    if out.shape != wanted.shape:
        raise ValueError(f"shapes differ: {tuple(out.shape)} and {tuple(wanted.shape)}")
    return ((out - wanted).abs().max() / wanted.abs().max()).item()


def _step(contestant: Contestant, inputs: list[Tensor], training: bool) -> Step:
    """A forward, or in training a forward and a backward; gradients are freed outside of it."""
    module, call = contestant.module, contestant.call
    if not training:
        if contestant.fast_path:
            return Step(lambda: call(module, *inputs))

        def slow() -> object:
            with _fast_path(False):
                return call(module, *inputs)

        return Step(slow)
    leaves = [x.clone().requires_grad_() for x in inputs]
    gradient = torch.randn_like(call(module, *leaves))

    def both() -> None:
        call(module, *leaves).backward(gradient)

    def free() -> None:
        module.zero_grad(set_to_none=True)
        for leaf in leaves:
            leaf.grad = None

    return Step(both, free)
