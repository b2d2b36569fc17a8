"""The whole catalog holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_every_block_holds_over_its_options(tmp_path: Path) -> None:
    report = tmp_path / "catalog.json"
    command = [sys.executable, "-m", "blocktool", "check-shapes", "-q", "-o", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert told["holds"] is True
    assert sum(target["passed"] for target in told["targets"]) >= 10_000
    assert {target["contract"] for target in told["targets"]} == {"output_shape"}
