"""``blocktool summary --cross-check``, as it is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import Project

ROOT = Path(__file__).parents[2]

NET = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            print("not for stdout")
            self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
            self.norm = nn.LayerNorm(64)

        def forward(self, x):
            return self.norm(self.attention(x, x, x, need_weights=False)[0])
"""


def test_summary_cross_check(project: Project) -> None:
    project.write("net.py", NET)
    command = [sys.executable, "-m", "blocktool", "summary", "net.py:Net", "-i", "2x10x64"]
    done = subprocess.run(
        [*command, "--cross-check", "-f", "json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    check = json.loads(done.stdout)["cross_check"]
    figures = {cause["name"]: cause["macs"] for cause in check["causes"]}
    assert figures == {
        "scaled_dot_product_attention": 2 * 2 * 10 * 10 * 64,
        "layer_norm": -5 * 2 * 10 * 64,
    }
    assert check["unexplained"] == 0
    assert check["difference"] == check["ours"] - check["theirs"] == sum(figures.values())
    assert "every difference is explained" in done.stderr
    assert "Unsupported operator" not in done.stderr
    assert "deprecated" not in done.stderr
