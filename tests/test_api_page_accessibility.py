"""No serious finding of axe-core on any state of the page, in light, in dark, on a phone."""

from collections.abc import Iterator

import pytest

from retriever.verdict import Verdict
from tests.browser import Browser, chromium
from tests.page_service import (
    QUESTION,
    Films,
    MarkingWriter,
    a_page,
    draw_films,
    drawn_cases,
)
from tests.services import FakeRetriever, serving

LOOKS = [("desktop", "light"), ("desktop", "dark"), ("phone", "light")]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(params=LOOKS, ids="-".join)
def browser(chrome: Browser, request: pytest.FixtureRequest) -> Browser:
    size, scheme = request.param
    chrome.resize(size)
    chrome.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    return chrome


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return draw_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def retriever(films: Films) -> FakeRetriever:
    return drawn_cases(films)


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, retriever: FakeRetriever, films: Films
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    with serving(a_page(folder, retriever, MarkingWriter(), sample_path=films.pa)) as url:
        yield url


def test_no_state_of_the_page_has_a_serious_violation(
    browser: Browser, address: str, films: Films, retriever: FakeRetriever
) -> None:
    browser.greeted(address)
    for folded in ("#words", "#options", "#history"):
        browser.press(f"{folded} summary")
    assert browser.violations() == [], "empty page, all unfolded"

    browser.choose(films.pa, films.lateral)
    browser.write_report()
    browser.press("#accept")
    browser.says("#remarks", "Accepted")
    for folded in (".scores-block", "#left-out", ".legend", "#viewer .adjust"):
        browser.press(f"{folded} summary")
    browser.press(".statement .chip")
    browser.wait("#case .stage")
    assert browser.violations() == [], "report with a case beside it"

    browser.press("#case-close")
    browser.press("#classify")
    browser.wait(".observations")
    browser.one("#question").send_keys(QUESTION)
    browser.press("#ask")
    browser.wait(".answer[data-task=ask]")
    browser.press("#edit")
    browser.press("#export summary")
    browser.press(".history-entry .delete")
    browser.choose(films.text)
    browser.failure()
    assert browser.violations() == [], "answers, editor, menu and an error"

    retriever.verdict = Verdict(
        in_distribution=False, score=-8.1, threshold=-3.2, reason="drawn sideways"
    )
    try:
        browser.press("#clear")
        browser.choose(films.pa)
        browser.write_report()
        browser.wait(".warning")
    finally:
        retriever.verdict = None
    browser.script("document.getElementById('key-dialog').showModal()")
    assert browser.violations() == [], "doubtful report under the key dialogue"


def test_the_order_of_the_focus_is_that_of_the_page(
    chrome: Browser, address: str, films: Films
) -> None:
    chrome.resize("desktop")
    chrome.greeted(address)
    chrome.choose(films.pa)
    chrome.write_report()
    reached = chrome.script(
        """
        const all = [...document.querySelectorAll("a, button, input, select, textarea, summary, "
          + "[tabindex='0']")].filter((one) => one.checkVisibility() && !one.disabled);
        const regions = all.map((one) => one.closest("header, #film-column, #case, #report")?.id
          ?? "other");
        return regions.filter((name, place) => name !== regions[place - 1]);
        """
    )
    assert reached == ["other", "film-column", "report"]
    positive = "[tabindex]:not([tabindex='0'], [tabindex='-1'])"
    assert chrome.all(positive) == []
    named = chrome.script(
        "return [...document.querySelectorAll('button, summary')]"
        ".filter((one) => one.checkVisibility())"
        ".filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label'))).length"
    )
    assert named == 0
