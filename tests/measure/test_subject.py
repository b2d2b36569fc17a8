"""How many modules there are at a time, and how often one is built."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from blocktool.measure import subject as subjects
from blocktool.measure.subject import Subject
from blocktool.results.specs import TensorSpec

CPU = torch.device("cpu")


class Builder:
    """Builds, and knows how many of its modules are alive when it does."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[nn.Module]] = []
        self.alive: list[int] = []

    def __call__(self) -> nn.Module:
        gc.collect()
        self.alive.append(sum(reference() is not None for reference in self.made))
        module = nn.Linear(4, 4)
        self.made.append(weakref.ref(module))
        return module


def test_a_small_module_is_built_once() -> None:
    builder = Builder()
    subject = Subject("it", builder, (2, 4))
    one, other = (subject.fresh(CPU, None, train=False) for _ in range(2))
    assert one is not other
    assert torch.equal(one.weight, other.weight)
    assert len(builder.made) == 1


def test_a_large_module_is_alone_when_the_next_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "_KEPT_BYTES", 10)
    builder = Builder()
    subject = Subject("it", builder, (2, 4))
    weights = []
    for _ in range(3):
        module = subject.fresh(CPU, None, train=True)
        weights.append(module.weight.detach().clone())
        subject.with_values(None, CPU, None)
        assert subject.dtype == "float32"
        del module
    assert builder.alive == [0, 0, 0, 0]  # the first to see how large it is
    assert all(torch.equal(weight, weights[0]) for weight in weights)


def test_a_large_module_that_was_traced_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "_KEPT_BYTES", 10)
    builder = Builder()
    subject = Subject("it", builder, (2, 4))
    questions = [((TensorSpec((batch, 4)),), None, "inference", None, "cpu") for batch in (1, 2)]
    for question in questions:
        subject.traced(*question)  # type: ignore[arg-type]
    assert len(builder.made) == 1  # nothing else has been asked for
    module = subject.fresh(CPU, None, train=False)
    subject.traced((TensorSpec((3, 4)),), None, "inference", None, "cpu")
    del module
    subject.fresh(CPU, None, train=False)
    assert builder.alive == [0, 0, 1, 0]


def test_the_users_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    subject = Subject("it", lambda: nn.Linear(4, 4), (2, 4))
    subject.fresh(CPU, None, train=False)
    subject.with_values(None, CPU, None)
    assert torch.equal(torch.get_rng_state(), before)
