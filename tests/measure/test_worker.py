"""What a worker does once for its device."""

from __future__ import annotations

import pytest
import torch

from blocktool.measure import worker


def test_the_device_is_current_and_looked_at_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[tuple[str, str]] = []
    for name in ("make_current", "busy_at_first"):
        monkeypatch.setattr(worker, name, lambda d, name=name: done.append((name, str(d))))
    monkeypatch.setattr(worker, "chosen_device", torch.device)
    for _ in range(2):
        assert worker._chosen("cuda:1", None) == torch.device("cuda", 1)
    worker._chosen.cache_clear()
    assert done == [("make_current", "cuda:1"), ("busy_at_first", "cuda:1")]
