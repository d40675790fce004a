"""The page by keyboard alone, and what it says of a report besides its text."""

import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.page.browser import Browser
from tests.support.page.service import Images

pytest_plugins = ["tests.support.page.fixtures"]


def stored(browser: Browser) -> list[dict[str, Any]]:
    """The feedback on the report on the page."""
    return list(
        browser.driver.execute_async_script(
            "fetch(`/generations/${location.hash.slice(1)}/feedback`)"
            ".then(r => r.json()).then(arguments[0])"
        )
    )


def test_keys_alone_write_read_edit_accept_and_export_a_report(
    browser: Browser, address: str, images: Images, tmp_path: Path
) -> None:
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.greeted(address)
    browser.choose(images.pa)
    browser.until(lambda: browser.focused() == "write", "the button to write has no focus")
    browser.key(Keys.ENTER)
    browser.wait(".statement")
    browser.until(lambda: browser.focused() == "report", "the report has no focus")
    browser.key("j")
    assert "Sentence 1 of 4: Lungs drawn clear." in str(
        browser.one("#status").get_property("textContent")
    )
    browser.key("j")
    browser.until(lambda: browser.all("#viewer .map"), "no map of the sentence in focus")
    browser.key("k", "c")
    assert browser.wait("#case mark").text == "Lungs drawn clear."
    browser.key(Keys.ESCAPE)
    browser.hidden("#case")
    browser.key("k", "j", "e")
    browser.wait(".sentence-editor textarea")
    browser.key(Keys.CONTROL, "a")
    browser.driver.switch_to.active_element.send_keys(Keys.CONTROL + "a" + Keys.NULL, "Typed.")
    browser.key(Keys.ENTER)
    browser.until(lambda: browser.all(".edited-sentence"), "the edit was not stored")
    browser.key("a")
    browser.says("#remarks", "Accepted")
    browser.key("x", Keys.ENTER)
    (pdf,) = browser.until(lambda: list(tmp_path.glob("*.pdf")), "no export")
    browser.until(lambda: pdf.stat().st_size > 0, "an empty export")
    made = [(one["kind"], one["statement"], one["text"]) for one in stored(browser)]
    assert made[0][0] == "edited" and made[0][2] == "Typed."
    assert made[1] == ("accepted", None, None)
    assert browser.complaints() == []


