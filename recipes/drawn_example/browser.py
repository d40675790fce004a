"""Headless Chromium, as Debian's ``chromium`` and ``chromium-driver`` install it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def has_chromium() -> bool:
    return CHROMIUM.is_file() and DRIVER.is_file()


@contextmanager
def headless_chromium(
    width: int, height: int, *flags: str, trace: str | None = None
) -> Iterator[webdriver.Chrome]:
    """Start a browser with a profile of its own and a window of this size, in pixels.

    ``flags`` go to Chromium as they are; ``trace`` names the categories of events, by commas, that
    its log ``performance`` records.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (
            *_FLAGS,
            *flags,
            f"--window-size={width},{height}",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(flag)
        logs = {"browser": "ALL"}
        if trace is not None:
            logs["performance"] = "ALL"
            options.add_experimental_option(
                "perfLoggingPrefs",
                {"enableNetwork": False, "enablePage": False, "traceCategories": trace},
            )
        options.set_capability("goog:loggingPrefs", logs)
        service = webdriver.ChromeService(executable_path=str(DRIVER))
        driver = webdriver.Chrome(options=options, service=service)
        driver.set_script_timeout(60)
        try:
            yield driver
        finally:
            driver.quit()
