"""The page: images in the viewer, and what is shown while a text is written."""

import base64
import re
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.support.page.browser import Browser
from tests.support.page.service import (
    Images,
    MarkingWriter,
)
from tests.support.radiographs import draw_radiograph

pytest_plugins = ["tests.support.page.fixtures"]


def test_an_image_of_few_pixels_fills_the_stage_in_its_own_shape(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    for number, shape in enumerate(((64, 50), (50, 64), (40, 120))):
        image = tmp_path / f"{number}.png"
        Image.fromarray(draw_radiograph(number, size=shape)).save(image)
        browser.greeted(address)
        browser.choose(image)
        browser.wait("#viewer .stage img")
        width, height, natural, across, along = browser.script(
            "const i = document.querySelector('.stage img'), s = i.closest('.stage');"
            "return [i.offsetWidth, i.offsetHeight, i.naturalWidth / i.naturalHeight,"
            " s.clientWidth, s.clientHeight]"
        )
        assert width == across or height == along
        assert width <= across and height <= along
        if width < across:
            assert width / height == pytest.approx(natural, rel=0.02)


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_images_are_windowed_zoomed_panned_and_inverted_by_mouse_or_touch(
    browser: Browser, address: str, images: Images, size: str
) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#viewer .stage img")
    readout = browser.one("#viewer .readout")

    def shown() -> str:
        return str(readout.get_property("textContent"))

    def moved() -> list[float]:
        """By how many pixels the image was moved, and how much it is enlarged."""
        style = browser.script("return document.querySelector('.stage img').style.transform")
        return [float(number) for number in re.findall(r"[-.\d]+", style)]

    assert shown() == "W 255  L 128  100 %"
    browser.script("document.querySelector('.stage').scrollIntoView({block: 'center'})")
    box = browser.script(
        "const b = document.querySelector('.stage').getBoundingClientRect();"
        "return [b.left + b.width / 2, b.top + b.height / 2]"
    )
    if size == "desktop":
        stage = browser.one("#viewer .stage")
        ActionChains(browser.driver).drag_and_drop_by_offset(stage, -55, 20).perform()
        assert shown() == "W 200  L 148  100 %"
        wheel = {"x": box[0], "y": box[1], "deltaX": 0, "deltaY": -120}
        for _ in range(4):
            browser.cdp("Input.dispatchMouseEvent", type="mouseWheel", **wheel)
        browser.until(lambda: "244 %" in shown(), "no zoom")
        actions = ActionChains(browser.driver).key_down(Keys.SHIFT)
        actions.drag_and_drop_by_offset(stage, 15, 10).key_up(Keys.SHIFT).perform()
        assert moved() == pytest.approx([15, 10, 1.25**4], abs=1.5)
        ActionChains(browser.driver).double_click(stage).perform()
        assert shown() == "W 200  L 148  100 %"
    else:
        touch(browser, [[(box[0] - 30, box[1])], [(box[0] - 85, box[1] + 20)]], tool="window")
        assert shown() == "W 200  L 148  100 %"
        near = [(box[0] - 20, box[1]), (box[0] + 20, box[1])]
        far = [(box[0] - 40, box[1]), (box[0] + 40, box[1])]
        touch(browser, [near, far], tool="pan")
        assert "200 %" in shown()
        touch(browser, [[(box[0], box[1])], [(box[0] + 15, box[1] + 10)]], tool="pan")
        assert moved() == pytest.approx([15, 10, 2], abs=1.5)
    browser.press("#viewer .invert")
    assert browser.one("#viewer .invert").get_attribute("aria-pressed") == "true"
    slope = "return Number(document.querySelector('.viewer feFuncR').getAttribute('slope'))"
    assert browser.script(slope) == pytest.approx(-255 / 200)
    applied = browser.one(".stage img").value_of_css_property("filter")
    assert applied.startswith("url(")
    browser.press("#viewer .reset")
    assert shown() == "W 255  L 128  100 %"
    browser.press("#viewer .adjust summary")
    browser.wait("[data-slider=level]").send_keys(Keys.ARROW_RIGHT)
    assert shown() == "W 255  L 129  100 %"


def touch(browser: Browser, path: list[list[tuple[float, float]]], *, tool: str) -> None:
    """Fingers down at the first points, moved through the rest, and lifted."""
    browser.script("document.querySelector(arguments[0]).click()", f"[data-tool={tool}]")
    kinds = ["touchStart", *["touchMove"] * (len(path) - 1)]
    for kind, points in zip(kinds, path, strict=True):
        fingers = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
        browser.cdp("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
    browser.cdp("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_keys_control_the_viewer(browser: Browser, address: str, images: Images) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#viewer .stage img")
    stage = browser.one("#viewer .stage")
    browser.script("arguments[0].focus()", stage)
    browser.key("+", "+", "+", "+", "i", Keys.ARROW_LEFT)
    ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(
        Keys.ARROW_RIGHT, Keys.ARROW_UP
    ).key_up(Keys.SHIFT).perform()
    readout = browser.one("#viewer .readout")
    assert readout.get_property("textContent") == "W 263  L 120  244 %"
    moved = browser.script("return document.querySelector('.stage img').style.transform")
    assert moved.startswith("translate(40px, 0px)")
    assert browser.one("#viewer .invert").get_attribute("aria-pressed") == "true"
    browser.key("0")
    assert readout.get_property("textContent") == "W 255  L 128  100 %"
    described = browser.one(f"#{stage.get_attribute('aria-describedby')}")
    assert "I inverts" in str(described.get_property("textContent"))


def test_a_dicom_and_a_dropped_image_are_shown(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.choose(images.dicom)
    browser.until(
        lambda: browser.one("#viewer .stage img").get_property("naturalWidth") == 420, "no image"
    )
    browser.script(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
        const dropped = new DataTransfer();
        dropped.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
        for (const name of ["dragover", "drop"]) {
          document.body.dispatchEvent(new DragEvent(name, {
            bubbles: true, cancelable: true, dataTransfer: dropped,
          }));
        }
        """,
        base64.b64encode(images.lateral.read_bytes()).decode(),
    )
    browser.until(lambda: len(browser.all("#viewer .thumb")) == 2, "the image was not added")
    browser.press("#viewer .thumb:first-child")
    alt = browser.one("#viewer .stage img").get_attribute("alt")
    assert alt == "X-ray: image.dcm"
    browser.press("#clear")
    browser.hidden("#viewer")
    assert not browser.one("#write").is_enabled()


def test_one_press_reports_on_the_sample_image(browser: Browser, address: str) -> None:
    browser.greeted(address)
    browser.press("#sample")
    assert browser.wait(".statement").text.startswith("Lungs drawn clear.")


def test_stages_and_tokens_are_shown_as_they_come_and_cancel_stops_the_writing(
    browser: Browser, address: str, images: Images, writer: MarkingWriter
) -> None:
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#write:enabled")
    before = writer.cancelled
    writer.go.clear()
    try:
        browser.press("#write")
        browser.until(
            lambda: "Lungs drawn clear. [1]" in browser.one("#draft").text, "no token came"
        )
        stages = [stage.text for stage in browser.all("#stages li")]
        assert stages == ["Reading the X-ray", "Searching 4 prior cases", "Writing"]
        assert browser.one("#stages .now").text == "Writing"
        assert browser.one("#status").get_property("textContent") == "Writing"
        assert browser.one("#status").get_attribute("aria-live") == "polite"
        assert "not checked yet" in browser.one("#draft").text
        assert not browser.one("#report-body .empty").is_displayed()
        assert not browser.one("#write").is_enabled()
        browser.press("#cancel")
        browser.until(lambda: writer.cancelled == before + 1, "the writer was not cancelled")
    finally:
        writer.go.set()
    browser.says("#stages", "Cancelled")
    assert browser.one("#report-body .empty").is_displayed()
    assert not browser.one("#alert").is_displayed()
    assert browser.all(".statement") == []
    browser.write_report()
    assert "Report written in" in browser.one("#stages").text


def test_the_draft_does_not_move_with_reduced_motion(browser: Browser, address: str) -> None:
    browser.greeted(address)

    def turning() -> str:
        return str(
            browser.script(
                """
                const stage = document.createElement("li");
                stage.className = "now";
                document.getElementById("stages").replaceChildren(stage);
                document.getElementById("progress").hidden = false;
                return getComputedStyle(stage, "::before").animationName;
                """
            )
        )

    assert turning() == "turn"
    browser.prefer(prefers_reduced_motion="reduce")
    try:
        assert turning() == "none"
    finally:
        browser.prefer()
