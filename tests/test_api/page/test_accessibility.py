"""No serious finding of axe-core on any state of the page, in light, in dark, on a phone."""

from selenium.webdriver.common.keys import Keys

from tests.support.page.browser import Browser
from tests.support.page.service import (
    NASTY,
    OUT_OF_DISTRIBUTION,
    QUESTION,
    Images,
    MarkingWriter,
    found_by_words,
    press_chip,
)
from tests.support.service.services import FakeRetriever

pytest_plugins = ["tests.support.page.fixtures"]


OF_COLOUR = ["color-contrast"]
OF_LAYOUT = [*OF_COLOUR, "link-in-text-block", "scrollable-region-focusable"]
"""Rules of axe whose outcome depends on the size of the window."""


def check(browser: Browser, state: str) -> None:
    """Nothing serious; on a phone, where the layout alone differs, and in dark, where the colours
    do, nothing of these."""
    for size, scheme, rules in (
        ("phone", "light", OF_LAYOUT),
        ("desktop", "light", None),
        ("desktop", "dark", OF_COLOUR),
    ):
        browser.resize(size)
        browser.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        assert browser.violations(rules) == [], f"{state}, {size}, {scheme}"


def test_no_state_of_the_page_has_a_serious_violation(
    browser: Browser, address: str, images: Images, retriever: FakeRetriever
) -> None:
    browser.greeted(address)
    for folded in ("#words", "#options", "#history"):
        browser.press(f"{folded} summary")
    check(browser, "empty page, all unfolded")

    browser.choose(images.pa, images.lateral)
    browser.write_report()
    browser.press("#accept")
    browser.says("#remarks", "Accepted")
    for folded in (".scores-block", "#left-out", ".legend", "#viewer .adjust"):
        browser.press(f"{folded} summary")
    browser.press(".statement .chip")
    browser.wait("#case .stage")
    check(browser, "report with a case beside it")

    browser.press("#case-close")
    browser.press("#classify")
    browser.wait(".observations")
    browser.one("#question").send_keys(QUESTION)
    browser.press("#ask")
    browser.wait(".answer[data-task=ask]")
    browser.press("#edit")
    browser.press("#export summary")
    browser.press(".history-entry .delete")
    browser.choose(images.text)
    browser.failure()
    check(browser, "answers, editor, menu and an error")

    retriever.ood = OUT_OF_DISTRIBUTION
    try:
        browser.press("#clear")
        browser.choose(images.pa)
        browser.write_report()
        browser.wait(".warning")
    finally:
        retriever.ood = None
    browser.script("document.getElementById('key-dialog').showModal()")
    check(browser, "doubtful report under the key dialogue")


def test_no_state_of_a_search_or_a_stored_or_unfinished_report_has_a_violation(
    browser: Browser, address: str, images: Images, writer: MarkingWriter
) -> None:
    found_by_words(browser, address, NASTY)
    browser.press(".hit")
    browser.says("#case .case-report", "Lungs drawn clear.")
    check(browser, "cases found by words")

    browser.press("#case-close")
    browser.choose(images.dicom)
    browser.wait("#write:enabled")
    browser.one("#indication").send_keys(NASTY)
    browser.press("#options summary")
    browser.one("#exclude-patient").send_keys(NASTY)
    writer.go.clear()
    try:
        browser.press("#write")
        browser.until(lambda: "[1]" in browser.one("#draft").text, "no token came")
        check(browser, "a report under way")
        browser.press("#cancel")
        browser.says("#stages", "Cancelled")
    finally:
        writer.go.set()
    browser.write_report()
    assert NASTY in browser.one("#report-body").text
    browser.press("#export summary")
    browser.press("#edit")
    check(browser, "a report for an indication")

    stored = browser.driver.current_url
    browser.greeted(stored)
    browser.wait(".statement")
    browser.press("#history summary")
    browser.one("#history-text").send_keys("drawn", Keys.ENTER)
    browser.wait(".history-open")
    press_chip(browser, 1)
    browser.wait("#case mark")
    browser.press("#wrong")
    browser.says("#wrong", "Marked as wrong")
    check(browser, "a stored report with a citation marked as wrong")
    assert browser.all("main script, main img[src='x']") == []
    assert browser.driver.title == "Grounded chest X-ray reports"
    assert browser.script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_help_has_no_violation_and_leads_back(browser: Browser, address: str) -> None:
    browser.greeted(address)
    browser.press("nav.links a[href='page/help.html']")
    browser.until(lambda: browser.all(".help"), "no help")
    check(browser, "help")
    assert browser.script("return document.documentElement.scrollWidth <= innerWidth")
    browser.one(".review-top a").click()
    browser.until(lambda: browser.all("#index-line"), "not back")


def test_focus_moves_in_the_order_of_the_page(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.write_report()
    reached = browser.script(
        """
        const all = [...document.querySelectorAll("a, button, input, select, textarea, summary, "
          + "[tabindex='0']")].filter((one) => one.checkVisibility() && !one.disabled);
        const regions = all.map((one) => one.closest("header, #image-column, #case, #report")?.id
          ?? "other");
        return regions.filter((name, place) => name !== regions[place - 1]);
        """
    )
    assert reached == ["other", "top", "image-column", "report"]
    positive = "[tabindex]:not([tabindex='0'], [tabindex='-1'])"
    assert browser.all(positive) == []
    named = browser.script(
        "return [...document.querySelectorAll('button, summary')]"
        ".filter((one) => one.checkVisibility())"
        ".filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label'))).length"
    )
    assert named == 0
