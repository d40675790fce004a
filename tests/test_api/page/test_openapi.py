"""Swagger UI in a browser: it lists the operations and asks no other address."""

from typing import Any

from tests.support.page.browser import Browser

pytest_plugins = ["tests.support.page.fixtures"]


def test_the_operations_are_listed_and_nothing_is_fetched_elsewhere(
    browser: Browser, address: str
) -> None:
    browser.driver.get(f"{address}/schema/swagger")
    browser.until(lambda: len(browser.all(".opblock")) > 20, "no operations are listed")
    assert "/reports" in browser.one("#swagger-ui").text
    fetched: list[Any] = browser.driver.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    outside = [name for name in fetched if not name.startswith((address, "data:"))]
    assert outside == []
