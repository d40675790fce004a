"""The page: earlier texts."""

import base64
from dataclasses import replace

from selenium.webdriver.common.keys import Keys

from tests.support.page.browser import Browser
from tests.support.page.service import (
    QUESTION,
    Images,
    press_chip,
)
from tests.support.service.services import FakeRetriever

pytest_plugins = ["tests.support.page.fixtures"]


def test_stored_generations_are_listed_by_task_opened_and_deleted(report: Browser) -> None:
    stored = report.driver.current_url
    report.one("#question").send_keys(QUESTION)
    report.press("#ask")
    report.wait(".answer")
    report.press("#history summary")
    report.wait(".history-open")
    report.one("#history-task").send_keys("Answers")

    def kinds() -> set[bool]:
        return {"answer · " in row.text for row in report.all(".history-entry")}

    report.until(lambda: kinds() == {True}, "not filtered")
    assert QUESTION in report.one(".history-open").text
    report.press(".history-open")
    report.until(lambda: report.one("#report-title").text == "Answer", "it did not open")
    assert QUESTION in report.one("#report-body").text
    assert "X-rays are not stored" in report.one("#viewer").text
    assert not report.one("#question").is_enabled(), "there is no image to ask about"
    opened = report.driver.current_url
    assert opened != stored
    listed = len(report.all(".history-entry"))
    report.press(".history-entry .delete")
    assert report.driver.switch_to.active_element.text == "Delete permanently"
    report.key(Keys.ENTER)
    report.until(lambda: len(report.all(".history-entry")) == listed - 1, "it stayed")
    report.says("#report-body", "No report on this X-ray yet.")
    report.greeted(opened)
    assert "is stored here" in report.failure()
    report.greeted(stored)
    report.wait(".statement")


def test_the_history_has_pages_and_a_text_search(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    made = browser.driver.execute_async_script(
        """
        const done = arguments[1];
        const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
        (async () => {
          for (let made = 0; made < 11; made += 1) {
            const form = new FormData();
            form.append("images", new File([bytes], "pa.png"));
            await fetch("/captions", { method: "POST", body: form });
          }
          done(true);
        })();
        """,
        base64.b64encode(images.pa.read_bytes()).decode(),
    )
    assert made
    browser.press("#history summary")
    browser.one("#history-task").send_keys("Captions")
    browser.until(lambda: len(browser.all(".history-entry")) == 10, "no first page")
    browser.press("#history-more")
    browser.until(lambda: len(browser.all(".history-entry")) > 10, "no second page")
    browser.one("#history-text").send_keys("words of nobody", Keys.ENTER)
    browser.says("#history-list", "Nothing yet.")


def test_a_stored_report_keeps_its_quotes_when_its_case_is_missing(
    report: Browser, retriever: FakeRetriever
) -> None:
    stored = report.driver.current_url
    missing, retriever.cases = retriever.cases[0], retriever.cases[1:]
    try:
        report.greeted(stored)
        report.press(".chip.missing")
        assert report.wait("#case mark").text == "Lungs drawn clear."
        assert "no longer contains this case" in report.one("#case").text
    finally:
        retriever.cases = [missing, *retriever.cases]
    changed = replace(missing, findings="Other words.", sentences=())
    retriever.cases = [changed, *retriever.cases[1:]]
    try:
        report.greeted(stored)
        press_chip(report, 0)
        assert "no longer contains the quoted sentence" in report.says(
            "#case", "no longer contains"
        )
    finally:
        retriever.cases = [missing, *retriever.cases[1:]]
