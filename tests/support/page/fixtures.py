"""What the tests of the page share, as a plugin: a browser, images and the service they are sent
to.

``pytest_plugins = ["tests.support.page.fixtures"]`` in a test module gives it all of these.
"""

from collections.abc import Iterator

import pytest

from tests.support.page.browser import Browser, chromium
from tests.support.page.service import (
    Images,
    MarkingWriter,
    a_page,
    draw_radiographs,
    drawn_cases,
    written,
)
from tests.support.service.services import FakeRetriever, serving


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def size() -> str:
    """Of the window, a key of ``SIZES``; a test may be parametrised with others."""
    return "desktop"


@pytest.fixture
def browser(chrome: Browser, size: str) -> Browser:
    """A window of this size."""
    chrome.prefer()
    chrome.resize(size)
    return chrome


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return draw_radiographs(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def retriever(images: Images) -> FakeRetriever:
    return drawn_cases(images)


@pytest.fixture(scope="session")
def writer() -> MarkingWriter:
    return MarkingWriter()


@pytest.fixture(scope="session")
def address(
    tmp_path_factory: pytest.TempPathFactory,
    retriever: FakeRetriever,
    writer: MarkingWriter,
    images: Images,
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    with serving(a_page(folder, retriever, writer, sample_path=images.pa)) as url:
        yield url


@pytest.fixture
def report(browser: Browser, address: str, images: Images) -> Browser:
    """The window with a report on two views."""
    return written(browser, address, images)
