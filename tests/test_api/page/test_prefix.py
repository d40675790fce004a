"""The page below a prefix: it loads and calls nothing outside of it."""

from collections.abc import Iterator

import pytest

from tests.support.page.browser import Browser
from tests.support.page.service import Images, MarkingWriter, a_page
from tests.support.service.services import FakeRetriever, serving

pytest_plugins = ["tests.support.page.fixtures"]


@pytest.fixture
def origin(
    tmp_path_factory: pytest.TempPathFactory, retriever: FakeRetriever, images: Images
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("below")
    app = a_page(folder, retriever, MarkingWriter(), sample_path=images.pa, root_path="/cxr")
    with serving(app) as url:
        yield url


def requested(browser: Browser) -> list[str]:
    names: list[str] = browser.script(
        "return performance.getEntriesByType('resource').map((one) => one.name)"
    )
    return [name for name in names if not name.startswith(("blob:", "data:"))]


def test_the_page_works_below_a_prefix(browser: Browser, origin: str) -> None:
    browser.greeted(f"{origin}/cxr")  # without the slash at its end
    assert browser.script("return location.pathname") == "/cxr/"
    browser.press("#sample")
    browser.wait(".statement")
    browser.until(lambda: browser.script("return location.hash.length > 1"), "no address")
    browser.press(".statement .chip")
    browser.wait("#case img")
    browser.press("#case-close")
    browser.press("#history summary")
    browser.wait(".history-open")
    found = requested(browser)
    assert len(found) > 20
    assert [name for name in found if not name.startswith(f"{origin}/cxr/")] == []
    stored = browser.script("return location.href")
    browser.open("about:blank")
    browser.open(stored)
    browser.wait(".statement")
    assert browser.complaints() == []


def test_the_page_of_the_openapi_document_works_below_a_prefix(
    browser: Browser, origin: str
) -> None:
    browser.open(f"{origin}/cxr/schema/swagger")
    browser.until(lambda: browser.all("#swagger-ui .opblock"), "the document is not shown")
    found = requested(browser)
    assert [name for name in found if not name.startswith(f"{origin}/cxr/")] == []
    assert browser.one("#swagger-ui .servers select").get_attribute("value") == "/cxr"
