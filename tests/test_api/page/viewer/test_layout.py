"""The page: layout at three sizes, window presets, measurements, two views, a linked prior case."""

import re

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.support.page.browser import Browser
from tests.support.page.service import Images, press_chip, written

pytest_plugins = ["tests.support.page.fixtures"]

WIDE = pytest.mark.parametrize("size", ["desktop", "workstation"])
NESTED = """
const scrolls = (one) => /auto|scroll/.test(getComputedStyle(one).overflowY)
  && one.scrollHeight > one.clientHeight && one !== document.scrollingElement;
const page = document.scrollingElement.scrollHeight > innerHeight;
return [...document.querySelectorAll("main *")].filter(scrolls)
  .filter((one) => page || [...document.querySelectorAll("main *")]
    .some((other) => other !== one && other.contains(one) && scrolls(other)))
  .map((one) => one.id || one.className);
"""


@WIDE
def test_the_image_fills_the_window_and_nothing_scrolls_inside_what_scrolls(
    browser: Browser, address: str, images: Images
) -> None:
    report = written(browser, address, images)

    def share() -> float:
        stage = "document.querySelector('#viewer .stage').clientHeight"
        return float(report.script(f"return {stage} / innerHeight"))

    assert share() >= 0.7
    assert report.one("#write").is_displayed()
    assert report.script(NESTED) == []
    press_chip(report, 0)
    report.wait("#case .stage img")
    assert share() >= 0.7, "beside a prior case too"
    assert report.script(NESTED) == []
    bottom = report.script("return document.getElementById('write').getBoundingClientRect().bottom")
    assert bottom <= report.script("return innerHeight")
    assert report.script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", ["phone"])
def test_on_a_phone_the_page_is_as_wide_as_the_window_and_the_report_can_be_written(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    assert browser.script("return document.documentElement.scrollWidth <= innerWidth")
    browser.choose(images.pa)
    browser.wait("#write:enabled")
    browser.script("scrollTo(0, 0)")
    box = browser.script(
        "const b = document.getElementById('write').getBoundingClientRect();"
        "return [b.top, b.bottom, innerHeight]"
    )
    assert box[0] > 0 and box[1] <= box[2], "it is in sight at once"


def test_presets_span_the_grey_levels_of_the_image(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#viewer .stage img")

    def shown() -> tuple[int, int]:
        text = str(browser.one("#viewer .readout").get_property("textContent"))
        width, level, _ = map(int, re.findall(r"\d+", text))
        return width, level

    browser.script("document.activeElement.blur()")
    browser.key("2")
    lung = shown()
    assert lung[0] < 255 and browser.one("#viewer .preset").get_property("value") == "Lung"
    browser.key("3")
    assert shown()[1] > lung[1], "the mediastinum is lighter than the lungs"
    browser.key("1")
    assert shown() == (255, 128)
    browser.one("#viewer .preset").send_keys("Bone")
    assert shown()[0] < 255


def test_a_dicom_image_has_millimetres_and_its_own_windows(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.choose(images.dicom)
    browser.wait("#viewer .stage img")

    def source() -> str:
        return str(browser.one("#viewer .stage img").get_property("src"))

    first, preset = source(), browser.one("#viewer .preset")
    browser.script("document.activeElement.blur()")
    for name in ("File: NORMAL", "File: HARDER"):
        browser.key("5")
        browser.until(lambda name=name: preset.get_property("value") == name, f"no window {name}")
    assert source() != first
    browser.key("r")
    browser.key(Keys.ENTER, *[Keys.ARROW_RIGHT] * 4, Keys.ENTER)
    browser.says("#viewer .measured", "32.0 mm at the detector, 15 % of the width")
    browser.key("0")
    browser.until(lambda: source() == first, "the window stayed")
    assert preset.get_property("value") == "Default"


def test_ruler_and_cardiothoracic_ratio_are_measured_by_points_of_the_reader(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#viewer .stage img")
    browser.script("document.activeElement.blur()")
    browser.key("r")
    for name in ("one end", "the other end"):
        assert name in browser.says("#viewer .measured", name)
        browser.key(Keys.ENTER, *[Keys.ARROW_RIGHT] * 4)
    assert "Ruler: 64 px, 15 % of the width" in browser.one("#viewer .measured").text
    browser.key("t")
    assert "Set point 1 of 4" in browser.one("#viewer .measured").text
    stage = browser.one("#viewer .stage")
    for across in (-50, 50, -100, 100):
        ActionChains(browser.driver).move_to_element_with_offset(
            stage, across, 40
        ).click().perform()
    assert "Cardiothoracic ratio 0.50" in browser.says("#viewer .measured", "Cardiothoracic")
    browser.press("#viewer .adjust summary")
    browser.press("#viewer .unmeasure")
    assert browser.all("#viewer .measurements line") == []


def test_two_views_hang_side_by_side_with_one_window(report: Browser) -> None:
    def alt(viewer: str) -> str:
        return str(report.one(f"{viewer} .stage img").get_attribute("alt"))

    assert (alt("#viewer"), alt("#viewer-beside")) == ("X-ray: pa.png", "X-ray: lateral.png")
    report.script("document.activeElement.blur()")
    report.key("i", "n")
    assert (alt("#viewer"), alt("#viewer-beside")) == ("X-ray: lateral.png", "X-ray: pa.png")
    report.key("i")
    applied = report.one("#viewer-beside .stage img").value_of_css_property("filter")
    assert applied.startswith("url("), "the other view is inverted too"
    report.key("v")
    assert not report.one("#viewer-beside").is_displayed() or not report.all("#viewer-beside img")


def test_a_prior_case_follows_window_and_zoom_once_it_is_linked(report: Browser) -> None:
    def shown(place: str) -> str:
        return str(report.one(f"{place} .readout").get_property("textContent"))

    press_chip(report, 0)
    report.wait("#case .stage img")
    report.press("#viewer [aria-label='Zoom in']")
    assert "100 %" in shown("#case")
    report.key("l")
    assert report.one("#case .link").get_attribute("aria-pressed") == "true"
    assert "125 %" in shown("#case")
    report.press("#case [aria-label='Zoom in']")
    assert shown("#viewer") == shown("#case") and "156 %" in shown("#viewer")
    report.press("#case .link")
    report.press("#viewer .reset")
    assert "156 %" in shown("#case")


@WIDE
def test_full_screen_takes_the_tools_along(browser: Browser, address: str, images: Images) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#viewer .stage img")
    browser.press("#viewer .full")
    browser.until(lambda: browser.script("return document.fullscreenElement?.id") == "views", "no")
    assert browser.one("#viewer .invert").is_displayed()
    browser.press("#viewer .full")
    browser.until(lambda: browser.script("return document.fullscreenElement === null"), "it stays")
