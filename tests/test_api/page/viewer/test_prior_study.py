"""The page: the patient's own prior study beside the X-ray, linked, and in the report."""

from tests.support.page.browser import Browser
from tests.support.page.service import Images

pytest_plugins = ["tests.support.page.fixtures"]


def transform(browser: Browser, viewer: str) -> str:
    return str(
        browser.script(
            "return document.querySelector(`${arguments[0]} img`).style.transform", viewer
        )
    )


def give(browser: Browser, images: Images) -> None:
    """Choose a prior study for the study that is open."""
    browser.press("#prior summary")
    browser.one("#prior-files").send_keys(str(images.case))
    browser.until(lambda: browser.one("#prior-viewer").is_displayed(), "no prior study")


def test_a_prior_study_is_shown_beside_linked_and_compared_with(
    report: Browser, images: Images
) -> None:
    give(report, images)
    report.press("#viewer [aria-label='Zoom in']")
    assert "scale(1.25)" in transform(report, "#viewer")
    assert transform(report, "#prior-viewer") == transform(report, "#viewer")
    report.press("#prior-link")
    report.press("#viewer [aria-label='Zoom in']")
    assert transform(report, "#prior-viewer") != transform(report, "#viewer")
    report.script("document.querySelector('#prior-date').value = '2026-05-03'")
    report.press("#write")
    report.until(lambda: len(report.all("#compared-with")) == 1, "nothing was compared")
    assert "2026-05-03" in report.one("#compared-with").text
    said = " ".join(one.text for one in report.all("#report-body .statement"))
    assert "Lung opacity is unchanged since 3 May 2026." in said
    assert "compared with the prior study" in said
    report.press("#clear")
    report.until(lambda: not report.one("#prior-viewer").is_displayed(), "it outlived its study")
    assert report.complaints() == []
