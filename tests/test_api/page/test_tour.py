"""Every feature of the page in one sitting, in the windows of a workstation and a phone; the other
tests have that of a desk."""

import json
from pathlib import Path

import pytest
from selenium.webdriver.support.ui import Select

from tests.support.page.browser import Browser, Keys
from tests.support.page.service import QUESTION, Images, press_chip

pytest_plugins = ["tests.support.page.fixtures"]


def fits(browser: Browser) -> None:
    """Nothing is wider than the window, and nothing was complained of."""
    assert browser.script("return document.documentElement.scrollWidth <= innerWidth")
    assert not browser.alert() and browser.complaints() == []


@pytest.mark.parametrize("size", ["workstation", "phone"])
def test_every_feature_works_at_every_size(
    browser: Browser, address: str, images: Images, tmp_path: Path
) -> None:
    browser.greeted(address)
    look_at(browser, images)
    browser.write_report()
    read(browser)
    revise(browser, tmp_path)
    look_further(browser)
    compare(browser, images)
    look_back(browser)


def look_at(browser: Browser, images: Images) -> None:
    browser.choose(images.dicom, images.lateral)
    browser.wait("#viewer .stage img")
    readout = browser.one("#viewer .readout")
    preset = browser.one("#viewer .preset")
    Select(preset).select_by_visible_text("Lung")
    assert "W 255" not in str(readout.get_property("textContent"))
    Select(preset).select_by_visible_text("File: HARDER")
    browser.until(lambda: preset.get_property("value") == "File: HARDER", "not rendered")
    browser.press("#viewer [aria-label='Zoom in']")
    browser.press("#viewer .invert")
    browser.press("#viewer [data-tool=ruler]")
    browser.script("document.querySelector('#viewer .stage').focus()")
    browser.key(Keys.ENTER, *[Keys.ARROW_RIGHT] * 4, Keys.ENTER)
    browser.says("#viewer .measured", "32.0 mm at the detector")
    browser.press("#viewer .reset")
    browser.press("#viewer .full")
    browser.until(lambda: browser.script("return document.fullscreenElement !== null"), "not full")
    browser.driver.execute_async_script("document.exitFullscreen().then(arguments[0])")
    browser.press("#viewer .thumb:nth-child(2)")
    browser.press("#viewer .thumb:nth-child(1)")
    fits(browser)


def read(browser: Browser) -> None:
    assert browser.one(".assessment .seen-group h3").text == "SEES"
    browser.press(".seen .label")
    assert "probability 0." in browser.wait("#seen-numbers").text
    browser.press("#report-body .statement .where")
    browser.until(lambda: browser.all("#viewer .map"), "no map")
    assert "not the outline of a lesion" in str(
        browser.one("#viewer .map-caption").get_property("textContent")
    )
    press_chip(browser, 1)
    assert browser.wait("#case mark").text == "Costal angles drawn sharp."
    browser.wait("#case .stage img")
    browser.press("#case .link")
    browser.press("#case .where")
    browser.until(lambda: browser.all("#case .map"), "no map of the case")
    fits(browser)
    browser.press("#case-close")
    browser.press("[data-view=template]")
    assert "Heart and mediastinum" in browser.wait(".structured").text
    browser.press("[data-view=text]")
    fits(browser)


def revise(browser: Browser, tmp_path: Path) -> None:
    browser.press(".statement[data-place='1'] .edit-sentence")
    field = browser.wait(".sentence-editor textarea")
    field.clear()
    field.send_keys("Angles are blunt.", Keys.ENTER)
    browser.until(lambda: browser.all(".edited-sentence"), "the edit was not stored")
    browser.press("#accept")
    browser.says("#remarks", "Accepted")
    browser.script("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    browser.press("#copy")
    browser.until(lambda: browser.script("return window.copied"), "nothing was copied")
    assert "Angles are blunt. [2]" in browser.script("return window.copied")
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.press("#export summary")
    browser.press("#export-menu button:nth-child(3)")
    (path,) = browser.until(lambda: list(tmp_path.glob("*.json")), "no export")
    browser.until(lambda: path.stat().st_size > 0, "an empty export")
    assert json.loads(path.read_text())["resourceType"] == "DiagnosticReport"
    fits(browser)


def look_further(browser: Browser) -> None:
    browser.press("#similar")
    browser.wait("#found .hit")
    fits(browser)
    browser.press("#found-close")
    browser.press("#words summary")
    browser.wait("#text").send_keys("lungs drawn clear")
    browser.press("#words-form button")
    assert browser.wait("#found .hit mark").text == "Lungs drawn clear."
    browser.one("#question").send_keys(QUESTION)
    browser.press("#ask")
    assert f"No: {QUESTION}" in browser.wait(".answer[data-task=ask]").text
    browser.press("#classify")
    browser.wait(".answer[data-task=classify] .observations")
    assert len(browser.all("#report-body .statement")) == 4, "the report stays"
    fits(browser)
    browser.script("document.activeElement.blur()")
    browser.key("?")
    assert "Full screen" in browser.wait("#keys-dialog").text
    fits(browser)
    browser.press("#keys-close")


def compare(browser: Browser, images: Images) -> None:
    browser.press("#prior summary")
    browser.one("#prior-files").send_keys(str(images.case))
    browser.until(lambda: browser.one("#prior-viewer").is_displayed(), "no prior study")
    browser.script("document.querySelector('#prior-date').value = '2026-05-03'")
    browser.press("#prior summary")
    browser.press("#write")
    browser.until(lambda: browser.all("#compared-with"), "nothing was compared")
    said = " ".join(one.text for one in browser.all("#report-body .statement"))
    assert "unchanged since 3 May 2026" in said
    fits(browser)


def look_back(browser: Browser) -> None:
    browser.press("#history summary")
    browser.wait(".history-open")
    listed = len(browser.all(".history-entry"))
    browser.press(".history-entry .delete")
    browser.key(Keys.ENTER)
    browser.until(lambda: len(browser.all(".history-entry")) != listed, "it stayed")
    fits(browser)
