"""The page: keys, edges of the window, and what the page may not do."""

from selenium.webdriver.common.keys import Keys

from tests.conftest import ROOT
from tests.support.page.browser import Browser
from tests.support.page.service import (
    Images,
    chip,
    press_chip,
)

pytest_plugins = ["tests.support.page.fixtures"]


def test_the_keyboard_opens_and_closes_a_case_and_gives_the_focus_back(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#write:enabled")
    browser.until(lambda: browser.focused() == "write", "the focus did not move on")
    browser.key(Keys.ENTER)
    browser.wait(".statement")
    assert browser.focused() == "report"
    opener = chip(browser, 0)
    opener.send_keys(Keys.ENTER)
    browser.wait("#case mark")
    assert browser.focused() == "case-title"
    assert opener.get_attribute("aria-pressed") == "true"
    browser.key(Keys.ESCAPE)
    assert not browser.one("#case").is_displayed()
    assert browser.driver.switch_to.active_element == opener
    browser.key(Keys.TAB)
    focus = browser.driver.switch_to.active_element
    assert focus.get_attribute("class") == "edit-sentence", "the sentence cites one case"
    assert focus.value_of_css_property("outline-style") == "solid"


def widen(browser: Browser, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.cdp("Emulation.setDeviceMetricsOverride", **metrics)
    asked = f"return matchMedia('(width: {width}px)').matches"
    browser.until(lambda: browser.script(asked), "not resized")


def test_the_notice_stays_visible_and_nothing_overflows(report: Browser) -> None:
    press_chip(report, 0)
    report.wait("#case mark")
    for width in (1400, 1000, 390):
        widen(report, width)
        report.script("scrollTo(0, document.body.scrollHeight)")
        box = report.one(".notice").rect
        seen = report.script("return [scrollY, innerHeight]")
        assert seen[0] <= box["y"] <= seen[0] + seen[1] - box["height"], width
        assert "not for clinical use" in report.one(".notice").text
        assert report.script("return document.documentElement.scrollWidth") <= width


def test_the_page_asks_only_its_own_server_and_runs_no_inline_code() -> None:
    page = ROOT / "api" / "page"
    texts = [path for path in page.rglob("*.*") if path.suffix != ".jpg"]
    assert len(texts) > 40
    for path in texts:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name
        for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write"):
            assert unsafe not in text, path.name
    html = (page / "index.html").read_text(encoding="utf-8")
    assert "<style" not in html and " style=" not in html and " onclick=" not in html
