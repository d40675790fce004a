"""No serious finding of axe-core on any state of the page, in light, in dark, on a phone."""

from tests.browser import Browser
from tests.page_service import (
    QUESTION,
    UNUSUAL,
    Films,
)
from tests.services import FakeRetriever

pytest_plugins = ["tests.page_fixtures"]


def check(browser: Browser, state: str) -> None:
    """Nothing serious in light; in dark, where the colours alone differ, nothing of contrast."""
    for scheme, rules in (("light", None), ("dark", ["color-contrast"])):
        browser.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        assert browser.violations(rules) == [], f"{state}, {scheme}"


def test_no_state_of_the_page_has_a_serious_violation(
    browser: Browser, address: str, films: Films, retriever: FakeRetriever
) -> None:
    browser.greeted(address)
    for folded in ("#words", "#options", "#history"):
        browser.press(f"{folded} summary")
    check(browser, "empty page, all unfolded")

    browser.choose(films.pa, films.lateral)
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
    browser.choose(films.text)
    browser.failure()
    check(browser, "answers, editor, menu and an error")

    retriever.verdict = UNUSUAL
    try:
        browser.press("#clear")
        browser.choose(films.pa)
        browser.write_report()
        browser.wait(".warning")
    finally:
        retriever.verdict = None
    browser.script("document.getElementById('key-dialog').showModal()")
    check(browser, "doubtful report under the key dialogue")


def test_the_order_of_the_focus_is_that_of_the_page(
    desk: Browser, address: str, films: Films
) -> None:
    desk.greeted(address)
    desk.choose(films.pa)
    desk.write_report()
    reached = desk.script(
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
    assert desk.all(positive) == []
    named = desk.script(
        "return [...document.querySelectorAll('button, summary')]"
        ".filter((one) => one.checkVisibility())"
        ".filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label'))).length"
    )
    assert named == 0
