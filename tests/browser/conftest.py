"""A headless Chromium for the tests of pages; without one they are skipped, saying so."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-extensions",
)  # fmt: skip
_PATIENCE = 60.0  # seconds until the charts must be drawn, on a machine with much else to do


class Browser:
    """A browser that shows one page at a time."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver = driver
        self._folder = folder

    def show(self, page: str, *, width: int = 1280, scheme: str = "light") -> None:
        """Show a page, given as HTML, until all its charts are drawn."""
        file = self._folder / "page.html"
        file.write_text(page, encoding="utf-8")
        self.resize(width, scheme)
        self.driver.get(file.as_uri())
        self.until_drawn()

    def resize(self, width: int, scheme: str = "light") -> None:
        """The width of the window in pixels, and the theme of the system."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def until_drawn(self) -> None:
        """Wait for the charts."""
        self.wait_for("document.documentElement.dataset.drawn === 'true'")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.ask(condition):
            assert time.monotonic() < end, f"never: {condition}; {self.complaints()}"
            time.sleep(0.02)

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        return self.driver.execute_script(f"return ({expression})")

    def complaints(self) -> list[str]:
        """What the browser has complained of since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def press(self, *keys: str) -> None:
        """Press keys, with the focus where it is."""
        from selenium.webdriver.common.action_chains import ActionChains

        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key)
        actions.perform()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a process."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    control = shutil.which("chromedriver")
    if program is None or control is None:
        pytest.skip("no Chromium with its driver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(control))
    try:
        yield Browser(driver, tmp_path_factory.mktemp("pages"))
    finally:
        driver.quit()


@pytest.fixture
def show(browser: Browser) -> Callable[..., Browser]:
    """Show a result as its page: ``show(summary, width=360)``."""
    from blocktool.render.html import render
    from blocktool.render.view import View

    def shown(result: Any, **how: Any) -> Browser:
        browser.complaints()
        browser.show(render(result, View()), **how)
        return browser

    return shown
