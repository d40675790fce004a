"""The page: questions, classes, captions and a search by words."""

from pathlib import Path

from selenium.webdriver.common.by import By

from tests.support.fakes import ThumbnailEncoder
from tests.support.page.browser import Browser
from tests.support.page.service import (
    NASTY,
    OUT_OF_DISTRIBUTION,
    QUESTION,
    Images,
    MarkingWriter,
    a_page,
    found_by_words,
)
from tests.support.service.services import FakeRetriever, a_case, serving

pytest_plugins = ["tests.support.page.fixtures"]


def test_a_question_is_answered_with_chips_beneath_the_report(report: Browser) -> None:
    report.one("#question").send_keys(QUESTION)
    report.press("#ask")
    answer = report.wait(".answer[data-task=ask]")
    assert QUESTION in answer.text and f"No: {QUESTION}" in answer.text
    assert len(report.all("#report-body .statement")) == 4, "the report stays"
    report.press(".answer .chip")
    assert report.wait("#case mark").text == "Lungs drawn clear."
    assert report.all("#wrong") == []
    report.press("#case-close")
    report.press("#caption")
    assert "No case says this." in report.wait(".answer[data-task=caption]").text


def test_observations_have_bars_intervals_and_the_cases_that_name_them(report: Browser) -> None:
    report.press("#classify")
    report.wait(".answer[data-task=classify]")
    rows = report.all(".observations .score")
    assert len(rows) == 14
    first = rows[0]
    assert first.text.startswith("Lung Opacity")
    assert "cases 0.66 (0.50\u20130.75)" in first.text and "X-ray 0.75" in first.text
    line = first.find_element(By.CSS_SELECTOR, ".interval")
    assert (line.get_attribute("x"), line.get_attribute("width")) == ("50", "25")
    assert "Not calibrated" in report.one(".observations").text
    chips = first.find_elements(By.CSS_SELECTOR, ".chip")
    assert len(chips) == 4
    report.script("arguments[0].scrollIntoView({block: 'center'})", chips[0])
    chips[0].click()
    report.wait("#case-title")


def test_the_question_form_says_when_the_server_answers_no_questions(
    browser: Browser, tmp_path: Path, images: Images
) -> None:
    writer = MarkingWriter(("report", "classify", "caption"))
    with serving(
        a_page(tmp_path, FakeRetriever([a_case(1)], encoder=ThumbnailEncoder()), writer)
    ) as url:
        browser.greeted(url)
        assert not browser.one("#words").is_displayed(), "no words where none can be read"
        browser.choose(images.pa)
        browser.wait("#write:enabled")
        assert not browser.one("#question").is_enabled()
        note = browser.one("#asking-note").text
        assert note == "This server answers no questions."
        assert browser.one("#caption").is_enabled()


def test_a_text_search_finds_cases_that_open(
    browser: Browser, address: str, images: Images, retriever: FakeRetriever
) -> None:
    hits = found_by_words(browser, address, NASTY)
    assert not browser.one("#with-image").is_enabled()
    assert browser.one("#found-title").text == "Prior cases found"
    assert browser.one("#report-title").text == "Report", "a search is no report"
    assert len(browser.all(".hit")) == 4 and "A drawing without disease." in hits.text
    assert NASTY in browser.one("#found-body").text
    assert retriever.words[-1] == (NASTY, 0.5)
    browser.press(".hit")
    browser.says("#case .case-report", "Lungs drawn clear.")
    browser.press("#case-close")
    browser.choose(images.pa)
    browser.wait("#with-image:enabled")
    browser.press("#with-image")
    browser.script("document.getElementById('text-weight').value = 0.2")
    retriever.ood = OUT_OF_DISTRIBUTION
    try:
        browser.press("#words-form button")
        assert "Do not rely on these cases." in browser.wait(".warning").text
    finally:
        retriever.ood = None
    assert retriever.words[-1] == (NASTY, 0.2)
    browser.write_report()
    assert browser.all("#report-card .warning") == []
    assert browser.all("#found .hit") != [], "the report leaves the cases that were found"


def test_the_sentence_that_says_the_words_is_marked_in_the_list_and_in_the_case(
    browser: Browser, address: str, retriever: FakeRetriever
) -> None:
    found_by_words(browser, address, "lungs drawn clear")
    assert browser.one(".hit mark").text == "Lungs drawn clear."
    assert retriever.calls[-1]["strategy"] is None, "a text says itself what is wanted"
    browser.press(".hit")
    assert browser.wait("#case mark").text == "Lungs drawn clear."
