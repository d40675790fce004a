"""What the tests of the page share, as a plugin: a browser, films and the service they are sent to.

``pytest_plugins = ["tests.support.page_fixtures"]`` in a test module gives it all of these.
"""

from collections.abc import Iterator

import pytest

from tests.support.browser import SIZES, Browser, chromium
from tests.support.page_service import (
    Films,
    MarkingWriter,
    a_page,
    draw_films,
    drawn_cases,
    written,
)
from tests.support.services import FakeRetriever, serving


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def browser(chrome: Browser, size: str) -> Browser:
    """A window as wide as a desk's, then a phone's."""
    chrome.prefer()
    chrome.resize(size)
    return chrome


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return draw_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="session")
def retriever(films: Films) -> FakeRetriever:
    return drawn_cases(films)


@pytest.fixture(scope="session")
def writer() -> MarkingWriter:
    return MarkingWriter()


@pytest.fixture(scope="session")
def address(
    tmp_path_factory: pytest.TempPathFactory,
    retriever: FakeRetriever,
    writer: MarkingWriter,
    films: Films,
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    with serving(a_page(folder, retriever, writer, sample_path=films.pa)) as url:
        yield url


@pytest.fixture
def report(browser: Browser, address: str, films: Films) -> Browser:
    """The window with a report on two views."""
    return written(browser, address, films)