def test_a_sentence_is_edited_in_place_and_keeps_its_citations(report: Browser) -> None:
    report.press(".statement[data-place='1'] .edit-sentence")
    field = report.wait(".sentence-editor textarea")
    assert field.get_property("value") == "Costal angles drawn sharp."
    field.send_keys(Keys.ESCAPE)
    report.hidden(".sentence-editor")
    report.press(".statement[data-place='1'] .edit-sentence")
    field = report.wait(".sentence-editor textarea")
    field.clear()
    field.send_keys("Angles are blunt.", Keys.ENTER)
    report.until(lambda: report.all(".edited-sentence"), "nothing was stored")
    edited = report.all(".statement")[1]
    assert edited.text.startswith("Angles are blunt. 2")
    assert "edited Written: Costal angles drawn sharp." in edited.text
    report.script("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    report.press("#copy")
    text = str(report.until(lambda: report.script("return window.copied"), "nothing was copied"))
    assert "Angles are blunt. [2]" in text and "Costal angles" not in text
    assert text.endswith("Research use only, not for clinical use.")
    report.greeted(report.driver.current_url)
    report.until(lambda: report.all(".edited-sentence"), "the edit was forgotten")
    assert report.all(".statement")[0].text.startswith("Lungs drawn clear.")


def test_the_list_of_keys_opens_and_turns_them_off(report: Browser) -> None:
    report.script("document.activeElement.blur()")
    report.key("?")
    listed = report.wait("#keys-dialog").text
    for said in ("Next sentence", "Invert", "Full screen", "Accept the report"):
        assert said in listed
    assert report.violations() == []
    report.press("#single-keys")
    report.press("#keys-close")
    report.script("document.activeElement.blur()")
    report.key("i")
    inverted = report.one("#viewer .invert")
    assert inverted.get_attribute("aria-pressed") == "false"
    report.key("?")
    report.wait("#keys-dialog")
    report.press("#single-keys")
    report.press("#keys-close")
    report.script("document.activeElement.blur()")
    report.key("i")
    assert inverted.get_attribute("aria-pressed") == "true"


def test_the_assessment_stands_above_the_report_with_its_numbers(report: Browser) -> None:
    block = report.one(".assessment")
    found = json.loads(
        report.driver.execute_async_script(
            "fetch(`/generations/${location.hash.slice(1)}`).then(r => r.text()).then(arguments[0])"
        )
    )
    states = {one["name"]: one["state"] for one in found["observations"]}
    shown = {one.text for one in report.all(".assessment .seen > .label")}
    wanted = {n for n, s in states.items() if s != "absent" and n != "No Finding"}
    assert shown == wanted and wanted
    assert "no sentence says so" in report.one(".assessment .seen:has(.state-possible)").text
    assert "no sentence says so" not in report.one(".assessment .seen:has(.state-present)").text
    first = report.all(".assessment .seen > .label")[0]
    first.click()
    numbers = report.wait("#seen-numbers").text
    assert first.text in numbers and "probability 0." in numbers and "cases 0.66" in numbers
    first.click()
    assert not report.one("#seen-numbers").is_displayed()
    assert block.location["y"] < report.all(".statement")[0].location["y"]


def test_a_report_is_shown_and_copied_as_a_template_of_organs(report: Browser) -> None:
    report.press("[data-view=template]")
    template = report.wait(".structured").text
    for organ in ("Lungs", "Pleura", "Heart and mediastinum", "Bones", "Devices", "Impression"):
        assert organ in template
    assert "Costal angles drawn sharp. [2]" in template and "No case says this." in template
    assert report.violations() == []
    report.script("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    report.press("#copy")
    text = str(report.until(lambda: report.script("return window.copied"), "nothing was copied"))
    assert text.startswith("LUNGS\n") and "Lung Opacity: " in text
    assert text.endswith("Research use only, not for clinical use.")
    report.press("[data-view=text]")
    assert report.all(".statement")[0].is_displayed()


@pytest.mark.parametrize(
    ("sample", "size"), [("normal", "desktop"), ("hand", "workstation"), ("normal", "phone")]
)
def test_a_drawn_sample_is_reported_on_at_one_press(
    browser: Browser, address: str, sample: str
) -> None:
    browser.greeted(address)
    browser.press("#clear") if browser.one("#clear").is_displayed() else None
    assert len(browser.all(".sample-image")) == 4
    browser.press(f"[data-sample={sample}]")
    browser.wait(".statement")
    assert not browser.one("#samples").is_displayed()
    assert f"{sample}.jpg" in str(browser.one("#viewer .stage img").get_attribute("alt"))


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_similar_cases_are_found_beside_a_report(report: Browser, size: str) -> None:
    report.press("#similar")
    report.wait("#found .hit")
    assert len(report.all("#report-body .statement")) == 4, "the report stays"
    report.until(lambda: len(report.all("#found .thumbnail canvas")) == 2, "no thumbnails")
    rows = [one.text for one in report.all("#found .hit")]
    assert "Lung Opacity?" in rows[0] and "A drawing without disease." in rows[0]
    assert "no image here" in rows[2]
    assert "4 of the 10 asked for" in report.one("#found-body").text
    report.press("#found .hit")
    report.wait("#case .stage img")
    if size == "phone":  # the case covers the list
        report.press("#case-close")
    report.press("#found-close")
    report.hidden("#found")
    assert not report.one("#case").is_displayed()


def test_the_history_shows_thumbnail_and_session_until_the_page_is_loaded_again(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.press("#history summary")
    browser.wait("#session-name").send_keys("teaching round")
    browser.choose(images.pa)
    browser.write_report()
    browser.until(lambda: browser.all(".history-thumbnail"), "no thumbnail")
    assert "teaching round" in browser.one(".history-entry").text
    browser.greeted(browser.driver.current_url)
    browser.wait(".statement")
    browser.press("#history summary")
    browser.wait(".history-open")
    assert browser.all(".history-thumbnail") == []
    assert "teaching round" not in browser.one("#history-list").text
    kept = browser.script("return JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert "teaching" not in kept and "data:" not in kept
