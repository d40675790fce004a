"""The page: a report, the cases it cites, and the marks of what is not borne out."""

import pytest
from selenium.webdriver.common.by import By

from db.app.generation import OodCheck
from tests.support.page.browser import Browser
from tests.support.page.service import (
    NASTY,
    OUT_OF_DISTRIBUTION,
    QUESTION,
    Images,
    press_chip,
    written,
)
from tests.support.service.services import FakeRetriever

pytest_plugins = ["tests.support.page.fixtures"]

LIKE = OodCheck(in_distribution=True, score=-0.4, threshold=-3.2, reason="like the index")


def test_a_report_opens_the_cited_case_with_its_sentence_marked(
    browser: Browser, address: str, images: Images
) -> None:
    report = written(browser, address, images)
    index = report.one("#index-line").get_property("textContent")
    assert "4 prior cases from drawn" in index and "model drawn-adapter" in index
    assert len(report.all("#viewer .thumb")) == 2
    assert report.one("#viewer .stage img").get_property("naturalWidth") == 420
    press_chip(report, 0)
    assert report.wait("#case mark").text == "Lungs drawn clear."
    panel = report.one("#case").text
    for shown in ("one", "similarity 0.92", "A drawing without disease."):
        assert shown in panel
    assert "Lung Opacity: uncertain" in panel
    report.until(
        lambda: report.one("#case .stage img").get_property("naturalWidth") == 420, "no image"
    )
    assert len(report.all("#case .thumb")) == 2
    assert report.all(".statement")[0].get_attribute("class") == "statement open"
    assert report.complaints() == []


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_cited_case_is_shown_beside_the_image(
    browser: Browser, address: str, images: Images, size: str
) -> None:
    report = written(browser, address, images)
    press_chip(report, 0)
    report.wait("#case .stage")
    image, case = report.one("#image-column").rect, report.one("#case").rect
    if size == "desktop":
        assert image["x"] + image["width"] <= case["x"]
        stages = [report.one(f"{place} .stage").rect for place in ("#viewer", "#case")]
        assert abs(stages[0]["y"] - stages[1]["y"]) < 120
    else:
        window = report.script("return [scrollY, innerHeight, innerWidth]")
        assert abs(case["width"] - window[2]) < 2, "a sheet over the whole width"
        assert case["y"] + case["height"] <= window[0] + window[1] + 1
        assert report.one(".statement.open").rect["y"] < case["y"], "its sentence stays in sight"


def test_every_kind_of_statement_has_its_mark(report: Browser) -> None:
    supported, afterwards, against, alone = report.all(".statement")
    assert "unsupported" in str(alone.get_attribute("class"))
    assert alone.text == "No case says this. no prior case supports this\nEdit"
    assert "Cited case\n1.00" in supported.text and "X-ray\n0.83" in supported.text
    assert "added by rule" in supported.text and "added by rule" not in afterwards.text
    assert "citation added" in afterwards.text and "Cited case\n0.62" in afterwards.text
    assert "[4] removed: case 4 says right, not left (pleural effusion)" in afterwards.text
    assert "against" in str(against.get_attribute("class"))
    assert "The X-ray disagrees: classifier score for Edema is 0.81" in against.text
    widths = [r.get_attribute("width") for r in supported.find_elements(By.TAG_NAME, "rect")]
    assert widths == ["100", "83"]
    assert alone.value_of_css_property("background-color") != (
        supported.value_of_css_property("background-color")
    )


def test_hits_excluded_cases_notes_and_label_scores_are_shown(report: Browser) -> None:
    body = report.one("#report-body")
    for shown in ("A note of the generator.", "openi 77", "1 case excluded"):
        assert shown in body.text
    assert "Uncalibrated" not in body.text
    report.press(".scores-block summary")
    for shown in ("Label scores of the encoder", "Uncalibrated", "Cardiomegaly", "0.75"):
        assert shown in body.text
    shares = [r.get_attribute("width") for r in report.all(".scores-block rect")]
    assert shares == ["75", "12.5"]
    report.press("#left-out summary")
    assert "drawn s-copy (1.00): the same image" in body.text
    report.press(".hit:nth-child(4)")
    link = report.wait("#case a")
    assert str(link.get_attribute("href")).startswith("https://openi.nlm.nih.gov/")
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert "No image of this case" in report.says("#case", "No image of this case")


