"""The page: what scores rest on, over the X-ray, by pointing, by pressing and by keys."""

import re
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.support.page.browser import Browser
from tests.support.page.service import Images, press_chip, written

pytest_plugins = ["tests.support.page.fixtures"]

WHERE = "#report-body .statement .where"


def alpha(browser: Browser, x: float, y: float, *, viewer: str = "#viewer") -> int:
    """How opaque the map is at a place of the image, in parts of its sides; 0 without a map."""
    found: int = browser.script(
        "const map = document.querySelector(`${arguments[0]} .map`);"
        "if (!map) return 0;"
        "const at = [Math.round(arguments[1] * map.width), Math.round(arguments[2] * map.height)];"
        "const own = document.createElement('canvas');"
        "[own.width, own.height] = [map.width, map.height];"
        "const pen = own.getContext('2d', {willReadFrequently: true});"
        "pen.drawImage(map, 0, 0);"
        "return pen.getImageData(...at, 1, 1).data[3];",
        viewer,
        x,
        y,
    )
    return found


def rest(browser: Browser) -> None:
    """Point at nothing that has a map, and let no element have the focus."""
    ActionChains(browser.driver).move_to_element(browser.one("#report-title")).perform()
    browser.script("document.activeElement.blur()")


def caption(browser: Browser) -> str:
    return str(browser.one("#viewer .map-caption").get_property("textContent"))


def test_a_map_lies_over_its_image_and_says_that_it_is_no_lesion(report: Browser) -> None:
    assert len(report.all(WHERE)) == 1, "only a sentence that states an observation has a map"
    rest(report)
    assert report.all("#viewer .map") == []
    report.press(WHERE)
    report.until(lambda: alpha(report, 0.75, 0.75) > 100, "no map")
    assert alpha(report, 0.25, 0.75) == 0 and alpha(report, 0.75, 0.3) == 0
    assert caption(report) == (
        "What the score for Lung Opacity rests on (score 0.10, present), "
        "not the outline of a lesion."
    )
    assert report.one(WHERE).get_attribute("aria-pressed") == "true"
    same = report.script(
        "const box = (one) => Object.values(document.querySelector(one).getBoundingClientRect()"
        ".toJSON()); return [box('#viewer .stage img'), box('#viewer .map')];"
    )
    assert same[0] == pytest.approx(same[1], abs=1)
    report.press("#viewer [aria-label='Zoom in']")
    transforms = [
        report.script("return document.querySelector(arguments[0]).style.transform", one)
        for one in ("#viewer .stage img", "#viewer .map")
    ]
    assert transforms[0] == transforms[1] and "scale(1.25)" in transforms[0]
    report.press("#viewer .thumb:nth-child(2)")
    assert alpha(report, 0.75, 0.75) > 100, "the other view has a map of its own"
    report.press(WHERE)
    rest(report)
    assert report.all("#viewer .map") == []
    assert not report.one("#viewer .map-caption").is_displayed()
    assert report.complaints() == []


def test_pointing_at_a_sentence_shows_its_map_until_the_pointer_leaves(
    browser: Browser, address: str, images: Images
) -> None:
    report = written(browser, address, images)
    words = report.all("#report-body .statement .words")
    ActionChains(report.driver).move_to_element(words[1]).perform()
    report.until(lambda: alpha(report, 0.75, 0.75) > 100, "no map")
    ActionChains(report.driver).move_to_element(words[3]).perform()
    report.until(lambda: report.all("#viewer .map") == [], "the map stayed")


def test_keys_show_the_map_and_change_its_opacity(report: Browser) -> None:
    def opacity() -> float:
        return float(report.script("return document.querySelector('#viewer .map').style.opacity"))

    rest(report)
    report.key("o")
    report.until(lambda: alpha(report, 0.75, 0.75) > 100, "no map")
    assert "What the score for Lung Opacity" in str(
        report.one("#status").get_property("textContent")
    )
    before = opacity()
    report.key("]", "]")
    assert opacity() == pytest.approx(before + 0.2)
    report.key("[")
    assert opacity() == pytest.approx(before + 0.1)
    report.press("#viewer .adjust summary")
    report.wait("[data-slider=opacity]").send_keys(Keys.HOME)
    assert opacity() == 0
    rest(report)
    report.key("o")
    assert report.all("#viewer .map") == []
    report.one("#question").send_keys("o")
    assert report.all("#viewer .map") == [], "a letter that is typed is no shortcut"


def test_every_observation_has_a_map_with_its_state(report: Browser) -> None:
    report.press("#classify")
    report.wait(".answer[data-task=classify]")
    buttons = report.all(".answer .where")
    assert len(buttons) == 14
    report.script("arguments[0].click()", buttons[0])
    drawn: Any = report.until(lambda: report.all("#viewer .map"), "no map")
    assert len(drawn) == 1
    assert re.search(r"rests on \(score 0\.10, (present|possible|absent)\)", caption(report))
    assert report.violations() == []


def test_a_cited_case_shows_where_the_same_score_comes_from(report: Browser) -> None:
    press_chip(report, 1)
    report.wait("#case .stage img")
    assert report.all("#case .map") == []
    report.press("#case .where")
    report.until(lambda: alpha(report, 0.75, 0.75, viewer="#case") > 100, "no map")
    assert report.one("#case .where").get_attribute("aria-pressed") == "true"
    report.press("#case .where")
    assert report.all("#case .map") == []


def test_maps_end_with_their_study(report: Browser, images: Images) -> None:
    report.press(WHERE)
    report.until(lambda: report.all("#viewer .map"), "no map")
    report.choose(images.lateral)
    report.until(lambda: len(report.all("#viewer .thumb")) == 1, "the study stayed")
    report.wait("#viewer .stage img")
    assert report.all("#viewer .map") == [] and report.all(WHERE) == []
