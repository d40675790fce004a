"""Headless Chromium, with the few things a person does on the page."""

import importlib.resources
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from recipes.drawn_example.browser import has_chromium, headless_chromium

SIZES = {"desktop": (1440, 900), "workstation": (1920, 1080), "phone": (390, 844)}
SECONDS = 60.0
"""Seconds."""


class Browser:
    """A window on the page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """What ``holds`` gives, once it is true."""
        waiting = WebDriverWait(
            self.driver, SECONDS, poll_frequency=0.05, ignored_exceptions=[WebDriverException]
        )
        return waiting.until(lambda _: holds(), what)

    def wait(self, selector: str) -> WebElement:
        """The first element of this kind, once it is in sight."""

        def visible() -> WebElement | None:
            found = self.all(selector)
            return found[0] if found and found[0].is_displayed() else None

        found: WebElement = self.until(visible, f"{selector} did not appear: {self.alert()}")
        return found

    def hidden(self, selector: str) -> None:
        self.until(
            lambda: not any(found.is_displayed() for found in self.all(selector)),
            f"{selector} stayed",
        )

    def says(self, selector: str, words: str) -> str:
        """The text of an element, once it holds the words."""
        self.until(lambda: words in self.one(selector).text, f"{selector} never said {words!r}")
        return self.one(selector).text

    def open(self, address: str) -> None:
        """A page of its own: nothing of an earlier one, in the console neither."""
        self.driver.get("about:blank")
        self.complaints()
        self.driver.get(address)
        self.until(lambda: self.script("return document.readyState") == "complete", "no page")

    def greeted(self, address: str) -> None:
        """Open the page and wait for what the server says of itself."""
        self.open(address)
        self.until(lambda: self.one("#index-line").get_property("textContent"), "no greeting")

    def press(self, selector: str) -> None:
        """Click an element, once it can be."""

        def pressed() -> bool:
            self.script("arguments[0].scrollIntoView({block: 'center'})", self.one(selector))
            self.one(selector).click()
            return True

        self.until(pressed, f"{selector} cannot be pressed: {self.alert()}")

    def choose(self, *paths: Path) -> None:
        self.one("#files").send_keys("\n".join(str(path) for path in paths))

    def write_report(self) -> None:
        self.wait("#write:enabled")
        self.press("#write")
        self.wait(".statement")

    def alert(self) -> str:
        return str(self.one("#alert").get_property("textContent"))

    def failure(self) -> str:
        """What the page says has failed."""
        return self.wait("#error").text

    def key(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def focused(self) -> str:
        return str(self.script("return document.activeElement.id"))

    def script(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def cdp(self, command: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, values)

    def resize(self, size: str) -> None:
        width, height = SIZES[size]
        phone = size == "phone"
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.cdp("Emulation.setDeviceMetricsOverride", **metrics)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=phone, maxTouchPoints=5)

    def prefer(self, **features: str) -> None:
        """Set media features such as ``prefers_color_scheme``."""
        named = [{"name": n.replace("_", "-"), "value": v} for n, v in features.items()]
        self.cdp("Emulation.setEmulatedMedia", features=named)

    def complaints(self) -> list[str]:
        """What the console holds, but for answers of our own with a 4xx or 5xx status."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [e["message"] for e in entries if "the server responded with" not in e["message"]]

    def violations(self, rules: list[str] | None = None) -> list[str]:
        """What axe-core finds that is serious or critical, with the elements; by all its rules or
        by some."""
        axe = importlib.resources.files("axe_core_python") / "axe.min.js"
        if not self.script("return 'axe' in window"):
            self.script(axe.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const [rules, done] = arguments;"
            "const only = rules ? {runOnly: {type: 'rule', values: rules}} : {};"
            "axe.run({resultTypes: ['violations'], ...only}).then(done);",
            rules,
        )
        return [
            f"{one['id']} ({one['impact']}): {[node['html'][:160] for node in one['nodes']]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own."""
    if not has_chromium():
        pytest.skip("chromium and chromium-driver are missing: apt-get install them")
    with headless_chromium(*SIZES["desktop"]) as driver:
        yield Browser(driver)


__all__ = ["SIZES", "Browser", "Keys", "chromium"]