def test_case_texts_and_file_names_are_never_parsed_as_html(
    browser: Browser, address: str, images: Images
) -> None:
    browser.greeted(address)
    browser.choose(images.nasty)
    browser.write_report()
    assert browser.one("#viewer .stage img").get_attribute("alt") == f"X-ray: {images.nasty.name}"
    assert browser.all(".statement")[2].text.startswith(NASTY)
    press_chip(browser, 2)
    assert browser.wait("#case mark").text == NASTY
    browser.press("#case-close")
    browser.one("#question").send_keys(NASTY)
    browser.press("#ask")
    assert NASTY in browser.says("#answers", NASTY)
    assert browser.all("main script, main img[src='x']") == []
    assert browser.driver.title == "Grounded chest X-ray reports"


def test_a_study_id_with_slash_and_umlaut_opens(report: Browser) -> None:
    press_chip(report, 1)
    assert report.wait("#case mark").text == "Costal angles drawn sharp."
    assert "Prior case a/b ü" in report.one("#case-title").text


def test_a_report_on_an_unusual_image_has_a_warning(
    report: Browser, address: str, images: Images, retriever: FakeRetriever
) -> None:
    def looks() -> list[str]:
        element = report.wait(".statement")
        return [element.value_of_css_property(name) for name in ("color", "font-size")]

    assert report.all(".warning") == []
    usual = looks()
    retriever.ood = OUT_OF_DISTRIBUTION
    try:
        report.greeted(address)
        report.choose(images.pa)
        report.write_report()
        report.one("#question").send_keys(QUESTION)
        report.press("#ask")
        assert "Do not rely on this answer." in report.wait("#answers .warning").text
        stored = report.driver.current_url
    finally:
        retriever.ood = None
    report.greeted(stored)
    warning = report.wait(".warning")
    assert warning.get_attribute("role") == "alert"
    assert "unlike those in the index. Do not rely on this report." in warning.text
    assert "Drawn sideways." in warning.text
    assert "-8.10, flagged below -3.20" in warning.text
    body = report.one("#report-body")
    assert body.find_elements(By.CSS_SELECTOR, ":scope > *")[0] == warning
    assert all(one != other for one, other in zip(usual, looks(), strict=True))
    report.press("#history summary")
    assert "X-ray unlike the index" in report.says("#history-list", "X-ray unlike")
    report.press("#clear")
    assert report.all(".warning") == []
    assert "doubtful" not in str(report.one("#report-body").get_attribute("class"))


def test_the_minimum_similarity_is_applied_and_shown_in_the_report(
    browser: Browser, address: str, images: Images, retriever: FakeRetriever
) -> None:
    retriever.ood = LIKE
    try:
        browser.greeted(address)
        browser.press("#options summary")
        browser.wait("#label").send_keys("Edema")
        browser.one("#label-filter").send_keys("all")
        browser.one("#min-score").send_keys("0.6")
        browser.one("#min-ratio").send_keys("0.5")
        browser.one("#diversity").send_keys("0.3")
        browser.one("#strategy").send_keys("the most similar")
        browser.one("#indication").send_keys("drawn for a test")
        browser.choose(images.pa)
        browser.write_report()
    finally:
        retriever.ood = None
    # a later search, for a case that words a present finding, asks for its label too
    call = next(one for one in reversed(retriever.calls) if one["labels"] == ("Edema",))
    assert (call["labels"], call["label_filter"]) == (("Edema",), "exact")
    assert (call["min_score"], call["min_ratio"], call["diversity"]) == (0.6, 0.5, 0.3)
    assert call["strategy"] == "similar"
    text = browser.one("#report-body").text
    assert "Only cases with a similarity of at least 0.60 and at least 0.50 of the best" in text
    assert "typicality of the X-ray -0.40, flagged below -3.20" in text
    assert "Indication: drawn for a test" in text
