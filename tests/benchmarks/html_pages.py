"""Pages of reports: how long the command takes to make one, how large it is, and how long a browser
takes from the start of the navigation until every chart is drawn.

``python tests/benchmarks/html_pages.py [--rounds N]``. Needs Chromium with its driver. A browser is
"fresh" where it was just started and shows its first page; "again" is the same page once more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import machine, say, table, versions

REPORTS: dict[str, tuple[str, ...]] = {
    "ResNet-152, summary": ("summary", "torchvision:resnet152"),
    "Swin-B, summary": ("summary", "torchvision:swin_b"),
    "ResNet-50, training step": (
        *("summary", "torchvision:resnet50", "--mode", "training", "--optimizer", "adam"),
    ),
    "ResNet-50, profile by module": (
        *("profile", "torchvision:resnet50", "--per-module", "--batch", "1,4"),
        *("--min-time", "0.5", "--max-time", "1"),
    ),
}
DRAWN = "performance.getEntriesByName('charts-drawn').map((mark) => mark.startTime)[0]"
FIRST = "performance.getEntriesByName('first-contentful-paint').map((mark) => mark.startTime)[0]"


def process_seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def fresh_browser() -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    service = webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver")
    return webdriver.Chrome(options=options, service=service)


def drawn_ms(driver: Any, page: Path) -> tuple[float, float]:
    """When something was to be seen, and when every chart was drawn."""
    driver.get(page.as_uri())
    while (drawn := driver.execute_script(f"return {DRAWN}")) is None:
        time.sleep(0.01)
    return driver.execute_script(f"return {FIRST}") or 0.0, drawn


def shown(values: Sequence[float], unit: str = "ms") -> str:
    return f"{statistics.median(values):.0f} {unit} ({min(values):.0f} to {max(values):.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp())
    blocktool = [sys.executable, "-m", "blocktool"]
    rows = []
    for name, command in REPORTS.items():
        say(f"{name} ...")
        report, page = folder / "report.json", folder / "report.html"
        subprocess.run([*blocktool, *command, "-q", "-o", str(report), "--force"], check=True)
        make = [*blocktool, "report", str(report), "-q", "--force"]
        made, torch, first, fresh, again = [], [], [], [], []
        for _ in range(rounds):
            torch.append(1e3 * process_seconds([sys.executable, "-c", "import torch"]))
            made.append(1e3 * process_seconds(make))
            driver = fresh_browser()
            try:
                seen, drawn = drawn_ms(driver, page)
                first.append(seen)
                fresh.append(drawn)
                again.append(drawn_ms(driver, page)[1])
            finally:
                driver.quit()
        ratio = statistics.median(a / b for a, b in zip(made, torch, strict=True))
        size = f"{page.stat().st_size / 1e6:.2f} MB"
        rows.append(
            (name, shown(made), f"{ratio:.2f}", size, shown(first), shown(fresh), shown(again))
        )
    shutil.rmtree(folder)
    print(versions("torch", "plotly", "jinja2"))
    print(f"{machine()}; at the end {os.getloadavg()[0]:.1f}")
    head = ("page", "`blocktool report`", "to `import torch`", "size", "text is there")
    print(table((*head, "all is drawn, fresh browser", "all is drawn, again"), rows))


if __name__ == "__main__":
    main()
